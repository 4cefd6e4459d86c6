//! The types of the module, made once.

use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi::PyTypeObject;

use crate::kinds::kinds;
use crate::object::Res;

kinds! {
    /// `Segment`.
    segment, SEGMENT;
    /// `Engine`.
    engine, ENGINE;
    /// `Opening`.
    opening, OPENING;
    /// `Worker`.
    worker, WORKER;
    /// `LoopWorker`.
    loop_worker, LOOP_WORKER;
    /// What a stream's task tells.
    stream_sink, STREAM_SINK;
    /// `StreamBase`.
    stream, STREAM;
    /// What picklers write to.
    sink, SINK;
    /// Memory that came beside a pickle.
    part, PART;
    /// `Template`.
    template, TEMPLATE;
    /// `SemLock`.
    semlock, SEMLOCK;
    /// `WithMethod`.
    with_method, WITH_METHOD;
    /// `BoundMethod`.
    bound, BOUND;
    /// `Block`.
    block, BLOCK;
    /// `Event`.
    event, EVENT;
    /// `Condition`.
    condition, CONDITION;
    /// `Queue`.
    process_queue, QUEUE;
    /// `JoinableQueue`.
    joinable_queue, JOINABLE_QUEUE;
    /// `SimpleQueue`.
    simple_queue, SIMPLE_QUEUE;
    /// `Connection`.
    connection, CONNECTION;
    /// `Synchronized`.
    synchronized, SYNCHRONIZED;
    /// `Field`.
    field, FIELD;
    /// `Tally`.
    tally, TALLY;
}

/// Makes every type.
pub(crate) unsafe fn init() -> Res<()> {
    SEGMENT.store(super::segment::build()?, Ordering::Relaxed);
    init_pool()?;
    init_synchronize()?;
    init_queues()?;
    TALLY.store(super::tally::build()?, Ordering::Relaxed);
    Ok(())
}

/// The pool, and what starts its workers.
unsafe fn init_pool() -> Res<()> {
    SINK.store(super::pickling::build_sink()?, Ordering::Relaxed);
    PART.store(super::pickling::build_part()?, Ordering::Relaxed);
    ENGINE.store(super::engine_type::build()?, Ordering::Relaxed);
    OPENING.store(super::engine_type::build_opening()?, Ordering::Relaxed);
    STREAM_SINK.store(super::stream::build_sink()?, Ordering::Relaxed);
    STREAM.store(super::stream::build()?, Ordering::Relaxed);
    WORKER.store(super::worker_type::build()?, Ordering::Relaxed);
    LOOP_WORKER.store(super::loop_worker_type::build()?, Ordering::Relaxed);
    TEMPLATE.store(super::template::build()?, Ordering::Relaxed);
    Ok(())
}

/// Locks, semaphores, and what lies beside them.
unsafe fn init_synchronize() -> Res<()> {
    WITH_METHOD.store(super::with_method::build()?, Ordering::Relaxed);
    BOUND.store(super::with_method::build_bound()?, Ordering::Relaxed);
    SEMLOCK.store(super::semlock::build()?, Ordering::Relaxed);
    BLOCK.store(super::block::build()?, Ordering::Relaxed);
    super::lock_names::init()?;
    EVENT.store(super::event::build()?, Ordering::Relaxed);
    CONDITION.store(super::condition::build()?, Ordering::Relaxed);
    SYNCHRONIZED.store(super::synchronized::build()?, Ordering::Relaxed);
    FIELD.store(super::field::build()?, Ordering::Relaxed);
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
