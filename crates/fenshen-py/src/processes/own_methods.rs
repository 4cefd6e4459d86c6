//! Methods of a native base that a class has as its own.
//!
//! The interpreter calls a native method directly only on objects of the very class that defines it. What a class
//! inherits, it calls as it calls anything, and that costs as much as a lock does.

use pyo3::ffi::{self, PyMethodDescrObject, PyObject, PyTypeObject};
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::object::{Obj, Res, attr, done};

unsafe fn is_native(method: &Obj) -> bool {
    ffi::Py_TYPE(method.ptr()) == &raw mut ffi::PyMethodDescr_Type
}

/// Whether two methods, as their classes have them, do the same.
pub(super) unsafe fn is_same(one: &Obj, other: &Obj) -> bool {
    let native = |method: &Obj| (*method.ptr().cast::<PyMethodDescrObject>()).d_method;
    one.ptr() == other.ptr() || (is_native(one) && is_native(other) && native(one) == native(other))
}

unsafe fn own(class: *mut PyObject, name: &Obj) -> Res<()> {
    let inherited = attr(class, name)?;
    if is_native(&inherited) {
        let method = (*inherited.ptr().cast::<PyMethodDescrObject>()).d_method;
        let own = Obj::new(ffi::PyDescr_NewMethod(class.cast::<PyTypeObject>(), method))?;
        done(ffi::PyObject_SetAttr(class, name.ptr(), own.ptr()))?;
    }
    Ok(())
}

/// Has a class have as its own the native methods of these names that it inherits.
#[pyfunction]
#[pyo3(signature = (class_, *names))]
fn own_methods(class_: &Bound<'_, PyType>, names: Vec<Bound<'_, PyAny>>) -> PyResult<()> {
    crate::exit::arm();
    for name in names {
        // SAFETY: both are alive, and what makes a method lives as long as its native class, which is for ever.
        unsafe { own(class_.as_ptr(), &Obj::from(name.as_ptr())) }.map_err(|e| crate::fetch(class_.py(), e))?;
    }
    Ok(())
}

pub(super) fn add_to(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(own_methods, m)?)
}
