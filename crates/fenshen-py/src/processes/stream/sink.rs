//! `StreamSink`: what a stream's task tells of its items and its end.

use std::ffi::c_void;
use std::sync::Arc;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::flow::{End, Flow};
use crate::args::{Signature, sort_call};
use crate::errors::entry;
use crate::methods::no_args;
use crate::object::{Obj, Res, boolean, none};
use crate::processes::kinds;
use crate::types::{TypeBuilder, free};

/// The layout of `StreamSink`.
#[repr(C)]
pub(super) struct Sink {
    ob_base: PyObject,
    flow: Option<Arc<Flow>>,
}

/// One of a stream.
pub(super) unsafe fn make(flow: &Arc<Flow>) -> Res<Obj> {
    let o = Obj::new(ffi::PyType_GenericAlloc(kinds::stream_sink(), 0))?;
    std::ptr::write(&raw mut (*o.ptr().cast::<Sink>()).flow, Some(flow.clone()));
    Ok(o)
}

/// The stream that a task's sink belongs to, if it is one of a stream.
pub(crate) fn flow_of(sink: &Obj) -> Option<Arc<Flow>> {
    // SAFETY: the object is alive, and its type says what its layout is.
    unsafe {
        let is_sink = ffi::Py_TYPE(sink.ptr()) == kinds::stream_sink();
        if is_sink { (*sink.ptr().cast::<Sink>()).flow.clone() } else { None }
    }
}

unsafe extern "C" fn tell(this: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    const TELL: Signature<2> = Signature { func: "StreamSink", names: [c"well", c"value"], positional: 2, required: 2 };
    entry(|| {
        let [well, value] = sort_call(&TELL, args, kwargs)?;
        let value = Obj::from(value);
        let end = if ffi::PyObject_IsTrue(well) == 1 { End::Returned(value) } else { End::Raised(value) };
        if let Some(flow) = flow_of(&Obj::from(this)) {
            flow.end(end)?;
        }
        Ok(none())
    })
}

no_args!(py_cancel, |s: Sink| {
    if let Some(flow) = (*s).flow.clone() {
        flow.end(End::Closed)?;
    }
    Ok(boolean(true))
});

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    drop((*this.cast::<Sink>()).flow.take());
    free(this);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<Sink>(c"fenshen._processes.StreamSink")
        .doc(c"What a stream's task tells of its end: it is called with whether it went well, and the outcome.")
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .slot(ffi::Py_tp_call, tell as *mut c_void)
        .flags(ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION)
        .no_args(c"cancel", py_cancel, c"cancel($self, /)\n--\n\nSay that the task was taken back.")
        .build(None)
}
