//! What a TLS connection is: its state, and the lifecycle between its transport and its application.

use std::collections::VecDeque;
use std::ffi::{CStr, c_int, c_void};
use std::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::engine::Engine;
use super::flow::{Limits, RECEIVING, SENDING};
use super::known::{check_ssl, constant, debug_log, debugs, known, words};
use super::{ending, handshake, reading, shutdown, transport, writing};
use crate::args::{Signature, sort_call};
use crate::errors::{self, raise, restore, take};
use crate::object::{
    Obj, Raised, Res, boolean, call_method, clear, done, none, not_none, ptr_or_null, repr, set, visit,
};

/// Where the connection is in the life of its TLS session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Unwrapped,
    DoHandshake,
    Wrapped,
    Flushing,
    Shutdown,
}

/// What the application has been told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Told {
    Nothing,
    Made,
    Eof,
    Lost,
}

/// The layout of `SSLProtocol`.
#[repr(C)]
pub(super) struct SslProtocol {
    ob_base: PyObject,
    pub(super) weakrefs: *mut PyObject,
    pub(super) event_loop: Option<Obj>,
    pub(super) engine: Engine,
    pub(super) context: Option<Obj>,
    pub(super) hostname: Option<Obj>,
    /// What `get_extra_info` knows beside the lower transport.
    pub(super) extra: Option<Obj>,
    /// Who waits for the handshake.
    pub(super) waiter: Option<Obj>,
    /// The transport below.
    pub(super) transport: Option<Obj>,
    pub(super) app_protocol: Option<Obj>,
    /// The transport that the application has, until the connection is lost.
    pub(super) app_transport: Option<Obj>,
    /// What waits to be encrypted.
    pub(super) backlog: VecDeque<Obj>,
    /// How many bytes that is.
    pub(super) backlog_size: usize,
    pub(super) handshake_timeout: Option<Obj>,
    pub(super) shutdown_timeout: Option<Obj>,
    pub(super) handshake_timer: Option<Obj>,
    pub(super) shutdown_timer: Option<Obj>,
    /// When the handshake began, in debug mode.
    pub(super) began: Option<Obj>,
    /// Where a transport that knows no better puts what it receives.
    pub(super) buffer: Option<Obj>,
    pub(super) sending: Limits,
    pub(super) receiving: Limits,
    /// How often something was written since the connection was lost, and one.
    pub(super) lost: u32,
    /// How many calls of the application are on the stack, from within which writes are collected.
    pub(super) feeding: u32,
    pub(super) state: State,
    pub(super) told: Told,
    pub(super) server_side: bool,
    /// The application's protocol has `get_buffer`.
    pub(super) buffered: bool,
    pub(super) eof_received: bool,
    /// The application has paused reading,
    pub(super) app_reading_paused: bool,
    /// so that we have paused the transport's.
    pub(super) ssl_reading_paused: bool,
    /// The transport has paused our writing,
    pub(super) ssl_writing_paused: bool,
    /// so that we have paused the application's.
    pub(super) app_writing_paused: bool,
}

/// From 3.11 on it has a time limit for the shutdown too.
const TIMEOUTS: usize = if cfg!(Py_3_11) { 9 } else { 8 };

const NEW: Signature<9> = Signature {
    func: "SSLProtocol.__init__",
    names: [
        c"loop",
        c"app_protocol",
        c"sslcontext",
        c"waiter",
        c"server_side",
        c"server_hostname",
        c"call_connection_made",
        c"ssl_handshake_timeout",
        c"ssl_shutdown_timeout",
    ],
    positional: TIMEOUTS,
    required: 4,
};

unsafe fn truth(o: *mut PyObject, default: bool) -> Res<bool> {
    if o.is_null() {
        return Ok(default);
    }
    let truth = ffi::PyObject_IsTrue(o);
    done(truth)?;
    Ok(truth != 0)
}

