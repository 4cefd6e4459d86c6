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
    /// `Event`.
    event, EVENT;
    /// `Condition`.
    condition, CONDITION;
    /// `Synchronized`.
    synchronized, SYNCHRONIZED;
    /// `Field`.
    field, FIELD;
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
    super::lock_names::init()?;
    EVENT.store(super::event::build()?, Ordering::Relaxed);
    CONDITION.store(super::condition::build()?, Ordering::Relaxed);
    SYNCHRONIZED.store(super::synchronized::build()?, Ordering::Relaxed);
    FIELD.store(super::field::build()?, Ordering::Relaxed);
    Ok(())
}
