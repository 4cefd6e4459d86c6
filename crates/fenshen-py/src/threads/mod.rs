//! What threads share: the module `fenshen._threads`, a second face of this library that needs nothing of asyncio.
//!
//! | type | what it does | its Python face |
//! |---|---|---|
//! | `Lock` | `fenshen_sync::Mutex` | `lock.rs` |
//! | `RLock` | `fenshen_sync::ReentrantMutex` | `rlock.rs` |
//! | `Condition` | `fenshen_sync::Condition` | `condition.rs`, over the locks of `any_lock.rs` |
//! | `Semaphore`, `BoundedSemaphore` | `fenshen_sync::Semaphore` | `semaphore.rs` |
//! | `Event` | `fenshen_sync::Event` | `event.rs` |
//! | `Barrier` | `fenshen_sync::Barrier` | `barrier.rs` |
//! | `AtomicInt` | a number | `atomic_int.rs` |
//! | `Queue`, `LifoQueue`, `PriorityQueue` | `fenshen_sync::Queue` | `queue/` |
//! | `SimpleQueue` | `fenshen_sync::Queue` | `simple_queue.rs` |
//! | `Future` | `future.rs` | `future_type.rs` |
//! | `FutureWatch` | `future_watch.rs` | `future_watch.rs` |
//! | `PoolCore` | `work.rs`, `work_queue.rs` | `pool.rs`, `work_queue_type.rs` |
//! | `Cancellation` | a mark that waits look at | `cancellation.rs` |
//!
//! `park.rs` is how a Python thread blocks, `patience.rs` for how long, and `stuck.rs` finds out whether it can still end.

mod any_lock;
mod atomic_int;
mod barrier;
pub(crate) mod cancellation;
mod condition;
mod event;
pub(crate) mod future;
mod future_type;
mod future_watch;
pub(crate) mod head;
pub(crate) mod kinds;
mod known;
mod live;
mod lock;
mod order;
pub(crate) mod park;
pub(crate) mod patience;
mod pool;
pub(crate) mod queue;
mod request;
mod rlock;
mod semaphore;
mod shown_condition;
mod simple_queue;
mod stuck;
mod work;
mod work_queue;
mod work_queue_type;

use std::ffi::CStr;

use pyo3::ffi::{self, PyObject, PyTypeObject};
use pyo3::prelude::*;

use crate::errors::type_error;
use crate::object::{Obj, Res};

/// The docstring of every lock's `acquire`.
const ACQUIRE_DOC: &CStr = c"acquire($self, /, blocking=True, timeout=-1)\n--\n\nAcquire it, and wait for that unless `blocking` is false; `timeout` is in seconds, -1 for ever.\n\nReturns whether it was acquired. Raises ValueError for a negative timeout, or one with blocking=False, and\nOverflowError for one above threading.TIMEOUT_MAX.";

/// Raises TypeError: locks and their kin cannot be pickled. `what` is what pickling the standard library's object would
/// stumble over, a lock deep in it as a rule.
unsafe fn refuse_pickling<T>(what: &str) -> Res<T> {
    type_error(&format!("cannot pickle '{what}' object"))
}

/// The docstring of `__getstate__`, which is not `__reduce__`: a class that derives from ours may know what its state is.
const GETSTATE_DOC: &CStr = c"__getstate__($self, /)\n--\n\nRaise TypeError: it cannot be pickled.";

/// `__class__`: the standard library's class where the type is exactly ours, so that `isinstance` holds.
unsafe fn standing_for(o: *mut PyObject, ours: *mut PyTypeObject, standard: &Obj) -> Obj {
    if ffi::Py_TYPE(o) == ours { standard.again() } else { Obj::from(ffi::Py_TYPE(o).cast()) }
}

/// Raises TypeError unless a type is called without arguments.
unsafe fn no_arguments(name: &str, args: *mut PyObject, kwargs: *mut PyObject) -> Res<()> {
    if !kwargs.is_null() && ffi::PyDict_Size(kwargs) > 0 {
        return type_error(&format!("{name}() takes no keyword arguments"));
    }
    match ffi::PyTuple_GET_SIZE(args) {
        0 => Ok(()),
        n => type_error(&format!("{name} expected 0 arguments, got {n}")),
    }
}

fn primitives() -> [(&'static str, *mut PyTypeObject); 6] {
    [
        ("Condition", kinds::condition()),
        ("Semaphore", kinds::semaphore()),
        ("BoundedSemaphore", kinds::bounded_semaphore()),
        ("Event", kinds::event()),
        ("Barrier", kinds::barrier()),
        ("AtomicInt", kinds::atomic_int()),
    ]
}

fn queues() -> [(&'static str, *mut PyTypeObject); 4] {
    [
        ("Queue", kinds::queue()),
        ("LifoQueue", kinds::lifo_queue()),
        ("PriorityQueue", kinds::priority_queue()),
        ("SimpleQueue", kinds::simple_queue()),
    ]
}

/// Has our queues and the standard library's be instances of each other's classes, and share their exceptions.
#[pyfunction]
fn meet_queues(py: Python<'_>) -> PyResult<()> {
    crate::exit::arm();
    // SAFETY: the thread is attached, and the types are made.
    unsafe { queue::meet() }.map_err(|e| crate::fetch(py, e))
}

/// The native half of `fenshen.threading`, `fenshen.queue` and `fenshen.futures`.
#[pymodule(gil_used = false)]
fn _threads(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    crate::exit::arm();
    // SAFETY: the module is being made, on an attached thread, and nothing of it is reachable yet.
    unsafe {
        known::init().map_err(|e| crate::fetch(py, e))?;
        kinds::init().map_err(|e| crate::fetch(py, e))?;
        for (name, ty) in [("Lock", kinds::lock()), ("RLock", kinds::rlock())] {
            m.add(name, Bound::<PyAny>::from_borrowed_ptr(py, ty.cast()))?;
        }
        for (name, ty) in primitives().into_iter().chain(queues()) {
            m.add(name, Bound::<PyAny>::from_borrowed_ptr(py, ty.cast()))?;
        }
    }
    live::add_to(m)?;
    m.add_function(wrap_pyfunction!(meet_queues, m)?)?;
    order::add_to(m)?;
    cancellation::add_to(m)?;
    request::add_to(m)?;
    for (name, ty) in [
        ("Future", kinds::future()),
        ("FutureWatch", kinds::future_watch()),
        ("WorkQueue", kinds::work_queue()),
        ("PoolCore", kinds::pool()),
        ("Cancellation", kinds::cancellation()),
    ] {
        // SAFETY: the types were made above, and live for ever.
        m.add(name, unsafe { Bound::<PyAny>::from_borrowed_ptr(py, ty.cast()) })?;
    }
    m.add_function(wrap_pyfunction!(pool::meet_futures, m)?)?;
    m.add_function(wrap_pyfunction!(pool::meet_pools, m)?)?;
    m.add_function(wrap_pyfunction!(pool::end_pools, m)?)?;
    stuck::add_to(m)
}
