//! Which descriptors are ready: a thin, level-triggered layer over Linux's `epoll`.
//!
//! Timeouts are exact to the nanosecond through `epoll_pwait2` (Linux 5.11). Where the kernel or a sandbox does not have
//! it, they are rounded up to whole milliseconds, so that a wait never ends before its deadline.

mod event;
mod interest;
mod wait;

pub use event::{Event, Events, Iter};
pub use interest::Interest;

use crate::fork::Owner;
use rustix::event::epoll::{self, CreateFlags, EventData};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

/// A set of watched descriptors, each with an interest and a token.
///
/// A descriptor is named by its number, as an event loop's users do: the caller sees to it that a number still means
/// the same file when it modifies or removes it. The kernel drops a file by itself once its last descriptor is closed.
///
/// ```
/// use fenshen_reactor::{Epoll, Events, Interest};
/// use std::{io::Write, os::fd::AsRawFd, os::unix::net::UnixStream, time::Duration};
///
/// let (ours, mut theirs) = UnixStream::pair()?;
/// let epoll = Epoll::new()?;
/// epoll.add(ours.as_raw_fd(), Interest::READABLE, 7)?;
///
/// let mut events = Events::with_capacity(16);
/// assert_eq!(epoll.wait(&mut events, Some(Duration::ZERO))?, 0);
/// theirs.write_all(b"x")?;
/// assert_eq!(epoll.wait(&mut events, None)?, 1);
/// let event = events.iter().next().expect("one event");
/// assert_eq!((event.token, event.readable, event.writable), (7, true, false));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// A forked child shares its parent's set. What it adds, modifies or removes there is let pass without a word: the
/// child has no use for it, and its parent would lose the files that the child closes.
#[derive(Debug)]
pub struct Epoll {
    fd: OwnedFd,
    owner: Owner,
}

impl Epoll {
    /// Makes an empty set; its descriptor is closed on `exec`.
    ///
    /// # Errors
    /// When the process or the system is out of descriptors or memory.
    pub fn new() -> io::Result<Self> {
        let fd = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { fd, owner: Owner::this_process() })
    }

    /// Watches `fd`; its events will carry `token`.
    ///
    /// # Errors
    /// `EEXIST` when `fd` is watched already, `EPERM` when it is a regular file or a directory, `EBADF` when it is
    /// not open.
    pub fn add(&self, fd: RawFd, interest: Interest, token: u64) -> io::Result<()> {
        if !self.owner.is_this_process() {
            return Ok(());
        }
        epoll::add(&self.fd, borrow(fd)?, EventData::new_u64(token), interest.flags())?;
        Ok(())
    }

    /// Replaces the interest and the token of a watched `fd`.
    ///
    /// # Errors
    /// `ENOENT` when `fd` is not watched, `EBADF` when it is not open.
    pub fn modify(&self, fd: RawFd, interest: Interest, token: u64) -> io::Result<()> {
        if !self.owner.is_this_process() {
            return Ok(());
        }
        epoll::modify(&self.fd, borrow(fd)?, EventData::new_u64(token), interest.flags())?;
        Ok(())
    }

    /// Stops watching `fd`.
    ///
    /// # Errors
    /// `ENOENT` when `fd` is not watched, `EBADF` when it is not open.
    pub fn remove(&self, fd: RawFd) -> io::Result<()> {
        if !self.owner.is_this_process() {
            return Ok(());
        }
        epoll::delete(&self.fd, borrow(fd)?)?;
        Ok(())
    }

    /// Waits until something is ready or `timeout` has passed (`None`: for ever), replaces what is in `events`, and
    /// returns how many there are. What does not fit comes with the next wait.
    ///
    /// # Errors
    /// [`io::ErrorKind::Interrupted`] when a signal came; `events` is then empty.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<usize> {
        events.raw.clear();
        wait::wait(self.fd.as_fd(), &mut events.raw, timeout)?;
        Ok(events.raw.len())
    }
}

/// Lends a descriptor number to one `epoll_ctl`.
fn borrow<'fd>(fd: RawFd) -> io::Result<BorrowedFd<'fd>> {
    if fd < 0 {
        return Err(Errno::BADF.into());
    }
    // SAFETY: `fd` isn't the reserved -1. It is only handed to `epoll_ctl`, which checks it, reads and writes nothing
    // through it, and answers EBADF when it isn't open.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Epoll {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}
