//! The handshake.

use pyo3::ffi::{self, PyObject};

use super::ending::fatal;
use super::engine::Engine;
use super::known::{debug_log, debugs, ssl, words};
use super::protocol::{SslProtocol, State, Told, call_later, cancel, shown, tell_app, wake_waiter};
use super::{reading, transport, writing};
use crate::errors::{self, make, take};
use crate::object::{Obj, Raised, Res, call_method, clear, done, none, ptr_or_null, set};

/// Begins it.
pub(super) unsafe fn start(p: *mut SslProtocol) -> Res<()> {
    clear(&mut (*p).began);
    if debugs(&(*p).event_loop)? {
        debug_log("%r starts SSL handshake", &[p.cast()])?;
        set(&mut (*p).began, Some(now(p)?));
    }
    (*p).state = State::DoHandshake;
    let timer = call_later(p, &(*p).handshake_timeout, &words().check_handshake_timeout)?;
    set(&mut (*p).handshake_timer, timer);
    advance(p)
}

/// `loop.time()`.
unsafe fn now(p: *mut SslProtocol) -> Res<Obj> {
    match Obj::from_opt(ptr_or_null(&(*p).event_loop)) {
        Some(event_loop) => call_method(&words().time, &[event_loop.ptr()]),
        None => Ok(none()),
    }
}

/// Goes on with it.
pub(super) unsafe fn advance(p: *mut SslProtocol) -> Res<()> {
    match Engine::advance(&raw mut (*p).engine, &words().do_handshake) {
        Ok(true) => complete(p, None),
        Ok(false) => writing::send(p),
        Err(Raised) => {
            if ffi::PyErr_ExceptionMatches(ssl()?.error.ptr()) == 0 {
                return Err(Raised);
            }
            complete(p, Some(take()))
        }
    }
}

/// It took too long.
pub(super) unsafe fn timed_out(p: *mut SslProtocol) -> Res<()> {
    if (*p).state != State::DoHandshake {
        return Ok(());
    }
    let seconds = shown(&(*p).handshake_timeout);
    let message = format!("SSL handshake is taking longer than {seconds} seconds: aborting the connection");
    fatal(p, &make(ffi::PyExc_ConnectionAbortedError, &message)?, "Fatal error on transport")
}

/// It is over.
pub(super) unsafe fn complete(p: *mut SslProtocol, exc: Option<Obj>) -> Res<()> {
    cancel(&raw mut (*p).handshake_timer)?;
    if let Some(exc) = exc {
        return failed(p, &exc);
    }
    (*p).state = State::Wrapped;
    match note_extra(p) {
        Ok(()) => {}
        Err(Raised) => {
            let exc = take();
            if !errors::is(&exc, ffi::PyExc_Exception) {
                return errors::raise_object(&exc);
            }
            return failed(p, &exc);
        }
    }
    if let Some(began) = (*p).began.take() {
        let (now, began) = (ffi::PyFloat_AsDouble(now(p)?.ptr()), ffi::PyFloat_AsDouble(began.ptr()));
        let took = Obj::new(ffi::PyFloat_FromDouble((now - began) * 1e3))?;
        debug_log("%r: SSL handshake took %.1f ms", &[p.cast(), took.ptr()])?;
    }
    if (*p).told == Told::Nothing {
        (*p).told = Told::Made;
        let transport = transport::of(p)?;
        tell_app(p, &words().connection_made, transport.ptr())?;
    }
    wake_waiter(p, std::ptr::null_mut())?;
    Engine::settle(&raw mut (*p).engine)?;
    reading::read(p)
}

unsafe fn failed(p: *mut SslProtocol, exc: &Obj) -> Res<()> {
    (*p).state = State::Unwrapped;
    let message = if errors::is(exc, ssl()?.certificate_error.ptr()) {
        "SSL handshake failed on verifying the certificate"
    } else {
        "SSL handshake failed"
    };
    fatal(p, exc, message)?;
    wake_waiter(p, exc.ptr())
}

/// What `get_extra_info` knows from now on.
unsafe fn note_extra(p: *mut SslProtocol) -> Res<()> {
    let (Some(sslobj), Some(extra)) =
        (Obj::from_opt(ptr_or_null(&(*p).engine.sslobj)), Obj::from_opt(ptr_or_null(&(*p).extra)))
    else {
        return Ok(());
    };
    let put = |key: &Obj, value: *mut PyObject| done(ffi::PyDict_SetItem(extra.ptr(), key.ptr(), value));
    let words = words();
    put(&words.peercert, call_method(&words.getpeercert, &[sslobj.ptr()])?.ptr())?;
    put(&words.cipher, call_method(&words.cipher, &[sslobj.ptr()])?.ptr())?;
    put(&words.compression, call_method(&words.compression, &[sslobj.ptr()])?.ptr())?;
    put(&words.ssl_object, sslobj.ptr())
}
