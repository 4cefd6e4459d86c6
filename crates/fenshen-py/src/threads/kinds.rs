//! The types of the module, made once.

use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi::{self, PyTypeObject};

use super::known::known;
use crate::kinds::kinds;
use crate::object::{Obj, Res, done};

kinds! {
    /// `Lock`.
    lock, LOCK;
    /// `RLock`.
    rlock, RLOCK;
    /// `Future`.
    future, FUTURE;
    /// `FutureWatch`.
    future_watch, FUTURE_WATCH;
    /// `WorkQueue`.
    work_queue, WORK_QUEUE;
    /// `PoolCore`.
    pool, POOL;
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
    init_futures()
}

unsafe fn init_futures() -> Res<()> {
    use super::{future_type, future_watch, pool, work_queue_type};
    FUTURE.store(future_type::build()?, Ordering::Relaxed);
    FUTURE_WATCH.store(future_watch::build()?, Ordering::Relaxed);
    WORK_QUEUE.store(work_queue_type::build()?, Ordering::Relaxed);
    POOL.store(pool::build()?, Ordering::Relaxed);
    stand_for_later(future());
    Ok(())
}
