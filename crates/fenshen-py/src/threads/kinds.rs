//! The types of the module, made once.

use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi::{self, PyTypeObject};

use super::head;
use super::known::known;
use crate::kinds::kinds;
use crate::object::{Obj, Res, done};
use crate::types::shorten;

kinds! {
    /// `Lock`.
    lock, LOCK;
    /// `RLock`.
    rlock, RLOCK;
    /// `Condition`.
    condition, CONDITION;
    /// `Semaphore`.
    semaphore, SEMAPHORE;
    /// `BoundedSemaphore`.
    bounded_semaphore, BOUNDED_SEMAPHORE;
    /// `Event`.
    event, EVENT;
    /// `Barrier`.
    barrier, BARRIER;
    /// `AtomicInt`.
    atomic_int, ATOMIC_INT;
    /// `Queue`.
    queue, QUEUE;
    /// `LifoQueue`.
    lifo_queue, LIFO_QUEUE;
    /// `PriorityQueue`.
    priority_queue, PRIORITY_QUEUE;
    /// `SimpleQueue`.
    simple_queue, SIMPLE_QUEUE;
    /// `Future`.
    future, FUTURE;
    /// `FutureWatch`.
    future_watch, FUTURE_WATCH;
    /// `WorkQueue`.
    work_queue, WORK_QUEUE;
    /// `PoolCore`.
    pool, POOL;
    /// `Cancellation`.
    cancellation, CANCELLATION;
}

/// Has `isinstance` take the standard class' instances for ours, by a metaclass.
unsafe fn stand_for(ours: *mut PyTypeObject, standard: &Obj) -> Res<()> {
    done(ffi::PyObject_SetAttrString(ours.cast(), c"__standard__".as_ptr(), standard.ptr()))?;
    stand_for_later(ours);
    Ok(())
}

/// The same for one whose standard class is yet to be [found](super::head::meet). No type can be derived from it natively
/// any more.
pub(crate) unsafe fn stand_for_later(ours: *mut PyTypeObject) {
    (*ours.cast::<ffi::PyObject>()).ob_type = known().kind.again().into_ptr().cast();
}

/// Makes every type.
pub(crate) unsafe fn init() -> Res<()> {
    LOCK.store(super::lock::build()?, Ordering::Relaxed);
    RLOCK.store(super::rlock::build()?, Ordering::Relaxed);
    stand_for(lock(), &known().lock_class)?;
    stand_for(rlock(), &known().rlock_class)?;
    init_primitives()?;
    init_queues()?;
    init_futures()
}

/// What stands for classes of `threading` that are made in Python.
unsafe fn init_primitives() -> Res<()> {
    use super::{barrier, condition, event, semaphore};
    CONDITION.store(condition::build()?, Ordering::Relaxed);
    SEMAPHORE.store(semaphore::build()?, Ordering::Relaxed);
    BOUNDED_SEMAPHORE.store(semaphore::build_bounded()?, Ordering::Relaxed);
    EVENT.store(event::build()?, Ordering::Relaxed);
    BARRIER.store(barrier::build()?, Ordering::Relaxed);
    ATOMIC_INT.store(super::atomic_int::build()?, Ordering::Relaxed);
    for ty in [condition(), semaphore(), bounded_semaphore(), event(), barrier(), atomic_int()] {
        shorten(ty);
    }
    stand_for_shared::<condition::Condition>()?;
    stand_for_shared::<semaphore::Semaphore>()?;
    stand_for_shared::<semaphore::Bounded>()?;
    stand_for_shared::<event::Event>()?;
    stand_for_shared::<barrier::Barrier>()?;
    head::like_standard::<condition::Condition>(&[c"notifyAll"])?;
    head::like_standard::<event::Event>(&[c"isSet"])
}

unsafe fn stand_for_shared<P: head::Shared>() -> Res<()> {
    stand_for_later(P::kind());
    head::meet::<P>()
}

/// What stands for classes of the module `queue`.
unsafe fn init_queues() -> Res<()> {
    QUEUE.store(super::queue::build()?, Ordering::Relaxed);
    LIFO_QUEUE.store(super::queue::build_lifo()?, Ordering::Relaxed);
    PRIORITY_QUEUE.store(super::queue::build_priority()?, Ordering::Relaxed);
    SIMPLE_QUEUE.store(super::simple_queue::build()?, Ordering::Relaxed);
    [queue(), lifo_queue(), priority_queue()].into_iter().for_each(|ty| shorten(ty));
    [queue(), lifo_queue(), priority_queue(), simple_queue()].into_iter().for_each(|ty| stand_for_later(ty));
    Ok(())
}

/// What stands for classes of `concurrent.futures`.
unsafe fn init_futures() -> Res<()> {
    use super::{cancellation, future_type, future_watch, pool, work_queue_type};
    FUTURE.store(future_type::build()?, Ordering::Relaxed);
    FUTURE_WATCH.store(future_watch::build()?, Ordering::Relaxed);
    WORK_QUEUE.store(work_queue_type::build()?, Ordering::Relaxed);
    POOL.store(pool::build()?, Ordering::Relaxed);
    CANCELLATION.store(cancellation::build()?, Ordering::Relaxed);
    shorten(future());
    stand_for_later(future());
    Ok(())
}
