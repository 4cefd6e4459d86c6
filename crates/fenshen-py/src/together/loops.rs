//! The event loop of the calling thread, whosever it is.

use pyo3::ffi;

use crate::errors::runtime_error;
use crate::event_loop::{self, Loop};
use crate::future::{self, Future, State};
use crate::names::{asyncio, names};
use crate::object::{Obj, Res, call, call_method, none};
use crate::primitives::waiters;

/// The loop that runs in this thread.
pub(super) unsafe fn running() -> Res<Obj> {
    let running = call(asyncio().get_running_loop.ptr(), &[])?;
    if running.ptr() == ffi::Py_None() { runtime_error("no running event loop") } else { Ok(running) }
}

/// Raises RuntimeError if a loop runs in this thread, which a blocking call would stop.
#[cold]
pub(super) unsafe fn forbid(call_name: &str, awaitable: &str) -> Res<()> {
    let running = call(asyncio().get_running_loop.ptr(), &[])?;
    if running.ptr() == ffi::Py_None() {
        return Ok(());
    }
    runtime_error(&format!("{call_name}() would block the event loop that runs in this thread; use `{awaitable}`"))
}

/// A pending future of a loop.
#[inline]
pub(super) unsafe fn future_of(event_loop: &Obj) -> Res<Obj> {
    let core = event_loop::native(event_loop.ptr());
    if core.is_null() {
        return call_method(&names().create_future, &[event_loop.ptr()]);
    }
    Ok(Obj::steal(future::on(core)?.cast()))
}

/// Ends a future, on its loop's own thread, unless it is done.
pub(super) unsafe fn end(future: &Obj) -> Res<()> {
    if waiters::is_done(future)? { Ok(()) } else { waiters::wake(future, ffi::Py_None()) }
}

/// What came of an attempt to end a future from any thread.
pub(super) enum Ended {
    Done,
    /// It is to be ended by a call from its loop.
    ByCall,
}

/// Ends a future from any thread where that can be done at once.
#[inline]
pub(super) unsafe fn end_at_once(future: &Obj, event_loop: &Obj) -> Res<Ended> {
    if cfg!(not(Py_GIL_DISABLED)) && future::is_exact(future.ptr()) {
        let f: *mut Future = future.ptr().cast();
        let core = (*f).core;
        if !core.is_null() && !(*core).debug {
            if (*f).state == State::Pending {
                future::set_result(f, none())?;
                Loop::notice(core)?;
            }
            return Ok(Ended::Done);
        }
    }
    let running = call(asyncio().get_running_loop.ptr(), &[])?;
    if running.ptr() != event_loop.ptr() {
        return Ok(Ended::ByCall);
    }
    end(future)?;
    Ok(Ended::Done)
}
