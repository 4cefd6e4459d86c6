//! How a thread waits for what other processes do: without the interpreter, with an eye on signals and the deadline, and
//! with a look now and then for what a process that was killed did not tell.

use std::time::Duration;

use fenshen_sync::{Deadline, Slept};
use pyo3::ffi::{self, PyObject};

use crate::object::{Obj, Raised, Res, done};
use crate::threads::cancellation;

/// How long a call may take.
#[derive(Clone, Copy)]
pub(super) enum Patience {
    /// It does not wait.
    None,
    /// Until then.
    Until(Deadline),
    /// Until it is over.
    Endless,
}

impl Patience {
    /// From a `timeout` in seconds, null or `None` for ever. What is negative is no time at all, and what is too far away
    /// for the clock is as far as it goes.
    pub(super) unsafe fn of(timeout: *mut PyObject) -> Res<Patience> {
        if timeout.is_null() || timeout == ffi::Py_None() {
            return Ok(Patience::Endless);
        }
        let seconds = ffi::PyFloat_AsDouble(timeout);
        if seconds == -1.0 && !ffi::PyErr_Occurred().is_null() {
            return Err(Raised);
        }
        let wait = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
        Ok(Patience::Until(Deadline::after(wait)))
    }

    pub(super) fn deadline(self) -> Option<Deadline> {
        match self {
            Patience::None => Some(Deadline::now()),
            Patience::Until(deadline) => Some(deadline),
            Patience::Endless => None,
        }
    }
}

/// What a sleep came to.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Pause {
    /// It may be over.
    Perhaps,
    /// It is time to look at more than the word.
    Look,
    /// The deadline has passed.
    Late,
}

/// A wait, which keeps its object alive.
pub(crate) struct Waiting {
    _what: Obj,
    deadline: Option<Deadline>,
    look: Deadline,
    pause: Duration,
    longest: Duration,
}

impl Waiting {
    /// The first pause between two looks; each is twice as long as the one before it, up to `longest`.
    const FIRST: Duration = Duration::from_millis(50);

    pub(crate) unsafe fn new(what: *mut PyObject, deadline: Option<Deadline>, longest: Duration) -> Waiting {
        // Nobody can wake a waiter in shared memory for that: it looks itself.
        let longest = if cancellation::possible() { Waiting::FIRST } else { longest };
        let look = Deadline::after(Waiting::FIRST);
        Waiting { _what: Obj::from(what), deadline, look, pause: Waiting::FIRST, longest }
    }

    /// Sleeps once. Signal handlers run; what they raise is raised, and so is that the thread's work was cancelled.
    pub(crate) unsafe fn sleep(&mut self, sleep: impl FnOnce(Option<Deadline>) -> Slept) -> Res<Pause> {
        cancellation::check()?;
        let until = self.deadline.map_or(self.look, |deadline| deadline.min(self.look));
        let state = ffi::PyEval_SaveThread();
        let how = sleep(Some(until));
        crate::exit::restore_thread(state);
        let due = self.look.is_past();
        if how == Slept::Interrupted || due {
            done(ffi::PyErr_CheckSignals())?;
        }
        if due {
            self.pause = (2 * self.pause).min(self.longest);
            self.look = Deadline::after(self.pause);
        }
        Ok(match () {
            () if self.deadline.is_some_and(Deadline::is_past) => Pause::Late,
            () if due => Pause::Look,
            () => Pause::Perhaps,
        })
    }
}
