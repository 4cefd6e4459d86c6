//! The types of the module, made once.

use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi::PyTypeObject;

use crate::kinds::kinds;
use crate::object::Res;

kinds! {
    /// `Segment`.
    segment, SEGMENT;
    /// `Line`.
    line, LINE;
    /// `Life`.
    life, LIFE;
    /// `Cell`.
    cell, CELL;
}

/// Makes every type.
pub(crate) unsafe fn init() -> Res<()> {
    SEGMENT.store(super::segment::build()?, Ordering::Relaxed);
    init_managers()?;
    Ok(())
}

/// What managers stand on.
unsafe fn init_managers() -> Res<()> {
    LINE.store(super::line::build()?, Ordering::Relaxed);
    LIFE.store(super::life::build()?, Ordering::Relaxed);
    CELL.store(super::cell::build()?, Ordering::Relaxed);
    Ok(())
}
