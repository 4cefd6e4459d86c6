//! The files that a loop watches, and who is told when they are ready: handles, and operations on sockets.
//!
//! # Registrations outlive waits
//! A handle's registration with the kernel ends with the handle. An operation's stays when its wait is over, so that a
//! connection that is read from again and again is registered once. It goes when the file is ready that way and nobody
//! waits, for the kernel would report it for ever (registrations are level-triggered), and with the file itself.
//!
//! A kept registration is relied on for the same socket object only: a number may come back as another file's. Even
//! then it may be gone, by `dup2` or `os.close` behind the object's back. So whoever still waits after a while by one
//! that was only relied on has it made again ([`Files::settle`]).
//!
//! A file that is closed here but lives on in another process keeps reporting, and can no longer be taken out by its
//! number. Each registration carries a generation, and one whose generation or number is over has the whole set made
//! anew ([`Files::again`]).

use std::ffi::{c_int, c_void};
use std::io;
use std::mem;
use std::os::fd::RawFd;

use fenshen_reactor::{Epoll, Event, Interest};
use pyo3::ffi;

use crate::future::{Future, State};
use crate::handle::{self, Handle};
use crate::object::Obj;

/// Which way a file is watched.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Read,
    Write,
}

impl Way {
    fn interest(self) -> Interest {
        match self {
            Way::Read => Interest::READABLE,
            Way::Write => Interest::WRITABLE,
        }
    }
}

/// Who is told when a file is ready one way.
#[derive(Default)]
pub(crate) struct Side {
    /// The handle to run each time.
    pub(crate) handle: Option<Obj>,
    /// The futures of operations, in order: each time the first is told.
    pub(crate) waiters: Vec<Obj>,
    /// How many have been told and have not come yet for what they were told of: the kernel goes on reporting it.
    coming: usize,
}

impl Side {
    pub(crate) fn is_empty(&self) -> bool {
        self.handle.is_none() && self.waiters.is_empty()
    }

    /// Takes the first waiter out that still waits.
    fn first(&mut self) -> Option<Obj> {
        // SAFETY: the futures are alive, being held here.
        let waits = |f: &Obj| unsafe { (*f.ptr().cast::<Future>()).state == State::Pending };
        let place = self.waiters.iter().position(waits)?;
        self.coming += 1;
        Some(self.waiters.remove(place))
    }
}

/// What a file is watched for.
#[derive(Default)]
pub(crate) struct Watch {
    pub(crate) reader: Side,
    pub(crate) writer: Side,
    /// What the kernel watches for, as far as we know.
    armed: Interest,
    /// The object that a handle's file was given as: its number is gone once it is closed.
    object: Option<Obj>,
    /// A weak reference to the socket object that `armed` is relied on for.
    socket: Option<Obj>,
    /// Which of this number's registrations it is.
    generation: u32,
    /// How many waits have relied on `armed` without asking the kernel.
    trusted: u32,
    /// It is in `Files::doubts`.
    doubted: bool,
    /// The last receive got less than it asked for.
    drained: bool,
    /// The loop's own business (its signal pipe), by which nobody waits for anything.
    pub(crate) internal: bool,
}

impl Watch {
    fn side(&mut self, way: Way) -> &mut Side {
        match way {
            Way::Read => &mut self.reader,
            Way::Write => &mut self.writer,
        }
    }

    /// What somebody waits for.
    pub(crate) fn interest(&self) -> Interest {
        let mut interest = Interest::NONE;
        if !self.reader.is_empty() {
            interest |= Interest::READABLE;
        }
        if !self.writer.is_empty() {
            interest |= Interest::WRITABLE;
        }
        interest
    }

    /// Visits what it holds for the garbage collector.
    pub(crate) unsafe fn traverse(&self, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        if let Some(object) = &self.object {
            let status = visitor(object.ptr(), arg);
            if status != 0 {
                return status;
            }
        }
        for side in [&self.reader, &self.writer] {
            let handle = side.handle.iter().map(|h| handle::traverse_owned(h.ptr().cast(), visitor, arg));
            let waiters = side.waiters.iter().map(|f| visitor(f.ptr(), arg));
            if let Some(status) = handle.chain(waiters).find(|status| *status != 0) {
                return status;
            }
        }
        0
    }

