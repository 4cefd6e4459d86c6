//! What awaiting a future of ours runs on: it yields the future once, then gives its result.

use std::ffi::{c_int, c_void};
use std::ptr;

use pyo3::ffi::{self, PyObject};

use crate::args::Args;
use crate::errors::{entry, raise_object, runtime_error, wall};
use crate::future::{self, Future, Outcome, State};
use crate::kinds;
use crate::object::{Obj, Raised, Res, clear, none, visit};
use crate::stop::end_iteration;
use crate::types::{TypeBuilder, free};

/// The iterator; it holds its future until that is done.
#[repr(C)]
pub(crate) struct FutureIter {
    ob_base: PyObject,
    future: Option<Obj>,
}

/// `future.__await__()`.
pub(crate) unsafe fn over(f: *mut Future) -> Res<Obj> {
    future::alive(f)?;
    let ty = kinds::future_iter();
    let it: *mut FutureIter = ffi::PyType_GenericAlloc(ty, 0).cast();
    let made = Obj::new(it.cast())?;
    (*it).future = Some(Obj::from(f.cast()));
    Ok(made)
}

/// One step of an await, shared by everything that awaits a future natively.
pub(crate) enum Await {
    /// The future is not done: yield it.
    Yield(Obj),
    /// The await is over.
    Return(Obj),
}

unsafe fn advance(it: *mut FutureIter) -> Res<Await> {
    let Some(held) = &(*it).future else {
        return Ok(Await::Return(none()));
    };
    let f: *mut Future = held.ptr().cast();
    if (*f).state == State::Pending {
        if (*f).blocking {
            return runtime_error("await wasn't used with future");
        }
        (*f).blocking = true;
        return Ok(Await::Yield(held.again()));
    }
    let held = (*it).future.take();
    let outcome = future::outcome(f)?;
    drop(held);
    match outcome {
        Outcome::Result(result) => Ok(Await::Return(result)),
        Outcome::Exception(exc) => raise_object(&exc),
    }
}

unsafe extern "C" fn am_send(it: *mut PyObject, _value: *mut PyObject, out: *mut *mut PyObject) -> ffi::PySendResult {
    wall(ffi::PySendResult::PYGEN_ERROR, || {
        *out = ptr::null_mut();
        match advance(it.cast())? {
            Await::Yield(f) => {
                *out = f.into_ptr();
                Ok(ffi::PySendResult::PYGEN_NEXT)
            }
            Await::Return(value) => {
                *out = value.into_ptr();
                Ok(ffi::PySendResult::PYGEN_RETURN)
            }
        }
    })
}

/// Raises `StopIteration(value)`, whatever the value is.
pub(crate) unsafe fn stop(value: Obj) -> Raised {
    if value.ptr() == ffi::Py_None() {
        ffi::PyErr_SetNone(ffi::PyExc_StopIteration);
    } else if let Ok(exc) = crate::object::call(ffi::PyExc_StopIteration, &[value.ptr()]) {
        ffi::PyErr_SetObject(ffi::PyExc_StopIteration, exc.ptr());
    }
    Raised
}

unsafe extern "C" fn next(it: *mut PyObject) -> *mut PyObject {
    entry(|| match advance(it.cast())? {
        Await::Yield(f) => Ok(f),
        Await::Return(value) => Err(end_iteration(value)),
    })
}

unsafe extern "C" fn send(it: *mut PyObject, _value: *mut PyObject) -> *mut PyObject {
    entry(|| match advance(it.cast())? {
        Await::Yield(f) => Ok(f),
        Await::Return(value) => Err(stop(value)),
    })
}

unsafe extern "C" fn throw(
    it: *mut PyObject,
    args: *const *mut PyObject,
    n: ffi::Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    entry(|| {
        let exc = thrown(Args::new(args, n, names).positional())?;
        clear(&mut (*it.cast::<FutureIter>()).future);
        raise_object(&exc)
    })
}

/// The exception that `throw(type[, value[, traceback]])` names, made an instance.
pub(crate) unsafe fn thrown(args: &[*mut PyObject]) -> Res<Obj> {
    let Some(&kind) = args.first() else {
        return crate::errors::type_error("throw expected at least 1 argument, got 0");
    };
    if cfg!(Py_3_12) && args.len() > 1 {
        let message = c"the (type, exc, tb) signature of throw() is deprecated, use the single-arg signature instead.";
        crate::object::done(ffi::PyErr_WarnEx(ffi::PyExc_DeprecationWarning, message.as_ptr(), 1))?;
    }
    let value = args.get(1).map_or(ptr::null_mut(), |v| crate::object::not_none(*v));
    let tb = args.get(2).map_or(ptr::null_mut(), |v| crate::object::not_none(*v));
    if !tb.is_null() && ffi::PyTraceBack_Check(tb) == 0 {
        return crate::errors::type_error("throw() third argument must be a traceback");
    }
    let exc = if ffi::PyExceptionInstance_Check(kind) != 0 {
        if !value.is_null() {
            return crate::errors::type_error("instance exception may not have a separate value");
        }
        Obj::from(kind)
    } else if ffi::PyExceptionClass_Check(kind) != 0 {
        if value.is_null() {
            crate::object::call(kind, &[])?
        } else if ffi::PyObject_IsInstance(value, kind) == 1 {
            Obj::from(value)
        } else if ffi::PyTuple_Check(value) != 0 {
            Obj::new(ffi::PyObject_CallObject(kind, value))?
        } else {
            crate::object::call(kind, &[value])?
        }
    } else {
        let class = crate::object::attr(ffi::Py_TYPE(kind).cast(), &crate::names::names().name)?;
        let class = crate::object::utf8(class.ptr())?;
        return crate::errors::type_error(&format!(
            "exceptions must be classes or instances deriving from BaseException, not {class}"
        ));
    };
    if !tb.is_null() {
        crate::object::done(ffi::PyException_SetTraceback(exc.ptr(), tb))?;
    }
    Ok(exc)
}

unsafe extern "C" fn close(it: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    entry(|| {
        clear(&mut (*it.cast::<FutureIter>()).future);
        Ok(none())
    })
}

unsafe extern "C" fn traverse(it: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    let status = visitor(ffi::Py_TYPE(it).cast(), arg);
    if status != 0 { status } else { visit(&(*it.cast::<FutureIter>()).future, visitor, arg) }
}

unsafe extern "C" fn gc_clear(it: *mut PyObject) -> c_int {
    clear(&mut (*it.cast::<FutureIter>()).future);
    0
}

unsafe extern "C" fn dealloc(it: *mut PyObject) {
    ffi::PyObject_GC_UnTrack(it.cast());
    gc_clear(it);
    free(it);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut ffi::PyTypeObject> {
    TypeBuilder::new::<FutureIter>(c"fenshen._fenshen.FutureIter")
        .flags(ffi::Py_TPFLAGS_HAVE_GC)
        .slot(ffi::Py_am_send, am_send as *mut c_void)
        .slot(ffi::Py_tp_iter, ffi::PyObject_SelfIter as *mut c_void)
        .slot(ffi::Py_tp_iternext, next as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, gc_clear as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .one_arg(c"send", send, c"Go on; the value sent is not used.")
        .fast(c"throw", throw, c"Raise an exception here; the await is over.")
        .no_args(c"close", close, c"Let go of the future.")
        .build(None)
}
