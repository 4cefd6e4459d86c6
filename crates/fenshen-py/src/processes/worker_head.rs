//! What the types of workers have in common: their layout, and how it is freed.

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::segment::os_error;
use crate::errors::{self, type_error};
use crate::object::{Obj, Res};
use crate::types::free;

/// The layout of a type that holds an `Inner` once it is set up.
#[repr(C)]
pub(crate) struct Holder<Inner> {
    ob_base: PyObject,
    inner: Option<Box<Inner>>,
}

/// A new object of type `ty`, which has this layout.
pub(super) unsafe fn make<Inner>(ty: *mut PyTypeObject, inner: Inner) -> Res<Obj> {
    let made = Obj::new(ffi::PyType_GenericAlloc(ty, 0))?;
    std::ptr::write(&raw mut (*made.ptr().cast::<Holder<Inner>>()).inner, Some(Box::new(inner)));
    Ok(made)
}

pub(super) unsafe extern "C" fn dealloc<Inner>(this: *mut PyObject) {
    drop((*this.cast::<Holder<Inner>>()).inner.take());
    free(this);
}

/// What it holds.
pub(crate) unsafe fn inner<'a, Inner>(this: *mut Holder<Inner>) -> Res<&'a mut Inner> {
    match &mut (*this).inner {
        Some(inner) => Ok(inner),
        None => errors::runtime_error("the worker was not set up"),
    }
}

/// What the link to the pool said.
pub(super) unsafe fn checked<T>(outcome: std::io::Result<T>) -> Res<T> {
    match outcome {
        Ok(value) => Ok(value),
        Err(error) if error.raw_os_error().is_some() => os_error(&error),
        Err(error) => errors::runtime_error(&error.to_string()),
    }
}

/// A note's bytes, as long as nobody lets go of it.
pub(super) unsafe fn note_of<'a>(note: *mut PyObject) -> Res<&'a [u8]> {
    if ffi::PyBytes_Check(note) == 0 {
        return type_error("a note is bytes");
    }
    let start = ffi::PyBytes_AsString(note).cast::<u8>();
    Ok(std::slice::from_raw_parts(start, ffi::PyBytes_Size(note) as usize))
}
