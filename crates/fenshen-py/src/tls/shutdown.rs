//! The shutdown: what is left is read and written, then each side says that it has ended (`close_notify`).

use pyo3::ffi;

use super::ending::{abort, fatal, force_close};
use super::engine::Engine;
use super::known::{known, ssl, warn_log, words};
use super::protocol::{SslProtocol, State, Told, call_later, call_soon, cancel, tell_app};
use super::{reading, transport, writing};
use crate::errors::{ends_loop, make, restore, take};
use crate::object::{Obj, Raised, Res, ptr_or_null, set};

/// Begins it.
pub(super) unsafe fn start(p: *mut SslProtocol) -> Res<()> {
    if matches!((*p).state, State::Flushing | State::Shutdown | State::Unwrapped) {
        return Ok(());
    }
    writing::settle(p)?;
    transport::mark_closed(p);
    if (*p).state == State::DoHandshake {
        return abort(p, std::ptr::null_mut());
    }
    (*p).state = State::Flushing;
    start_timer(p)?;
    flush(p)
}

unsafe fn start_timer(p: *mut SslProtocol) -> Res<()> {
    let timer = call_later(p, &(*p).shutdown_timeout, &words().check_shutdown_timeout)?;
    set(&mut (*p).shutdown_timer, timer);
    Ok(())
}

/// It took too long.
pub(super) unsafe fn timed_out(p: *mut SslProtocol) -> Res<()> {
    if !matches!((*p).state, State::Flushing | State::Shutdown) {
        return Ok(());
    }
    let exc = make(known().timeout_error.ptr(), "SSL shutdown timed out")?;
    force_close(p, exc.ptr())
}

/// Reads and writes what is left.
pub(super) unsafe fn flush(p: *mut SslProtocol) -> Res<()> {
    reading::read(p)?;
    if (*p).state != State::Flushing {
        return Ok(());
    }
    (*p).state = State::Shutdown;
    advance(p)
}

/// Goes on with the exchange of the two `close_notify`.
pub(super) unsafe fn advance(p: *mut SslProtocol) -> Res<()> {
    if !(*p).eof_received {
        match Engine::advance(&raw mut (*p).engine, &words().unwrap) {
            Ok(true) => {}
            Ok(false) => return writing::send(p),
            Err(Raised) => {
                if ffi::PyErr_ExceptionMatches(ssl()?.error.ptr()) == 0 {
                    return Err(Raised);
                }
                return complete(p, Some(take()));
            }
        }
    }
    writing::send(p)?;
    tell_eof(p)?;
    complete(p, None)
}

unsafe fn complete(p: *mut SslProtocol, exc: Option<Obj>) -> Res<()> {
    if exc.is_some() || cfg!(not(Py_3_14)) {
        cancel(&raw mut (*p).shutdown_timer)?;
    }
    if let Some(exc) = exc {
        return fatal(p, &exc, "Fatal error on transport");
    }
    // A peer that does not read can put off the transport's own end for ever.
    if cfg!(Py_3_14) && (*p).shutdown_timer.is_none() {
        start_timer(p)?;
    }
    let Some(transport) = Obj::from_opt(ptr_or_null(&(*p).transport)) else {
        return Ok(());
    };
    let close = crate::object::attr(transport.ptr(), &words().close)?;
    call_soon(p, &close, &[])
}

/// Tells the application that the peer has ended, once.
pub(super) unsafe fn tell_eof(p: *mut SslProtocol) -> Res<()> {
    if (*p).told != Told::Made {
        return Ok(());
    }
    (*p).told = Told::Eof;
    let outcome = tell_app(p, &words().eof_received, std::ptr::null_mut()).and_then(|keep| {
        let keep = ffi::PyObject_IsTrue(keep.ptr());
        crate::object::done(keep)?;
        match keep {
            0 => Ok(()),
            _ => warn_log("returning true from eof_received() has no effect when using ssl"),
        }
    });
    match outcome {
        Ok(()) => Ok(()),
        Err(Raised) => {
            let exc = take();
            if ends_loop(&exc) {
                restore(exc);
                return Err(Raised);
            }
            fatal(p, &exc, "Error calling eof_received()")
        }
    }
}
