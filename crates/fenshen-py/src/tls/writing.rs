//! From the application to the peer.
//!
//! What the application writes while it is given data waits until it returns, so that an answer in many parts leaves in
//! few records and one write; anything that could notice comes first to [`settle`].

use std::ptr;

use pyo3::ffi::{self, PyObject};

use super::ending::guard;
use super::engine::Engine;
use super::flow;
use super::known::{warn_log, words};
use super::protocol::{SslProtocol, State};
use super::reading::join;
use crate::kinds;
use crate::object::{Obj, Raised, Res, call_method, ptr_or_null};
use crate::transports::stream;

/// What the loop's exception handler is told, in asyncio's words.
const FAILED: &str = if cfg!(Py_3_11) { "Fatal error on SSL protocol" } else { "Fatal error on SSL transport" };
/// asyncio's `LOG_THRESHOLD_FOR_CONNLOST_WRITES`.
const WARN_FROM: u32 = 5;
/// Chunks are joined up to this size, which fits in one record.
const JOINED: usize = 1 << 14;
/// A longer chunk is encrypted in parts of this size, so that the engine's buffer stays small.
const PART: isize = 1 << 16;

/// Whether the connection takes what is written; if not, that is noted.
unsafe fn is_open(p: *mut SslProtocol) -> Res<bool> {
    if !matches!((*p).state, State::Flushing | State::Shutdown | State::Unwrapped) {
        return Ok(true);
    }
    if (*p).lost >= WARN_FROM {
        warn_log("SSL connection is closed")?;
    }
    (*p).lost += 1;
    Ok(false)
}

/// Whether a memory view's items are bytes in a row, so that its length counts bytes.
unsafe fn is_flat(view: &Obj) -> Res<bool> {
    let mut buffer = ffi::Py_buffer::new();
    crate::object::done(ffi::PyObject_GetBuffer(view.ptr(), &mut buffer, ffi::PyBUF_FULL_RO))?;
    let flat = buffer.itemsize == 1 && buffer.ndim == 1 && ffi::PyBuffer_IsContiguous(&buffer, b'C' as _) != 0;
    ffi::PyBuffer_Release(&mut buffer);
    Ok(flat)
}

unsafe fn push(p: *mut SslProtocol, mut data: Obj) -> Res<()> {
    if (*p).state != State::Wrapped && ffi::PyBytes_CheckExact(data.ptr()) == 0 {
        // It waits for the handshake, and may change meanwhile.
        data = Obj::new(ffi::PyBytes_FromObject(data.ptr()))?;
    } else if ffi::PyMemoryView_Check(data.ptr()) != 0 && !is_flat(&data)? {
        data = Obj::new(ffi::PyBytes_FromObject(data.ptr()))?;
    }
    let len = ffi::PyObject_Size(data.ptr());
    (*p).backlog.push_back(data);
    if len < 0 {
        return Err(Raised);
    }
    (*p).backlog_size += len as usize;
    Ok(())
}

/// Encrypts and sends what was pushed, at once or when the application returns.
unsafe fn pushed(p: *mut SslProtocol, may_wait: bool) -> Res<()> {
    if (*p).state != State::Wrapped {
        return Ok(());
    }
    if may_wait && (*p).feeding > 0 && (*p).backlog_size < JOINED && ((*p).backlog_size as f64) < (*p).sending.high {
        return Ok(());
    }
    match write_backlog(p) {
        Ok(()) => Ok(()),
        Err(Raised) => guard(p, Err(Raised), FAILED),
    }
}

/// `write(data)` of data that is not empty.
#[inline]
pub(super) unsafe fn write(p: *mut SslProtocol, data: *mut PyObject) -> Res<()> {
    if !is_open(p)? {
        return Ok(());
    }
    push(p, Obj::from(data))?;
    // What can change may not wait.
    pushed(p, ffi::PyBytes_CheckExact(data) != 0)
}

/// `writelines(list_of_data)`.
pub(super) unsafe fn write_lines(p: *mut SslProtocol, lines: *mut PyObject) -> Res<()> {
    if !is_open(p)? {
        return Ok(());
    }
    let iterator = Obj::new(ffi::PyObject_GetIter(lines))?;
    let mut may_wait = true;
    while let Some(line) = Obj::steal_opt(ffi::PyIter_Next(iterator.ptr())) {
        may_wait &= ffi::PyBytes_CheckExact(line.ptr()) != 0;
        push(p, line)?;
    }
    if !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    pushed(p, may_wait)
}

