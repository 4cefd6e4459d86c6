//! `StreamBase`: what a program has of a stream. When that is gone, nobody wants any more.

use std::ffi::{c_int, c_void};
use std::sync::Arc;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::flow::{Flow, Step};
use super::sink;
use crate::args::{Signature, sort_call};
use crate::errors::{self, entry, raise, raise_object, type_error};
use crate::methods::{getter, no_args, one_arg};
use crate::object::{Obj, Raised, Res, boolean, none};
use crate::processes::engine::{self, Engine};
use crate::processes::kinds;
use crate::threads::future::cancelled_error;
use crate::types::{TypeBuilder, free};

/// The layout of `StreamBase`.
#[repr(C)]
pub(crate) struct Stream {
    ob_base: PyObject,
    flow: Option<Arc<Flow>>,
}

const NEW: Signature<2> = Signature { func: "StreamBase", names: [c"engine", c"window"], positional: 2, required: 2 };

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let [engine, window] = sort_call(&NEW, args, kwargs)?;
        if ffi::Py_TYPE(engine) != kinds::engine() {
            return type_error("a stream is one of an Engine's");
        }
        let window = ffi::PyLong_AsLong(window);
        if window == -1 && !ffi::PyErr_Occurred().is_null() {
            return Err(Raised);
        }
        let Some(window) = i32::try_from(window).ok().filter(|n| *n > 0) else {
            return raise(ffi::PyExc_ValueError, "buffersize must be > 0 and < 2**31");
        };
        let pool = engine::own(engine.cast::<Engine>())?.pool.clone();
        let alloc = (*ty).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
        let o = Obj::new(alloc(ty, 0))?;
        let flow = Flow::new(std::process::id(), pool, window.unsigned_abs());
        std::ptr::write(&raw mut (*o.ptr().cast::<Stream>()).flow, Some(Arc::new(flow)));
        Ok(o)
    })
}

unsafe fn flow(s: *mut Stream) -> Res<Arc<Flow>> {
    match &(*s).flow {
        Some(flow) => Ok(flow.clone()),
        None => errors::runtime_error("the stream was not set up"),
    }
}

unsafe fn raise_cancelled<T>() -> Res<T> {
    raise(cancelled_error()?, "the pool was shut down")
}

unsafe extern "C" fn next(this: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let flow = flow(this.cast())?;
        let _alive = Obj::from(this);
        loop {
            match flow.step() {
                Step::Item(item) => return Ok(item),
                Step::Returned(value) => return Err(crate::future_iter::stop(value)),
                Step::Raised(exc) => return raise_object(&exc),
                Step::Cancelled => return raise_cancelled(),
                Step::Over => return Err(crate::future_iter::stop(none())),
                Step::Nothing => flow.wait(this)?,
            }
        }
    })
}

one_arg!(py_poll, |s: Stream, nothing| {
    match flow(s)?.step() {
        Step::Item(item) => Ok(item),
        Step::Raised(exc) => raise_object(&exc),
        Step::Cancelled => raise_cancelled(),
        Step::Returned(_) | Step::Over => {
            ffi::PyErr_SetNone(ffi::PyExc_StopAsyncIteration);
            Err(Raised)
        }
        Step::Nothing => Ok(Obj::from(nothing)),
    }
});
one_arg!(py_watch, |s: Stream, watcher| Ok(boolean(flow(s)?.watch(Obj::from(watcher)))));
one_arg!(py_unwatch, |s: Stream, watcher| {
    flow(s)?.unwatch(watcher);
    Ok(none())
});
one_arg!(py_sink, |s: Stream, on_end| {
    let flow = flow(s)?;
    if on_end != ffi::Py_None() {
        flow.set_on_end(Obj::from(on_end));
    }
    sink::make(&flow)
});
no_args!(py_stop, |s: Stream| {
    flow(s)?.close()?;
    Ok(none())
});
no_args!(py_join, |s: Stream| {
    let flow = flow(s)?;
    let _alive = Obj::from(s.cast());
    while !flow.has_ended() {
        flow.wait(s.cast())?;
    }
    match flow.take_error_of_close() {
        Some(exc) => raise_object(&exc),
        None => Ok(none()),
    }
});
getter!(get_ended, |s: Stream| Ok(boolean(flow(s)?.has_ended())));
getter!(get_value, |s: Stream| Ok(flow(s)?.value().unwrap_or_else(|| none())));

unsafe extern "C" fn traverse(this: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    let status = visitor(ffi::Py_TYPE(this).cast(), arg);
    match &(*this.cast::<Stream>()).flow {
        Some(flow) if status == 0 => flow.traverse(visitor, arg),
        _ => status,
    }
}

unsafe extern "C" fn clear(this: *mut PyObject) -> c_int {
    if let Some(flow) = &(*this.cast::<Stream>()).flow {
        flow.clear();
    }
    0
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    ffi::PyObject_GC_UnTrack(this.cast());
    if let Some(flow) = (*this.cast::<Stream>()).flow.take() {
        let raised = if ffi::PyErr_Occurred().is_null() { None } else { Some(errors::take()) };
        if flow.close().is_err() {
            ffi::PyErr_WriteUnraisable(std::ptr::null_mut());
        }
        drop(flow);
        if let Some(exc) = raised {
            errors::restore(exc);
        }
    }
    free(this);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<Stream>(c"fenshen._processes.StreamBase")
        .doc(c"StreamBase(engine, window)\n--\n\nThe items of a task, of which `window` at most are on their way or wait to be taken.\n\nRaises ValueError for a window below 1.")
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE)
        .slot(ffi::Py_tp_new, new as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, clear as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .slot(ffi::Py_tp_iter, ffi::PyObject_SelfIter as *mut c_void)
        .slot(ffi::Py_tp_iternext, next as *mut c_void)
        .generic()
        .property(c"value", get_value, None)
        .property(c"_ended", get_ended, None)
        .one_arg(c"_sink", py_sink, c"_sink($self, on_end, /)\n--\n\nWhat the task is to tell; `on_end()` is called when that has ended, unless it is None.")
        .one_arg(c"_poll", py_poll, c"_poll($self, nothing, /)\n--\n\nThe next item, or `nothing` if none has come yet.\n\nRaises StopAsyncIteration at the end, and what the generator raised.")
        .one_arg(c"_watch", py_watch, c"_watch($self, watcher, /)\n--\n\nHave `watcher()` called, by any thread, once there is something to take; False if there is.")
        .one_arg(c"_unwatch", py_unwatch, c"_unwatch($self, watcher, /)\n--\n\nHave it not called any more.")
        .no_args(c"_stop", py_stop, c"_stop($self, /)\n--\n\nHave the generator closed.")
        .no_args(c"_join", py_join, c"_join($self, /)\n--\n\nWait until the task has ended.\n\nRaises what the generator raised when it was closed.")
        .build(None)
}
