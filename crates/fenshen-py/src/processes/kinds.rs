//! The types of the module, made once.

use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi::PyTypeObject;

use crate::kinds::kinds;
use crate::object::Res;

kinds! {
    /// `Segment`.
    segment, SEGMENT;
}

/// Makes every type.
pub(crate) unsafe fn init() -> Res<()> {
    SEGMENT.store(super::segment::build()?, Ordering::Relaxed);
    Ok(())
}
