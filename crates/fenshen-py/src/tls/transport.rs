//! `_SSLProtocolTransport`: what the application writes to.

use std::ffi::{c_int, c_void};
use std::mem::offset_of;
use std::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::ending::abort;
use super::engine::Engine;
use super::flow::{self, Limits, RECEIVING, SENDING};
use super::known::{known, words};
use super::protocol::{SslProtocol, State, extra_info, set_app_protocol};
use super::{shutdown, writing};
use crate::args::Signature;
use crate::errors::{raise, restore, runtime_error, take, type_error};
use crate::kinds;
use crate::methods::{fast, getter, no_args, one_arg};
use crate::object::{Obj, Raised, Res, boolean, call, call_method, clear, done, none, not_none, ptr_or_null, visit};
use crate::types::{TypeBuilder, free};

/// The layout of `_SSLProtocolTransport`.
#[repr(C)]
pub(super) struct SslTransport {
    ob_base: PyObject,
    /// The slots of asyncio's abstract transports, which stay empty.
    standard: [*mut PyObject; 5],
    weakrefs: *mut PyObject,
    dict: *mut PyObject,
    event_loop: Option<Obj>,
    protocol: Option<Obj>,
    closed: bool,
}

/// A new one for `p`.
pub(super) unsafe fn new(p: *mut SslProtocol) -> Res<Obj> {
    let made = Obj::new(ffi::PyType_GenericAlloc(kinds::ssl_transport(), 0))?;
    let t: *mut SslTransport = made.ptr().cast();
    (*t).event_loop = Obj::from_opt(ptr_or_null(&(*p).event_loop));
    (*t).protocol = Some(Obj::from(p.cast()));
    Ok(made)
}

/// The transport of `p`, which it has until its connection is lost.
pub(super) unsafe fn of(p: *mut SslProtocol) -> Res<Obj> {
    match Obj::from_opt(ptr_or_null(&(*p).app_transport)) {
        Some(transport) => Ok(transport),
        None => runtime_error("Creating _SSLProtocolTransport twice"),
    }
}

/// It counts as closed from now on.
pub(super) unsafe fn mark_closed(p: *mut SslProtocol) {
    if let Some(transport) = &(*p).app_transport {
        (*transport.ptr().cast::<SslTransport>()).closed = true;
    }
}

/// What a method does on its protocol, and what it gives once that is gone.
macro_rules! on {
    ($t:ident, |$p:ident| $body:expr) => {
        on!($t, |$p| $body, else Ok(none()))
    };
    ($t:ident, |$p:ident| $body:expr, else $gone:expr) => {
        match Obj::from_opt(ptr_or_null(&(*$t).protocol)) {
            Some(protocol) => {
                let $p: *mut SslProtocol = protocol.ptr().cast();
                $body
            }
            None => $gone,
        }
    };
}

const EXTRA: Signature<2> =
    Signature { func: "get_extra_info", names: [c"name", c"default"], positional: 2, required: 1 };
const WRITE_LIMITS: Signature<2> =
    Signature { func: "set_write_buffer_limits", names: [c"high", c"low"], positional: 2, required: 0 };
const READ_LIMITS: Signature<2> =
    Signature { func: "set_read_buffer_limits", names: [c"high", c"low"], positional: 2, required: 0 };

fast!(get_extra_info, |t: SslTransport, args| {
    let [name, default] = args.sort(&EXTRA)?;
    let default = if default.is_null() { none() } else { Obj::from(default) };
    on!(t, |p| extra_info(p, name, default.ptr()), else Ok(default))
});
one_arg!(set_protocol, |t: SslTransport, value| on!(t, |p| set_app_protocol(p, value).map(|()| none())));
no_args!(get_protocol, |t: SslTransport| on!(t, |p| {
    Ok(Obj::from_opt(ptr_or_null(&(*p).app_protocol)).unwrap_or_else(|| none()))
}));
no_args!(is_closing, |t: SslTransport| {
    if (*t).closed || cfg!(not(Py_3_14)) {
        return Ok(boolean((*t).closed));
    }
    on!(t, |p| match Obj::from_opt(ptr_or_null(&(*p).transport)) {
        Some(below) => call_method(&words().is_closing, &[below.ptr()]),
        None => Ok(boolean(false)),
    })
});
no_args!(close, |t: SslTransport| {
    let again = std::mem::replace(&mut (*t).closed, true);
    on!(t, |p| if again { cut(t, p) } else { shutdown::start(p) }.map(|()| none()))
});

