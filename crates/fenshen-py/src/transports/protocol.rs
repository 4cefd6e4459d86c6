//! The ways to hand a protocol what has arrived.

use pyo3::ffi::{self, PyObject};

use super::receive::Inflow;
use crate::errors::{runtime_error, type_error};
use crate::event_loop::Loop;
use crate::names::{asyncio, names};
use crate::object::{Obj, Res, attr, call_method, done, utf8};
use crate::{streams, tls};

/// How a protocol takes data.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Manner {
    /// `data_received(bytes)`.
    #[default]
    Plain,
    /// `get_buffer()` and `buffer_updated(n)`.
    Buffered,
}

impl Manner {
    /// Of this protocol.
    pub(crate) unsafe fn of(protocol: *mut PyObject) -> Res<Manner> {
        if tls::is_protocol(protocol) {
            return Ok(Manner::Plain);
        }
        let buffered = ffi::PyObject_IsInstance(protocol, asyncio().buffered_protocol.ptr());
        done(buffered)?;
        Ok(if buffered != 0 { Manner::Buffered } else { Manner::Plain })
    }
}

/// `protocol.data_received(data)`.
#[inline]
pub(crate) unsafe fn data_received(protocol: &Obj, data: Obj) -> Res<()> {
    call_method(&names().data_received, &[protocol.ptr(), data.ptr()]).map(drop)
}

/// The native reader that has a place for what arrives, if there is one.
#[inline]
pub(crate) unsafe fn lender(protocol: &Obj) -> Res<Option<Obj>> {
    if streams::protocol::is_native(protocol.ptr()) {
        return streams::protocol::lender(protocol.ptr().cast());
    }
    Ok(None)
}

/// Hands over the first `n` bytes of the loop's buffer: as they are to a native protocol, else as an object.
#[inline]
pub(crate) unsafe fn deliver(protocol: &Obj, l: *mut Loop, inflow: Inflow, n: usize) -> Res<()> {
    if tls::is_protocol(protocol.ptr()) {
        let told = tls::feed(protocol.ptr(), inflow.filled(n));
        inflow.give_back(l);
        return told;
    }
    if streams::protocol::is_native(protocol.ptr()) {
        let told = streams::protocol::feed(protocol.ptr().cast(), inflow.filled(n));
        inflow.give_back(l);
        return told;
    }
    data_received(protocol, inflow.into_bytes(l, n)?)
}

/// `protocol.eof_received()`: whether the transport stays open.
pub(crate) unsafe fn eof_received(protocol: &Obj) -> Res<bool> {
    if streams::protocol::is_native(protocol.ptr()) {
        return streams::protocol::feed_eof(protocol.ptr().cast());
    }
    if tls::is_protocol(protocol.ptr()) {
        return tls::feed_eof(protocol.ptr());
    }
    let answer = call_method(&names().eof_received, &[protocol.ptr()])?;
    let keep = ffi::PyObject_IsTrue(answer.ptr());
    done(keep)?;
    Ok(keep != 0)
}

/// `protocol.get_buffer(hint)`; RuntimeError if there is no room in it.
#[inline]
pub(crate) unsafe fn get_buffer(protocol: &Obj, hint: isize) -> Res<Obj> {
    let hint = Obj::new(ffi::PyLong_FromSsize_t(hint))?;
    let buffer = call_method(&names().get_buffer, &[protocol.ptr(), hint.ptr()])?;
    let len = ffi::PyObject_Size(buffer.ptr());
    done(len.min(0) as i32)?;
    if len == 0 {
        return runtime_error("get_buffer() returned an empty buffer");
    }
    Ok(buffer)
}

/// A protocol's own buffer, held while this lives.
pub(crate) struct Lent(ffi::Py_buffer);

impl Lent {
    /// What `get_buffer` gave, as something to receive into.
    #[inline]
    pub(crate) unsafe fn of(buffer: &Obj) -> Res<Lent> {
        let mut view = ffi::Py_buffer::new();
        if ffi::PyObject_GetBuffer(buffer.ptr(), &mut view, ffi::PyBUF_WRITABLE) == 0 {
            return Ok(Lent(view));
        }
        ffi::PyErr_Clear();
        let kind = utf8(attr(ffi::Py_TYPE(buffer.ptr()).cast(), &names().name)?.ptr())?;
        type_error(&format!("recv_into() argument 1 must be read-write bytes-like object, not {kind}"))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len as usize
    }

    pub(crate) fn start(&mut self) -> *mut u8 {
        self.0.buf.cast()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // SAFETY: it was filled by `PyObject_GetBuffer`, and lives only while the thread is attached.
        unsafe { ffi::PyBuffer_Release(&mut self.0) }
    }
}

/// `protocol.buffer_updated(n)`.
#[inline]
pub(crate) unsafe fn buffer_updated(protocol: &Obj, n: usize) -> Res<()> {
    let n = Obj::new(ffi::PyLong_FromSize_t(n))?;
    call_method(&names().buffer_updated, &[protocol.ptr(), n.ptr()]).map(drop)
}
