//! What processes share: the module `fenshen._processes`, a third face of this library.
//!
//! | type | what it does | its Python face |
//! |---|---|---|
//! | `Segment` | `fenshen_shm::Segment` | `segment.rs` |
//! | `Engine`, `Opening` | `engine.rs`, `cargo.rs` over `fenshen_pool::Pool` | `engine_type.rs` |
//! | `Worker` | `worker.rs` over `fenshen_pool::Worker` | `worker_type.rs` |
//! | `LoopWorker` | `loop_worker.rs` over `fenshen_pool::LoopWorker` | `loop_worker_type.rs` |
//! | `StreamBase`, `StreamSink` | `stream/` | `stream/base.rs`, `stream/sink.rs` |
//! | `Template` | `fenshen_pool::template` | `template.rs` |
//! | `lifeline` and `tie` | `fenshen_pool::Lifeline` | `lifeline.rs` |
//! | `Block` | `places.rs` | `block.rs` |
//! | `Event` | `fenshen_shm::Event` | `event.rs` |
//! | `Condition` | `fenshen_shm::Tickets` | `condition.rs` |
//! | `Synchronized`, `Field` | `synchronized.rs` | `synchronized.rs`, `field.rs` |
//! | `Line`, `Life`, `Cell` | what managers stand on | `managers/` |
//! | `SemLock` | `fenshen_shm::Semaphore` | `semlock.rs` |
//! | `Queue`, `JoinableQueue`, `SimpleQueue` | `fenshen_shm::SharedQueue` | `queue/` |
//! | `Connection` | a socket or a pipe | `connection/` |
//! | `Tally` | `tally/table.rs`, `tally/packed.rs` | `tally/` |
//!
//! `pickling.rs` is how calls and results are pickled, `translator.rs` what workers make of them, `worker_head.rs` what the types
//! of workers have in common; `places.rs` finds room for what is too small for a segment of its own.

mod block;
mod cargo;
mod carry;
mod condition;
mod connection;
mod engine;
mod engine_type;
mod event;
mod field;
mod kinds;
mod known;
mod lifeline;
mod lock_names;
mod loop_worker;
mod loop_worker_type;
mod managers;
mod number;
mod own_methods;
mod pickling;
mod places;
pub(crate) mod queue;
pub(crate) mod segment;
mod semlock;
mod shared_lock;
mod shared_place;
mod stream;
mod synchronize;
mod synchronized;
mod tally;
mod template;
mod translator;
pub(crate) mod waiting;
mod with_method;
mod worker;
mod worker_head;
mod worker_type;

use pyo3::ffi::PyTypeObject;
use pyo3::prelude::*;

/// The native half of `fenshen.multiprocessing` and of the process pools.
#[pymodule(gil_used = false)]
fn _processes(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    crate::exit::arm();
    // SAFETY: the module is being made, on an attached thread, and nothing of it is reachable yet.
    unsafe { known::init().and_then(|()| kinds::init()) }.map_err(|e| crate::fetch(py, e))?;
    add(m, &[("Segment", kinds::segment())])?;
    add(m, &[("Engine", kinds::engine()), ("Opening", kinds::opening()), ("Worker", kinds::worker())])?;
    add(m, &[("LoopWorker", kinds::loop_worker())])?;
    add(m, &[("StreamBase", kinds::stream()), ("StreamSink", kinds::stream_sink())])?;
    add(m, &[("Template", kinds::template())])?;
    add(m, &[("Tally", kinds::tally())])?;
    carry::add_to(m)?;
    pickling::add_to(m)?;
    lifeline::add_to(m)?;
    own_methods::add_to(m)?;
    synchronize::add_to(m)?;
    managers::add_to(m)?;
    let channels = [
        ("Queue", kinds::process_queue()),
        ("JoinableQueue", kinds::joinable_queue()),
        ("SimpleQueue", kinds::simple_queue()),
        ("Connection", kinds::connection()),
    ];
    add(m, &channels)?;
    m.add("QUEUE_LENGTH", fenshen_shm::SharedQueue::LEN)?;
    Ok(())
}

/// Adds types that live for ever.
fn add(m: &Bound<'_, PyModule>, types: &[(&str, *mut PyTypeObject)]) -> PyResult<()> {
    for &(name, ty) in types {
        // SAFETY: the types were made by `kinds::init`, and live for ever.
        m.add(name, unsafe { Bound::<PyAny>::from_borrowed_ptr(m.py(), ty.cast()) })?;
    }
    Ok(())
}
