//! The types of the module, made once.

use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi::PyTypeObject;

use crate::kinds::kinds;
use crate::object::Res;

kinds! {
    /// `Segment`.
    segment, SEGMENT;
    /// `SemLock`.
    semlock, SEMLOCK;
    /// `Block`.
    block, BLOCK;
}

/// Makes every type.
pub(crate) unsafe fn init() -> Res<()> {
    SEGMENT.store(super::segment::build()?, Ordering::Relaxed);
    init_synchronize()?;
    Ok(())
}

/// Locks, semaphores, and what lies beside them.
unsafe fn init_synchronize() -> Res<()> {
    SEMLOCK.store(super::semlock::build()?, Ordering::Relaxed);
    BLOCK.store(super::block::build()?, Ordering::Relaxed);
    Ok(())
}
