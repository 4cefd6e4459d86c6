//! Receiving into a buffer that is used again and again.
//!
//! A loop has one `bytes` object of the largest size that is received at once. What arrives is copied out of it at its
//! exact size, for a buffer of that size made for each read would be mapped and unmapped by the allocator each time.
//! Only a buffer that is full is not copied: the object itself is given away, and a new one takes its place. To cut a
//! larger part of it to size costs more than its copy, for the allocator maps every next buffer anew (measured at
//! 100 KiB: 66 us a message against 24).

use std::io;
use std::os::fd::RawFd;
use std::slice;

use pyo3::ffi;

use crate::event_loop::{Loop, os_error};
use crate::object::{Obj, Res};

/// How much is received at once: as much as asyncio's transports ask for.
pub(crate) const MOST: usize = 256 * 1024;
/// From this size on nothing is copied.
const LARGE: usize = MOST;

/// What a read gave.
pub(crate) enum Received {
    /// This many bytes are at the start of the buffer.
    Some(usize),
    /// The other end has finished.
    End,
    /// There is nothing yet.
    Nothing,
}

/// The buffer, of which the loop keeps none meanwhile; [`give_back`] returns it.
pub(crate) struct Inflow(Obj);

impl Inflow {
    /// Takes the loop's buffer.
    #[inline]
    pub(crate) unsafe fn of(l: *mut Loop) -> Res<Inflow> {
        match (*l).inflow.take() {
            Some(bytes) => Ok(Inflow(bytes)),
            None => Obj::new(ffi::PyBytes_FromStringAndSize(std::ptr::null(), MOST as isize)).map(Inflow),
        }
    }

    /// Where it begins.
    #[inline]
    pub(crate) unsafe fn start(&self) -> *mut u8 {
        ffi::PyBytes_AsString(self.0.ptr()).cast()
    }

    /// The first `n` bytes.
    #[inline]
    pub(crate) unsafe fn filled(&self, n: usize) -> &[u8] {
        slice::from_raw_parts(self.start(), n)
    }

    /// Lets the loop have it again.
    #[inline]
    pub(crate) unsafe fn give_back(self, l: *mut Loop) {
        if (*l).inflow.is_none() {
            (*l).inflow = Some(self.0);
        }
    }

    /// The first `n` bytes as an object of their own; the loop has its buffer again, or none if it was given away.
    #[inline]
    pub(crate) unsafe fn into_bytes(self, l: *mut Loop, n: usize) -> Res<Obj> {
        if n < LARGE {
            let bytes = ffi::PyBytes_FromStringAndSize(self.start().cast(), n as isize);
            self.give_back(l);
            return Obj::new(bytes);
        }
        Ok(self.0)
    }
}

/// Turns the outcome of `recv(2)` or `read(2)` into what it means; a real error is raised.
#[inline]
pub(crate) unsafe fn outcome(got: isize) -> Res<Received> {
    match got {
        0 => Ok(Received::End),
        n if n > 0 => Ok(Received::Some(n as usize)),
        _ => {
            let e = io::Error::last_os_error();
            match e.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(Received::Nothing),
                _ => os_error(&e),
            }
        }
    }
}

/// `recv(2)`.
#[inline]
pub(crate) unsafe fn recv(fd: RawFd, start: *mut u8, most: usize) -> Res<Received> {
    outcome(libc::recv(fd, start.cast(), most, libc::MSG_DONTWAIT))
}
