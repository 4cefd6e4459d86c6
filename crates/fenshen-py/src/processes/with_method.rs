//! `__enter__` and `__exit__` of a lock, as `with` looks them up.
//!
//! Up to Python 3.13, `with` binds both to the object before it calls either, and the interpreter's bound methods are
//! made and freed through the garbage collector, which costs more than a lock does. What is bound here is a plain
//! object, and the last one that was let go is used again.

use std::ffi::{CStr, c_void};
use std::mem::offset_of;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::kinds;
use crate::errors::entry;
use crate::object::{Obj, Res, clear};
use crate::types::{TypeBuilder, free};

/// What a method does, given what `with` hands over.
pub(super) type Call = unsafe extern "C" fn(*mut PyObject, *const *mut PyObject, usize, *mut PyObject) -> *mut PyObject;

/// In the class: what is bound.
#[repr(C)]
struct WithMethod {
    ob_base: PyObject,
    /// The interpreter's own descriptor, for whoever asks the class.
    plain: Option<Obj>,
    call: Call,
}

/// The method of one object.
#[repr(C)]
pub(super) struct Bound {
    ob_base: PyObject,
    call: Call,
    object: *mut PyObject,
}

static SPARE: [AtomicPtr<Bound>; 2] = [const { AtomicPtr::new(ptr::null_mut()) }; 2];

/// The object that a method was bound to.
#[inline]
pub(super) unsafe fn object(bound: *mut PyObject) -> *mut PyObject {
    (*bound.cast::<Bound>()).object
}

unsafe extern "C" fn bind(this: *mut PyObject, object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    let method: *mut WithMethod = this.cast();
    if object.is_null() {
        let plain = (*method).plain.as_ref().map_or(this, Obj::ptr);
        return Obj::from(plain).into_ptr();
    }
    let bound = spare();
    let bound = if bound.is_null() { ffi::PyType_GenericAlloc(kinds::bound(), 0).cast() } else { bound };
    if !bound.is_null() {
        (*bound).call = (*method).call;
        (*bound).object = Obj::from(object).into_ptr();
    }
    bound.cast()
}

/// One that was let go, as new.
#[inline]
unsafe fn spare() -> *mut Bound {
    if cfg!(not(Py_GIL_DISABLED)) {
        for place in &SPARE {
            let bound = place.load(Ordering::Relaxed);
            if !bound.is_null() {
                place.store(ptr::null_mut(), Ordering::Relaxed);
                return ffi::PyObject_Init(bound.cast(), kinds::bound()).cast();
            }
        }
    }
    ptr::null_mut()
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    let bound: *mut Bound = this.cast();
    let object = (*bound).object;
    let place = SPARE.iter().find(|place| cfg!(not(Py_GIL_DISABLED)) && place.load(Ordering::Relaxed).is_null());
    match place {
        Some(place) => {
            place.store(bound, Ordering::Relaxed);
            ffi::Py_DECREF(ffi::Py_TYPE(this).cast());
        }
        None => free(this),
    }
    ffi::Py_DECREF(object);
}

unsafe extern "C" fn dealloc_method(this: *mut PyObject) {
    clear(&mut (*this.cast::<WithMethod>()).plain);
    free(this);
}

/// Puts such a method in the place of the interpreter's own.
pub(super) unsafe fn replace(ty: *mut PyTypeObject, name: &CStr, call: Call) -> Res<()> {
    let plain = Obj::new(ffi::PyObject_GetAttrString(ty.cast(), name.as_ptr()))?;
    let method = Obj::new(ffi::PyType_GenericAlloc(kinds::with_method(), 0))?;
    let layout: *mut WithMethod = method.ptr().cast();
    ptr::write(&raw mut (*layout).plain, Some(plain));
    (*layout).call = call;
    crate::object::done(ffi::PyObject_SetAttrString(ty.cast(), name.as_ptr(), method.ptr()))
}

unsafe extern "C" fn get_self(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    entry(|| Ok(Obj::from((*this.cast::<Bound>()).object)))
}

/// Makes the type of the methods.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<WithMethod>(c"fenshen._processes.WithMethod")
        .flags(ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION)
        .slot(ffi::Py_tp_dealloc, dealloc_method as *mut c_void)
        .slot(ffi::Py_tp_descr_get, bind as *mut c_void)
        .build(None)
}

/// Makes the type of what is bound.
pub(crate) unsafe fn build_bound() -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<Bound>(c"fenshen._processes.BoundMethod")
        .flags(ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION | ffi::Py_TPFLAGS_HAVE_VECTORCALL)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .slot(ffi::Py_tp_call, ffi::PyVectorcall_Call as *mut c_void)
        .member(c"__vectorcalloffset__", ffi::Py_T_PYSSIZET, offset_of!(Bound, call), true)
        .property(c"__self__", get_self, None)
        .build(None)
}
