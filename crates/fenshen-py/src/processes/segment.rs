//! `Segment`: shared memory without a name, as a buffer.

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use fenshen_shm::Segment;
use pyo3::ffi::{self, PyObject, PyTypeObject};

use crate::args::{Signature, sort_call};
use crate::errors::{entry, raise, status};
use crate::methods::getter;
use crate::object::{Obj, Raised, Res};
use crate::types::{TypeBuilder, free};

/// The layout of `Segment`.
#[repr(C)]
pub(crate) struct PySegment {
    ob_base: PyObject,
    weakrefs: *mut PyObject,
    pub(crate) segment: Option<Arc<Segment>>,
}

const NEW: Signature<2> = Signature { func: "Segment", names: [c"size", c"fd"], positional: 1, required: 0 };

/// What it holds; it has one since it was made.
pub(crate) unsafe fn held<'a>(s: *mut PySegment) -> Res<&'a Arc<Segment>> {
    match &(*s).segment {
        Some(segment) => Ok(segment),
        None => raise(ffi::PyExc_ValueError, "the segment was not made"),
    }
}

/// Raises an `OSError`.
pub(crate) unsafe fn os_error<T>(error: &std::io::Error) -> Res<T> {
    let code = error.raw_os_error().unwrap_or(libc::EINVAL);
    let args = Obj::new(ffi::Py_BuildValue(c"(is)".as_ptr(), code, libc::strerror(code)))?;
    ffi::PyErr_SetObject(ffi::PyExc_OSError, args.ptr());
    Err(Raised)
}

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let [size, fd] = sort_call(&NEW, args, kwargs)?;
        let made = match fd.is_null() {
            false => {
                let fd = ffi::PyLong_AsLong(fd) as c_int;
                if !ffi::PyErr_Occurred().is_null() {
                    return Err(Raised);
                }
                let fd = libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3);
                if fd < 0 {
                    return os_error(&std::io::Error::last_os_error());
                }
                Segment::adopt(OwnedFd::from_raw_fd(fd))
            }
            true if size.is_null() => return raise(ffi::PyExc_TypeError, "Segment() needs a size or an fd"),
            true => {
                let size = ffi::PyLong_AsSize_t(size);
                if !ffi::PyErr_Occurred().is_null() {
                    return Err(Raised);
                }
                Segment::create(c"fenshen", size)
            }
        };
        let segment = match made {
            Ok(segment) => Arc::new(segment),
            Err(error) => return os_error(&error),
        };
        let o = Obj::new(ffi::PyType_GenericAlloc(ty, 0))?;
        std::ptr::write(&raw mut (*o.ptr().cast::<PySegment>()).segment, Some(segment));
        Ok(o)
    })
}

unsafe extern "C" fn dealloc(o: *mut PyObject) {
    let s: *mut PySegment = o.cast();
    if !(*s).weakrefs.is_null() {
        ffi::PyObject_ClearWeakRefs(o);
    }
    drop((*s).segment.take());
    free(o);
}

unsafe extern "C" fn buffer(o: *mut PyObject, view: *mut ffi::Py_buffer, flags: c_int) -> c_int {
    status(|| {
        let segment = held(o.cast())?;
        let len = segment.len() as ffi::Py_ssize_t;
        crate::object::done(ffi::PyBuffer_FillInfo(view, o, segment.start().cast(), len, 0, flags))
    })
}

unsafe extern "C" fn length(o: *mut PyObject) -> ffi::Py_ssize_t {
    (*o.cast::<PySegment>()).segment.as_ref().map_or(0, |s| s.len() as ffi::Py_ssize_t)
}

getter!(get_fd, |s: PySegment| Obj::new(ffi::PyLong_FromLong(held(s)?.as_fd().as_raw_fd().into())));
getter!(get_identity, |s: PySegment| {
    match held(s)?.identity() {
        Ok((device, inode)) => Obj::new(ffi::Py_BuildValue(c"(KK)".as_ptr(), device, inode)),
        Err(error) => os_error(&error),
    }
});

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<PySegment>(c"fenshen._processes.Segment")
        .doc(c"Segment(size=None, *, fd=None)\n--\n\nMemory of `size` bytes, all zero, that processes share and that has no name; with `fd`, what another process\nmade, whose descriptor is duplicated. A writable buffer; it goes when nobody has it any longer.\n\nRaises OSError where the kernel refuses it.")
        .slot(ffi::Py_tp_new, new as *mut _)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut _)
        .slot(ffi::Py_bf_getbuffer, buffer as *mut _)
        .slot(ffi::Py_sq_length, length as *mut _)
        .weakrefs(std::mem::offset_of!(PySegment, weakrefs))
        .property(c"fd", get_fd, None)
        .property(c"identity", get_identity, None)
        .build(None)
}
