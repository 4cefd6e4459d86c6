//! The Python face of [`SslProtocol`]: a protocol to any transport, and the names by which asyncio's own code and
//! CPython's tests know its parts.

use std::ffi::{c_int, c_void};
use std::mem::offset_of;
use std::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::ending::{abort, fatal};
use super::engine::Engine;
use super::known::known;
use super::protocol::{self, SslProtocol, State};
use super::{handshake, reading, shutdown};
use crate::args::Signature;
use crate::errors::entry;
use crate::methods::{fast, getter, no_args, one_arg, setter};
use crate::object::{Obj, Raised, Res, boolean, done, none, not_none, ptr_or_null};
use crate::types::{TypeBuilder, free};

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| protocol::new(ty, args, kwargs))
}

/// A number of bytes.
unsafe fn count(o: *mut PyObject) -> Res<isize> {
    let n = ffi::PyLong_AsSsize_t(o);
    if n == -1 && !ffi::PyErr_Occurred().is_null() { Err(Raised) } else { Ok(n) }
}

one_arg!(connection_made, |p: SslProtocol, transport| protocol::connection_made(p, transport).map(|()| none()));
one_arg!(connection_lost, |p: SslProtocol, exc| protocol::connection_lost(p, exc).map(|()| none()));
one_arg!(get_buffer, |p: SslProtocol, hint| reading::get_buffer(p, count(hint)?));
one_arg!(buffer_updated, |p: SslProtocol, n| {
    let n = count(n)?.max(0);
    // Only what was lent can have been filled.
    let Some(buffer) = Obj::from_opt(ptr_or_null(&(*p).buffer)) else {
        return super::feed(p.cast(), &[]).map(|()| none());
    };
    let view = crate::sockets::Buffer::of(&buffer, ffi::PyBUF_SIMPLE)?;
    let n = view.len().min(n as usize);
    super::feed(p.cast(), std::slice::from_raw_parts(view.start(), n)).map(|()| none())
});
one_arg!(data_received, |p: SslProtocol, data| {
    let view = crate::sockets::Buffer::of(&Obj::from(data), ffi::PyBUF_SIMPLE)?;
    super::feed(p.cast(), std::slice::from_raw_parts(view.start(), view.len())).map(|()| none())
});
no_args!(eof_received, |p: SslProtocol| protocol::eof(p).map(|keep| boolean(keep)));
no_args!(pause_writing, |p: SslProtocol| {
    (*p).ssl_writing_paused = true;
    Ok(none())
});
no_args!(resume_writing, |p: SslProtocol| super::flow::resume(p));

no_args!(check_handshake_timeout, |p: SslProtocol| handshake::timed_out(p).map(|()| none()));
no_args!(check_shutdown_timeout, |p: SslProtocol| shutdown::timed_out(p).map(|()| none()));
no_args!(do_read, |p: SslProtocol| reading::read(p).map(|()| none()));
no_args!(resume, |p: SslProtocol| {
    match (*p).state {
        State::Wrapped | State::Flushing | State::Shutdown => protocol::advance(p)?,
        State::DoHandshake | State::Unwrapped => {}
    }
    Ok(none())
});
no_args!(start_shutdown, |p: SslProtocol| shutdown::start(p).map(|()| none()));
one_arg!(set_app_protocol, |p: SslProtocol, value| protocol::set_app_protocol(p, value).map(|()| none()));
one_arg!(private_abort, |p: SslProtocol, exc| abort(p, not_none(exc)).map(|()| none()));

const FATAL: Signature<2> = Signature { func: "_fatal_error", names: [c"exc", c"message"], positional: 2, required: 1 };
const EXTRA: Signature<2> =
    Signature { func: "_get_extra_info", names: [c"name", c"default"], positional: 2, required: 1 };

