//! Which locks are taken while which are held: noted only where a program asks for it (`--lock-order`,
//! `deadlock_origins=True`).
//!
//! Two locks that are taken in both orders can deadlock some day, though they did not this time (the potential deadlocks
//! of S. Savage et al., "Eraser", ACM TOCS 15(4), 1997, and of the Linux kernel's lockdep). This file sees each pair once;
//! `fenshen._order` keeps the stacks and looks for the ring.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fenshen_sync::current;
use pyo3::ffi::PyObject;
use pyo3::prelude::*;

use super::known::known;
use crate::object::{Obj, Raised, Res, call_method};

/// Pairs are noted.
const PAIRS: u8 = 1;
/// So is where a lock was taken.
const ORIGINS: u8 = 2;

static WHAT: AtomicU8 = AtomicU8::new(0);
/// `fenshen._order`.
static NOTES: AtomicPtr<PyObject> = AtomicPtr::new(std::ptr::null_mut());
static STATE: Mutex<Option<State>> = Mutex::new(None);

/// Locks by their addresses. No Python code runs while it is locked.
#[derive(Default)]
struct State {
    /// What each thread holds, in the order in which it took them.
    held: HashMap<u32, Vec<usize>>,
    /// The pairs that were seen: the second was taken while the first was held.
    pairs: HashSet<(usize, usize)>,
}

fn state() -> MutexGuard<'static, Option<State>> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether anything is noted.
#[inline(always)]
pub(super) fn on() -> bool {
    WHAT.load(Ordering::Relaxed) != 0
}

/// A thread has taken a lock which it did not hold. `waits` tells whether it would have waited for it.
///
/// An error that is set stays set; one that comes up here is shown and forgotten.
#[cold]
pub(super) unsafe fn acquired(lock: *mut PyObject, waits: bool) {
    let what = WHAT.load(Ordering::Relaxed);
    let new = {
        let mut state = state();
        let state = state.get_or_insert_default();
        let held = state.held.entry(current()).or_default();
        let pairs = &mut state.pairs;
        let new: Vec<Obj> = held
            .iter()
            // One whose last reference is just going away is held by nobody.
            .filter(|&&h| pyo3::ffi::Py_REFCNT(h as *mut PyObject) > 0)
            .filter(|&&h| waits && what & PAIRS != 0 && pairs.insert((h, lock as usize)))
            .map(|&h| Obj::from(h as *mut PyObject))
            .collect();
        held.push(lock as usize);
        new
    };
    let notes = NOTES.load(Ordering::Acquire);
    if notes.is_null() {
        return;
    }
    if what & ORIGINS != 0 {
        tell(call_method(&known().acquired, &[notes, lock]));
    }
    for held in &new {
        tell(call_method(&known().pair, &[notes, held.ptr(), lock]));
    }
}

unsafe fn tell(outcome: Res<Obj>) {
    if let Err(Raised) = outcome {
        if pyo3::ffi::PyErr_ExceptionMatches(pyo3::ffi::PyExc_KeyboardInterrupt) != 0 {
            // It comes again where it can be raised.
            pyo3::ffi::PyErr_Clear();
            return pyo3::ffi::PyErr_SetInterrupt();
        }
        pyo3::ffi::PyErr_WriteUnraisable(std::ptr::null_mut());
    }
}

/// A lock was released, by whichever thread.
#[cold]
pub(super) unsafe fn released(lock: *mut PyObject) {
    if let Some(state) = state().as_mut() {
        let mine = current();
        let drop_last = |held: &mut Vec<usize>| {
            let at = held.iter().rposition(|&h| h == lock as usize);
            at.map(|at| held.remove(at)).is_some()
        };
        if !state.held.get_mut(&mine).is_some_and(drop_last) {
            state.held.values_mut().any(drop_last);
        }
        state.held.retain(|_, held| !held.is_empty());
    }
}

/// A lock is gone: its address may be another's soon.
#[cold]
pub(super) unsafe fn forget(lock: *mut PyObject) {
    if let Some(state) = state().as_mut() {
        let gone = lock as usize;
        state.pairs.retain(|&(a, b)| a != gone && b != gone);
        for held in state.held.values_mut() {
            held.retain(|&h| h != gone);
        }
    }
    let notes = NOTES.load(Ordering::Acquire);
    if notes.is_null() {
        return;
    }
    // A lock may go while an error is on its way up.
    let error = (!pyo3::ffi::PyErr_Occurred().is_null()).then(|| crate::errors::take());
    let number = Obj::new(pyo3::ffi::PyLong_FromVoidPtr(lock.cast()));
    tell(number.and_then(|number| call_method(&known().gone, &[notes, number.ptr()])));
    if let Some(error) = error {
        crate::errors::restore(error);
    }
}

/// Notes what the flags say from now on, and tells `notes` (`fenshen._order`).
#[pyfunction]
fn note_locks(notes: Bound<'_, PyAny>, pairs: bool, origins: bool) {
    NOTES.store(notes.into_ptr(), Ordering::Release);
    WHAT.store(if pairs { PAIRS } else { 0 } | if origins { ORIGINS } else { 0 }, Ordering::Relaxed);
}

/// Adds the function to the module.
pub(super) fn add_to(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(note_locks, m)?)
}
