//! How a thread waits at a queue: without the interpreter, and with an eye on signals. Another process may end the wait,
//! so it is no part of a deadlock.

use std::time::Duration;

use fenshen_sync::{Deadline, Slept};
use pyo3::ffi;

use crate::object::{Raised, Res};
use crate::threads::patience::Patience;

/// One call's wait, which may take several sleeps.
pub(super) struct Wait {
    deadline: Option<Deadline>,
    /// When the next look for signals is due, though none has interrupted the sleep: one that came in the moment before
    /// it has not.
    pause: Duration,
    /// It has slept.
    pub(super) slept: bool,
}

/// Runs something without the interpreter.
pub(crate) unsafe fn without_interpreter<T>(work: impl FnOnce() -> T) -> T {
    let state = ffi::PyEval_SaveThread();
    let outcome = work();
    crate::exit::restore_thread(state);
    outcome
}

impl Wait {
    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(1);

    pub(super) fn new(patience: Patience) -> Wait {
        Wait { deadline: patience.deadline(), pause: Wait::FIRST, slept: false }
    }

    /// Waits for a while by `sleep`; false if there is no time left. Raises what a signal handler raises.
    pub(super) unsafe fn once(&mut self, sleep: impl FnOnce(Option<Deadline>) -> Slept) -> Res<bool> {
        if self.deadline.is_some_and(Deadline::is_past) {
            return Ok(false);
        }
        let look = Deadline::after(self.pause);
        let until = self.deadline.map_or(look, |deadline| deadline.min(look));
        self.slept = true;
        let slept = without_interpreter(|| sleep(Some(until)));
        if slept != Slept::Woken {
            self.pause = (2 * self.pause).min(Wait::LONGEST);
            if ffi::PyErr_CheckSignals() < 0 {
                return Err(Raised);
            }
        }
        Ok(true)
    }
}
