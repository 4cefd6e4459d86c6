//! `Life`: whether a thread of another process still lives.

use std::sync::atomic::{AtomicPtr, Ordering};

use fenshen_shm::Life;
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::super::kinds;
use super::{PySegment, held, os_error};
use crate::args::{Signature, sort_call};
use crate::errors::{entry, type_error};
use crate::methods::no_args;
use crate::object::{Obj, Res, boolean};
use crate::types::{TypeBuilder, free};

/// The layout of `Life`.
#[repr(C)]
pub(crate) struct PyLife {
    ob_base: PyObject,
    /// Keeps the memory.
    segment: Option<Obj>,
    life: Option<Life>,
}

const NEW: Signature<2> = Signature { func: "Life", names: [c"segment", c"begin"], positional: 2, required: 1 };

/// The segment that an argument must be.
pub(crate) unsafe fn segment_of(o: *mut PyObject) -> Res<*mut PySegment> {
    match ffi::Py_TYPE(o) == kinds::segment() {
        true => Ok(o.cast()),
        false => type_error("a Segment is required"),
    }
}

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let [segment, begin] = sort_call(&NEW, args, kwargs)?;
        let begins = !begin.is_null() && ffi::PyObject_IsTrue(begin) > 0;
        let memory = held(segment_of(segment)?)?;
        let made = if begins { Life::begin(memory) } else { Life::watch(memory) };
        let life = match made {
            Ok(life) => life,
            Err(error) => return os_error(&error),
        };
        if begins {
            // The kernel will look for it when the thread ends.
            ffi::Py_INCREF(segment);
        }
        let o = Obj::new(ffi::PyType_GenericAlloc(ty, 0))?;
        let this: *mut PyLife = o.ptr().cast();
        std::ptr::write(&raw mut (*this).segment, Some(Obj::from(segment)));
        std::ptr::write(&raw mut (*this).life, Some(life));
        Ok(o)
    })
}

unsafe extern "C" fn dealloc(o: *mut PyObject) {
    let this: *mut PyLife = o.cast();
    (*this).life = None;
    drop((*this).segment.take());
    free(o);
}

no_args!(py_is_over, |this: PyLife| Ok(boolean((*this).is_over())));

static TYPE: AtomicPtr<PyTypeObject> = AtomicPtr::new(std::ptr::null_mut());

/// `Life`.
pub(super) fn life_type() -> *mut PyTypeObject {
    TYPE.load(Ordering::Relaxed)
}

impl PyLife {
    /// Whether the thread has ended.
    pub(super) fn is_over(&self) -> bool {
        self.life.as_ref().is_none_or(Life::is_over)
    }
}

/// Makes the type.
pub(super) unsafe fn build() -> Res<*mut PyTypeObject> {
    let ty = TypeBuilder::new::<PyLife>(c"fenshen._processes.Life")
        .doc(c"Life(segment, begin=False)\n--\n\nA thread's life, as all who have the segment can see it: the calling thread's with begin=True, which takes a new\nsegment and keeps it for ever, or that of the thread which did so.")
        .slot(ffi::Py_tp_new, new as *mut _)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut _)
        .no_args(c"is_over", py_is_over, c"is_over($self, /)\n--\n\nWhether the thread has ended, in whatever way.")
        .build(None)?;
    TYPE.store(ty, Ordering::Relaxed);
    super::tell_size(ty, Life::SIZE)?;
    Ok(ty)
}
