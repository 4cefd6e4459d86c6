//! What threads, tasks and processes share: the module `fenshen._together`, a fourth face of this library.
//!
//! | type | what it does | its Python face |
//! |---|---|---|
//! | `Queue` | `fenshen_sync::Queue` | `queue.rs`, `queue_type.rs` |
//! | `Event` | `fenshen_sync::Event` | `event.rs` |
//! | `Semaphore` | `fenshen_sync::Semaphore` | `semaphore.rs` |
//!
//! A thread stands in line with a record on its stack, and sleeps on its word. A task stands there with a `Seat`
//! (`seat.rs`), whose call ends the future that the task waits for. `line.rs` is what every awaited operation does.

mod event;
pub(crate) mod kinds;
mod line;
mod loops;
mod queue;
mod queue_type;
mod seat;
mod semaphore;

use pyo3::prelude::*;

/// The native half of `fenshen.Queue`, `fenshen.Event` and `fenshen.Semaphore`.
#[pymodule]
fn _together(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    // SAFETY: the module is being made, on an attached thread, and nothing of it is reachable yet.
    unsafe { kinds::init() }.map_err(|e| crate::fetch(py, e))?;
    for (name, ty) in [("Queue", kinds::queue()), ("Event", kinds::event()), ("Semaphore", kinds::semaphore())] {
        // SAFETY: the types were made above, and live for ever.
        m.add(name, unsafe { Bound::<PyAny>::from_borrowed_ptr(py, ty.cast()) })?;
    }
    Ok(())
}
