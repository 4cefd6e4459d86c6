//! What can be polled for a message: a pipe that holds a byte as long as there is something in the queue.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{read, write};
use rustix::pipe::{PipeFlags, pipe_with};

use super::SharedQueue;

/// Makes a pipe with both ends in one descriptor, which a process that is given it, or opens it anew, can ring and read.
pub(super) fn create() -> io::Result<OwnedFd> {
    use std::os::fd::AsRawFd;
    let (reader, _writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let path = format!("/proc/self/fd/{}", reader.as_raw_fd());
    Ok(open(path, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?)
}

impl SharedQueue {
    /// The descriptor that is readable while there is a message. From the first call on, whoever puts and gets keeps it so.
    pub fn pollable(&self) -> std::os::fd::BorrowedFd<'_> {
        self.header().waits.armed.store(1, Ordering::SeqCst);
        self.show();
        self.sign.as_fd()
    }

    /// Has it show what is so. Whoever changes the queue calls this after the change: the last one shows the last state.
    #[cold]
    pub(super) fn show(&self) {
        let waits = &self.header().waits;
        let held = waits.sign.lock();
        let mut shown = waits.shown.load(Ordering::Relaxed) != 0;
        if held.inherited {
            waits.shown.store(0, Ordering::Relaxed);
            self.drain();
            shown = false;
        }
        let there = !self.is_empty();
        if there && !shown {
            // A full pipe is as readable as can be.
            write(self.sign.as_fd(), b"!").ok();
            waits.shown.store(1, Ordering::Relaxed);
        } else if shown && !there {
            waits.shown.store(0, Ordering::Relaxed);
            self.drain();
        }
    }

    fn drain(&self) {
        let mut bytes = [0_u8; 64];
        while matches!(read(self.sign.as_fd(), &mut bytes), Ok(n) if n == bytes.len()) {}
    }
}
