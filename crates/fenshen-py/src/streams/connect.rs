//! How a stream's connection begins, gets another transport, and ends.

use pyo3::ffi::{self, PyObject};

use super::known::{helper, known};
use super::protocol::{Protocol, over_ssl, reader_of, release_drains, tell_eof, tell_exception};
use super::{fulfil, reader, writer};
use crate::errors::take;
use crate::names::{asyncio, names};
use crate::object::{Obj, Raised, Res, call, call_method, clear, done, none, not_none, ptr_or_null, set, text};
use crate::primitives::head::{Head, truth};
use crate::primitives::waiters;

/// `connection_made(transport)`.
pub(super) unsafe fn made(p: *mut Protocol, transport: *mut PyObject) -> Res<()> {
    if (*p).rejects {
        return reject(p, transport);
    }
    set(&mut (*p).transport, Some(Obj::from(transport)));
    let r = reader_of(p)?;
    if let Some(r) = &r {
        let native = reader::plain(r.ptr());
        if native.is_null() {
            call_method(&known().set_transport, &[r.ptr(), transport])?;
        } else {
            reader::set_transport(native, transport)?;
        }
    }
    (*p).over_ssl = over_ssl(transport)?;
    if (*p).connected.is_some() { serve(p, transport, r) } else { Ok(()) }
}

/// Hands a server's new connection to the one who handles it.
unsafe fn serve(p: *mut Protocol, transport: *mut PyObject, r: Option<Obj>) -> Res<()> {
    let event_loop = Head::event_loop(p.cast())?;
    let r = r.unwrap_or_else(|| none());
    let w = writer::make(transport, p.cast(), r.ptr(), event_loop.ptr())?;
    if !cfg!(Py_3_13) {
        set(&mut (*p).writer, Some(w.again()));
    }
    let connected = Obj::from_opt(ptr_or_null(&(*p).connected)).unwrap_or_else(|| none());
    let result = match call(connected.ptr(), &[r.ptr(), w.ptr()]) {
        Ok(result) => result,
        Err(Raised) if cfg!(Py_3_14) && ffi::PyErr_ExceptionMatches(ffi::PyExc_Exception) != 0 => {
            let exc = take();
            helper(c"handler_failed", &[event_loop.ptr(), transport, exc.ptr()])?;
            clear(&mut (*p).strong_reader);
            return Ok(());
        }
        Err(e) => return Err(e),
    };
    if ffi::PyCoro_CheckExact(result.ptr()) != 0 || truth(&call(asyncio().is_coroutine.ptr(), &[result.ptr()])?)? {
        let task = call_method(&names().create_task, &[event_loop.ptr(), result.ptr()])?;
        set(&mut (*p).task, Some(task.again()));
        helper(c"watch_handler", &[event_loop.ptr(), transport, task.ptr()])?;
    }
    clear(&mut (*p).strong_reader);
    Ok(())
}

/// The stream was let go of before there was a connection.
#[cold]
unsafe fn reject(p: *mut Protocol, transport: *mut PyObject) -> Res<()> {
    let about = Obj::new(ffi::PyDict_New())?;
    let message = text(
        "An open stream was garbage collected prior to establishing network connection; \
         call \"stream.close()\" explicitly.",
    )?;
    done(ffi::PyDict_SetItem(about.ptr(), names().message.ptr(), message.ptr()))?;
    if let Some(source) = Obj::from_opt(ptr_or_null(&(*p).source_tb)) {
        done(ffi::PyDict_SetItem(about.ptr(), names().source_traceback.ptr(), source.ptr()))?;
    }
    let event_loop = Head::event_loop(p.cast())?;
    call_method(&names().call_exception_handler, &[event_loop.ptr(), about.ptr()])?;
    call_method(&known().abort, &[transport]).map(drop)
}

/// Puts another transport in the place of the one that the connection began with.
pub(super) unsafe fn replace_transport(p: *mut Protocol, transport: *mut PyObject) -> Res<()> {
    set(&mut (*p).transport, Some(Obj::from(transport)));
    (*p).over_ssl = over_ssl(transport)?;
    // From 3.14 on asyncio's reader is told too: before, it went on pausing a transport that was no longer its own.
    let Some(r) = reader_of(p)? else {
        return Ok(());
    };
    let native = reader::plain(r.ptr());
    if !native.is_null() {
        set(&mut (*native).transport, Some(Obj::from(transport)));
    } else if ffi::PyObject_HasAttr(r.ptr(), known().replace_transport.ptr()) != 0 {
        call_method(&known().replace_transport, &[r.ptr(), transport])?;
    }
    Ok(())
}

/// `connection_lost(exc)`.
pub(super) unsafe fn lost(p: *mut Protocol, exc: *mut PyObject) -> Res<()> {
    if let Some(r) = reader_of(p)? {
        if not_none(exc).is_null() {
            tell_eof(&r)?;
        } else {
            tell_exception(&r, exc)?;
        }
    }
    if let Some(closed) = Obj::from_opt(ptr_or_null(&(*p).closed))
        && !waiters::is_done(&closed)?
    {
        fulfil(&closed, exc)?;
    }
    release_drains(p, exc)?;
    clear(&mut (*p).reader);
    clear(&mut (*p).writer);
    clear(&mut (*p).task);
    clear(&mut (*p).transport);
    Ok(())
}