/// A time limit in seconds: what is given, or the standard library's own.
unsafe fn timeout(given: *mut PyObject, name: &str, default: &CStr) -> Res<Obj> {
    let Some(seconds) = (if given.is_null() { None } else { Obj::from_opt(not_none(given)) }) else {
        return match constant(default) {
            Ok(found) => Ok(found),
            Err(Raised) => {
                // Before 3.11 there is none for the shutdown.
                ffi::PyErr_Clear();
                Obj::new(ffi::PyFloat_FromDouble(30.0))
            }
        };
    };
    let zero = Obj::new(ffi::PyLong_FromLong(0))?;
    let bad = ffi::PyObject_RichCompareBool(seconds.ptr(), zero.ptr(), ffi::Py_LE);
    done(bad)?;
    if bad == 0 {
        return Ok(seconds);
    }
    let shown = Obj::new(ffi::PyObject_Str(seconds.ptr()))?;
    let shown = crate::object::utf8(shown.ptr())?;
    raise(ffi::PyExc_ValueError, &format!("{name} should be a positive number, got {shown}"))
}

/// The context given, or the default one of a client.
unsafe fn context_or_default(given: *mut PyObject, server_side: bool, hostname: *mut PyObject) -> Res<Obj> {
    if truth(given, false)? {
        return Ok(Obj::from(given));
    }
    let make = Obj::new(ffi::PyUnicode_InternFromString(c"_create_transport_context".as_ptr()))?;
    let (side, nobody) = (boolean(server_side), none());
    let hostname = if hostname.is_null() { nobody.ptr() } else { hostname };
    call_method(&make, &[known().sslproto.ptr(), side.ptr(), hostname])
}

/// `SSLProtocol(...)`.
pub(super) unsafe fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> Res<Obj> {
    let [event_loop, app, context, waiter, server_side, hostname, call_made, handshake, shutdown] =
        sort_call(&NEW, args, kwargs)?;
    check_ssl()?;
    let handshake = timeout(handshake, "ssl_handshake_timeout", c"SSL_HANDSHAKE_TIMEOUT")?;
    let shutdown = timeout(shutdown, "ssl_shutdown_timeout", c"SSL_SHUTDOWN_TIMEOUT")?;
    let server_side = truth(server_side, false)?;
    let named = truth(hostname, false)? && !server_side;
    let context = context_or_default(context, server_side, hostname)?;
    let hostname = if named { Obj::from_opt(hostname) } else { None };
    let engine = Engine::new(&context, server_side, hostname.as_ref())?;
    let extra = Obj::new(ffi::PyDict_New())?;
    done(ffi::PyDict_SetItem(extra.ptr(), words().sslcontext.ptr(), context.ptr()))?;
    let told = if truth(call_made, true)? { Told::Nothing } else { Told::Made };
    let made = allocate(ty, engine)?;
    let p: *mut SslProtocol = made.ptr().cast();
    (*p).event_loop = Some(Obj::from(event_loop));
    (*p).context = Some(context);
    (*p).hostname = hostname;
    (*p).extra = Some(extra);
    (*p).waiter = Obj::from_opt(not_none(waiter));
    (*p).handshake_timeout = Some(handshake);
    (*p).shutdown_timeout = Some(shutdown);
    (*p).server_side = server_side;
    (*p).told = told;
    set_app_protocol(p, app)?;
    (*p).app_transport = Some(transport::new(p)?);
    Ok(made)
}

unsafe fn allocate(ty: *mut PyTypeObject, engine: Engine) -> Res<Obj> {
    let alloc = (*ty).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
    let made = Obj::new(alloc(ty, 0))?;
    let p: *mut SslProtocol = made.ptr().cast();
    ptr::write(&raw mut (*p).engine, engine);
    ptr::write(&raw mut (*p).backlog, VecDeque::new());
    ptr::write(&raw mut (*p).sending, Limits::of_kib(SENDING));
    ptr::write(&raw mut (*p).receiving, Limits::of_kib(RECEIVING));
    (*p).state = State::Unwrapped;
    Ok(made)
}

/// Whether `protocol` is read into by `get_buffer`.
unsafe fn is_buffered(protocol: *mut PyObject) -> Res<bool> {
    if super::is_protocol(protocol) {
        return Ok(false);
    }
    if crate::object::attr_opt(protocol, &words().get_buffer)?.is_none() {
        return Ok(false);
    }
    let is = ffi::PyObject_IsInstance(protocol, known().buffered_protocol.ptr());
    done(is)?;
    Ok(is != 0)
}

/// `_set_app_protocol`.
pub(super) unsafe fn set_app_protocol(p: *mut SslProtocol, protocol: *mut PyObject) -> Res<()> {
    (*p).buffered = is_buffered(protocol)?;
    set(&mut (*p).app_protocol, Some(Obj::from(protocol)));
    Ok(())
}

