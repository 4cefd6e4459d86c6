//! Who counts futures natively: a gathering its futures, a group its children.

use pyo3::ffi::{self, PyObject};

use crate::future;
use crate::object::{Obj, Res};
use crate::{gather, group, kinds};

#[inline]
unsafe fn is_gathering(owner: *mut PyObject) -> bool {
    ffi::Py_TYPE(owner) == kinds::gathering()
}

/// A child of `owner`'s is done.
#[inline]
pub(crate) unsafe fn is_over(owner: &Obj, child: &Obj) -> Res<()> {
    if is_gathering(owner.ptr()) { gather::child_done(owner, child) } else { group::child_done(owner, child) }
}

/// Whether [`is_over`] runs no Python code: then the current task need not be hidden from it.
#[inline]
pub(crate) unsafe fn counts_natively(owner: &Obj, child: &Obj) -> bool {
    if is_gathering(owner.ptr()) { future::is_exact(child.ptr()) } else { group::went_well(child) }
}

/// The done-callback by which a future that isn't ours tells `owner`.
pub(crate) unsafe fn told_function(owner: *mut PyObject) -> Res<Obj> {
    if is_gathering(owner) { gather::told_function(owner) } else { group::told_function(owner) }
}
