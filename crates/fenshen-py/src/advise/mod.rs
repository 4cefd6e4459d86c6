//! What `fenshen run --advise` measures: how much work the functions have that are handed to threads, pools and tasks,
//! of what kind it is, and how long they wait for the interpreter lock.
//!
//! # Method
//! Calls, wall time and CPU time are exact: each call, and each step of a task, is timed by the two clocks
//! (`CLOCK_MONOTONIC` and the thread's `CLOCK_THREAD_CPUTIME_ID`) where it begins and ends (`span.rs`).
//!
//! What a thread does between those ends is sampled. One thread looks at every thread that is within such a call, at
//! exponentially distributed intervals (2 ms in the mean), so that no period of the program, the 5 ms of the
//! interpreter's switch interval above all, can fall in step with it: an observer that arrives at random sees each
//! state for its share of the time. A look (`look.rs`) reads what the kernel tells of the thread:
//!
//! - its CPU clock, twice: a clock that went on means that it runs on a processor;
//! - `/proc/self/task/TID/syscall`: the system call that it sleeps in, and that call's arguments. A futex within the
//!   interpreter lock's own condition variable means that it waits for that lock and for nothing else. The address is
//!   learned by experiment (`lock.rs`);
//! - its scheduler's statistics: for how long it has been ready to run without a processor. The time between two
//!   looks at one call has that exactly, too, and what is left to be told by the looks is the time asleep alone;
//! - who holds the lock, from two words of the interpreter's static memory, learned in the same experiment.
//!
//! The sampling thread never enters the interpreter, and reads no memory but its own, the counters here, and those
//! two words.
//!
//! Tasks of process pools are measured where they are pickled and where they run (`remote/`); nothing is sampled.
//!
//! # Bias
//! A thread that was just given the lock and is not on a processor yet waits for a processor, not for the lock. On a
//! machine that is busy with something else, looks come late, and sooner when there is a processor to spare: so how
//! often they found a thread without one is not used where the scheduler tells. Whether a function computes under the lock is told by looks that found it on a processor, and by
//! those that displaced it only where there are too few of them, as on a machine with one processor: a thread that was
//! just given the lock is often displaced by the one that gave it. A call shorter than the interval is seen in proportion to its length. The error is the binomial
//! one, widened by the correlation of successive looks, which is counted here (`Function::pairs`).

mod crowd;
mod function;
mod lock;
mod look;
mod measure;
pub(crate) mod remote;
mod sampler;
mod span;
mod steps;
mod worker;

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use pyo3::types::PyTuple;

pub(crate) use measure::ticket;
pub(crate) use steps::{Step, created};

/// Whether anything is measured.
static ON: AtomicBool = AtomicBool::new(false);

/// Whether anything is measured.
#[inline(always)]
pub(crate) fn on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Starts the sampling thread again, in a parent that has forked.
pub(crate) fn after_fork() {
    sampler::resume();
}

/// The kernel's number of the sampling thread, zero while there is none.
pub(crate) fn helper() -> i32 {
    sampler::tid()
}

/// Begins to measure. `weigh(function, callable, args, kwargs, result)` is called after the first calls that compute,
/// `arguments(coroutine)` before the first steps of a task; `task(owner, function, args)`, of each task for a pool of
/// processes, tells the number of its row and how many calls it makes.
///
/// Returns what is known of the interpreter lock: "known", "waits" (who holds it cannot be told), "none" or "unknown".
#[pyfunction]
fn advise_start(
    py: Python<'_>,
    weigh: Bound<'_, PyAny>,
    arguments: Bound<'_, PyAny>,
    task: Bound<'_, PyAny>,
) -> &'static str {
    let lock = lock::learn(py);
    measure::set_hooks(weigh, arguments, task);
    ON.store(true, Ordering::Relaxed);
    lock
}

/// Ends that, and the sampling thread with it. What was counted is kept.
#[pyfunction]
fn advise_stop(py: Python<'_>) {
    ON.store(false, Ordering::Relaxed);
    py.detach(sampler::stop);
}

/// Before a fork: the sampling thread ends, and is joined.
#[pyfunction]
fn advise_pause() {
    // With the interpreter held: the thread never asks for it, and nobody else may start it meanwhile.
    sampler::stop();
}

/// After a fork, in the parent: the sampling thread is soon there again if anybody works.
#[pyfunction]
fn advise_resume() {
    if on() {
        crate::after_fork::soon();
    }
}

/// After a fork, in the child: what the parent counted is not this process's.
#[pyfunction]
fn advise_forget() {
    crate::after_fork::forget();
    sampler::forget();
    worker::forget();
    function::forget();
    steps::forget();
}

/// A new row: its number, for `advise_measure`.
#[pyfunction]
fn advise_function() -> usize {
    function::add(0)
}

/// Everything that was counted, a tuple for each row in the order of their numbers: the code or type of a coroutine
/// (None for a row of `advise_function`), how many calls began, how many are still running, the largest number of
/// them at once, the number of steps; in nanoseconds: wall time, the time that a thread was at it, the CPU time of
/// that, the longest call, the longest step, the time with at least one call running, the most CPU time of a call, the
/// time between successive looks at a call, and how much of that its thread had no processor for; then the looks by what they saw, and the pairs of successive looks by whether each saw a wait for the lock.
#[pyfunction]
fn advise_counts(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyTuple>>> {
    let rows = function::counts(py);
    rows.into_iter().map(|(source, counts, looks, pairs)| (source, counts, looks, pairs).into_pyobject(py)).collect()
}

/// What was counted of functions whose calls other processes make, a tuple for each: the number of its row, how many
/// tasks are on their way, the largest number of them at once, and for how long there was at least one; then how many
/// tasks came back, the calls that they made, how many tasks raised; wall time, CPU time, and the time without a
/// processor in the workers; the bytes sent, the time to pickle and to load them; the bytes returned, the time to pickle
/// and to load them. Times are in nanoseconds.
#[pyfunction]
fn advise_remote_counts(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyTuple>>> {
    let flat = function::remote_counts().into_iter().map(|(number, running, peak, span, counts)| {
        PyTuple::new(py, [number as u64, running, peak, span].into_iter().chain(counts).collect::<Vec<u64>>())
    });
    flat.collect()
}

/// Adds the functions to the module.
pub(crate) fn add_to(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(advise_start, m)?)?;
    m.add_function(wrap_pyfunction!(advise_stop, m)?)?;
    m.add_function(wrap_pyfunction!(advise_pause, m)?)?;
    m.add_function(wrap_pyfunction!(advise_resume, m)?)?;
    m.add_function(wrap_pyfunction!(advise_forget, m)?)?;
    m.add_function(wrap_pyfunction!(advise_function, m)?)?;
    m.add_function(wrap_pyfunction!(advise_counts, m)?)?;
    m.add_function(wrap_pyfunction!(advise_remote_counts, m)?)?;
    measure::add_to(m)
}