/// Breaks the cycle of a protocol that keeps its transport: closed again when all was sent, it does without the rest.
unsafe fn cut(t: *mut SslTransport, p: *mut SslProtocol) -> Res<()> {
    if matches!((*p).state, State::Shutdown | State::Unwrapped) {
        clear(&mut (*t).protocol);
    }
    Ok(())
}

no_args!(is_reading, |t: SslTransport| on!(t, |p| Ok(boolean(!(*p).app_reading_paused)), else Ok(boolean(false))));
no_args!(pause_reading, |t: SslTransport| on!(t, |p| {
    (*p).app_reading_paused = true;
    Ok(none())
}));
no_args!(resume_reading, |t: SslTransport| on!(t, |p| super::reading::resume_reading(p).map(|()| none())));
fast!(set_write_buffer_limits, |t: SslTransport, args| on!(t, |p| {
    Limits::set(&raw mut (*p).sending, &args, &WRITE_LIMITS)?;
    writing::buffer_size(p)?;
    flow::control_writing(p).map(|()| none())
}));
no_args!(get_write_buffer_limits, |t: SslTransport| {
    on!(t, |p| Limits::get(&raw mut (*p).sending), else Limits::get(&mut Limits::of_kib(SENDING)))
});
no_args!(get_write_buffer_size, |t: SslTransport| {
    let size = on!(t, |p| writing::buffer_size(p)?, else 0);
    Obj::new(ffi::PyLong_FromSize_t(size))
});
fast!(set_read_buffer_limits, |t: SslTransport, args| on!(t, |p| {
    Limits::set(&raw mut (*p).receiving, &args, &READ_LIMITS)?;
    flow::control_reading_now(p).map(|()| none())
}));
no_args!(get_read_buffer_limits, |t: SslTransport| {
    on!(t, |p| Limits::get(&raw mut (*p).receiving), else Limits::get(&mut Limits::of_kib(RECEIVING)))
});
no_args!(get_read_buffer_size, |t: SslTransport| {
    let size = on!(t, |p| Engine::incoming_size(&raw mut (*p).engine)?, else 0);
    Obj::new(ffi::PyLong_FromSize_t(size))
});
getter!(protocol_paused, |t: SslTransport| {
    on!(t, |p| Ok(boolean((*p).app_writing_paused)), else Ok(boolean(false)))
});

one_arg!(write, |t: SslTransport, data| {
    let len = if ffi::PyBytes_CheckExact(data) != 0 {
        ffi::PyBytes_Size(data)
    } else {
        check_bytes(data)?;
        ffi::PyObject_Size(data)
    };
    match len {
        0 => Ok(none()),
        _ if len < 0 => Err(Raised),
        _ => on!(t, |p| writing::write(p, data).map(|()| none())),
    }
});

unsafe fn check_bytes(data: *mut PyObject) -> Res<()> {
    let fits = ffi::PyBytes_Check(data) != 0 || ffi::PyByteArray_Check(data) != 0 || ffi::PyMemoryView_Check(data) != 0;
    if fits {
        return Ok(());
    }
    let class = crate::object::attr(ffi::Py_TYPE(data).cast(), &crate::names::names().name)?;
    let class = crate::object::utf8(class.ptr())?;
    type_error(&format!("data: expecting a bytes-like instance, got {class}"))
}

one_arg!(writelines, |t: SslTransport, lines| on!(t, |p| writing::write_lines(p, lines).map(|()| none())));
no_args!(write_eof, |_t: SslTransport| raise(ffi::PyExc_NotImplementedError, "").map(|()| none()));
no_args!(can_write_eof, |_t: SslTransport| Ok(boolean(false)));
no_args!(py_abort, |t: SslTransport| {
    (*t).closed = true;
    on!(t, |p| abort(p, ptr::null_mut()).map(|()| none()))
});
one_arg!(force_close, |t: SslTransport, exc| {
    (*t).closed = true;
    on!(t, |p| abort(p, not_none(exc)).map(|()| none()))
});
one_arg!(append_write_backlog, |t: SslTransport, data| on!(t, |p| writing::append(p, data).map(|()| none())));

