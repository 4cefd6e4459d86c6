//! The files that a loop watches, and the handles to run when they are ready.

use std::io;
use std::os::fd::RawFd;

use fenshen_reactor::{Epoll, Interest};

use crate::handle::{self, Handle};
use crate::object::Obj;

/// Which way a file is watched.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Read,
    Write,
}

/// What a file is watched for.
#[derive(Default)]
pub(crate) struct Watch {
    pub(crate) reader: Option<Obj>,
    pub(crate) writer: Option<Obj>,
    /// The loop's own business (its signal pipe), by which nobody waits for anything.
    pub(crate) internal: bool,
}

impl Watch {
    fn side(&mut self, way: Way) -> &mut Option<Obj> {
        match way {
            Way::Read => &mut self.reader,
            Way::Write => &mut self.writer,
        }
    }

    /// The handle that waits one way.
    pub(crate) fn get(&self, way: Way) -> Option<&Obj> {
        match way {
            Way::Read => self.reader.as_ref(),
            Way::Write => self.writer.as_ref(),
        }
    }

    /// What the kernel is to watch for.
    pub(crate) fn interest(&self) -> Interest {
        let mut interest = Interest::NONE;
        if self.reader.is_some() {
            interest = interest | Interest::READABLE;
        }
        if self.writer.is_some() {
            interest = interest | Interest::WRITABLE;
        }
        interest
    }
}

/// Every watched file, by its descriptor.
#[derive(Default)]
pub(crate) struct Files {
    watches: Vec<Watch>,
    count: usize,
    /// How many of these are the loop's own business.
    internals: usize,
}

impl Files {
    /// The watch of a descriptor.
    #[inline]
    pub(crate) fn get(&self, fd: RawFd) -> Option<&Watch> {
        self.watches.get(fd as usize)
    }

    /// How many files are watched.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Whether somebody else than the loop itself waits for a file.
    pub(crate) fn has_foreign(&self) -> bool {
        self.count > self.internals
    }

    /// Has `handle` run whenever `fd` is ready; returns the handle that was there before.
    pub(crate) fn set(&mut self, epoll: &Epoll, fd: RawFd, way: Way, handle: Obj) -> io::Result<Option<Obj>> {
        let place = fd as usize;
        if place >= self.watches.len() {
            self.watches.resize_with(place + 1, Watch::default);
        }
        let watch = &mut self.watches[place];
        let before = watch.interest();
        let replaced = watch.side(way).replace(handle);
        if replaced.is_some() {
            return Ok(replaced);
        }
        let now = watch.interest();
        let outcome = if before.is_empty() { epoll.add(fd, now, fd as u64) } else { epoll.modify(fd, now, fd as u64) };
        // A descriptor may have been closed and opened anew behind our back: the kernel knows, we don't.
        let outcome = match outcome {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => epoll.modify(fd, now, fd as u64),
            Err(e) if e.kind() == io::ErrorKind::NotFound && !before.is_empty() => epoll.add(fd, now, fd as u64),
            other => other,
        };
        match outcome {
            Ok(()) => {
                if before.is_empty() {
                    self.count += 1;
                }
                Ok(None)
            }
            Err(e) => {
                drop(self.watches[place].side(way).take());
                Err(e)
            }
        }
    }

    /// Stops watching one way; returns the handle that waited.
    pub(crate) fn unset(&mut self, epoll: &Epoll, fd: RawFd, way: Way) -> Option<Obj> {
        let watch = self.watches.get_mut(fd as usize)?;
        let removed = watch.side(way).take()?;
        let left = watch.interest();
        // An error means that the descriptor is closed: the kernel has forgotten it already.
        if left.is_empty() {
            self.internals -= usize::from(std::mem::take(&mut watch.internal));
            self.count -= 1;
            let _ = epoll.remove(fd);
        } else {
            let _ = epoll.modify(fd, left, fd as u64);
        }
        Some(removed)
    }

    /// Marks a descriptor as the loop's own.
    pub(crate) fn mark_internal(&mut self, fd: RawFd) {
        if let Some(watch) = self.watches.get_mut(fd as usize).filter(|w| !w.interest().is_empty()) {
            self.internals += usize::from(!std::mem::replace(&mut watch.internal, true));
        }
    }

    /// Every watched descriptor with its watch.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (RawFd, &Watch)> {
        self.watches.iter().enumerate().filter(|(_, w)| !w.interest().is_empty()).map(|(fd, w)| (fd as RawFd, w))
    }

    /// Lets go of every handle.
    pub(crate) unsafe fn clear(&mut self) {
        let watches = std::mem::take(&mut self.watches);
        self.count = 0;
        self.internals = 0;
        for watch in watches {
            for h in [watch.reader, watch.writer].into_iter().flatten() {
                handle::cancel(h.ptr().cast::<Handle>());
            }
        }
    }

    /// Tells a new epoll instance (a forked child's) of every file.
    pub(crate) fn again(&self, epoll: &Epoll) -> io::Result<()> {
        for (fd, watch) in self.iter() {
            epoll.add(fd, watch.interest(), fd as u64)?;
        }
        Ok(())
    }
}
