//! `Field(name)`: an attribute of what a wrapper guards, read and written while its lock is held.

use std::ffi::{c_int, c_void};
use std::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::synchronized::{check, number, with_lock};
use crate::args::{Signature, sort_call};
use crate::errors::{entry, raise, status};
use crate::object::{Obj, Res, attr, clear, done};
use crate::types::{TypeBuilder, free};

/// The layout of `Field`.
#[repr(C)]
struct Field {
    ob_base: PyObject,
    name: Option<Obj>,
    /// Whether the name is `value`.
    is_value: bool,
}

const NEW: Signature<1> = Signature { func: "Field", names: [c"name"], positional: 1, required: 1 };

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let [name] = sort_call(&NEW, args, kwargs)?;
        if ffi::PyUnicode_Check(name) == 0 {
            return raise(ffi::PyExc_TypeError, "a name is a str");
        }
        let this = Obj::new(ffi::PyType_GenericAlloc(ty, 0))?;
        let field: *mut Field = this.ptr().cast();
        ptr::write(&raw mut (*field).name, Some(Obj::from(name)));
        (*field).is_value = ffi::PyUnicode_CompareWithASCIIString(name, c"value".as_ptr()) == 0;
        Ok(this)
    })
}

unsafe fn name_of(this: *mut PyObject) -> Res<Obj> {
    match &(*this.cast::<Field>()).name {
        Some(name) => Ok(name.again()),
        None => raise(ffi::PyExc_AttributeError, "name"),
    }
}

unsafe extern "C" fn get(this: *mut PyObject, owner: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    entry(|| {
        if owner.is_null() || owner == ffi::Py_None() {
            return Ok(Obj::from(this));
        }
        let (owner, name) = (check(owner)?, name_of(this)?);
        let number = number(owner).filter(|_| (*this.cast::<Field>()).is_value);
        with_lock(owner, |obj| match number {
            Some(number) => number.get(),
            None => attr(obj.ptr(), &name),
        })
    })
}

unsafe extern "C" fn set(this: *mut PyObject, owner: *mut PyObject, value: *mut PyObject) -> c_int {
    status(|| {
        if value.is_null() {
            return raise(ffi::PyExc_AttributeError, "can't delete attribute");
        }
        let (owner, name) = (check(owner)?, name_of(this)?);
        let number = number(owner).filter(|_| (*this.cast::<Field>()).is_value);
        with_lock(owner, |obj| match number {
            Some(number) if number.set(value)? => Ok(()),
            _ => done(ffi::PyObject_SetAttr(obj.ptr(), name.ptr(), value)),
        })
    })
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    clear(&mut (*this.cast::<Field>()).name);
    free(this);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<Field>(c"fenshen._processes.Field")
        .doc(c"Field(name)\n--\n\nAn attribute of what a synchronized wrapper guards, read and written while its lock is held.")
        .slot(ffi::Py_tp_new, new as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .slot(ffi::Py_tp_descr_get, get as *mut c_void)
        .slot(ffi::Py_tp_descr_set, set as *mut c_void)
        .build(None)
}
