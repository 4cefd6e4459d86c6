//! The tasks that are not done, in one intrusive list: linking costs four stores, where asyncio's own `WeakSet`
//! costs a weak reference and a hash table's slot. `fenshen._support` makes asyncio's registry show them too.

use std::cell::UnsafeCell;
use std::ptr;

use pyo3::ffi;

use crate::object::{Obj, Res, done};
use crate::task::Task;

struct Head(UnsafeCell<*mut Task>);
// SAFETY: read and written only by threads that hold the GIL (the crate's contract).
unsafe impl Sync for Head {}
static HEAD: Head = Head(UnsafeCell::new(ptr::null_mut()));

/// A task's place in the list.
pub(crate) struct Links {
    next: *mut Task,
    /// What points to this task: the list's head or the `next` of the one before; null while it is not linked.
    back: *mut *mut Task,
}

impl Links {
    /// Not in the list.
    pub(crate) const fn new() -> Links {
        Links { next: ptr::null_mut(), back: ptr::null_mut() }
    }
}

/// Adds a task that is not done; it is not kept alive by that.
#[inline]
pub(crate) unsafe fn link(t: *mut Task) {
    if !(*t).links.back.is_null() {
        return;
    }
    let head = HEAD.0.get();
    let next = *head;
    (*t).links = Links { next, back: head };
    if !next.is_null() {
        (*next).links.back = &raw mut (*t).links.next;
    }
    *head = t;
}

/// Removes a task; does nothing if it is not linked.
#[inline]
pub(crate) unsafe fn unlink(t: *mut Task) {
    let Links { next, back } = (*t).links;
    if back.is_null() {
        return;
    }
    *back = next;
    if !next.is_null() {
        (*next).links.back = back;
    }
    (*t).links = Links::new();
}

impl Clone for Links {
    fn clone(&self) -> Self {
        *self
    }
}
impl Copy for Links {}

/// A list of every task that is not done.
pub(crate) unsafe fn list() -> Res<Obj> {
    let found = Obj::new(ffi::PyList_New(0))?;
    let mut t = *HEAD.0.get();
    while !t.is_null() {
        // Appending allocates but runs no Python code: the list of tasks stays as it is.
        done(ffi::PyList_Append(found.ptr(), t.cast()))?;
        t = (*t).links.next;
    }
    Ok(found)
}
