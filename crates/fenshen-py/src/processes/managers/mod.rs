//! What managers stand on.
//!
//! | type | what it does | its Python face |
//! |---|---|---|
//! | `Line` | `fenshen_shm::Line` | `line.rs`, `packing.rs`, `plain.rs`, `serving.rs` |
//! | `Life` | `fenshen_shm::Life` | `life.rs` |
//! | `Cell` | `fenshen_shm::Cell` | `cell.rs` |
//! | `Flag` | `fenshen_shm::Flag` | `flag.rs` |
//! | `Waiters` | `fenshen_shm::Waiters` | `waiters.rs` |
//! | `Gate` | `fenshen_shm::Gate` | `gate.rs` |
//!
//! `memory.rs` is where they lie, and `patience.rs` how they wait.

mod cell;
mod flag;
mod gate;
mod life;
mod line;
mod memory;
mod packing;
mod patience;
mod plain;
mod serving;
mod waiters;

use pyo3::ffi::{self, PyTypeObject};
use pyo3::prelude::*;

use super::segment::{PySegment, held, os_error};
use crate::object::{Obj, Res, done};

/// Makes the types and adds them to the module.
pub(super) fn add_to(m: &Bound<'_, PyModule>) -> PyResult<()> {
    // SAFETY: the module is being made, on an attached thread, and nothing of it is reachable yet.
    let types = unsafe { build() }.map_err(|e| crate::fetch(m.py(), e))?;
    super::add(m, &types)
}

unsafe fn build() -> Res<[(&'static str, *mut PyTypeObject); 6]> {
    Ok([
        ("Line", line::build()?),
        ("Life", life::build()?),
        ("Cell", cell::build()?),
        ("Flag", flag::build()?),
        ("Waiters", waiters::build()?),
        ("Gate", gate::build()?),
    ])
}

/// Puts how many bytes it takes on a type, as `size`.
unsafe fn tell_size(ty: *mut PyTypeObject, size: usize) -> Res<()> {
    let size = Obj::new(ffi::PyLong_FromSize_t(size))?;
    done(ffi::PyObject_SetAttrString(ty.cast(), c"size".as_ptr(), size.ptr()))
}
