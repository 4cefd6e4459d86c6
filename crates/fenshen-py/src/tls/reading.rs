//! From the peer to the application.

use std::ptr;

use pyo3::ffi;

use super::ending::guard;
use super::engine::{Engine, Got};
use super::known::words;
use super::protocol::{SslProtocol, State, call_soon, tell_app};
use super::{flow, shutdown, writing};
use crate::errors::{restore, take};
use crate::object::{Obj, Raised, Res, call_method, ptr_or_null};
use crate::streams;

/// What the loop's exception handler is told, in asyncio's words.
const FAILED: &str =
    if cfg!(Py_3_11) { "Fatal error on SSL protocol" } else { "application protocol failed to receive SSL data" };

/// How reading came to its end.
enum End {
    /// There is no more for now.
    Dry,
    /// The peer has closed its side properly.
    Closed,
    /// With this error; what was read before it is the application's all the same.
    Failed(Obj),
}

/// Passes on what has come, and sends what was written meanwhile.
#[inline]
pub(super) unsafe fn read(p: *mut SslProtocol) -> Res<()> {
    if !matches!((*p).state, State::Wrapped | State::Flushing) {
        return Ok(());
    }
    match read_some(p) {
        Ok(()) => Ok(()),
        Err(Raised) => guard(p, Err(Raised), FAILED),
    }
}

unsafe fn read_some(p: *mut SslProtocol) -> Res<()> {
    if !(*p).app_reading_paused {
        (*p).feeding += 1;
        let outcome = if (*p).buffered { read_buffered(p) } else { read_copied(p) };
        (*p).feeding -= 1;
        outcome?;
        if (*p).backlog.is_empty() {
            writing::send(p)?;
        } else {
            writing::write_backlog(p)?;
        }
    }
    flow::control_reading(p)
}

/// What follows from how reading ended.
unsafe fn finish(p: *mut SslProtocol, end: End) -> Res<()> {
    match end {
        End::Dry => Ok(()),
        End::Closed => {
            shutdown::tell_eof(p)?;
            shutdown::start(p)
        }
        End::Failed(exc) => {
            restore(exc);
            Err(Raised)
        }
    }
}

/// One `data_received` for everything that is there.
unsafe fn read_copied(p: *mut SslProtocol) -> Res<()> {
    let e = &raw mut (*p).engine;
    let (mut first, mut rest, mut end) = (None, Vec::new(), End::Dry);
    while Engine::is_ready(e) {
        match Engine::read(e) {
            Ok(Got::Data(data)) if first.is_none() => first = Some(data),
            Ok(Got::Data(data)) => rest.push(data),
            Ok(Got::Nothing) => break,
            Ok(Got::Closed) => {
                end = End::Closed;
                break;
            }
            Err(Raised) => {
                end = End::Failed(take());
                break;
            }
        }
    }
    if let Some(first) = first {
        let data = if rest.is_empty() { first } else { join(first, &rest)? };
        deliver(p, &data)?;
    }
    finish(p, end)
}

/// `data_received(data)`; a native protocol is given the bytes as they are.
#[inline]
unsafe fn deliver(p: *mut SslProtocol, data: &Obj) -> Res<()> {
    let Some(app) = Obj::from_opt(ptr_or_null(&(*p).app_protocol)) else {
        return Ok(());
    };
    if ffi::PyBytes_CheckExact(data.ptr()) != 0 {
        let (start, len) = (ffi::PyBytes_AsString(data.ptr()), ffi::PyBytes_Size(data.ptr()) as usize);
        let bytes = std::slice::from_raw_parts(start.cast(), len);
        // TLS in TLS.
        if super::is_protocol(app.ptr()) {
            return super::feed(app.ptr(), bytes);
        }
        if streams::protocol::is_native(app.ptr()) {
            return streams::protocol::feed(app.ptr().cast(), bytes);
        }
    }
    call_method(&words().data_received, &[app.ptr(), data.ptr()]).map(drop)
}

