//! What the three types have in common: the beginning of their layout, weak references, a place in garbage collection,
//! and the way into other processes.

use std::ffi::{CStr, c_int, c_void};
use std::mem::offset_of;
use std::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::shared::{self, Shared};
use crate::errors::entry;
use crate::object::{Obj, Res, boolean};
use crate::types::{TypeBuilder, free};

/// The beginning of every such layout.
#[repr(C)]
pub(super) struct Head {
    ob_base: PyObject,
    weakrefs: *mut PyObject,
    /// Where it lies, if it is shared.
    pub(super) shared: Option<Box<Shared>>,
}

/// A type whose layout begins with [`Head`].
pub(super) trait Headed: Sized {
    /// Its name.
    const NAME: &'static str;
    /// Fills the fields after the head of a new object, which are zero.
    unsafe fn prepare(this: *mut Self);
    /// Visits the fields after the head.
    unsafe fn visit(_this: *mut Self, _visitor: ffi::visitproc, _arg: *mut c_void) -> c_int {
        0
    }
    /// Drops the objects in the fields after the head, which may be used on.
    unsafe fn empty(_this: *mut Self) {}
    /// Drops the fields after the head for good.
    unsafe fn end(_this: *mut Self) {}
}

/// A new object of type `ty`, which is `T`'s or derived from it.
pub(super) unsafe fn allocate<T: Headed>(ty: *mut PyTypeObject, shared: Option<Box<Shared>>) -> Res<Obj> {
    let alloc = (*ty).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
    let made = Obj::new(alloc(ty, 0))?;
    let head: *mut Head = made.ptr().cast();
    ptr::write(&raw mut (*head).shared, shared);
    T::prepare(head.cast());
    Ok(made)
}

unsafe extern "C" fn traverse<T: Headed>(this: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    match (visitor(ffi::Py_TYPE(this).cast(), arg), shared::of(this)) {
        (0, Some(shared)) => shared.traverse(visitor, arg),
        (0, None) => T::visit(this.cast(), visitor, arg),
        (status, _) => status,
    }
}

unsafe extern "C" fn gc_clear<T: Headed>(this: *mut PyObject) -> c_int {
    T::empty(this.cast());
    shared::release(this.cast());
    0
}

unsafe extern "C" fn dealloc<T: Headed>(this: *mut PyObject) {
    ffi::PyObject_GC_UnTrack(this.cast());
    if !(*this.cast::<Head>()).weakrefs.is_null() {
        ffi::PyObject_ClearWeakRefs(this);
    }
    gc_clear::<T>(this);
    T::end(this.cast());
    free(this);
}

unsafe extern "C" fn reduce<T: Headed>(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    entry(|| shared::reduce(this, T::NAME))
}

unsafe extern "C" fn get_shared(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    entry(|| Ok(boolean(shared::of(this).is_some())))
}

/// What the types have in common; `name` is with its module.
pub(super) fn builder<T: Headed>(name: &'static CStr, doc: &'static CStr) -> TypeBuilder {
    TypeBuilder::new::<T>(name)
        .doc(doc)
        .flags(ffi::Py_TPFLAGS_HAVE_GC)
        .weakrefs(offset_of!(Head, weakrefs))
        .slot(ffi::Py_tp_traverse, traverse::<T> as *mut c_void)
        .slot(ffi::Py_tp_clear, gc_clear::<T> as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc::<T> as *mut c_void)
        .property(c"shared", get_shared, None)
        .no_args(
            c"__reduce__",
            reduce::<T>,
            c"__reduce__($self, /)\n--\n\nFor another process; RuntimeError where it is not on its way to one.",
        )
}
