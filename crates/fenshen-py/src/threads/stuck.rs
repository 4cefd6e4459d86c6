//! Finds out whether a wait can still end: when it begins, when another thread ends, and once more a little later.
//!
//! This file asks the wait-for graph and the kernel; what follows from the answer (an error, a report, nothing) is
//! `fenshen._stuck`'s to decide.

use std::collections::HashSet;
use std::fs;
use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering};
use std::time::Duration;

use fenshen_sync::graph::{self, Look, Target, Wait};
use fenshen_sync::{Deadline, Failed};
use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;

use super::known::known;
use super::park::PyPark;
use super::patience::Patience;
use crate::errors;
use crate::object::{Obj, Raised, Res, call_method};

/// What happens when nothing can end a wait.
static MODE: AtomicU8 = AtomicU8::new(OFF);
const OFF: u8 = 0;
/// `fenshen._stuck`, while deadlocks are looked for.
static JUDGE: AtomicPtr<PyObject> = AtomicPtr::new(std::ptr::null_mut());

/// How long a ring must last before it is spoken of, where somebody outside could still break it.
const RING: Duration = Duration::from_millis(400);
/// How soon to look again after a thread that is none of ours was all that was left; doubled each time,
const SOON: Duration = Duration::from_millis(20);
/// up to this.
const LATE: Duration = Duration::from_secs(8);

/// What a look at a wait found.
enum Found {
    /// Somebody is at work who may end it.
    Hope,
    /// Only threads that Python knows nothing of are left.
    Doubt,
    /// It is in a ring, but somebody outside may break it.
    Ring(Vec<u32>),
    /// Nothing in this process can end it, as far as threads are concerned. The ring, if there is one.
    Stuck(Vec<u32>),
}

/// A wait that is in the graph as long as this lives.
pub(crate) struct Entered<'a> {
    wait: &'a Wait,
    on: bool,
    again: Option<Deadline>,
    pause: Duration,
}

/// Puts a wait into the graph if deadlocks are looked for, and looks whether it can end.
///
/// The thread is attached. After `Interrupted`, an error is set.
pub(crate) unsafe fn enter(wait: &Wait) -> Result<Entered<'_>, Failed> {
    let on = MODE.load(Ordering::Relaxed) != OFF;
    let mut entered = Entered { wait, on, again: None, pause: SOON };
    if on {
        graph::look().enter(wait);
        if !wait.timed {
            entered.look(false)?;
        }
    }
    Ok(entered)
}

