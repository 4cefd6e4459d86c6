//! What processes share: the module `fenshen._processes`, a third face of this library.
//!
//! | type | what it does | its Python face |
//! |---|---|---|
//! | `Segment` | `fenshen_shm::Segment` | `segment.rs` |
//! | `Block` | `places.rs` | `block.rs` |
//! | `Event` | `fenshen_shm::Event` | `event.rs` |
//! | `Condition` | `fenshen_shm::Tickets` | `condition.rs` |
//! | `Synchronized`, `Field` | `synchronized.rs` | `synchronized.rs`, `field.rs` |
//! | `SemLock` | `fenshen_shm::Semaphore` | `semlock.rs` |
//!
//! `places.rs` finds room for what is too small for a segment of its own.

mod block;
mod condition;
mod event;
mod field;
mod kinds;
mod lock_names;
mod places;
mod segment;
mod semlock;
mod shared_lock;
mod shared_place;
mod synchronize;
mod synchronized;
mod waiting;

use pyo3::ffi::PyTypeObject;
use pyo3::prelude::*;

/// The native half of `fenshen.multiprocessing` and of the process pools.
#[pymodule(gil_used = false)]
fn _processes(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    // SAFETY: the module is being made, on an attached thread, and nothing of it is reachable yet.
    unsafe { kinds::init() }.map_err(|e| crate::fetch(py, e))?;
    add(m, &[("Segment", kinds::segment())])?;
    synchronize::add_to(m)
}

/// Adds types that live for ever.
fn add(m: &Bound<'_, PyModule>, types: &[(&str, *mut PyTypeObject)]) -> PyResult<()> {
    for &(name, ty) in types {
        // SAFETY: the types were made by `kinds::init`, and live for ever.
        m.add(name, unsafe { Bound::<PyAny>::from_borrowed_ptr(m.py(), ty.cast()) })?;
    }
    Ok(())
}