getter!(get_loop, |t: SslTransport| Ok(Obj::from_opt(ptr_or_null(&(*t).event_loop)).unwrap_or_else(|| none())));
getter!(get_ssl_protocol, |t: SslTransport| Ok(Obj::from_opt(ptr_or_null(&(*t).protocol)).unwrap_or_else(|| none())));
getter!(get_closed, |t: SslTransport| Ok(boolean((*t).closed)));

/// Warns of a transport that nobody closed.
unsafe extern "C" fn finalize(this: *mut PyObject) {
    crate::errors::wall((), || {
        let t: *mut SslTransport = this.cast();
        if std::mem::replace(&mut (*t).closed, true) {
            return Ok(());
        }
        let raised = if ffi::PyErr_Occurred().is_null() { None } else { Some(take()) };
        if let Err(Raised) = warn_unclosed(t) {
            ffi::PyErr_WriteUnraisable(this);
        }
        if let Some(raised) = raised {
            restore(raised);
        }
        Ok(())
    });
}

unsafe fn warn_unclosed(t: *mut SslTransport) -> Res<()> {
    let message = if cfg!(Py_3_11) {
        "unclosed transport <asyncio._SSLProtocolTransport object>".to_owned()
    } else {
        format!("unclosed transport {}", crate::object::repr(t.cast()))
    };
    let message = crate::object::text(&message)?;
    call(known().warn.ptr(), &[message.ptr(), ffi::PyExc_ResourceWarning]).map(drop)
}

unsafe extern "C" fn traverse(this: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    let t: *mut SslTransport = this.cast();
    let plain = (*t).standard.iter().copied().chain([(*t).dict, ffi::Py_TYPE(this).cast()]);
    for o in plain {
        let status = if o.is_null() { 0 } else { visitor(o, arg) };
        if status != 0 {
            return status;
        }
    }
    match visit(&(*t).event_loop, visitor, arg) {
        0 => visit(&(*t).protocol, visitor, arg),
        status => status,
    }
}

unsafe extern "C" fn gc_clear(this: *mut PyObject) -> c_int {
    let t: *mut SslTransport = this.cast();
    clear(&mut (*t).event_loop);
    clear(&mut (*t).protocol);
    for field in &mut (*t).standard {
        ffi::Py_XDECREF(ptr::replace(field, ptr::null_mut()));
    }
    ffi::Py_XDECREF(ptr::replace(&raw mut (*t).dict, ptr::null_mut()));
    0
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    if ffi::PyObject_CallFinalizerFromDealloc(this) < 0 {
        return;
    }
    ffi::PyObject_GC_UnTrack(this.cast());
    if !(*this.cast::<SslTransport>()).weakrefs.is_null() {
        ffi::PyObject_ClearWeakRefs(this);
    }
    gc_clear(this);
    free(this);
}

/// Makes the type.
pub(super) unsafe fn build() -> Res<*mut PyTypeObject> {
    let base: *mut PyTypeObject = known().transport_base.ptr().cast();
    if (*base).tp_basicsize as usize > offset_of!(SslTransport, weakrefs) {
        return runtime_error("fenshen: asyncio's transports have another layout than expected");
    }
    let flags = ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION;
    let builder = TypeBuilder::new::<SslTransport>(c"fenshen._fenshen._SSLProtocolTransport")
        .doc(c"The transport of a TLS connection, as asyncio's: an asyncio.Transport.")
        .flags(flags)
        .weakrefs(offset_of!(SslTransport, weakrefs))
        .dict(offset_of!(SslTransport, dict))
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, gc_clear as *mut c_void)
        .slot(ffi::Py_tp_finalize, finalize as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void);
    let ty = plumbing(limits(reading_and_writing(builder))).build(Some(base))?;
    let compatible = boolean(cfg!(Py_3_11));
    done(ffi::PyObject_SetAttrString(ty.cast(), c"_start_tls_compatible".as_ptr(), compatible.ptr()))?;
    let mode = super::known::constant(c"_SendfileMode")?;
    let mode = Obj::new(ffi::PyObject_GetAttrString(mode.ptr(), c"FALLBACK".as_ptr()))?;
    done(ffi::PyObject_SetAttrString(ty.cast(), c"_sendfile_compatible".as_ptr(), mode.ptr()))?;
    Ok(ty)
}

