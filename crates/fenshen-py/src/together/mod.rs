//! What threads, tasks and processes share: the module `fenshen._together`, a fourth face of this library.
//!
//! | type | what it does | its Python face |
//! |---|---|---|
//! | `Queue` | `fenshen_sync::Queue` | `queue.rs`, `queue_type.rs` |
//! | `Event` | `fenshen_sync::Event` | `event.rs` |
//! | `Semaphore` | `fenshen_sync::Semaphore` | `semaphore.rs` |
//!
//! A thread stands in line with a record on its stack, and sleeps on its word. A task stands there with a `Seat`
//! (`seat.rs`), whose call ends the future that the task waits for. `line.rs` is what every awaited operation does,
//! `head.rs` what the types have in common, and `shared/` what lies in shared memory.

mod event;
mod head;
pub(crate) mod kinds;
mod line;
mod loops;
mod queue;
mod queue_type;
mod seat;
mod semaphore;
mod shared;

use pyo3::prelude::*;

use crate::object::Obj;

/// What a process was sent that another has made with `shared=True`: `name` is its type's.
#[pyfunction]
fn adopt<'py>(name: &str, segment: &Bound<'py, PyAny>, channel: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = segment.py();
    let ty = match name {
        "Queue" => kinds::queue(),
        "Event" => kinds::event(),
        _ => kinds::semaphore(),
    };
    let made = (segment, channel).into_pyobject(py)?;
    // SAFETY: the thread is attached, as `py` says; what is made is a new reference.
    unsafe {
        let made = Obj::from(made.as_ptr());
        let adopted = shared::adopt(ty, &made).map_err(|e| crate::fetch(py, e))?;
        Ok(Bound::from_owned_ptr(py, adopted.into_ptr()))
    }
}

/// The native half of `fenshen.Queue`, `fenshen.Event` and `fenshen.Semaphore`.
#[pymodule]
fn _together(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    crate::exit::arm();
    // SAFETY: the module is being made, on an attached thread, and nothing of it is reachable yet.
    unsafe { kinds::init() }.map_err(|e| crate::fetch(py, e))?;
    fenshen_shm::wait_by(shared::patient);
    let types = [
        ("Queue", kinds::queue()),
        ("Event", kinds::event()),
        ("Semaphore", kinds::semaphore()),
        ("Bell", kinds::bell()),
    ];
    m.add_function(wrap_pyfunction!(adopt, m)?)?;
    for (name, ty) in types {
        // SAFETY: the types were made above, and live for ever.
        m.add(name, unsafe { Bound::<PyAny>::from_borrowed_ptr(py, ty.cast()) })?;
    }
    Ok(())
}
