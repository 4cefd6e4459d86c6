//! What a stream has to send: chunks in order, sent by as few system calls as the kernel lets.

use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;

use pyo3::ffi;

use crate::object::Obj;

/// How many chunks one call of the kernel takes.
const MOST: usize = 64;

const FLAGS: i32 = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;

/// A `bytes` object, of which the first `sent` have gone.
struct Chunk {
    bytes: Obj,
    sent: usize,
}

impl Chunk {
    /// What is left of it.
    unsafe fn rest(&self) -> libc::iovec {
        let start: *mut u8 = ffi::PyBytes_AsString(self.bytes.ptr()).cast();
        let len = ffi::PyBytes_Size(self.bytes.ptr()) as usize;
        libc::iovec { iov_base: start.add(self.sent).cast(), iov_len: len - self.sent }
    }
}

/// How a descriptor is written to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// `send(2)`, which raises no signal.
    Socket,
    /// `write(2)`.
    File,
}

/// The queue.
#[derive(Default)]
pub(crate) struct Outgoing {
    chunks: VecDeque<Chunk>,
    size: usize,
}

impl Outgoing {
    /// How many bytes wait.
    #[inline(always)]
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// Adds a `bytes` object.
    #[inline]
    pub(crate) unsafe fn push(&mut self, bytes: Obj) {
        let len = ffi::PyBytes_Size(bytes.ptr()) as usize;
        if len > 0 {
            self.size += len;
            self.chunks.push_back(Chunk { bytes, sent: 0 });
        }
    }

    /// Takes everything out, so that the caller lets go of it.
    pub(crate) fn take(&mut self) -> Outgoing {
        std::mem::take(self)
    }

    /// Sends what the kernel takes. True if that was all; an error is never "would block".
    pub(crate) unsafe fn send(&mut self, fd: RawFd, by: By) -> io::Result<bool> {
        while self.size > 0 {
            let sent = match self.send_once(fd, by) {
                Ok(sent) => sent,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            let offered = self.offered();
            self.advance(sent);
            if sent < offered {
                return Ok(false);
            }
        }
        self.relax();
        Ok(true)
    }

    /// How many bytes the next call offers.
    unsafe fn offered(&self) -> usize {
        if self.chunks.len() <= MOST {
            return self.size;
        }
        self.chunks.iter().take(MOST).map(|c| c.rest().iov_len).sum()
    }

    unsafe fn send_once(&self, fd: RawFd, by: By) -> io::Result<usize> {
        let sent = match self.chunks.front() {
            Some(only) if self.chunks.len() == 1 => {
                let rest = only.rest();
                match by {
                    By::Socket => libc::send(fd, rest.iov_base, rest.iov_len, FLAGS),
                    By::File => libc::write(fd, rest.iov_base, rest.iov_len),
                }
            }
            _ => self.send_many(fd, by),
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    unsafe fn send_many(&self, fd: RawFd, by: By) -> isize {
        let mut vectors = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; MOST];
        let count = self.chunks.len().min(MOST);
        for (vector, chunk) in vectors.iter_mut().zip(&self.chunks) {
            *vector = chunk.rest();
        }
        match by {
            By::Socket => {
                let mut message: libc::msghdr = std::mem::zeroed();
                message.msg_iov = vectors.as_mut_ptr();
                message.msg_iovlen = count;
                libc::sendmsg(fd, &message, FLAGS)
            }
            By::File => libc::writev(fd, vectors.as_ptr(), count as i32),
        }
    }

    unsafe fn advance(&mut self, mut sent: usize) {
        self.size -= sent;
        while sent > 0 {
            let Some(first) = self.chunks.front_mut() else {
                return;
            };
            let left = first.rest().iov_len;
            if sent < left {
                first.sent += sent;
                return;
            }
            sent -= left;
            self.chunks.pop_front();
        }
    }

    /// Gives back the room of a long queue.
    fn relax(&mut self) {
        if self.chunks.capacity() > MOST {
            self.chunks = VecDeque::new();
        }
    }
}
