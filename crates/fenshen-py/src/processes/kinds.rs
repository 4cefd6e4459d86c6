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
    /// `Queue`.
    process_queue, QUEUE;
    /// `JoinableQueue`.
    joinable_queue, JOINABLE_QUEUE;
    /// `SimpleQueue`.
    simple_queue, SIMPLE_QUEUE;
    /// `Connection`.
    connection, CONNECTION;
}

/// Makes every type.
pub(crate) unsafe fn init() -> Res<()> {
    SEGMENT.store(super::segment::build()?, Ordering::Relaxed);
    init_synchronize()?;
    init_queues()?;
    Ok(())
}

/// Locks, semaphores, and what lies beside them.
unsafe fn init_synchronize() -> Res<()> {
    SEMLOCK.store(super::semlock::build()?, Ordering::Relaxed);
    BLOCK.store(super::block::build()?, Ordering::Relaxed);
    Ok(())
}

/// Queues and pipes.
unsafe fn init_queues() -> Res<()> {
    QUEUE.store(super::queue::build()?, Ordering::Relaxed);
    JOINABLE_QUEUE.store(super::queue::build_joinable()?, Ordering::Relaxed);
    SIMPLE_QUEUE.store(super::queue::build_simple()?, Ordering::Relaxed);
    CONNECTION.store(super::connection::build()?, Ordering::Relaxed);
    Ok(())
}