/// `b"".join(...)`.
pub(super) unsafe fn join(first: Obj, rest: &[Obj]) -> Res<Obj> {
    let parts = || std::iter::once(&first).chain(rest);
    if parts().any(|part| ffi::PyBytes_CheckExact(part.ptr()) == 0) {
        let empty = Obj::new(ffi::PyBytes_FromStringAndSize(ptr::null(), 0))?;
        let list = Obj::new(ffi::PyList_New(0))?;
        for part in parts() {
            crate::object::done(ffi::PyList_Append(list.ptr(), part.ptr()))?;
        }
        let join = Obj::new(ffi::PyUnicode_InternFromString(c"join".as_ptr()))?;
        return crate::object::call_method(&join, &[empty.ptr(), list.ptr()]);
    }
    let total: isize = parts().map(|part| ffi::PyBytes_Size(part.ptr())).sum();
    let joined = Obj::new(ffi::PyBytes_FromStringAndSize(ptr::null(), total))?;
    let mut to = ffi::PyBytes_AsString(joined.ptr());
    for part in parts() {
        let len = ffi::PyBytes_Size(part.ptr()) as usize;
        ptr::copy_nonoverlapping(ffi::PyBytes_AsString(part.ptr()), to, len);
        to = to.add(len);
    }
    Ok(joined)
}

/// Into the application's own buffer, as much as it takes.
unsafe fn read_buffered(p: *mut SslProtocol) -> Res<()> {
    let e = &raw mut (*p).engine;
    if !Engine::is_ready(e) {
        return Ok(());
    }
    let hint = Obj::new(ffi::PyLong_FromSize_t(Engine::incoming_size(e)?))?;
    let buffer = tell_app(p, &words().get_buffer, hint.ptr())?;
    let wants = ffi::PyObject_Size(buffer.ptr());
    if wants < 0 {
        return Err(Raised);
    }
    let (mut offset, mut end) = (0, End::Dry);
    while Engine::is_ready(e) {
        let got = part(&buffer, offset, wants).and_then(|part| Engine::read_into(e, &part, (wants - offset) as usize));
        match got {
            Ok(Got::Data(n)) => offset += n as isize,
            Ok(Got::Nothing) => break,
            Ok(Got::Closed) => {
                end = End::Closed;
                break;
            }
            Err(Raised) => {
                end = End::Failed(take());
                break;
            }
        }
        if offset >= wants {
            if Engine::is_ready(e) {
                let again = crate::object::attr(p.cast(), &words().do_read)?;
                call_soon(p, &again, &[])?;
            }
            break;
        }
    }
    if offset > 0 {
        let n = Obj::new(ffi::PyLong_FromSsize_t(offset))?;
        tell_app(p, &words().buffer_updated, n.ptr())?;
    }
    finish(p, end)
}

/// What of a buffer is not filled yet.
unsafe fn part(buffer: &Obj, offset: isize, wants: isize) -> Res<Obj> {
    if offset == 0 {
        return Ok(buffer.again());
    }
    let view = Obj::new(ffi::PyMemoryView_FromObject(buffer.ptr()))?;
    Obj::new(ffi::PySequence_GetSlice(view.ptr(), offset, wants))
}

/// `resume_reading()`: what has come meanwhile is passed on in the loop's next turn.
pub(super) unsafe fn resume_reading(p: *mut SslProtocol) -> Res<()> {
    if !(*p).app_reading_paused {
        return Ok(());
    }
    (*p).app_reading_paused = false;
    let resume = crate::object::attr(p.cast(), &words().resume)?;
    call_soon(p, &resume, &[])
}

/// The transport's own buffer for a transport that asks for one.
pub(super) unsafe fn get_buffer(p: *mut SslProtocol, hint: isize) -> Res<Obj> {
    const MOST: isize = 256 * 1024;
    const USUAL: isize = 64 * 1024;
    let wanted = hint.clamp(USUAL, MOST);
    let there = match &(*p).buffer {
        Some(view) => ffi::PyObject_Size(view.ptr()),
        None => 0,
    };
    if there < 0 {
        // Its receiver has released it.
        ffi::PyErr_Clear();
    }
    if there < wanted {
        let bytes = Obj::new(ffi::PyByteArray_FromStringAndSize(ptr::null(), wanted))?;
        let view = Obj::new(ffi::PyMemoryView_FromObject(bytes.ptr()))?;
        crate::object::set(&mut (*p).buffer, Some(view));
    }
    Obj::from_opt(ptr_or_null(&(*p).buffer)).ok_or(Raised)
}
