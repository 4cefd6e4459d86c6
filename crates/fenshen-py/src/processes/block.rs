//! `Block`: a piece of shared memory of any size, as a buffer. What values, arrays and barriers lie in.

use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::places::Place;
use crate::args::{Signature, sort_call};
use crate::errors::{entry, raise, status};
use crate::methods::no_args;
use crate::object::{Obj, Raised, Res, done};
use crate::types::{TypeBuilder, free};

/// The layout of `Block`.
#[repr(C)]
pub(crate) struct Block {
    ob_base: PyObject,
    weakrefs: *mut PyObject,
    place: Option<Box<Place>>,
    size: usize,
}

const NEW: Signature<3> =
    Signature { func: "Block", names: [c"size", c"segment", c"offset"], positional: 3, required: 1 };

unsafe fn size_of(o: *mut PyObject) -> Res<usize> {
    let size = ffi::PyLong_AsSsize_t(o);
    if size == -1 && !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    usize::try_from(size).or_else(|_| raise(ffi::PyExc_ValueError, &format!("Size {size} out of range")))
}

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let [size, segment, offset] = sort_call(&NEW, args, kwargs)?;
        let size = size_of(size)?;
        let place = match segment.is_null() {
            true => Place::make(size)?,
            false => {
                let offset = if offset.is_null() { 0 } else { size_of(offset)? };
                Place::adopt(Obj::from(segment), offset, size)?
            }
        };
        let alloc = (*ty).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
        let this = Obj::new(alloc(ty, 0))?;
        let b: *mut Block = this.ptr().cast();
        ptr::write(&raw mut (*b).place, Some(place));
        (*b).size = size;
        Ok(this)
    })
}

unsafe fn place<'a>(b: *mut Block) -> Res<&'a mut Place> {
    match (*b).place.as_mut() {
        Some(place) => Ok(place),
        None => raise(ffi::PyExc_ValueError, "the block was not made"),
    }
}

/// Where a block lies, and how long it is.
pub(super) unsafe fn memory(o: *mut PyObject) -> Res<(NonNull<u8>, usize)> {
    if ffi::Py_TYPE(o) != super::kinds::block() {
        return raise(ffi::PyExc_TypeError, "a Block is needed");
    }
    Ok((place(o.cast())?.start(), (*o.cast::<Block>()).size))
}

unsafe extern "C" fn buffer(o: *mut PyObject, view: *mut ffi::Py_buffer, flags: c_int) -> c_int {
    status(|| {
        let start = place(o.cast())?.start().as_ptr().cast();
        done(ffi::PyBuffer_FillInfo(view, o, start, (*o.cast::<Block>()).size as ffi::Py_ssize_t, 0, flags))
    })
}

unsafe extern "C" fn length(o: *mut PyObject) -> ffi::Py_ssize_t {
    (*o.cast::<Block>()).size as ffi::Py_ssize_t
}

no_args!(py_view, |b: Block| Obj::new(ffi::PyMemoryView_FromObject(b.cast())));

// What another process needs: the arguments that make the same block there.
no_args!(py_share, |b: Block| {
    let (segment, offset) = place(b)?.share();
    Obj::new(ffi::Py_BuildValue(
        c"(nOn)".as_ptr(),
        (*b).size as ffi::Py_ssize_t,
        segment.ptr(),
        offset as ffi::Py_ssize_t,
    ))
});

unsafe extern "C" fn dealloc(o: *mut PyObject) {
    let b: *mut Block = o.cast();
    if !(*b).weakrefs.is_null() {
        ffi::PyObject_ClearWeakRefs(o);
    }
    drop((*b).place.take());
    free(o);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<Block>(c"fenshen._processes.Block")
        .doc(c"Block(size, segment=None, offset=0)\n--\n\n`size` bytes of shared memory, all zero; with `segment`, those of another process. A writable buffer.\n\nRaises ValueError for a negative size or a place that is not in the segment, OSError where the kernel refuses it.")
        .slot(ffi::Py_tp_new, new as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .slot(ffi::Py_bf_getbuffer, buffer as *mut c_void)
        .slot(ffi::Py_sq_length, length as *mut c_void)
        .weakrefs(std::mem::offset_of!(Block, weakrefs))
        .no_args(c"create_memoryview", py_view, c"create_memoryview($self, /)\n--\n\nA view of its bytes.")
        .no_args(c"_share", py_share, c"_share($self, /)\n--\n\nWhat makes the same block in another process.")
        .build(None)
}
