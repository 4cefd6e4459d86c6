//! What the faces of things in shared memory have in common: where they lie, and how others get there.

use std::ptr::NonNull;

use pyo3::ffi;

use super::places::Place;
use crate::args::{Args, Signature};
use crate::errors::raise;
use crate::object::{Obj, Raised, Res};

const ATTACH: Signature<2> = Signature { func: "_attach", names: [c"segment", c"offset"], positional: 2, required: 2 };

unsafe fn not_made<T>() -> Res<T> {
    raise(ffi::PyExc_ValueError, "it was not made")
}

/// What lies there. The place is large enough for it, and was made for one.
#[inline]
pub(super) unsafe fn at<'a, T>(place: &Option<Box<Place>>) -> Res<&'a T> {
    match place {
        Some(place) => {
            let start: NonNull<T> = place.start().cast();
            Ok(&*start.as_ptr())
        }
        None => not_made(),
    }
}

/// `(segment, offset)`: what another process needs.
pub(super) unsafe fn share(place: &mut Option<Box<Place>>) -> Res<Obj> {
    let Some(place) = place else { return not_made() };
    let (segment, offset) = place.share();
    Obj::new(ffi::Py_BuildValue(c"(On)".as_ptr(), segment.ptr(), offset as ffi::Py_ssize_t))
}

/// The place of that size that [`share`] told of.
pub(super) unsafe fn adopt(args: &Args<'_>, size: usize) -> Res<Box<Place>> {
    let [segment, offset] = args.sort(&ATTACH)?;
    let offset = ffi::PyLong_AsSize_t(offset);
    if !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    Place::adopt(Obj::from(segment), offset, size)
}
