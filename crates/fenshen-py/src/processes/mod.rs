//! What processes share: the module `fenshen._processes`, a third face of this library.
//!
//! | type | what it does | its Python face |
//! |---|---|---|
//! | `Segment` | `fenshen_shm::Segment` | `segment.rs` |

mod kinds;
mod segment;

use pyo3::ffi::PyTypeObject;
use pyo3::prelude::*;

/// The native half of `fenshen.multiprocessing` and of the process pools.
#[pymodule(gil_used = false)]
fn _processes(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    // SAFETY: the module is being made, on an attached thread, and nothing of it is reachable yet.
    unsafe { kinds::init() }.map_err(|e| crate::fetch(py, e))?;
    add(m, &[("Segment", kinds::segment())])
}

/// Adds types that live for ever.
fn add(m: &Bound<'_, PyModule>, types: &[(&str, *mut PyTypeObject)]) -> PyResult<()> {
    for &(name, ty) in types {
        // SAFETY: the types were made by `kinds::init`, and live for ever.
        m.add(name, unsafe { Bound::<PyAny>::from_borrowed_ptr(m.py(), ty.cast()) })?;
    }
    Ok(())
}