fast!(fatal_error, |p: SslProtocol, args| {
    let [exc, message] = args.sort(&FATAL)?;
    let message = if message.is_null() { "Fatal error on transport".into() } else { crate::object::utf8(message)? };
    fatal(p, &Obj::from(exc), &message).map(|()| none())
});
fast!(get_extra_info, |p: SslProtocol, args| {
    let [name, default] = args.sort(&EXTRA)?;
    let nothing = none();
    protocol::extra_info(p, name, if default.is_null() { nothing.ptr() } else { default })
});

macro_rules! show {
    ($($name:ident: $($field:ident).+;)*) => {
        $(getter!($name, |p: SslProtocol| Ok(Obj::from_opt(ptr_or_null(&(*p).$($field).+)).unwrap_or_else(|| none())));)*
    };
}

show! {
    get_loop: event_loop;
    get_sslobj: engine.sslobj;
    get_incoming: engine.incoming;
    get_outgoing: engine.outgoing;
    get_context: context;
    get_hostname: hostname;
    get_extra: extra;
    get_waiter: waiter;
    get_transport: transport;
    get_app_protocol: app_protocol;
    get_app_transport: app_transport;
    get_handshake_timeout: handshake_timeout;
    get_shutdown_timeout: shutdown_timeout;
}
setter!(set_sslobj, |p: SslProtocol, value| (*p).engine.put(Obj::from(value)));
getter!(get_server_side, |p: SslProtocol| Ok(boolean((*p).server_side)));
getter!(get_state, |p: SslProtocol| {
    let name = match (*p).state {
        State::Unwrapped => c"UNWRAPPED",
        State::DoHandshake => c"DO_HANDSHAKE",
        State::Wrapped => c"WRAPPED",
        State::Flushing => c"FLUSHING",
        State::Shutdown => c"SHUTDOWN",
    };
    match Obj::new(ffi::PyObject_GetAttrString(known().sslproto.ptr(), c"SSLProtocolState".as_ptr())) {
        Ok(states) => Obj::new(ffi::PyObject_GetAttrString(states.ptr(), name.as_ptr())),
        Err(Raised) => {
            // Before 3.11 they are text.
            ffi::PyErr_Clear();
            Obj::new(ffi::PyUnicode_InternFromString(name.as_ptr()))
        }
    }
});

unsafe extern "C" fn traverse(this: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    match visitor(ffi::Py_TYPE(this).cast(), arg) {
        0 => SslProtocol::traverse(this.cast(), visitor, arg),
        status => status,
    }
}

unsafe extern "C" fn gc_clear(this: *mut PyObject) -> c_int {
    SslProtocol::clear(this.cast());
    0
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    ffi::PyObject_GC_UnTrack(this.cast());
    let p: *mut SslProtocol = this.cast();
    if !(*p).weakrefs.is_null() {
        ffi::PyObject_ClearWeakRefs(this);
    }
    gc_clear(this);
    ptr::drop_in_place(&raw mut (*p).backlog);
    ptr::drop_in_place(&raw mut (*p).engine);
    ptr::drop_in_place(&raw mut (*p).sending);
    ptr::drop_in_place(&raw mut (*p).receiving);
    free(this);
}

/// Makes the type.
pub(super) unsafe fn build() -> Res<*mut PyTypeObject> {
    let builder = TypeBuilder::new::<SslProtocol>(c"fenshen._fenshen.SSLProtocol")
        .doc(c"SSLProtocol(loop, app_protocol, sslcontext, waiter, server_side=False, server_hostname=None, call_connection_made=True, ssl_handshake_timeout=None, ssl_shutdown_timeout=None)\n--\n\nA TLS connection, as asyncio.sslproto's: a protocol to the transport below it, and a transport to the protocol above.\n\nTime limits are in seconds; None is asyncio's default. Raises ValueError if one is not positive.")
        .flags(ffi::Py_TPFLAGS_HAVE_GC)
        .weakrefs(offset_of!(SslProtocol, weakrefs))
        .slot(ffi::Py_tp_new, new as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, gc_clear as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void);
    let ty = attributes(private(public(builder))).build(Some(known().buffered_protocol.ptr().cast()))?;
    let most = Obj::new(ffi::PyLong_FromLong(256 * 1024))?;
    done(ffi::PyObject_SetAttrString(ty.cast(), c"max_size".as_ptr(), most.ptr()))?;
    Ok(ty)
}

