//! What processes share: the module `fenshen._processes`, a third face of this library.
//!
//! | type | what it does | its Python face |
//! |---|---|---|
//! | `Segment` | `fenshen_shm::Segment` | `segment.rs` |
//! | `Block` | `places.rs` | `block.rs` |
//! | `SemLock` | `fenshen_shm::Semaphore` | `semlock.rs` |
//! | `Queue`, `JoinableQueue`, `SimpleQueue` | `fenshen_shm::SharedQueue` | `queue/` |
//! | `Connection` | a socket or a pipe | `connection/` |
//!
//! `places.rs` finds room for what is too small for a segment of its own.

mod block;
mod connection;
mod kinds;
mod places;
mod queue;
mod segment;
mod semlock;
mod synchronize;

use pyo3::ffi::PyTypeObject;
use pyo3::prelude::*;

/// The native half of `fenshen.multiprocessing` and of the process pools.
#[pymodule(gil_used = false)]
fn _processes(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    // SAFETY: the module is being made, on an attached thread, and nothing of it is reachable yet.
    unsafe { kinds::init() }.map_err(|e| crate::fetch(py, e))?;
    add(m, &[("Segment", kinds::segment())])?;
    synchronize::add_to(m)?;
    let channels = [
        ("Queue", kinds::process_queue()),
        ("JoinableQueue", kinds::joinable_queue()),
        ("SimpleQueue", kinds::simple_queue()),
        ("Connection", kinds::connection()),
    ];
    add(m, &channels)?;
    m.add("QUEUE_LENGTH", fenshen_shm::SharedQueue::LEN)
}

/// Adds types that live for ever.
fn add(m: &Bound<'_, PyModule>, types: &[(&str, *mut PyTypeObject)]) -> PyResult<()> {
    for &(name, ty) in types {
        // SAFETY: the types were made by `kinds::init`, and live for ever.
        m.add(name, unsafe { Bound::<PyAny>::from_borrowed_ptr(m.py(), ty.cast()) })?;
    }
    Ok(())
}