impl Entered<'_> {
    /// Until when to sleep.
    pub(crate) fn wake_at(&self, deadline: Option<Deadline>) -> Option<Deadline> {
        match (deadline, self.again) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// The thread does something else for a while: nobody is to think that it waits.
    pub(crate) fn leave(&mut self) {
        if self.on {
            graph::look().leave(self.wait);
        }
    }

    /// It waits again, and looks soon whether that can end.
    pub(crate) unsafe fn come_back(&mut self) -> Result<(), Failed> {
        if self.on {
            graph::look().enter(self.wait);
        }
        self.poked()
    }

    /// Somebody has poked the waiter: with a verdict, or to have it look again.
    pub(crate) unsafe fn poked(&mut self) -> Result<(), Failed> {
        let verdict = self.wait.verdict.swap(std::ptr::null_mut(), Ordering::AcqRel);
        if !verdict.is_null() {
            let error = Obj::steal(verdict.cast());
            return errors::raise_object(&error).map_err(|Raised| Failed::Interrupted);
        }
        self.pause = SOON;
        self.again = Some(Deadline::after(self.pause));
        Ok(())
    }

    /// The time has come to look again.
    pub(crate) unsafe fn look_again(&mut self) -> Result<(), Failed> {
        if !self.again.is_some_and(Deadline::is_past) {
            return Ok(());
        }
        self.again = None;
        self.look(true)
    }

    unsafe fn look(&mut self, lasting: bool) -> Result<(), Failed> {
        match self.find() {
            Found::Hope => Ok(()),
            Found::Doubt => {
                self.again = Some(Deadline::after(self.pause));
                self.pause = (2 * self.pause).min(LATE);
                Ok(())
            }
            Found::Ring(_) if !lasting => {
                self.again = Some(Deadline::after(RING));
                Ok(())
            }
            Found::Ring(ring) => self.judge(&ring, false),
            Found::Stuck(ring) => self.judge(&ring, true),
        }
    }

    fn find(&self) -> Found {
        let look = graph::look();
        let ring = if look.stuck().contains(&self.wait.thread) { look.ring(self.wait.thread) } else { Vec::new() };
        let strict = |t: &u32| look.of(*t).is_some_and(|w| matches!(w.target, Target::Owner { strict: true, .. }));
        if !ring.is_empty() && ring.iter().all(strict) {
            return Found::Stuck(ring);
        }
        let endless = endless_of(&look);
        drop(look);
        let threads = fenshen_sync::all();
        let waits = |id: u32| endless.iter().any(|&(thread, _)| thread == id);
        if threads.iter().all(|t| waits(t.id)) {
            let ours = crate::watchdog::helpers();
            let accounted = |tid: i32| ours.contains(&tid) || threads.iter().any(|t| t.tid == tid);
            return match tids() {
                // One that is seen to wait may have been let go by one that has ended since: it is none the less at work.
                Some(tids)
                    if tids.iter().all(|&tid| accounted(tid)) && endless.is_subset(&endless_of(&graph::look())) =>
                {
                    Found::Stuck(ring)
                }
                _ if ring.is_empty() => Found::Doubt,
                _ => Found::Ring(ring),
            };
        }
        if ring.is_empty() { Found::Hope } else { Found::Ring(ring) }
    }

    /// Has Python decide: it may return the error to raise here, or leave one with another waiter.
    unsafe fn judge(&self, ring: &[u32], stuck: bool) -> Result<(), Failed> {
        let judged = self
            .ask(ring, stuck)
            .and_then(|verdict| if verdict.ptr() == ffi::Py_None() { Ok(()) } else { errors::raise_object(&verdict) });
        judged.map_err(|Raised| Failed::Interrupted)
    }

    unsafe fn ask(&self, ring: &[u32], stuck: bool) -> Res<Obj> {
        let judge = JUDGE.load(Ordering::Acquire);
        if judge.is_null() {
            return Ok(crate::object::none());
        }
        let list = Obj::new(ffi::PyList_New(0))?;
        for &thread in ring {
            let number = Obj::new(ffi::PyLong_FromUnsignedLong(thread.into()))?;
            crate::object::done(ffi::PyList_Append(list.ptr(), number.ptr()))?;
        }
        let me = Obj::new(ffi::PyLong_FromUnsignedLong(self.wait.thread.into()))?;
        let stuck = crate::object::boolean(stuck);
        call_method(&known().judge, &[judge, me.ptr(), list.ptr(), stuck.ptr()])
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if self.on {
            graph::look().leave(self.wait);
        }
        let verdict = self.wait.verdict.swap(std::ptr::null_mut(), Ordering::AcqRel);
        if !verdict.is_null() {
            // SAFETY: it was given as an owned reference, and the thread is attached: it is about to return to Python.
            drop(unsafe { Obj::steal(verdict.cast()) });
        }
    }
}

/// Every wait without a deadline, as its thread and its order.
fn endless_of(look: &Look) -> HashSet<(u32, u64)> {
    look.all().filter(|w| !w.timed).map(|w| (w.thread, w.order)).collect()
}

/// The kernel's numbers of this process' threads.
fn tids() -> Option<Vec<i32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc/self/task").ok()? {
        found.push(entry.ok()?.file_name().to_str()?.parse().ok()?);
    }
    Some(found)
}

/// A thread has ended: if all others wait, one of them is to look whether that can end.
fn thread_ended() {
    if MODE.load(Ordering::Relaxed) == OFF {
        return;
    }
    let alive = fenshen_sync::all().len();
    let look = graph::look();
    if look.endless() >= alive
        && let Some(youngest) = look.all().filter(|w| !w.timed).max_by_key(|w| w.order)
    {
        // SAFETY: a wait that is in the graph is alive, and so is its waiter.
        unsafe { (*youngest.waiter).poke() };
    }
}