fn reading_and_writing(b: TypeBuilder) -> TypeBuilder {
    b.one_arg(c"write", write, c"write($self, data, /)\n--\n\nSend bytes; what can't go at once is kept.")
        .one_arg(c"writelines", writelines, c"writelines($self, list_of_data, /)\n--\n\nSend each item.")
        .no_args(c"write_eof", write_eof, c"write_eof($self, /)\n--\n\nNotImplementedError: TLS has no such thing.")
        .no_args(c"can_write_eof", can_write_eof, c"can_write_eof($self, /)\n--\n\nFalse.")
        .no_args(c"is_reading", is_reading, c"is_reading($self, /)\n--\n\nWhether it is not paused.")
        .no_args(
            c"pause_reading",
            pause_reading,
            c"pause_reading($self, /)\n--\n\nPass nothing on until resume_reading().",
        )
        .no_args(c"resume_reading", resume_reading, c"resume_reading($self, /)\n--\n\nGo on after pause_reading().")
        .no_args(
            c"close",
            close,
            c"close($self, /)\n--\n\nSend what is left, end the TLS session, then the connection.",
        )
        .no_args(c"abort", py_abort, c"abort($self, /)\n--\n\nEnd the connection at once.")
        .no_args(c"is_closing", is_closing, c"is_closing($self, /)\n--\n\nWhether it is closed or about to be.")
        .one_arg(c"_force_close", force_close, c"_force_close($self, exc, /)\n--\n\nEnd it at once because of exc.")
}

fn limits(b: TypeBuilder) -> TypeBuilder {
    b.fast(c"set_write_buffer_limits", set_write_buffer_limits, c"set_write_buffer_limits($self, high=None, low=None)\n--\n\nWhen the protocol is told to pause and to resume writing, in bytes; ValueError unless high >= low >= 0.")
        .no_args(c"get_write_buffer_limits", get_write_buffer_limits, c"get_write_buffer_limits($self, /)\n--\n\n(low, high), in bytes.")
        .no_args(c"get_write_buffer_size", get_write_buffer_size, c"get_write_buffer_size($self, /)\n--\n\nHow many bytes wait to be sent.")
        .fast(c"set_read_buffer_limits", set_read_buffer_limits, c"set_read_buffer_limits($self, high=None, low=None)\n--\n\nWhen the transport below is to pause and to resume reading, in bytes; ValueError unless high >= low >= 0.")
        .no_args(c"get_read_buffer_limits", get_read_buffer_limits, c"get_read_buffer_limits($self, /)\n--\n\n(low, high), in bytes.")
        .no_args(c"get_read_buffer_size", get_read_buffer_size, c"get_read_buffer_size($self, /)\n--\n\nHow many bytes wait to be decrypted.")
}

fn plumbing(b: TypeBuilder) -> TypeBuilder {
    b.fast(
        c"get_extra_info",
        get_extra_info,
        c"get_extra_info($self, name, default=None)\n--\n\nWhat is known of the connection.",
    )
    .one_arg(
        c"set_protocol",
        set_protocol,
        c"set_protocol($self, protocol, /)\n--\n\nPass what comes to another protocol.",
    )
    .no_args(c"get_protocol", get_protocol, c"get_protocol($self, /)\n--\n\nThe protocol.")
    .one_arg(
        c"_test__append_write_backlog",
        append_write_backlog,
        c"_test__append_write_backlog($self, data, /)\n--\n\nFor CPython's tests only.",
    )
    .property(c"_protocol_paused", protocol_paused, None)
    .property(c"_loop", get_loop, None)
    .property(c"_ssl_protocol", get_ssl_protocol, None)
    .property(c"_closed", get_closed, None)
}