/// Calls a method of the application's protocol, if there still is one.
pub(super) unsafe fn tell_app(p: *mut SslProtocol, method: &Obj, arg: *mut PyObject) -> Res<Obj> {
    let Some(protocol) = Obj::from_opt(ptr_or_null(&(*p).app_protocol)) else {
        return Ok(none());
    };
    let args = [protocol.ptr(), arg];
    call_method(method, if arg.is_null() { &args[..1] } else { &args })
}

/// `loop.call_soon(callback, *args)`.
pub(super) unsafe fn call_soon(p: *mut SslProtocol, callback: &Obj, args: &[*mut PyObject]) -> Res<()> {
    let Some(event_loop) = Obj::from_opt(ptr_or_null(&(*p).event_loop)) else {
        return Ok(());
    };
    let mut all = vec![event_loop.ptr(), callback.ptr()];
    all.extend(args);
    call_method(&words().call_soon, &all).map(drop)
}

/// `loop.call_later(seconds, self.method)`.
pub(super) unsafe fn call_later(p: *mut SslProtocol, seconds: &Option<Obj>, method: &Obj) -> Res<Option<Obj>> {
    let Some(event_loop) = Obj::from_opt(ptr_or_null(&(*p).event_loop)) else {
        return Ok(None);
    };
    let callback = crate::object::attr(p.cast(), method)?;
    let seconds = Obj::from_opt(ptr_or_null(seconds)).unwrap_or_else(|| none());
    call_method(&words().call_later, &[event_loop.ptr(), seconds.ptr(), callback.ptr()]).map(Some)
}

/// Cancels a timer and lets go of it.
pub(super) unsafe fn cancel(timer: *mut Option<Obj>) -> Res<()> {
    match (*timer).take() {
        Some(timer) => call_method(&words().cancel, &[timer.ptr()]).map(drop),
        None => Ok(()),
    }
}

/// `connection_made(transport)`: the handshake begins.
pub(super) unsafe fn connection_made(p: *mut SslProtocol, transport: *mut PyObject) -> Res<()> {
    set(&mut (*p).transport, Some(Obj::from(transport)));
    handshake::start(p)
}

/// `connection_lost(exc)`: the transport below is gone.
pub(super) unsafe fn connection_lost(p: *mut SslProtocol, exc: *mut PyObject) -> Res<()> {
    (*p).backlog_size = 0;
    drop(std::mem::take(&mut (*p).backlog));
    Engine::drain(&raw mut (*p).engine)?;
    (*p).lost += 1;
    transport::mark_closed(p);
    if (*p).state != State::DoHandshake && matches!((*p).told, Told::Made | Told::Eof) {
        (*p).told = Told::Lost;
        if let Some(app) = Obj::from_opt(ptr_or_null(&(*p).app_protocol)) {
            let callback = crate::object::attr(app.ptr(), &words().connection_lost)?;
            call_soon(p, &callback, &[exc])?;
        }
    }
    (*p).state = State::Unwrapped;
    clear(&mut (*p).transport);
    clear(&mut (*p).app_transport);
    clear(&mut (*p).app_protocol);
    wake_waiter(p, not_none(exc))?;
    cancel(&raw mut (*p).shutdown_timer)?;
    cancel(&raw mut (*p).handshake_timer)
}

/// Tells who waits for the handshake how it ended: null is well.
pub(super) unsafe fn wake_waiter(p: *mut SslProtocol, exc: *mut PyObject) -> Res<()> {
    let Some(waiter) = (*p).waiter.take() else {
        return Ok(());
    };
    let cancelled = call_method(&words().cancelled, &[waiter.ptr()])?;
    if truth(cancelled.ptr(), false)? {
        return Ok(());
    }
    let nothing = none();
    match exc.is_null() {
        true => call_method(&words().set_result, &[waiter.ptr(), nothing.ptr()])?,
        false => call_method(&words().set_exception, &[waiter.ptr(), exc])?,
    };
    Ok(())
}