fn public(b: TypeBuilder) -> TypeBuilder {
    b.one_arg(c"connection_made", connection_made, c"connection_made($self, transport, /)\n--\n\nBegin the handshake.")
        .one_arg(
            c"connection_lost",
            connection_lost,
            c"connection_lost($self, exc, /)\n--\n\nThe transport below is gone.",
        )
        .one_arg(c"get_buffer", get_buffer, c"get_buffer($self, n, /)\n--\n\nWhere to put what arrives.")
        .one_arg(
            c"buffer_updated",
            buffer_updated,
            c"buffer_updated($self, nbytes, /)\n--\n\nSo many bytes were put there.",
        )
        .one_arg(
            c"data_received",
            data_received,
            c"data_received($self, data, /)\n--\n\nWhat arrived, from a transport that does not ask for a buffer.",
        )
        .no_args(
            c"eof_received",
            eof_received,
            c"eof_received($self, /)\n--\n\nThe peer has ended; True if the transport is to stay open.",
        )
        .no_args(c"pause_writing", pause_writing, c"pause_writing($self, /)\n--\n\nKeep what is encrypted.")
        .no_args(c"resume_writing", resume_writing, c"resume_writing($self, /)\n--\n\nSend what was kept.")
}

fn private(b: TypeBuilder) -> TypeBuilder {
    b.no_args(c"_check_handshake_timeout", check_handshake_timeout, c"_check_handshake_timeout($self, /)\n--\n\n")
        .no_args(c"_check_shutdown_timeout", check_shutdown_timeout, c"_check_shutdown_timeout($self, /)\n--\n\n")
        .no_args(c"_do_read", do_read, c"_do_read($self, /)\n--\n\n")
        .no_args(c"_resume", resume, c"_resume($self, /)\n--\n\n")
        .no_args(c"_start_shutdown", start_shutdown, c"_start_shutdown($self, /)\n--\n\n")
        .one_arg(c"_set_app_protocol", set_app_protocol, c"_set_app_protocol($self, app_protocol, /)\n--\n\n")
        .one_arg(c"_abort", private_abort, c"_abort($self, exc, /)\n--\n\n")
        .fast(c"_fatal_error", fatal_error, c"_fatal_error($self, exc, message='Fatal error on transport')\n--\n\n")
        .fast(c"_get_extra_info", get_extra_info, c"_get_extra_info($self, name, default=None)\n--\n\n")
}

fn attributes(b: TypeBuilder) -> TypeBuilder {
    b.property(c"_loop", get_loop, None)
        .property(c"_sslobj", get_sslobj, Some(set_sslobj))
        .property(c"_incoming", get_incoming, None)
        .property(c"_outgoing", get_outgoing, None)
        .property(c"_sslcontext", get_context, None)
        .property(c"_server_side", get_server_side, None)
        .property(c"_server_hostname", get_hostname, None)
        .property(c"_extra", get_extra, None)
        .property(c"_waiter", get_waiter, None)
        .property(c"_transport", get_transport, None)
        .property(c"_app_protocol", get_app_protocol, None)
        .property(c"_app_transport", get_app_transport, None)
        .property(c"_ssl_handshake_timeout", get_handshake_timeout, None)
        .property(c"_ssl_shutdown_timeout", get_shutdown_timeout, None)
        .property(c"_state", get_state, None)
}

/// Whether `o` is one of these.
pub(super) unsafe fn check(o: *mut PyObject) -> bool {
    ffi::Py_TYPE(o) == crate::kinds::ssl_protocol()
}

/// More has come from the transport below.
pub(super) unsafe fn fed(p: *mut SslProtocol, data: &[u8]) -> Res<()> {
    Engine::feed(&raw mut (*p).engine, data)?;
    protocol::advance(p)
}
