//! How a connection ends other than by its own shutdown, and who is told.

use pyo3::ffi::{self, PyObject};

use super::known::{debugs, known, words};
use super::protocol::{SslProtocol, State};
use super::writing;
use crate::errors::{self, ends_loop, restore, take};
use crate::object::{Obj, Raised, Res, call_method, done, none, ptr_or_null};

/// `transport.close()` of the transport below.
pub(super) unsafe fn close_transport(p: *mut SslProtocol) -> Res<()> {
    match Obj::from_opt(ptr_or_null(&(*p).transport)) {
        Some(transport) => call_method(&words().close, &[transport.ptr()]).map(drop),
        None => Ok(()),
    }
}

/// Ends the transport below at once; null is without an exception.
pub(super) unsafe fn force_close(p: *mut SslProtocol, exc: *mut PyObject) -> Res<()> {
    let Some(transport) = Obj::from_opt(ptr_or_null(&(*p).transport)) else {
        return Ok(());
    };
    let nothing = none();
    let exc = if exc.is_null() { nothing.ptr() } else { exc };
    call_method(&words().force_close, &[transport.ptr(), exc]).map(drop)
}

/// `_abort(exc)`: what was written so far goes to the transport, which is then closed at once.
pub(super) unsafe fn abort(p: *mut SslProtocol, exc: *mut PyObject) -> Res<()> {
    writing::settle(p)?;
    (*p).state = State::Unwrapped;
    if exc.is_null() && cfg!(not(Py_3_13)) {
        return match Obj::from_opt(ptr_or_null(&(*p).transport)) {
            Some(transport) => call_method(&words().abort, &[transport.ptr()]).map(drop),
            None => Ok(()),
        };
    }
    force_close(p, exc)
}

/// Ends the connection because of `exc`, and says so where it was no fault of the network.
#[cold]
pub(super) unsafe fn fatal(p: *mut SslProtocol, exc: &Obj, message: &str) -> Res<()> {
    if writing::settle(p).is_err() {
        drop(take());
    }
    let transport = Obj::from_opt(ptr_or_null(&(*p).transport));
    force_close(p, exc.ptr())?;
    if errors::is(exc, ffi::PyExc_OSError) {
        if debugs(&(*p).event_loop)? {
            debug_error(p, exc, message)?;
        }
        return Ok(());
    }
    if errors::is(exc, crate::names::asyncio().cancelled_error.ptr()) {
        return Ok(());
    }
    report(p, message, exc, transport)
}

unsafe fn debug_error(p: *mut SslProtocol, exc: &Obj, message: &str) -> Res<()> {
    let (form, message) = (crate::object::text("%r: %s")?, crate::object::text(message)?);
    let args = [known().logger.ptr(), form.ptr(), p.cast(), message.ptr(), exc.ptr()];
    crate::object::call_method_kw(&words().debug, &args, &known().exc_info_keyword).map(drop)
}

/// Tells the loop's exception handler.
pub(super) unsafe fn report(p: *mut SslProtocol, message: &str, exc: &Obj, transport: Option<Obj>) -> Res<()> {
    let Some(event_loop) = Obj::from_opt(ptr_or_null(&(*p).event_loop)) else {
        return Ok(());
    };
    let (context, message) = (Obj::new(ffi::PyDict_New())?, crate::object::text(message)?);
    let transport = transport.unwrap_or_else(|| none());
    let entries = [
        (c"message", message.ptr()),
        (c"exception", exc.ptr()),
        (c"transport", transport.ptr()),
        (c"protocol", p.cast()),
    ];
    for (key, value) in entries {
        done(ffi::PyDict_SetItemString(context.ptr(), key.as_ptr(), value))?;
    }
    call_method(&words().call_exception_handler, &[event_loop.ptr(), context.ptr()]).map(drop)
}

/// Turns what went wrong into the end of the connection; what must end the loop goes on.
pub(super) unsafe fn guard(p: *mut SslProtocol, outcome: Res<()>, message: &str) -> Res<()> {
    match outcome {
        Ok(()) => Ok(()),
        Err(Raised) => {
            let exc = take();
            if errors::is(&exc, ffi::PyExc_Exception) {
                return fatal(p, &exc, message);
            }
            restore(exc);
            Err(Raised)
        }
    }
}

/// What a call to the application raised goes to the loop's handler, unless it must end the loop.
pub(super) unsafe fn report_raised(p: *mut SslProtocol, message: &str) -> Res<()> {
    let exc = take();
    if ends_loop(&exc) {
        restore(exc);
        return Err(Raised);
    }
    let transport = Obj::from_opt(ptr_or_null(&(*p).app_transport));
    report(p, message, &exc, transport)
}
