//! Names the step that blocks a loop, while it still does.
//!
//! One thread for the process looks at every loop's [`Pulse`] a few times in each step's allowance. A beat that it
//! sees again and again is a step that lasts. It then has the loop's own thread say where it is, by a signal
//! (`signal.rs`), and prints one line (`report.rs`). The thread never enters the interpreter, so it works while C
//! code holds that, and a fork may wait for its end.
//!
//! While no loop takes steps it sleeps for good: [`ASLEEP`] is up then, and a loop's next turn ends the sleep.

mod frames;
mod report;
mod schedstat;
mod signal;
mod thread;

pub(crate) use schedstat::starved;
pub(crate) use thread::{await_end, without_signals};

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use fenshen_reactor::Owner;
use pyo3::prelude::*;

use crate::pulse::Pulse;
use crate::{advise, after_fork, event_loop};

/// Whether loops that begin to run are to be looked at.
static ON: AtomicBool = AtomicBool::new(false);
/// Whether the thread sleeps, or is to be started, when a loop takes its next step.
static ASLEEP: AtomicBool = AtomicBool::new(false);
/// The kernel's number of the thread, zero while there is none.
static TID: AtomicI32 = AtomicI32::new(0);
static SHARED: Mutex<Shared> = Mutex::new(Shared { loops: Vec::new(), stop: false, poked: false, thread: None });
static CHANGED: Condvar = Condvar::new();

/// What the thread and those who direct it share. Nobody enters the interpreter while holding its lock.
struct Shared {
    loops: Vec<Watched>,
    /// The thread is to end.
    stop: bool,
    /// The thread is to look now.
    poked: bool,
    thread: Option<Helper>,
}

/// A loop, and what the thread saw of it last.
struct Watched {
    pulse: Arc<Pulse>,
    owner: Owner,
    beats: u64,
    /// The step that was running then.
    beat: Option<u64>,
    /// How long that step has been seen to run.
    held: Duration,
    /// How long the loop's thread had waited for a processor when the step was first seen.
    starved: Option<Duration>,
    /// It has been dealt with.
    told: bool,
}

struct Helper {
    thread: JoinHandle<()>,
    owner: Owner,
}

fn shared() -> MutexGuard<'static, Shared> {
    SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A loop begins to run.
#[inline]
pub(crate) fn attend(pulse: &Arc<Pulse>) {
    if ON.load(Ordering::Relaxed) {
        attend_now(pulse);
    }
}

fn attend_now(pulse: &Arc<Pulse>) {
    // In a child of a fork that our hooks never heard of, the lock may be held for ever by a thread that isn't there.
    let Ok(mut shared) = SHARED.try_lock().or_else(|_| {
        std::thread::yield_now();
        SHARED.try_lock()
    }) else {
        return;
    };
    if !shared.loops.iter().any(|w| Arc::ptr_eq(&w.pulse, pulse)) {
        if shared.loops.len() >= 8 {
            shared.loops.retain(|w| Arc::strong_count(&w.pulse) > 1);
        }
        let owner = Owner::this_process();
        let seen = Watched {
            pulse: pulse.clone(),
            owner,
            beats: 0,
            beat: None,
            held: Duration::ZERO,
            starved: None,
            told: false,
        };
        shared.loops.push(seen);
    }
    thread::start(&mut shared);
}

/// A loop begins a turn.
#[inline(always)]
pub(crate) fn stir() {
    if ASLEEP.load(Ordering::Relaxed) {
        wake();
    }
}

#[cold]
fn wake() {
    if ASLEEP.swap(false, Ordering::Relaxed) {
        let mut held = shared();
        held.poked = true;
        if ON.load(Ordering::Relaxed) {
            thread::start(&mut held);
        }
        drop(held);
        CHANGED.notify_all();
    }
}

/// Ends the thread and waits until the kernel has forgotten it: a process that forks right after has one thread less.
fn stop() {
    let mut held = shared();
    held.stop = true;
    let helper = held.thread.take();
    ASLEEP.store(false, Ordering::Relaxed);
    drop(held);
    CHANGED.notify_all();
    if let Some(Helper { thread, owner }) = helper {
        let tid = TID.swap(0, Ordering::Relaxed);
        if owner.is_this_process() {
            let _ = thread.join();
            thread::await_end(tid);
        } else {
            std::mem::forget(thread);
        }
    }
    shared().stop = false;
}

/// Begins to look at the loops that run from now on, and at `event_loop` if that runs already.
///
/// Raises what `faulthandler.register` raises.
#[pyfunction]
#[pyo3(signature = (event_loop=None, /))]
fn watchdog_start(py: Python<'_>, event_loop: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    if !ON.load(Ordering::Relaxed) {
        report::note_stderr();
        signal::prepare(py)?;
        ON.store(true, Ordering::Relaxed);
    }
    // SAFETY: the thread is attached, as `py` says, and the object is alive.
    if let Some(pulse) = event_loop.and_then(|o| unsafe { event_loop::pulse_of(o.as_ptr()) }) {
        attend(&pulse);
    }
    Ok(())
}

/// Ends that, and the helper thread with it.
#[pyfunction]
fn watchdog_stop(py: Python<'_>) {
    ON.store(false, Ordering::Relaxed);
    py.detach(stop);
    shared().loops.clear();
}

/// Before a fork: the helper thread ends, and is joined.
#[pyfunction]
fn watchdog_pause() {
    // With the interpreter held: the thread never asks for it, and nobody else may start it meanwhile.
    stop();
}

/// After a fork, in the parent: the helper thread is soon there again if a loop runs.
#[pyfunction]
fn watchdog_resume() {
    if wanted() {
        ASLEEP.store(true, Ordering::Relaxed);
        after_fork::soon();
    }
}

fn wanted() -> bool {
    ON.load(Ordering::Relaxed) && shared().loops.iter().any(|w| w.pulse.thread() != 0)
}

/// Starts the thread again, in a parent that has forked.
pub(crate) fn after_fork() {
    if wanted() {
        wake();
    }
}

/// After a fork, in the child: nothing is looked at until it starts anew.
#[pyfunction]
fn watchdog_forget() {
    after_fork::forget();
    ON.store(false, Ordering::Relaxed);
    ASLEEP.store(false, Ordering::Relaxed);
    shared().loops.clear();
    signal::forget();
}

/// The kernel's numbers of the threads that are the engine's own.
#[pyfunction]
fn helper_threads() -> Vec<i32> {
    helpers()
}

/// The same for Rust.
pub(crate) fn helpers() -> Vec<i32> {
    [TID.load(Ordering::Relaxed), advise::helper()].into_iter().filter(|&tid| tid != 0).collect()
}

/// Adds the functions to the module.
pub(crate) fn add_to(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(watchdog_start, m)?)?;
    m.add_function(wrap_pyfunction!(watchdog_stop, m)?)?;
    m.add_function(wrap_pyfunction!(watchdog_pause, m)?)?;
    m.add_function(wrap_pyfunction!(watchdog_resume, m)?)?;
    m.add_function(wrap_pyfunction!(watchdog_forget, m)?)?;
    m.add_function(wrap_pyfunction!(helper_threads, m)?)
}
