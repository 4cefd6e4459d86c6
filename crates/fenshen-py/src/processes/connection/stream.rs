//! Messages on a stream: four bytes with the length, most significant first, or minus one in them and eight with it.
//!
//! Nothing is read ahead of the message that is asked for: others may read the stream too, and `select` tells of what is
//! left in it. So a message takes two system calls, and to send one takes one.

use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;

use pyo3::ffi;

use super::super::queue::{Buffer, without_interpreter};
use super::super::segment::os_error;
use crate::errors::raise;
use crate::object::{Obj, Raised, Res};

/// Messages up to this length are read onto the stack, without a look back at the interpreter between length and text.
const SHORT: usize = 8 << 10;

/// How a transfer stopped.
enum Stop {
    /// All was transferred.
    Done,
    /// The stream has ended.
    End,
    /// A signal handler ran.
    Interrupted,
    Failed(io::Error),
}

fn failed() -> Stop {
    match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::Interrupted => Stop::Interrupted,
        error => Stop::Failed(error),
    }
}

/// Reads until `len` bytes are at `to`, of which `have` are.
///
/// # Safety
/// So many fit there.
unsafe fn fill(fd: c_int, to: *mut u8, len: usize, have: &mut usize) -> Stop {
    while *have < len {
        // SAFETY: by the contract.
        match unsafe { libc::read(fd, to.add(*have).cast(), len - *have) } {
            n if n > 0 => *have += n as usize,
            0 => return Stop::End,
            _ => return failed(),
        }
    }
    Stop::Done
}

/// Raises what a reader is told, or returns to go on.
unsafe fn stopped(stop: &Stop, have: usize) -> Res<()> {
    match stop {
        Stop::Done => Ok(()),
        Stop::Interrupted if ffi::PyErr_CheckSignals() < 0 => Err(Raised),
        Stop::Interrupted => Ok(()),
        Stop::End if have > 0 => raise(ffi::PyExc_OSError, "got end of file during message"),
        Stop::End => {
            ffi::PyErr_SetNone(ffi::PyExc_EOFError);
            Err(Raised)
        }
        Stop::Failed(error) => os_error(error),
    }
}

/// Reads exactly so many bytes; the interpreter is let go meanwhile.
unsafe fn read_exactly(fd: c_int, to: *mut u8, len: usize, mut have: usize) -> Res<()> {
    while have < len {
        let stop = without_interpreter(|| fill(fd, to, len, &mut have));
        stopped(&stop, have)?;
    }
    Ok(())
}

/// A message, or its length if that is more than `most`: then the text is still in the stream.
pub(super) enum Received {
    Message(Obj),
    TooLong,
}

/// Reads a message.
pub(super) unsafe fn receive(fd: c_int, most: Option<usize>) -> Res<Received> {
    let mut space = MaybeUninit::<[u8; SHORT]>::uninit();
    let text: *mut u8 = space.as_mut_ptr().cast();
    let mut head = [0_u8; 4];
    let (mut have_head, mut have) = (0, 0);
    let is_short = |head: [u8; 4]| usize::try_from(i32::from_be_bytes(head)).ok().filter(|&n| n <= SHORT);
    loop {
        let stop = without_interpreter(|| {
            let stop = fill(fd, head.as_mut_ptr(), 4, &mut have_head);
            match is_short(head).filter(|&n| have_head == 4 && most.is_none_or(|most| n <= most)) {
                Some(len) => fill(fd, text, len, &mut have),
                None => stop,
            }
        });
        if have_head < 4 {
            stopped(&stop, have_head)?;
            continue;
        }
        let Some(len) = is_short(head) else {
            return receive_long(fd, i32::from_be_bytes(head), most);
        };
        if most.is_some_and(|most| len > most) {
            return Ok(Received::TooLong);
        }
        if let Stop::Done = stop {
            let bytes = ffi::PyBytes_FromStringAndSize(text.cast(), len as ffi::Py_ssize_t);
            return Obj::new(bytes).map(Received::Message);
        }
        stopped(&stop, have)?;
    }
}

