//! What managers stand on.
//!
//! | type | what it does | its Python face |
//! |---|---|---|
//! | `Line` | `fenshen_shm::Line` | `line.rs`, `plain.rs` |
//! | `Life` | `fenshen_shm::Life` | `life.rs` |
//! | `Cell` | `fenshen_shm::Cell` | `cell.rs` |

mod cell;
mod life;
mod line;
mod plain;

use pyo3::prelude::*;

use super::segment::{PySegment, held, os_error};

/// Makes the types and adds them to the module.
pub(super) fn add_to(m: &Bound<'_, PyModule>) -> PyResult<()> {
    // SAFETY: the module is being made, on an attached thread, and nothing of it is reachable yet.
    let types = unsafe { build() }.map_err(|e| crate::fetch(m.py(), e))?;
    super::add(m, &types)
}

unsafe fn build() -> crate::object::Res<[(&'static str, *mut pyo3::ffi::PyTypeObject); 3]> {
    Ok([("Line", line::build()?), ("Life", life::build()?), ("Cell", cell::build()?)])
}