    fn is_of(&self, socket: &Option<Obj>) -> bool {
        matches!((&self.socket, socket), (Some(mine), Some(theirs)) if mine.ptr() == theirs.ptr())
    }

    fn token(&self, fd: RawFd) -> u64 {
        u64::from(self.generation) << 32 | fd as u64
    }

    /// The kernel's registration is over, or is to be taken for over.
    fn forget(&mut self) -> Option<Obj> {
        self.armed = Interest::NONE;
        self.drained = false;
        self.socket.take()
    }
}

/// Who is to be told of an event.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) handles: [Option<Obj>; 2],
    pub(crate) futures: [Option<Obj>; 2],
    /// Cancelled handles that nobody is to be told by.
    pub(crate) dropped: [Option<Obj>; 2],
    /// The kernel reports a file that this process has closed.
    pub(crate) stale: bool,
}

/// Every watched file, by its descriptor.
#[derive(Default)]
pub(crate) struct Files {
    watches: Vec<Watch>,
    /// The descriptors where a wait relies on what the kernel was told before, and how many had done so by then.
    doubts: Vec<(RawFd, u32)>,
}

impl Files {
    /// How many files are watched.
    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether somebody else than the loop itself waits for a file.
    pub(crate) fn has_foreign(&self) -> bool {
        self.iter().any(|(_, watch)| !watch.internal)
    }

