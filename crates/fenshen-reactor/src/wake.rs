//! Ends a loop's wait from another thread: an `eventfd` behind the protocol of [`sleep`](crate::sleep).

use crate::sleep::SleepState;
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{DupFlags, Errno, dup3, read, retry_on_intr, write};
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Wakes the one thread that sleeps on its descriptor; see the [example](crate#one-turn-of-a-loop).
///
/// The consumer calls [`prepare_sleep`](Self::prepare_sleep), looks for work once more, and either
/// [`cancel_sleep`](Self::cancel_sleep)s or blocks until the descriptor is readable (or anything else happens) and then
/// calls [`woken`](Self::woken). Producers publish their work, then call [`wake`](Self::wake).
#[derive(Debug)]
pub struct Waker {
    state: SleepState,
    fd: OwnedFd,
}

impl Waker {
    /// Makes a waker whose consumer is awake; its descriptor is non-blocking and closed on `exec`.
    ///
    /// # Errors
    /// When the process or the system is out of descriptors or memory.
    pub fn new() -> io::Result<Self> {
        Ok(Self { state: SleepState::new(), fd: new_eventfd()? })
    }

    /// The descriptor to watch for reading.
    #[inline]
    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Consumer: announces that it is about to block. Work published before a producer could see this must be looked for
    /// once more, now.
    #[inline]
    pub fn prepare_sleep(&self) {
        self.state.prepare_sleep();
    }

    /// Consumer: does not block after all. No system call: a write that a producer made meanwhile shows as a readable
    /// descriptor at the next wait, and the next [`woken`](Self::woken) reads it.
    #[inline]
    pub fn cancel_sleep(&self) {
        self.state.woken();
    }

    /// Consumer: has waited (for whatever reason it stopped), or has seen the descriptor readable. Reads the descriptor
    /// only if there is something in it. The consumer takes its work after this.
    ///
    /// # Errors
    /// Only when someone else has closed or replaced the descriptor.
    #[inline]
    pub fn woken(&self) -> io::Result<()> {
        self.state.woken();
        if self.state.owed() == 0 { Ok(()) } else { self.read_back() }
    }

    /// Producer, any thread or a signal handler: sees to it that the consumer looks for work again. Returns whether that
    /// took a write: it does only when the consumer sleeps and nobody else has woken it yet.
    ///
    /// # Errors
    /// Only when someone else has closed or replaced the descriptor.
    #[inline]
    pub fn wake(&self) -> io::Result<bool> {
        if !self.state.wake() {
            return Ok(false);
        }
        self.write_one()?;
        Ok(true)
    }

    /// In a forked child: replaces the descriptor, which is shared with the parent, by one of its own under the same
    /// number, and forgets what the parent's threads were at. An epoll instance made by the parent still watches the
    /// parent's.
    ///
    /// # Errors
    /// When the process or the system is out of descriptors or memory.
    pub fn reset_after_fork(&self) -> io::Result<()> {
        let fresh = new_eventfd()?;
        // SAFETY: the number is `self.fd`'s, open as long as `self` lives; ManuallyDrop keeps this second owner from
        // closing it, and `dup3` swaps the file under it atomically.
        let mut ours = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(self.fd.as_raw_fd()) });
        dup3(&fresh, &mut ours, DupFlags::CLOEXEC)?;
        self.state.reset();
        Ok(())
    }

    #[cold]
    fn write_one(&self) -> io::Result<()> {
        retry_on_intr(|| write(&self.fd, &1_u64.to_ne_bytes()))?;
        Ok(())
    }

    #[cold]
    fn read_back(&self) -> io::Result<()> {
        let mut count = [0; 8];
        match retry_on_intr(|| read(&self.fd, &mut count)) {
            Ok(_) => self.state.repaid(u64::from_ne_bytes(count)),
            // The producer that changed the word has not come to its write yet.
            Err(Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

fn new_eventfd() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Waker {
    fn as_raw_fd(&self) -> RawFd {
        self.fd()
    }
}
