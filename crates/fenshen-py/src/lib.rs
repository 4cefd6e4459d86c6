//! The Python face of fenshen: the module `fenshen._fenshen`.
//!
//! One file for each Python type, and beside it, where the type is more than a face, one for what it does:
//!
//! | type | what it does | its Python face |
//! |---|---|---|
//! | `Future` | `future.rs`, `future_iter.rs` | `future_type.rs` |
//! | `Task` | `task.rs`, `current.rs`, `registry.rs` | `task_type.rs` |
//! | `Handle`, `TimerHandle` | `handle.rs` | `handle_type.rs` |
//! | `LoopCore` | `event_loop/` | `event_loop/face.rs` |
//! | `LoopCore.sock_recv` and its kin | `sockets/` | `sockets/` |
//! | transports | `transports/` | `transports/` |
//! | `gather`, `_GatheringFuture` | `gather.rs` | `gather.rs` |
//! | `GroupCore` | `group/` | `group/face.rs` |
//! | `sleep` | `sleep.rs` | `sleep.rs` |
//! | queues and locks | `primitives/` | `primitives/` |
//! | streams | `streams/` | `streams/` |
//! | `SSLProtocol` | `tls/` | `tls/protocol_type.rs`, `tls/transport.rs` |
//! | locks and queues for threads | `threads/`, the module `fenshen._threads` | `threads/` |
//! | what all three share | `together/`, the module `fenshen._together` | `together/` |
//!
//! `pulse.rs` is what a loop shows of itself to other threads, and `watchdog/` the thread that looks at it. `advise/`
//! measures what functions in threads, pools and tasks do, when it is asked to.
//!
//! `object.rs` states the contract that every `unsafe fn` here has, and `errors.rs` holds the wall that no panic passes.

mod advise;
mod after_fork;
mod args;
mod child;
mod current;
mod errors;
mod event_loop;
mod exit;
mod future;
mod future_iter;
mod future_type;
mod gather;
mod group;
mod handle;
mod handle_type;
mod kinds;
mod methods;
mod names;
mod object;
mod primitives;
mod proc;
mod processes;
mod pulse;
mod registry;
mod sleep;
mod sockets;
mod stop;
mod streams;
mod task;
mod task_type;
mod threads;
mod tls;
mod together;
mod transports;
mod types;
mod watchdog;

use pyo3::exceptions::{PyImportError, PyTypeError};
use pyo3::prelude::*;

use object::{Obj, Raised};

fn fetch(py: Python<'_>, _: Raised) -> PyErr {
    PyErr::take(py).unwrap_or_else(|| PyImportError::new_err("fenshen: the native module could not be set up"))
}

/// Every task of ours that is not done.
#[pyfunction]
fn live_tasks(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: the thread is attached, as `py` says; the list is a new reference.
    unsafe {
        let list = registry::list().map_err(|e| fetch(py, e))?;
        Ok(Bound::from_owned_ptr(py, list.into_ptr()))
    }
}

/// The groups that are entered with `async with`, the last one first.
#[pyfunction]
fn entered_groups(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: the thread is attached, as `py` says; the list is a new reference.
    unsafe {
        let list = group::entered_groups().map_err(|e| fetch(py, e))?;
        Ok(Bound::from_owned_ptr(py, list.into_ptr()))
    }
}

/// Has a pending task's next step raise `exception` where it waits; False if it is done or about to go on by itself.
///
/// Raises TypeError if `task` is not a fenshen.Task.
#[pyfunction]
fn throw_into(task: &Bound<'_, PyAny>, exception: &Bound<'_, PyAny>) -> PyResult<bool> {
    // SAFETY: both objects are alive, and the first is checked to be a task of ours.
    unsafe {
        if !task::is_task(task.as_ptr()) {
            return Err(PyTypeError::new_err("throw_into() takes a fenshen.Task"));
        }
        let exception = Obj::from(exception.as_ptr());
        task::interrupt(task.as_ptr().cast(), exception).map_err(|e| fetch(task.py(), e))
    }
}

/// For `gc.callbacks`: has a full collection see the timers that their makers keep.
#[pyfunction]
fn collecting(phase: &str, info: &Bound<'_, PyAny>) -> PyResult<()> {
    if phase == "start" && info.get_item("generation")?.extract::<u8>()? >= 2 {
        // SAFETY: the thread is attached; tracking an object runs no Python code.
        unsafe { event_loop::before_full_collection() }
    }
    Ok(())
}

/// Panics: a test of the wall between Rust and the interpreter.
#[pyfunction]
fn panic_for_test(message: &str) {
    panic!("{message}");
}

/// The native half of fenshen.
#[pymodule]
fn _fenshen(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    exit::arm();
    // SAFETY: the module is being made, on an attached thread, and nothing of it is reachable yet.
    unsafe {
        names::init().map_err(|e| fetch(py, e))?;
        kinds::init().map_err(|e| fetch(py, e))?;
        let types = [
            ("Future", kinds::future()),
            ("Task", kinds::task()),
            ("Handle", kinds::handle()),
            ("TimerHandle", kinds::timer_handle()),
            ("LoopCore", kinds::event_loop()),
            ("Queue", kinds::queue()),
            ("LifoQueue", kinds::lifo_queue()),
            ("PriorityQueue", kinds::priority_queue()),
            ("Lock", kinds::lock()),
            ("Event", kinds::event()),
            ("Condition", kinds::condition()),
            ("Semaphore", kinds::semaphore()),
            ("BoundedSemaphore", kinds::bounded_semaphore()),
            ("Barrier", kinds::barrier()),
            ("StreamReader", kinds::stream_reader()),
            ("StreamReaderProtocol", kinds::stream_reader_protocol()),
            ("StreamWriter", kinds::stream_writer()),
            ("SocketTransport", kinds::socket_transport()),
            ("Acceptor", kinds::acceptor()),
            ("ReadPipeTransport", kinds::read_pipe_transport()),
            ("WritePipeTransport", kinds::write_pipe_transport()),
            ("DatagramTransport", kinds::datagram_transport()),
            ("SSLProtocol", kinds::ssl_protocol()),
            ("GroupCore", kinds::group()),
        ];
        for (name, ty) in types {
            m.add(name, Bound::<PyAny>::from_borrowed_ptr(py, ty.cast()))?;
        }
        let functions = [("sleep", sleep::build()), ("gather", gather::build_function())];
        for (name, function) in functions {
            let function = function.map_err(|e| fetch(py, e))?;
            m.add(name, Bound::<PyAny>::from_owned_ptr(py, function.into_ptr()))?;
        }
        let errors = [
            ("QueueShutDown", &names::asyncio().queue_shut_down),
            ("BrokenBarrierError", &names::asyncio().broken_barrier_error),
        ];
        for (name, class) in errors {
            m.add(name, Bound::<PyAny>::from_borrowed_ptr(py, class.ptr()))?;
        }
    }
    m.add("__version__", env!("CARGO_PKG_VERSION"))?;
    m.add_function(wrap_pyfunction!(live_tasks, m)?)?;
    m.add_function(wrap_pyfunction!(entered_groups, m)?)?;
    m.add_function(wrap_pyfunction!(throw_into, m)?)?;
    watchdog::add_to(m)?;
    advise::add_to(m)?;
    m.add_function(wrap_pyfunction!(panic_for_test, m)?)?;
    let collecting = wrap_pyfunction!(collecting, m)?;
    py.import("gc")?.getattr("callbacks")?.call_method1("append", (&collecting,))?;
    m.add_function(collecting)?;
    Ok(())
}
