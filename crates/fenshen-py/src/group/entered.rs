//! The groups whose block a task is in, in one intrusive list, the last that was entered first. They are not kept
//! alive by that.

use std::cell::UnsafeCell;
use std::ptr;

use pyo3::ffi;

use super::Group;
use crate::object::{Obj, Res, done};

struct Head(UnsafeCell<*mut Group>);
// SAFETY: read and written only by threads that hold the GIL (the crate's contract).
unsafe impl Sync for Head {}
static HEAD: Head = Head(UnsafeCell::new(ptr::null_mut()));

/// A group's place in the list.
#[derive(Clone, Copy)]
pub(super) struct Links {
    next: *mut Group,
    /// What points to this group: the list's head or the `next` of the one before; null while it is not linked.
    back: *mut *mut Group,
}

impl Links {
    /// Not in the list.
    pub(super) const fn new() -> Links {
        Links { next: ptr::null_mut(), back: ptr::null_mut() }
    }
}

/// Adds a group that is not in the list.
pub(super) unsafe fn link(g: *mut Group) {
    let head = HEAD.0.get();
    let next = *head;
    (*g).links = Links { next, back: head };
    if !next.is_null() {
        (*next).links.back = &raw mut (*g).links.next;
    }
    *head = g;
}

/// Removes a group; does nothing if it is not linked.
pub(super) unsafe fn unlink(g: *mut Group) {
    let Links { next, back } = (*g).links;
    if back.is_null() {
        return;
    }
    *back = next;
    if !next.is_null() {
        (*next).links.back = back;
    }
    (*g).links = Links::new();
}

/// A list of all.
pub(crate) unsafe fn list() -> Res<Obj> {
    let found = Obj::new(ffi::PyList_New(0))?;
    let mut g = *HEAD.0.get();
    while !g.is_null() {
        // One whose last reference has gone is about to leave. Appending allocates but runs no Python code.
        if ffi::Py_REFCNT(g.cast()) > 0 {
            done(ffi::PyList_Append(found.ptr(), g.cast()))?;
        }
        g = (*g).links.next;
    }
    Ok(found)
}