/// Looks for deadlocks from now on, and has `judge` decide what follows; `None` stops looking.
#[pyfunction]
#[pyo3(signature = (judge))]
fn look_for_deadlocks(judge: Option<Bound<'_, PyAny>>) {
    match judge {
        Some(judge) => {
            // It stays: a thread may be about to call it.
            JUDGE.store(judge.into_ptr(), Ordering::Release);
            fenshen_sync::at_end(thread_ended);
            MODE.store(1, Ordering::Relaxed);
        }
        None => MODE.store(OFF, Ordering::Relaxed),
    }
}

/// Has a thread's wait end with an error, if it is still the wait of that order; returns whether it was.
#[pyfunction]
fn condemn(thread: u32, order: u64, error: Bound<'_, PyAny>) -> bool {
    let look = graph::look();
    let Some(wait) = look.of(thread).filter(|w| w.order == order) else {
        return false;
    };
    let error = error.into_ptr().cast();
    let free = wait.verdict.compare_exchange(std::ptr::null_mut(), error, Ordering::AcqRel, Ordering::Acquire).is_ok();
    if free {
        // SAFETY: a wait that is in the graph is alive, and so is its waiter.
        unsafe { (*wait.waiter).poke() };
    } else {
        // SAFETY: the reference was taken above, and nobody else has it.
        unsafe { ffi::Py_DECREF(error.cast()) };
    }
    free
}

/// Every wait that goes on: `(thread, ident, tid, main, what, timed, idle, order, helpers)`, where `thread` is our number
/// of the thread that waits, and `helpers` those of the threads that could end the wait, None for anyone.
#[pyfunction]
fn waits(py: Python<'_>) -> PyResult<Vec<Py<PyAny>>> {
    let threads = fenshen_sync::all();
    let mut found = Vec::new();
    let look = graph::look();
    for wait in look.all() {
        let Some(thread) = threads.iter().find(|t| t.id == wait.thread) else {
            continue;
        };
        // SAFETY: what a thread waits for is alive as long as the wait is in the graph; the thread is attached.
        let what = unsafe { Bound::from_borrowed_ptr(py, wait.what as *mut PyObject) };
        let who = (thread.id, thread.ident, thread.tid, thread.main);
        found.push((who, what, wait.timed, wait.idle, wait.order, wait.helpers()));
    }
    drop(look);
    found
        .into_iter()
        .map(|((id, ident, tid, main), what, timed, idle, order, helpers)| {
            Ok((id, ident, tid, main, what, timed, idle, order, helpers).into_pyobject(py)?.into_any().unbind())
        })
        .collect()
}

/// The threads that we know of: `(thread, ident, tid, main)`.
#[pyfunction]
fn threads() -> Vec<(u32, u64, i32, bool)> {
    fenshen_sync::all().iter().map(|t| (t.id, t.ident, t.tid, t.main)).collect()
}

/// Our number of the calling thread.
#[pyfunction]
fn this_thread() -> u32 {
    fenshen_sync::current()
}

/// Blocks until the thread of that number has ended, or `timeout` seconds have passed (None: for ever); returns whether
/// it has. `what` is what the wait is for, in reports.
#[pyfunction]
#[pyo3(signature = (thread, timeout, what))]
fn wait_for_end(py: Python<'_>, thread: u32, timeout: Option<f64>, what: &Bound<'_, PyAny>) -> PyResult<bool> {
    let deadline = timeout.map_or(Patience::Endless, Patience::seconds).deadline();
    let mut park = PyPark::new(what.as_ptr(), Target::Thread(thread));
    match fenshen_sync::wait_for_end(thread, &mut park, deadline) {
        Ok(()) => Ok(true),
        Err(Failed::TimedOut) => Ok(false),
        Err(Failed::Interrupted) => Err(crate::fetch(py, Raised)),
    }
}

/// Tells those who wait for the end of the calling thread that it has come.
#[pyfunction]
fn say_over() {
    fenshen_sync::say_over();
}

/// Adds the functions to the module.
pub(crate) fn add_to(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(look_for_deadlocks, m)?)?;
    m.add_function(wrap_pyfunction!(condemn, m)?)?;
    m.add_function(wrap_pyfunction!(waits, m)?)?;
    m.add_function(wrap_pyfunction!(threads, m)?)?;
    m.add_function(wrap_pyfunction!(this_thread, m)?)?;
    m.add_function(wrap_pyfunction!(wait_for_end, m)?)?;
    m.add_function(wrap_pyfunction!(say_over, m)?)
}