#[cold]
unsafe fn receive_long(fd: c_int, head: i32, most: Option<usize>) -> Res<Received> {
    let len = match usize::try_from(head) {
        Ok(len) => len,
        Err(_) if head == -1 => {
            let mut long = [0_u8; 8];
            read_exactly(fd, long.as_mut_ptr(), 8, 0)?;
            usize::try_from(u64::from_be_bytes(long)).unwrap_or(usize::MAX)
        }
        Err(_) => 0,
    };
    if most.is_some_and(|most| len > most) {
        return Ok(Received::TooLong);
    }
    if len > isize::MAX as usize {
        ffi::PyErr_NoMemory();
        return Err(Raised);
    }
    let Some(mut buffer) = Buffer::new(len) else {
        return Err(Raised);
    };
    read_exactly(fd, buffer.as_mut().as_mut_ptr(), len, 0)?;
    Ok(Received::Message(buffer.into_bytes()))
}

/// Writes a message. Nobody changes `message` meanwhile, though the interpreter is let go.
pub(super) unsafe fn send(fd: c_int, message: &[u8]) -> Res<()> {
    let mut head = [0_u8; 12];
    let head = match i32::try_from(message.len()) {
        Ok(len) => {
            head[..4].copy_from_slice(&len.to_be_bytes());
            &head[..4]
        }
        Err(_) => {
            head[..4].copy_from_slice(&(-1_i32).to_be_bytes());
            head[4..].copy_from_slice(&(message.len() as u64).to_be_bytes());
            &head[..]
        }
    };
    let mut sent = 0;
    while sent < head.len() + message.len() {
        let stop = without_interpreter(|| write_out(fd, head, message, &mut sent));
        stopped(&stop, 1)?;
    }
    Ok(())
}

fn write_out(fd: c_int, head: &[u8], message: &[u8], sent: &mut usize) -> Stop {
    while *sent < head.len() + message.len() {
        let head = head.get(*sent..).unwrap_or_default();
        let message = if head.is_empty() { &message[*sent - (head_len(message.len()))..] } else { message };
        let part = |bytes: &[u8]| libc::iovec { iov_base: bytes.as_ptr() as *mut _, iov_len: bytes.len() };
        let parts = [part(head), part(message)];
        // SAFETY: both parts are alive, and only read.
        match unsafe { libc::writev(fd, parts.as_ptr(), 2) } {
            n if n >= 0 => *sent += n as usize,
            _ => return failed(),
        }
    }
    Stop::Done
}

/// How long the head of a message of that length is.
fn head_len(len: usize) -> usize {
    if i32::try_from(len).is_ok() { 4 } else { 12 }
}

/// Waits until there is something to read, or the end, at most so many milliseconds if that is not negative.
pub(super) unsafe fn poll(fd: c_int, patience: crate::threads::patience::Patience) -> Res<bool> {
    use crate::threads::patience::Patience;
    let deadline = patience.deadline();
    let mut entry = libc::pollfd { fd, events: libc::POLLIN | libc::POLLPRI, revents: 0 };
    loop {
        let left = match (patience, deadline) {
            (Patience::None, _) => 0,
            (_, None) => -1,
            (_, Some(deadline)) => {
                c_int::try_from(deadline.remaining().as_nanos().div_ceil(1_000_000)).unwrap_or(c_int::MAX)
            }
        };
        let outcome = match left {
            0 => libc::poll(&mut entry, 1, 0),
            _ => without_interpreter(|| libc::poll(&mut entry, 1, left)),
        };
        match outcome {
            n if n > 0 => return Ok(true),
            0 if left == 0 || deadline.is_some_and(fenshen_sync::Deadline::is_past) => return Ok(false),
            0 => {}
            _ => stopped(&failed(), 1)?,
        }
    }
}

/// How many bytes are in the stream that were written and not read.
pub(super) fn unread(fd: c_int) -> usize {
    let mut bytes: c_int = 0;
    // SAFETY: it writes one number. A socket counts what its peer has not read, a pipe what nobody has.
    let known = unsafe {
        libc::ioctl(fd, libc::TIOCOUTQ, &raw mut bytes) == 0 || libc::ioctl(fd, libc::FIONREAD, &raw mut bytes) == 0
    };
    if known { bytes.max(0) as usize } else { 0 }
}
