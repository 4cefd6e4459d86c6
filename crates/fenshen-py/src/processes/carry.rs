//! What is pickled for another process of ours may hold shared memory: `fenshen._segments` is told when.

use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;

use super::known::known;
use crate::object::{Obj, Res, call, call_method};

/// The context manager class, once there can be any shared memory.
static CARRYING: AtomicPtr<PyObject> = AtomicPtr::new(std::ptr::null_mut());

/// Has `carrying` entered around everything that is pickled for a process of ours.
#[pyfunction]
fn carry_with(carrying: Bound<'_, PyAny>) {
    CARRYING.store(carrying.into_ptr(), Ordering::Release);
}

/// A context that was entered, and its list of segments.
pub(crate) struct Carried(Obj, Obj);

/// Enters it, where there is one.
pub(crate) unsafe fn begin() -> Res<Option<Carried>> {
    let class = CARRYING.load(Ordering::Acquire);
    if class.is_null() {
        return Ok(None);
    }
    let context = call(class, &[])?;
    let pins = call_method(&known().enter, &[context.ptr()])?;
    Ok(Some(Carried(context, pins)))
}

/// Leaves it; the segments that were pickled meanwhile, if any.
pub(crate) unsafe fn end(carried: Option<Carried>) -> Res<Option<Obj>> {
    let Some(Carried(context, pins)) = carried else {
        return Ok(None);
    };
    let nothing = ffi::Py_None();
    call_method(&known().exit, &[context.ptr(), nothing, nothing, nothing])?;
    Ok((ffi::PyObject_Size(pins.ptr()) > 0).then_some(pins))
}

pub(crate) fn add_to(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(carry_with, m)?)
}
