//! How an iterator says that it is over, and with what value.

use pyo3::ffi;

use crate::object::{Obj, Raised};

/// Ends a `tp_iternext` slot with `value`: what an `await` of a native object comes back with from Python 3.12 on,
/// where the interpreter calls that slot. Nothing raised at all means `None`; any other value travels in a
/// `StopIteration`, filled in by hand since calling the class costs more than the rest of the step.
#[inline]
pub(crate) unsafe fn end_iteration(value: Obj) -> Raised {
    if value.ptr() == ffi::Py_None() {
        return Raised;
    }
    #[cfg(Py_3_12)]
    {
        carrier::raise(value)
    }
    #[cfg(not(Py_3_12))]
    {
        crate::future_iter::stop(value)
    }
}

/// The exception that carries a value.
#[cfg(Py_3_12)]
mod carrier {
    use std::cell::UnsafeCell;
    use std::ptr;

    use pyo3::ffi::{self, PyObject, PyStopIterationObject};

    use crate::object::{Obj, Raised};

    /// One that is used again and again: the interpreter takes the value out of it and lets go of it at once.
    struct Spare(UnsafeCell<*mut PyStopIterationObject>);
    // SAFETY: used only by threads that hold the GIL (the crate's contract).
    unsafe impl Sync for Spare {}
    static SPARE: Spare = Spare(UnsafeCell::new(ptr::null_mut()));

    /// It keeps its value until the next one comes. That is nobody's loss where the value is a short `bytes` object,
    /// which has no finalizer, no weak references and no size to speak of.
    const SHORT: isize = 4096;

    #[inline]
    unsafe fn may_stay(value: *mut PyObject) -> bool {
        ffi::PyBytes_CheckExact(value) != 0 && ffi::PyBytes_Size(value) <= SHORT
    }

    #[inline]
    pub(super) unsafe fn raise(value: Obj) -> Raised {
        if may_stay(value.ptr()) {
            let spare = *SPARE.0.get();
            if !spare.is_null() && ffi::Py_REFCNT(spare.cast()) == 1 && (*spare).traceback.is_null() {
                let before = ptr::replace(&raw mut (*spare).value, value.into_ptr());
                ffi::Py_XDECREF(before);
                ffi::Py_INCREF(spare.cast());
                ffi::PyErr_SetRaisedException(spare.cast());
                return Raised;
            }
            return replace(value);
        }
        let exc = with_args(ffi::PyTuple_Pack(1, value.ptr()));
        if !exc.is_null() {
            (*exc).value = value.into_ptr();
            ffi::PyErr_SetRaisedException(exc.cast());
        }
        Raised
    }

    /// The first of all, or the one after one that somebody has kept.
    #[cold]
    unsafe fn replace(value: Obj) -> Raised {
        let exc = with_args(ffi::PyTuple_New(0));
        if exc.is_null() {
            return Raised;
        }
        (*exc).value = value.into_ptr();
        ffi::Py_INCREF(exc.cast());
        let before = ptr::replace(SPARE.0.get(), exc);
        ffi::Py_XDECREF(before.cast());
        ffi::PyErr_SetRaisedException(exc.cast());
        Raised
    }

    /// A new one, without a value; null where memory is out.
    unsafe fn with_args(args: *mut PyObject) -> *mut PyStopIterationObject {
        if args.is_null() {
            return ptr::null_mut();
        }
        // Zeroed memory is an exception without traceback, context and cause.
        let exc: *mut PyStopIterationObject = ffi::PyType_GenericAlloc(ffi::PyExc_StopIteration.cast(), 0).cast();
        if exc.is_null() {
            ffi::Py_DECREF(args);
        } else {
            (*exc).args = args;
        }
        exc
    }
}
