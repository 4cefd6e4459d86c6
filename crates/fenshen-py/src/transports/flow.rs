//! Flow control: a protocol is told to stop writing when too much waits to be sent, and to go on when little does.

use pyo3::ffi::{self, PyObject};

use super::{Head, ending};
use crate::args::{Args, Signature};
use crate::errors::{raise, type_error};
use crate::names::names;
use crate::object::{Obj, Raised, Res, attr, call_method, ptr_or_null, repr};

/// The standard library's limit.
const HIGH: i64 = 64 * 1024;

const LIMITS: Signature<2> =
    Signature { func: "set_write_buffer_limits", names: [c"high", c"low"], positional: 2, required: 0 };

/// The limits, in bytes, and whether the protocol has been told to stop.
pub(crate) struct Flow {
    pub(crate) high: i64,
    pub(crate) low: i64,
    pub(crate) paused: bool,
}

impl Default for Flow {
    fn default() -> Flow {
        Flow { high: HIGH, low: HIGH / 4, paused: false }
    }
}

unsafe fn given(o: *mut PyObject) -> Res<Option<i64>> {
    if o.is_null() || o == ffi::Py_None() {
        return Ok(None);
    }
    if ffi::PyFloat_Check(o) != 0 {
        return Ok(Some(ffi::PyFloat_AsDouble(o).floor() as i64));
    }
    if ffi::PyIndex_Check(o) == 0 {
        let kind = repr(attr(ffi::Py_TYPE(o).cast(), &names().name)?.ptr());
        return type_error(&format!("'>=' not supported between instances of {kind} and 'int'"));
    }
    let index = Obj::new(ffi::PyNumber_Index(o))?;
    let mut overflow = 0;
    let value = ffi::PyLong_AsLongLongAndOverflow(index.ptr(), &mut overflow);
    match overflow {
        0 if value == -1 && !ffi::PyErr_Occurred().is_null() => Err(Raised),
        0 => Ok(Some(value)),
        sign => Ok(Some(if sign > 0 { i64::MAX } else { i64::MIN })),
    }
}

/// `set_write_buffer_limits(high=None, low=None)`, without what follows from it.
pub(crate) unsafe fn set_limits(t: *mut Head, args: &Args<'_>) -> Res<()> {
    let [high, low] = args.sort(&LIMITS)?;
    let (high, low) = (given(high)?, given(low)?);
    let high = high.or(low.map(|low| low.saturating_mul(4))).unwrap_or(HIGH);
    let low = low.unwrap_or(high.div_euclid(4));
    if !(high >= low && low >= 0) {
        return raise(ffi::PyExc_ValueError, &format!("high ({high}) must be >= low ({low}) must be >= 0"));
    }
    ((*t).flow.high, (*t).flow.low) = (high, low);
    Ok(())
}

/// Tells the protocol to stop writing if `size` is over the limit.
#[inline(always)]
pub(crate) unsafe fn maybe_pause(t: *mut Head, size: usize) -> Res<()> {
    if size as i64 <= (*t).flow.high || (*t).flow.paused {
        return Ok(());
    }
    (*t).flow.paused = true;
    tell(t, &names().pause_writing, "protocol.pause_writing() failed")
}

/// Tells it to go on if `size` is not over the lower limit.
#[inline(always)]
pub(crate) unsafe fn maybe_resume(t: *mut Head, size: usize) -> Res<()> {
    if !(*t).flow.paused || size as i64 > (*t).flow.low {
        return Ok(());
    }
    (*t).flow.paused = false;
    tell(t, &names().resume_writing, "protocol.resume_writing() failed")
}

#[cold]
unsafe fn tell(t: *mut Head, method: &Obj, message: &str) -> Res<()> {
    let Some(protocol) = Obj::from_opt(ptr_or_null(&(*t).protocol)) else {
        return Ok(());
    };
    match call_method(method, &[protocol.ptr()]) {
        Ok(_) => Ok(()),
        Err(Raised) => ending::report_raised(t, message),
    }
}
