//! Raising, catching and comparing exceptions; the wall between a Rust panic and the interpreter.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use pyo3::ffi::{self, PyObject};

use crate::object::{Obj, Raised, Res, text};

/// Raises `kind(message)`.
#[cold]
pub(crate) unsafe fn raise<T>(kind: *mut PyObject, message: &str) -> Res<T> {
    if let Ok(message) = text(message) {
        ffi::PyErr_SetObject(kind, message.ptr());
    }
    Err(Raised)
}

/// Raises `RuntimeError(message)`.
#[cold]
pub(crate) unsafe fn runtime_error<T>(message: &str) -> Res<T> {
    raise(ffi::PyExc_RuntimeError, message)
}

/// Raises `TypeError(message)`.
#[cold]
pub(crate) unsafe fn type_error<T>(message: &str) -> Res<T> {
    raise(ffi::PyExc_TypeError, message)
}

/// An exception object `kind(message)`, not raised.
pub(crate) unsafe fn make(kind: *mut PyObject, message: &str) -> Res<Obj> {
    let message = text(message)?;
    crate::object::call(kind, &[message.ptr()])
}

/// Raises an exception object.
pub(crate) unsafe fn raise_object<T>(exc: &Obj) -> Res<T> {
    ffi::PyErr_SetObject(ffi::Py_TYPE(exc.ptr()).cast(), exc.ptr());
    Err(Raised)
}

/// Takes the raised exception out of the indicator, with its traceback set on it.
pub(crate) unsafe fn take() -> Obj {
    #[cfg(Py_3_12)]
    {
        Obj::steal(ffi::PyErr_GetRaisedException())
    }
    #[cfg(not(Py_3_12))]
    {
        let (mut kind, mut value, mut tb) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        ffi::PyErr_Fetch(&mut kind, &mut value, &mut tb);
        ffi::PyErr_NormalizeException(&mut kind, &mut value, &mut tb);
        if !tb.is_null() {
            ffi::PyException_SetTraceback(value, tb);
            ffi::Py_DECREF(tb);
        }
        ffi::Py_XDECREF(kind);
        Obj::steal(value)
    }
}

/// Puts an exception back as [`take`] found it.
pub(crate) unsafe fn restore(exc: Obj) {
    #[cfg(Py_3_12)]
    {
        ffi::PyErr_SetRaisedException(exc.into_ptr());
    }
    #[cfg(not(Py_3_12))]
    {
        let kind = Obj::from(ffi::Py_TYPE(exc.ptr()).cast());
        let tb = ffi::PyException_GetTraceback(exc.ptr());
        ffi::PyErr_Restore(kind.into_ptr(), exc.into_ptr(), tb);
    }
}

/// Whether `exc` is an instance of `kind`.
pub(crate) unsafe fn is(exc: &Obj, kind: *mut PyObject) -> bool {
    ffi::PyErr_GivenExceptionMatches(exc.ptr(), kind) != 0
}

/// Whether it must end the loop: `KeyboardInterrupt` and `SystemExit` are no callback's own affair.
pub(crate) unsafe fn ends_loop(exc: &Obj) -> bool {
    is(exc, ffi::PyExc_KeyboardInterrupt) || is(exc, ffi::PyExc_SystemExit)
}

/// What `StopIteration` carries, if that is what is raised; it is taken out of the indicator then.
pub(crate) unsafe fn stop_value() -> Res<Obj> {
    if ffi::PyErr_Occurred().is_null() {
        return Ok(crate::object::none());
    }
    if ffi::PyErr_ExceptionMatches(ffi::PyExc_StopIteration) == 0 {
        return Err(Raised);
    }
    let exc = take();
    crate::object::attr(exc.ptr(), &crate::names::names().value)
}

/// Runs a body that may panic, and turns the panic into a Python exception. What it calls may be the last thing that a
/// daemon thread does: see `exit`.
#[inline(always)]
pub(crate) fn wall<T>(failed: T, body: impl FnOnce() -> Res<T>) -> T {
    crate::exit::arm();
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => value,
        Ok(Err(Raised)) => failed,
        Err(payload) => {
            panicked(payload);
            failed
        }
    }
}

#[cold]
fn panicked(payload: Box<dyn std::any::Any + Send>) {
    let message = payload
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a Rust panic without a message".into());
    // SAFETY: walls stand only around slots and methods that the interpreter calls, so the thread is attached.
    pyo3::Python::attach(|py| pyo3::panic::PanicException::new_err(message).restore(py));
}

/// [`wall`] for what returns an object.
#[inline(always)]
pub(crate) fn entry(body: impl FnOnce() -> Res<Obj>) -> *mut PyObject {
    wall(ptr::null_mut(), || body().map(Obj::into_ptr))
}

/// [`wall`] for what returns a status.
#[inline(always)]
pub(crate) fn status(body: impl FnOnce() -> Res<()>) -> std::ffi::c_int {
    wall(-1, || body().map(|()| 0))
}