/// Goes on with whatever the connection is at, after more has come.
pub(super) unsafe fn advance(p: *mut SslProtocol) -> Res<()> {
    match (*p).state {
        State::Wrapped => reading::read(p),
        State::DoHandshake => handshake::advance(p),
        State::Flushing => shutdown::flush(p),
        State::Shutdown => shutdown::advance(p),
        State::Unwrapped => Ok(()),
    }
}

/// The transport has come to its end. True if it is to stay open.
pub(super) unsafe fn eof(p: *mut SslProtocol) -> Res<bool> {
    (*p).eof_received = true;
    match eof_inner(p) {
        Ok(keep) => Ok(keep),
        Err(Raised) => {
            let exc = take();
            if errors::is(&exc, ffi::PyExc_Exception) {
                ending::close_transport(p)?;
            }
            restore(exc);
            Err(Raised)
        }
    }
}

unsafe fn eof_inner(p: *mut SslProtocol) -> Res<bool> {
    if debugs(&(*p).event_loop)? {
        debug_log("%r received EOF", &[p.cast()])?;
    }
    match (*p).state {
        State::DoHandshake => {
            let exc = crate::object::call(ffi::PyExc_ConnectionResetError, &[])?;
            handshake::complete(p, Some(exc))?;
        }
        State::Wrapped => {
            (*p).state = State::Flushing;
            if (*p).app_reading_paused {
                return Ok(true);
            }
            shutdown::flush(p)?;
        }
        State::Flushing => {
            writing::write_backlog(p)?;
            (*p).state = State::Shutdown;
            shutdown::advance(p)?;
        }
        State::Shutdown => shutdown::advance(p)?,
        State::Unwrapped => {}
    }
    Ok(false)
}

/// `_get_extra_info(name, default)`.
pub(super) unsafe fn extra_info(p: *mut SslProtocol, name: *mut PyObject, default: *mut PyObject) -> Res<Obj> {
    if let Some(extra) = Obj::from_opt(ptr_or_null(&(*p).extra)) {
        let found = Obj::from_opt(ffi::PyDict_GetItemWithError(extra.ptr(), name));
        match found {
            Some(found) => return Ok(found),
            None if !ffi::PyErr_Occurred().is_null() => return Err(Raised),
            None => {}
        }
    }
    match Obj::from_opt(ptr_or_null(&(*p).transport)) {
        Some(transport) => call_method(&words().get_extra_info, &[transport.ptr(), name, default]),
        None => Ok(Obj::from(default)),
    }
}

/// `f"{value}"` of a time limit.
pub(super) unsafe fn shown(value: &Option<Obj>) -> String {
    match value {
        Some(value) => match Obj::new(ffi::PyObject_Str(value.ptr())).and_then(|s| crate::object::utf8(s.ptr())) {
            Ok(text) => text,
            Err(Raised) => {
                ffi::PyErr_Clear();
                repr(value.ptr())
            }
        },
        None => "None".into(),
    }
}

impl SslProtocol {
    unsafe fn fields(p: *mut SslProtocol) -> [*mut Option<Obj>; 14] {
        [
            &raw mut (*p).event_loop,
            &raw mut (*p).context,
            &raw mut (*p).hostname,
            &raw mut (*p).extra,
            &raw mut (*p).waiter,
            &raw mut (*p).transport,
            &raw mut (*p).app_protocol,
            &raw mut (*p).app_transport,
            &raw mut (*p).handshake_timeout,
            &raw mut (*p).shutdown_timeout,
            &raw mut (*p).handshake_timer,
            &raw mut (*p).shutdown_timer,
            &raw mut (*p).began,
            &raw mut (*p).buffer,
        ]
    }

    /// Visits the fields for the garbage collector.
    pub(super) unsafe fn traverse(p: *mut SslProtocol, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        for field in SslProtocol::fields(p) {
            let status = visit(&*field, visitor, arg);
            if status != 0 {
                return status;
            }
        }
        for held in &(*p).backlog {
            let status = visitor(held.ptr(), arg);
            if status != 0 {
                return status;
            }
        }
        (*p).engine.traverse(visitor, arg)
    }

    /// Empties the fields.
    pub(super) unsafe fn clear(p: *mut SslProtocol) {
        for field in SslProtocol::fields(p) {
            clear(&mut *field);
        }
        (*p).backlog_size = 0;
        drop(std::mem::take(&mut (*p).backlog));
        (*p).engine.clear();
    }
}
