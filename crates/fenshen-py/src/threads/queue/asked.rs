//! How long `put` and `get` may wait: their arguments `block` and `timeout`.

use fenshen_sync::Deadline;
use pyo3::ffi::{self, PyObject};

use crate::errors::raise;
use crate::object::{Obj, Res, done};
use crate::threads::patience::{self, Patience};

/// What a negative timeout is told.
const NEGATIVE: &str = "'timeout' must be a non-negative number";

/// The arguments as they were given; `timeout` is looked at when it matters, as the standard library does.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    /// Whether to wait at all.
    pub(crate) block: bool,
    timeout: *mut PyObject,
}

/// Until when a call waits, once it does.
#[derive(Clone, Copy)]
pub(super) enum Until {
    /// It has not begun to.
    Unknown(Asked),
    /// For ever, or until then.
    Known(Option<Deadline>),
}

impl Asked {
    /// To wait for ever.
    pub(crate) const ENDLESS: Asked = Asked { block: true, timeout: std::ptr::null_mut() };
    /// Not to wait.
    pub(crate) const NEVER: Asked = Asked { block: false, timeout: std::ptr::null_mut() };

    /// From arguments that may be null for their defaults.
    #[inline]
    pub(crate) unsafe fn new(block: *mut PyObject, timeout: *mut PyObject) -> Res<Asked> {
        let mut waits = true;
        if !block.is_null() {
            let truth = ffi::PyObject_IsTrue(block);
            done(truth)?;
            waits = truth != 0;
        }
        Ok(Asked { block: waits, timeout })
    }

    #[inline]
    fn is_endless(&self) -> bool {
        // SAFETY: it reads an address.
        self.timeout.is_null() || self.timeout == unsafe { ffi::Py_None() }
    }

    /// Raises ValueError for a negative timeout, unless the call doesn't wait at all.
    #[inline]
    pub(crate) unsafe fn check(&self) -> Res<()> {
        if !self.block || self.is_endless() {
            return Ok(());
        }
        if ffi::PyFloat_CheckExact(self.timeout) != 0 && ffi::PyFloat_AS_DOUBLE(self.timeout) >= 0.0 {
            return Ok(());
        }
        let zero = Obj::new(ffi::PyLong_FromLong(0))?;
        let negative = ffi::PyObject_RichCompareBool(self.timeout, zero.ptr(), ffi::Py_LT);
        done(negative)?;
        if negative != 0 { raise(ffi::PyExc_ValueError, NEGATIVE) } else { Ok(()) }
    }

    /// How long it may wait.
    pub(crate) unsafe fn patience(&self) -> Res<Patience> {
        match self.block {
            true => patience::of_timeout(self.timeout),
            false => Ok(Patience::None),
        }
    }
}

impl Until {
    /// When the wait is over; `Some(None)` for never, `None` if there is none. From now on, that is when.
    pub(super) unsafe fn begin(&mut self) -> Res<Option<Option<Deadline>>> {
        let deadline = match self {
            Until::Known(deadline) => *deadline,
            Until::Unknown(asked) => match asked.patience()? {
                Patience::None => return Ok(None),
                patience => patience.deadline(),
            },
        };
        *self = Until::Known(deadline);
        Ok(Some(deadline))
    }

    /// Whether the call may wait.
    pub(super) fn blocks(&self) -> bool {
        match self {
            Until::Unknown(asked) => asked.block,
            Until::Known(_) => true,
        }
    }

    /// As [`Asked::check`].
    pub(super) unsafe fn check(&self) -> Res<()> {
        match self {
            Until::Unknown(asked) => asked.check(),
            Until::Known(_) => Ok(()),
        }
    }
}
