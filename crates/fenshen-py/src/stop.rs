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
        let ty: *mut ffi::PyTypeObject = ffi::PyExc_StopIteration.cast();
        let args = ffi::PyTuple_Pack(1, value.ptr());
        if args.is_null() {
            return Raised;
        }
        // Zeroed memory is an exception without traceback, context and cause.
        let exc: *mut ffi::PyStopIterationObject = ffi::PyType_GenericAlloc(ty, 0).cast();
        if exc.is_null() {
            ffi::Py_DECREF(args);
            return Raised;
        }
        (*exc).args = args;
        (*exc).value = value.into_ptr();
        ffi::PyErr_SetRaisedException(exc.cast());
        Raised
    }
    #[cfg(not(Py_3_12))]
    {
        crate::future_iter::stop(value)
    }
}
