//! Every lock that exists, so that a report can tell who holds what.

use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::ffi::PyObject;
use pyo3::prelude::*;

use super::kinds;
use super::lock::Lock;
use super::rlock::RLock;

/// The beginning of `Lock` and `RLock`.
#[repr(C)]
pub(super) struct Head {
    pub(super) ob_base: PyObject,
    pub(super) weakrefs: *mut PyObject,
    /// The neighbours in the list of all, guarded by its mutex.
    next: *mut Head,
    previous: *mut Head,
}

struct First(*mut Head);
// SAFETY: what it points to is only touched with the mutex locked.
unsafe impl Send for First {}

static ALL: Mutex<First> = Mutex::new(First(ptr::null_mut()));

fn all() -> MutexGuard<'static, First> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A new lock is one of them.
#[inline]
pub(super) unsafe fn link(head: *mut Head) {
    let mut first = all();
    (*head).next = first.0;
    (*head).previous = ptr::null_mut();
    if !first.0.is_null() {
        (*first.0).previous = head;
    }
    first.0 = head;
}

/// It is none any more.
#[inline]
pub(super) unsafe fn unlink(head: *mut Head) {
    let mut first = all();
    let (next, previous) = ((*head).next, (*head).previous);
    if !next.is_null() {
        (*next).previous = previous;
    }
    if previous.is_null() {
        first.0 = next;
    } else {
        (*previous).next = next;
    }
}

/// Every lock that some thread holds: `(thread, lock)`, where `thread` is our number of it.
#[pyfunction]
fn held_locks(py: Python<'_>) -> Vec<(u32, Py<PyAny>)> {
    let mut found = Vec::new();
    let first = all();
    let mut head = first.0;
    // SAFETY: what is in the list is alive, and the thread is attached.
    unsafe {
        while !head.is_null() {
            let plain = (*head).ob_base.ob_type == kinds::lock();
            let owner =
                if plain { (*head.cast::<Lock>()).mutex.owner() } else { (*head.cast::<RLock>()).mutex.owner() };
            // One whose last reference is just going away is nobody's.
            if owner != 0 && pyo3::ffi::Py_REFCNT(head.cast()) > 0 {
                found.push((owner, Bound::from_borrowed_ptr(py, head.cast()).unbind()));
            }
            head = (*head).next;
        }
    }
    drop(first);
    found
}

/// Adds the function to the module.
pub(super) fn add_to(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(held_locks, m)?)
}
