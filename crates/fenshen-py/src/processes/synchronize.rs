//! Locks and what lies beside them, in the life of a process: forks, and its end.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::{kinds, places, semlock, worker};

/// Before a fork.
#[pyfunction]
fn before_fork() {
    places::before_fork();
}

/// In a forked child.
#[pyfunction]
fn after_fork_in_child() {
    fenshen_shm::Process::forget();
    worker::forked();
    places::after_fork_in_child();
}

/// A child of `multiprocessing` has begun: it holds none of the locks that its parent held.
#[pyfunction]
fn begin_life() {
    semlock::begin_life();
}

/// The process ends in order: what it holds is no longer its affair, and nobody is told that it died.
#[pyfunction]
fn leave_all(_py: Python<'_>) {
    // SAFETY: the thread is attached, and what is in the list is alive.
    unsafe { semlock::leave_all() }
}

/// Adds the types and functions to the module.
pub(super) fn add_to(m: &Bound<'_, PyModule>) -> PyResult<()> {
    super::add(
        m,
        &[
            ("Block", kinds::block()),
            ("SemLock", kinds::semlock()),
            ("Event", kinds::event()),
            ("Condition", kinds::condition()),
            ("Synchronized", kinds::synchronized()),
            ("Field", kinds::field()),
        ],
    )?;
    m.add_function(wrap_pyfunction!(begin_life, m)?)?;
    m.add_function(wrap_pyfunction!(leave_all, m)?)?;
    let hooks = PyDict::new(m.py());
    hooks.set_item("before", wrap_pyfunction!(before_fork, m)?)?;
    hooks.set_item("after_in_child", wrap_pyfunction!(after_fork_in_child, m)?)?;
    m.py().import("os")?.call_method("register_at_fork", (), Some(&hooks))?;
    Ok(())
}
