//! How a thread waits for another process: without the interpreter, with an eye on signals, the deadline, and the life of
//! the manager.

use std::time::Duration;

use fenshen_sync::{Deadline, Slept};
use pyo3::ffi::{self, PyObject};

use super::life::{PyLife, life_type};
use crate::errors::type_error;
use crate::object::{Raised, Res, done};

/// How often a waiter looks whether the manager lives.
const LOOK: Duration = Duration::from_millis(200);

/// Until when, and as long as who lives.
pub(super) struct Patience {
    deadline: Option<Deadline>,
    life: *mut PyLife,
}

impl Patience {
    /// From the arguments `timeout`, in seconds or `None`, and `life`, a `Life` or `None`; either may be null.
    pub(super) unsafe fn new(timeout: *mut PyObject, life: *mut PyObject) -> Res<Patience> {
        let given = |o: *mut PyObject| !o.is_null() && o != ffi::Py_None();
        if given(life) && ffi::Py_TYPE(life) != life_type() {
            return type_error("a Life is required");
        }
        let mut deadline = None;
        if given(timeout) {
            let seconds = ffi::PyFloat_AsDouble(timeout);
            if seconds == -1.0 && !ffi::PyErr_Occurred().is_null() {
                return Err(Raised);
            }
            deadline = Duration::try_from_secs_f64(seconds.max(0.0)).ok().map(Deadline::after);
        }
        Ok(Patience { deadline, life: if given(life) { life.cast() } else { std::ptr::null_mut() } })
    }

    /// Sleeps until it is over; false at the deadline. Raises EOFError when the manager is gone.
    pub(super) unsafe fn wait(
        &self,
        is_over: impl Fn() -> bool,
        sleep: impl Fn(Option<Deadline>) -> Slept,
    ) -> Res<bool> {
        loop {
            if is_over() {
                return Ok(true);
            }
            if self.deadline.is_some_and(Deadline::is_past) {
                return Ok(false);
            }
            if !self.life.is_null() && (*self.life).is_over() {
                ffi::PyErr_SetNone(ffi::PyExc_EOFError);
                return Err(Raised);
            }
            let look = Deadline::after(LOOK);
            let until = self.deadline.map_or(look, |deadline| deadline.min(look));
            let state = ffi::PyEval_SaveThread();
            sleep(Some(until));
            crate::exit::restore_thread(state);
            if !is_over() {
                done(ffi::PyErr_CheckSignals())?;
            }
        }
    }
}