    /// Makes room for a descriptor; EBADF if it isn't one.
    fn reach(&mut self, fd: RawFd) -> io::Result<()> {
        // A number far off is asked about first, so that no room is made for nothing.
        let near = (fd as usize) < self.watches.len() + 1024;
        // SAFETY: it only asks about a number.
        if fd < 0 || (!near && unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0) {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        Ok(())
    }

    fn at(&mut self, fd: RawFd) -> &mut Watch {
        let place = fd as usize;
        if place >= self.watches.len() {
            self.watches.resize_with(place + 1, Watch::default);
        }
        &mut self.watches[place]
    }

    /// Has the kernel watch `fd` for `interest`, whatever it did before.
    fn arm(&mut self, epoll: &Epoll, fd: RawFd, interest: Interest, fresh: bool) -> io::Result<()> {
        let watch = self.at(fd);
        let add = |watch: &mut Watch| {
            // The highest bit of a token is a channel's.
            watch.generation = watch.generation.wrapping_add(1) & 0x7fff_ffff;
            epoll.add(fd, interest, watch.token(fd))
        };
        // A descriptor may have been closed and opened anew behind our back: the kernel knows, we don't.
        let outcome = if fresh || watch.armed.is_empty() {
            match add(watch) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => epoll.modify(fd, interest, watch.token(fd)),
                other => other,
            }
        } else {
            match epoll.modify(fd, interest, watch.token(fd)) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => add(watch),
                other => other,
            }
        };
        watch.armed = if outcome.is_ok() { interest } else { Interest::NONE };
        outcome
    }

    /// Has the kernel no longer watch `fd`. An error means that it doesn't know this file.
    fn disarm(&mut self, epoll: &Epoll, fd: RawFd) -> io::Result<()> {
        drop(self.at(fd).forget());
        epoll.remove(fd)
    }

    /// Has `handle` run whenever `fd` is ready; returns the handle that was there before.
    pub(crate) fn set(&mut self, epoll: &Epoll, fd: RawFd, way: Way, handle: Obj) -> io::Result<Option<Obj>> {
        self.reach(fd)?;
        let watch = self.at(fd);
        let replaced = watch.side(way).handle.replace(handle);
        if replaced.is_some() {
            return Ok(replaced);
        }
        let interest = watch.interest();
        drop(watch.socket.take());
        if let Err(e) = self.arm(epoll, fd, interest, false) {
            drop(self.at(fd).side(way).handle.take());
            return Err(e);
        }
        Ok(None)
    }

    /// Remembers the object that a handle's file was given as.
    pub(crate) fn note_object(&mut self, fd: RawFd, object: Obj) {
        drop(self.at(fd).object.replace(object));
    }

    /// The descriptor that an object had when it was given.
    pub(crate) fn descriptor_of(&self, object: *mut ffi::PyObject) -> Option<RawFd> {
        let known = |watch: &Watch| watch.object.as_ref().is_some_and(|o| o.ptr() == object);
        self.watches.iter().position(known).map(|fd| fd as RawFd)
    }

    /// Stops watching one way for a handle; returns the handle that waited.
    pub(crate) fn unset(&mut self, epoll: &Epoll, fd: RawFd, way: Way) -> Option<Obj> {
        let watch = self.watches.get_mut(fd as usize)?;
        let removed = watch.side(way).handle.take()?;
        let _object =
            if watch.reader.handle.is_none() && watch.writer.handle.is_none() { watch.object.take() } else { None };
        let left = watch.interest();
        // An error means that the descriptor is closed: the kernel has forgotten it already.
        if left.is_empty() {
            watch.internal = false;
            let _ = self.disarm(epoll, fd);
        } else {
            let _ = self.arm(epoll, fd, left, false);
        }
        Some(removed)
    }

    /// Whether the kernel can be relied on to watch `fd` for this socket (a weak reference).
    pub(crate) fn is_armed(&self, fd: RawFd, way: Way, socket: &Option<Obj>) -> bool {
        self.watches.get(fd as usize).is_some_and(|w| w.armed.contains(way.interest()) && w.is_of(socket))
    }

    /// Has `future` (one of ours) told when `fd`, the descriptor of `socket`, is ready.
    pub(crate) fn wait(
        &mut self,
        epoll: &Epoll,
        fd: RawFd,
        way: Way,
        socket: Option<Obj>,
        future: Obj,
    ) -> io::Result<()> {
        if self.is_armed(fd, way, &socket) {
            let watch = &mut self.watches[fd as usize];
            watch.side(way).waiters.push(future);
            watch.trusted = watch.trusted.wrapping_add(1);
            if !mem::replace(&mut watch.doubted, true) {
                let trusted = watch.trusted;
                self.doubts.push((fd, trusted));
            }
            return Ok(());
        }
        self.reach(fd)?;
        let watch = self.at(fd);
        let same = watch.is_of(&socket);
        let before = watch.interest();
        let mut interest = before | way.interest();
        if same {
            interest |= watch.armed;
        }
        let fresh = !same && before.is_empty();
        watch.side(way).waiters.push(future);
        watch.drained = false;
        drop(mem::replace(&mut watch.socket, socket));
        if let Err(e) = self.arm(epoll, fd, interest, fresh) {
            let watch = self.at(fd);
            drop(watch.side(way).waiters.pop());
            drop(watch.forget());
            return Err(e);
        }
        Ok(())
    }

    /// A future that was given to [`Files::wait`] waits no more, whether it was told or not. The registration stays, if
    /// there is a socket object to know it by.
    pub(crate) fn leave(&mut self, epoll: &Epoll, fd: RawFd, way: Way, future: &Obj) {
        let Some(watch) = self.watches.get_mut(fd as usize) else {
            return;
        };
        let side = watch.side(way);
        match side.waiters.iter().position(|f| f.ptr() == future.ptr()) {
            Some(place) => drop(side.waiters.remove(place)),
            None => side.coming = side.coming.saturating_sub(1),
        }
        if watch.socket.is_none() && watch.interest().is_empty() {
            let _ = self.disarm(epoll, fd);
        }
    }

    /// A receive on `fd` has emptied it, as it seems.
    #[inline]
    pub(crate) fn note_drained(&mut self, fd: RawFd) {
        if let Some(watch) = self.watches.get_mut(fd as usize) {
            watch.drained = true;
        }
    }

    /// Whether the next receive may wait without trying first. It is said once: a hint costs a turn if it is wrong.
    #[inline]
    pub(crate) fn is_drained(&mut self, fd: RawFd, socket: &Option<Obj>) -> bool {
        let Some(watch) = self.watches.get_mut(fd as usize) else {
            return false;
        };
        mem::take(&mut watch.drained) && watch.armed.contains(Interest::READABLE) && watch.is_of(socket)
    }

    /// Finds out who is to be told of an event, and ends a registration by which nobody waits.
    pub(crate) fn happened(&mut self, epoll: &Epoll, event: Event) -> Told {
        let mut told = Told::default();
        let (fd, generation) = (event.token as u32 as RawFd, (event.token >> 32) as u32);
        let watch = match self.watches.get_mut(fd as usize) {
            Some(watch) if watch.generation == generation && !watch.armed.is_empty() => watch,
            _ => {
                told.stale = true;
                return told;
            }
        };
        let mut left = watch.armed;
        for (i, (way, ready)) in [(Way::Read, event.readable), (Way::Write, event.writable)].into_iter().enumerate() {
            if !ready {
                continue;
            }
            let side = watch.side(way);
            // SAFETY: the loop looks at its files on an attached thread (the crate's contract), and they are handles.
            unsafe {
                if side.handle.as_ref().is_some_and(|h| (*h.ptr().cast::<Handle>()).cancelled) {
                    // Letting go of it may run code, which may change what is watched: the caller does.
                    told.dropped[i] = side.handle.take();
                }
                told.handles[i] = side.handle.as_ref().map(|h| h.again());
            }
            told.futures[i] = side.first();
            if told.handles[i].is_none() && told.futures[i].is_none() && side.coming == 0 {
                left = left.without(way.interest());
            }
        }
        if event.readable {
            watch.drained = false;
        }
        if left != watch.armed {
            // The kernel refuses where the number isn't this file's any more.
            let outcome = if left.is_empty() {
                self.disarm(epoll, fd)
            } else {
                watch.armed = left;
                epoll.modify(fd, left, watch.token(fd))
            };
            told.stale = outcome.is_err();
        }
        told
    }

    /// Whether a wait relies on what the kernel was told before.
    pub(crate) fn in_doubt(&self) -> bool {
        !self.doubts.is_empty()
    }

    /// Drops every doubt: nobody waits for a file.
    pub(crate) fn forget_doubts(&mut self) {
        for (fd, _) in mem::take(&mut self.doubts) {
            self.at(fd).doubted = false;
        }
    }

    /// Tells the kernel once more of every file that was waited for all the time since the last call. Returns the
    /// futures whose file is gone: they are to find that out.
    pub(crate) fn settle(&mut self, epoll: &Epoll) -> Vec<Obj> {
        let mut gone = Vec::new();
        for (fd, trusted) in mem::take(&mut self.doubts) {
            let watch = self.at(fd);
            watch.doubted = false;
            let interest = watch.interest();
            if interest.is_empty() {
                continue;
            }
            if watch.trusted != trusted {
                watch.doubted = true;
                let trusted = watch.trusted;
                self.doubts.push((fd, trusted));
            } else if self.arm(epoll, fd, interest, false).is_err() {
                let watch = self.at(fd);
                for side in [&mut watch.reader, &mut watch.writer] {
                    side.coming += side.waiters.len();
                    gone.append(&mut side.waiters);
                }
            }
        }
        gone
    }

    /// Marks a descriptor as the loop's own.
    pub(crate) fn mark_internal(&mut self, fd: RawFd) {
        if let Some(watch) = self.watches.get_mut(fd as usize) {
            watch.internal = true;
        }
    }

    /// Every watched descriptor with its watch.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (RawFd, &Watch)> {
        self.watches.iter().enumerate().filter(|(_, w)| !w.interest().is_empty()).map(|(fd, w)| (fd as RawFd, w))
    }

    /// Lets go of every handle and waiter.
    pub(crate) unsafe fn clear(&mut self) {
        self.doubts.clear();
        let watches = mem::take(&mut self.watches);
        for watch in watches {
            for h in [watch.reader.handle, watch.writer.handle].into_iter().flatten() {
                handle::cancel(h.ptr().cast::<Handle>());
            }
        }
    }

    /// Tells a new epoll instance of every file that somebody waits for, and forgets the others.
    pub(crate) fn again(&mut self, epoll: &Epoll) {
        for fd in 0..self.watches.len() {
            let watch = &mut self.watches[fd];
            drop(watch.forget());
            let interest = watch.interest();
            if !interest.is_empty() {
                // A file that is closed has nobody to tell; its waiters end by cancellation, as they would have.
                let _ = self.arm(epoll, fd as RawFd, interest, true);
            }
        }
    }
}
