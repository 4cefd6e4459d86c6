//! How long a call may block: the arguments `blocking` and `timeout` of every `acquire`, `wait`, `get` and `put`.

use std::ffi::CStr;
use std::time::Duration;

use fenshen_sync::Deadline;
use pyo3::ffi::{self, PyObject};

use super::known::known;
use crate::args::Args;
use crate::object::{Obj, Raised, Res, call_method_kw, done};

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Patience {
    /// Not at all.
    None,
    /// For that long.
    For(Duration),
    /// Until it is over.
    Endless,
}

impl Patience {
    /// When it runs out, if it does; `None` is not at all a deadline.
    #[inline]
    pub(crate) fn deadline(self) -> Option<Deadline> {
        match self {
            Patience::None => Some(Deadline::now()),
            Patience::For(wait) => Some(Deadline::after(wait)),
            Patience::Endless => None,
        }
    }

    /// From seconds that are known to be in range; less than nothing is nothing, and what is there is rounded up.
    pub(crate) fn seconds(seconds: f64) -> Patience {
        if seconds <= 0.0 {
            return Patience::None;
        }
        Patience::For(Duration::from_nanos((seconds * 1e9).ceil() as u64))
    }
}

/// The largest timeout that the interpreter's own locks take, in seconds.
const LONGEST: f64 = 9_223_372_036.0;

/// The seconds of a plain `float` or `int` in range; `None` for anything else.
#[inline]
unsafe fn plain_seconds(o: *mut PyObject) -> Option<f64> {
    let seconds = if ffi::PyFloat_CheckExact(o) != 0 {
        ffi::PyFloat_AS_DOUBLE(o)
    } else if ffi::PyLong_CheckExact(o) != 0 {
        let mut overflow = 0;
        let seconds = ffi::PyLong_AsLongLongAndOverflow(o, &mut overflow);
        if overflow != 0 {
            return None;
        }
        seconds as f64
    } else {
        return None;
    };
    (seconds.abs() <= LONGEST).then_some(seconds)
}

/// What `acquire(blocking=True, timeout=-1)` of a lock is called with.
#[inline]
pub(crate) unsafe fn of_lock(args: &Args<'_>) -> Res<Patience> {
    if args.is_empty() {
        return Ok(Patience::Endless);
    }
    let mut blocking = true;
    let mut seconds = -1.0;
    for (i, (name, value)) in args.each().enumerate() {
        let is = |known: &CStr| ffi::PyUnicode_CompareWithASCIIString(name, known.as_ptr()) == 0;
        let first = if name.is_null() { i == 0 } else { is(c"blocking") };
        if first && ffi::PyBool_Check(value) != 0 {
            blocking = value == ffi::Py_True();
        } else if first && ffi::PyLong_CheckExact(value) != 0 {
            blocking = ffi::PyObject_IsTrue(value) != 0;
        } else if i < 2 && !first && (name.is_null() || is(c"timeout")) {
            match plain_seconds(value) {
                Some(found) => seconds = found,
                None => return unusual(args),
            }
        } else {
            return unusual(args);
        }
    }
    if seconds == -1.0 {
        return Ok(if blocking { Patience::Endless } else { Patience::None });
    }
    if seconds < 0.0 || !blocking {
        return unusual(args);
    }
    Ok(Patience::seconds(seconds))
}

/// Arguments that are wrong, or right in an unusual way: a lock of the interpreter's own says which, and in its words.
#[cold]
unsafe fn unusual(args: &Args<'_>) -> Res<Patience> {
    let lock = crate::object::call(known().allocate_lock.ptr(), &[])?;
    let mut all = vec![lock.ptr()];
    all.extend_from_slice(args.values());
    match args.names() {
        Some(names) => call_method_kw(&known().acquire, &all, &Obj::from(names))?,
        None => crate::object::call_method(&known().acquire, &all)?,
    };
    let (mut blocking, mut seconds) = (true, -1.0);
    for (i, (name, value)) in args.each().enumerate() {
        let timeout = !name.is_null() && ffi::PyUnicode_CompareWithASCIIString(name, c"timeout".as_ptr()) == 0;
        if timeout || (name.is_null() && i == 1) {
            seconds = ffi::PyFloat_AsDouble(value);
            if seconds == -1.0 && !ffi::PyErr_Occurred().is_null() {
                return Err(Raised);
            }
        } else {
            let truth = ffi::PyObject_IsTrue(value);
            done(truth)?;
            blocking = truth != 0;
        }
    }
    Ok(match () {
        () if !blocking => Patience::None,
        () if seconds < 0.0 => Patience::Endless,
        () => Patience::seconds(seconds),
    })
}

/// A `timeout` that is `None` for ever, or a number of seconds, negative for not at all: what the standard library's
/// primitives in Python take, who hand it to a lock.
#[inline]
pub(crate) unsafe fn of_timeout(timeout: *mut PyObject) -> Res<Patience> {
    if timeout.is_null() || timeout == ffi::Py_None() {
        return Ok(Patience::Endless);
    }
    if let Some(seconds) = plain_seconds(timeout) {
        return Ok(Patience::seconds(seconds));
    }
    unusual_timeout(timeout)
}

#[cold]
unsafe fn unusual_timeout(timeout: *mut PyObject) -> Res<Patience> {
    let zero = Obj::new(ffi::PyLong_FromLong(0))?;
    let positive = ffi::PyObject_RichCompareBool(timeout, zero.ptr(), ffi::Py_GT);
    done(positive)?;
    if positive == 0 {
        return Ok(Patience::None);
    }
    let lock = crate::object::call(known().allocate_lock.ptr(), &[])?;
    crate::object::call_method(&known().acquire, &[lock.ptr(), ffi::Py_True(), timeout])?;
    let seconds = ffi::PyFloat_AsDouble(timeout);
    if seconds == -1.0 && !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    Ok(Patience::seconds(seconds))
}
