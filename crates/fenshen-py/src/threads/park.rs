//! How a Python thread blocks: without the interpreter, and with an eye on signals, the deadline, deadlocks and whether
//! its work was cancelled.

use std::time::Duration;

use fenshen_sync::graph::{Target, Wait};
use fenshen_sync::{Deadline, Failed, Grant, Late, Park, Slept, Waiter};
use pyo3::ffi::{self, PyObject};

use super::cancellation::{self, Seated};
use super::stuck;
use crate::object::Raised;

/// Blocks the calling thread for the sake of a Python object.
pub(crate) struct PyPark {
    /// What it waits for, alive during the wait.
    what: *mut PyObject,
    target: Target,
    idle: bool,
    /// Who is to be woken as soon as the interpreter is let go.
    late: Late,
}

impl PyPark {
    /// A wait for something of `what` that those in `target` could end.
    pub(crate) fn new(what: *mut PyObject, target: Target) -> PyPark {
        PyPark { what, target, idle: false, late: Late::default() }
    }

    /// A wait for something to do, which nobody misses. `late` is woken when it begins.
    pub(crate) fn idle(what: *mut PyObject, late: Late) -> PyPark {
        PyPark { what, target: Target::Anyone, idle: true, late }
    }
}

/// When the main thread looks for signals though none has woken it: one that comes in the moment before it sleeps does not.
struct Glance(Option<(Deadline, Duration)>);

impl Glance {
    /// The first pause between two looks; each is twice as long as the one before it.
    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(60);

    fn new() -> Glance {
        thread_local! {
            static MAIN: bool = crate::exit::is_main_thread();
        }
        Glance(MAIN.with(|&main| main).then(|| (Deadline::after(Glance::FIRST), Glance::FIRST)))
    }

    fn wake_at(&self, until: Option<Deadline>) -> Option<Deadline> {
        match (until, self.0) {
            (Some(until), Some((due, _))) => Some(until.min(due)),
            (until, due) => until.or(due.map(|(due, _)| due)),
        }
    }

    /// Whether it is time for a look; the next one is later.
    fn is_due(&mut self) -> bool {
        let Some((due, pause)) = &mut self.0 else {
            return false;
        };
        let now = due.is_past();
        if now {
            *pause = (2 * *pause).min(Glance::LONGEST);
            *due = Deadline::after(*pause);
        }
        now
    }
}

impl Park for PyPark {
    /// The thread is attached to the interpreter. After `Interrupted`, an error is set.
    #[cold]
    fn park(&mut self, waiter: &Waiter, deadline: Option<Deadline>) -> Result<Grant, Failed> {
        // SAFETY: the thread is attached, as the trait's user in this crate promises by the crate's contract.
        unsafe {
            let mut wait = Wait::new(waiter.owner(), waiter, self.target, deadline.is_some(), self.what as usize);
            wait.idle = self.idle;
            let mut entered = stuck::enter(&wait)?;
            let seated = if self.idle { None } else { Seated::sit(waiter) };
            let mut glance = Glance::new();
            loop {
                if seated.is_some() {
                    cancellation::check().map_err(|Raised| Failed::Interrupted)?;
                }
                let until = glance.wake_at(entered.wake_at(deadline));
                let state = ffi::PyEval_SaveThread();
                std::mem::take(&mut self.late).wake();
                let slept = waiter.sleep(until);
                crate::exit::restore_thread(state);
                if let Some(grant) = waiter.granted() {
                    return Ok(grant);
                }
                if waiter.poked() {
                    entered.poked()?;
                }
                match slept {
                    // A signal handler may want what this thread waits for, and end other waits for it.
                    Slept::Interrupted if waiter.away() => {
                        entered.leave();
                        let raised = ffi::PyErr_CheckSignals() < 0;
                        let goes_on = waiter.back();
                        if raised {
                            return Err(Failed::Interrupted);
                        }
                        if !goes_on {
                            return Ok(Grant::RETRY);
                        }
                        entered.come_back()?;
                    }
                    Slept::TimedOut if deadline.is_some_and(Deadline::is_past) => return Err(Failed::TimedOut),
                    Slept::TimedOut => {
                        entered.look_again()?;
                        if glance.is_due() && waiter.away() {
                            let raised = ffi::PyErr_CheckSignals() < 0;
                            let goes_on = waiter.back();
                            if raised {
                                return Err(Failed::Interrupted);
                            }
                            if !goes_on {
                                return Ok(Grant::RETRY);
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    fn let_go(&mut self, wake: impl FnOnce()) {
        // SAFETY: the thread is attached, as above; nothing of Python is touched meanwhile.
        unsafe {
            let state = ffi::PyEval_SaveThread();
            wake();
            crate::exit::restore_thread(state);
        }
    }
}