/// What waits for the application to return is encrypted and handed to the transport now.
#[inline]
pub(super) unsafe fn settle(p: *mut SslProtocol) -> Res<()> {
    if (*p).backlog.is_empty() || (*p).state != State::Wrapped {
        return Ok(());
    }
    write_backlog(p)
}

/// The next chunk to encrypt: short ones are joined.
unsafe fn next_chunk(p: *mut SslProtocol) -> Res<Option<Obj>> {
    let backlog = &mut (*p).backlog;
    let (mut size, mut count) = (0, 0);
    for chunk in backlog.iter() {
        if ffi::PyBytes_CheckExact(chunk.ptr()) == 0 {
            break;
        }
        size += ffi::PyBytes_Size(chunk.ptr()) as usize;
        if size > JOINED {
            break;
        }
        count += 1;
    }
    if count > 1 {
        let mut parts: Vec<Obj> = backlog.drain(..count).collect();
        let first = parts.remove(0);
        let joined = join(first, &parts)?;
        (*p).backlog.push_front(joined);
    }
    Ok((*p).backlog.front().map(|chunk| chunk.again()))
}

/// The rest of a chunk, from `start` on.
unsafe fn slice(chunk: &Obj, start: isize, end: isize) -> Res<Obj> {
    let view = Obj::new(ffi::PyMemoryView_FromObject(chunk.ptr()))?;
    Obj::new(ffi::PySequence_GetSlice(view.ptr(), start, end))
}

/// Encrypts what waits, as far as the peer lets, and sends it.
pub(super) unsafe fn write_backlog(p: *mut SslProtocol) -> Res<()> {
    while let Some(chunk) = next_chunk(p)? {
        let len = ffi::PyObject_Size(chunk.ptr());
        if len < 0 {
            return Err(Raised);
        }
        let part = if len > PART { slice(&chunk, 0, PART)? } else { chunk.again() };
        let Some(count) = Engine::write(&raw mut (*p).engine, part.ptr())? else {
            break;
        };
        drop(part);
        advance(p, &chunk, count as isize, len)?;
        if count as isize >= PART {
            send(p)?;
        }
    }
    send(p)
}

/// Takes `count` of `len` bytes off the backlog, whose first is `chunk`.
unsafe fn advance(p: *mut SslProtocol, chunk: &Obj, count: isize, len: isize) -> Res<()> {
    let same = (*p).backlog.front().is_some_and(|front| front.ptr() == chunk.ptr());
    if !same {
        // The connection was lost meanwhile.
        return Ok(());
    }
    let rest = if count < len { Some(slice(chunk, count, len)?) } else { None };
    (*p).backlog_size = (*p).backlog_size.saturating_sub(count.min(len) as usize);
    let old = (*p).backlog.pop_front();
    if let Some(rest) = rest {
        (*p).backlog.push_front(rest);
    }
    drop(old);
    Ok(())
}

/// Hands what is encrypted to the transport.
#[inline]
pub(super) unsafe fn send(p: *mut SslProtocol) -> Res<()> {
    if (*p).engine.dirty
        && !(*p).ssl_writing_paused
        && let Some(data) = Engine::drain(&raw mut (*p).engine)?
    {
        send_bytes(p, &data)?;
    }
    flow::control_writing(p)
}

#[inline]
unsafe fn send_bytes(p: *mut SslProtocol, data: &Obj) -> Res<()> {
    let Some(transport) = Obj::from_opt(ptr_or_null(&(*p).transport)) else {
        return Ok(());
    };
    if ffi::Py_TYPE(transport.ptr()) == kinds::socket_transport() {
        return stream::write(transport.ptr().cast(), data.ptr());
    }
    call_method(&words().write, &[transport.ptr(), data.ptr()]).map(drop)
}

/// Keeps something to be written, for CPython's own tests.
pub(super) unsafe fn append(p: *mut SslProtocol, data: *mut PyObject) -> Res<()> {
    push(p, Obj::from(data))
}

/// How many bytes wait to be sent, encrypted or not.
pub(super) unsafe fn buffer_size(p: *mut SslProtocol) -> Res<usize> {
    let outcome = settle(p);
    guard(p, outcome, FAILED)?;
    Ok(Engine::outgoing_size(ptr::addr_of_mut!((*p).engine))? + (*p).backlog_size)
}
