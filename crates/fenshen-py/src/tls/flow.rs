//! Flow control, both ways: the application is told to pause writing when too much waits to be sent, and the transport
//! to pause reading when too much waits to be decrypted.

use pyo3::ffi::{self, PyObject};

use super::ending::report_raised;
use super::engine::Engine;
use super::known::words;
use super::protocol::{SslProtocol, tell_app};
use crate::args::{Args, Signature};
use crate::errors::raise;
use crate::object::{Obj, Raised, Res, call_method, none, not_none, ptr_or_null, repr};

/// asyncio's limits, in KiB.
pub(super) const SENDING: u32 = 512;
pub(super) const RECEIVING: u32 = 256;

/// Two limits, in bytes. They are any numbers, infinity too.
pub(super) struct Limits {
    pub(super) high: f64,
    pub(super) low: f64,
    default: f64,
    /// As they were given, once they were.
    given: Option<(Obj, Obj)>,
}

impl Limits {
    /// The default of so many KiB, and a quarter of it.
    pub(super) fn of_kib(kib: u32) -> Limits {
        let high = f64::from(kib) * 1024.0;
        Limits { high, low: high / 4.0, default: high, given: None }
    }

    /// `set_..._buffer_limits(high=None, low=None)`.
    pub(super) unsafe fn set(l: *mut Limits, args: &Args<'_>, signature: &Signature<2>) -> Res<()> {
        let [high, low] = args.sort(signature)?;
        let (high, low) = (given(high), given(low));
        let four = Obj::new(ffi::PyLong_FromLong(4))?;
        let high = match (high, &low) {
            (Some(high), _) => high,
            (None, Some(low)) => Obj::new(ffi::PyNumber_Multiply(four.ptr(), low.ptr()))?,
            (None, None) => Obj::new(ffi::PyLong_FromDouble((*l).default))?,
        };
        let low = match low {
            Some(low) => low,
            None => Obj::new(ffi::PyNumber_FloorDivide(high.ptr(), four.ptr()))?,
        };
        let (upper, lower) = (number(&high)?, number(&low)?);
        if !(upper >= lower && lower >= 0.0) {
            let (high, low) = (repr(high.ptr()), repr(low.ptr()));
            return raise(ffi::PyExc_ValueError, &format!("high ({high}) must be >= low ({low}) must be >= 0"));
        }
        ((*l).high, (*l).low) = (upper, lower);
        let old = (*l).given.replace((high, low));
        drop(old);
        Ok(())
    }

    /// `(low, high)`.
    pub(super) unsafe fn get(l: *mut Limits) -> Res<Obj> {
        if let Some((high, low)) = &(*l).given {
            return Obj::new(ffi::PyTuple_Pack(2, low.ptr(), high.ptr()));
        }
        let (low, high) = (Obj::new(ffi::PyLong_FromDouble((*l).low))?, Obj::new(ffi::PyLong_FromDouble((*l).high))?);
        Obj::new(ffi::PyTuple_Pack(2, low.ptr(), high.ptr()))
    }
}

unsafe fn given(o: *mut PyObject) -> Option<Obj> {
    if o.is_null() { None } else { Obj::from_opt(not_none(o)) }
}

unsafe fn number(o: &Obj) -> Res<f64> {
    let value = ffi::PyFloat_AsDouble(o.ptr());
    if value == -1.0 && !ffi::PyErr_Occurred().is_null() { Err(Raised) } else { Ok(value) }
}

/// Tells the application to pause or to go on, where its state asks for it.
#[inline]
pub(super) unsafe fn control_writing(p: *mut SslProtocol) -> Res<()> {
    let size = (Engine::outgoing_size(&raw mut (*p).engine)? + (*p).backlog_size) as f64;
    if !(*p).app_writing_paused && size >= (*p).sending.high {
        (*p).app_writing_paused = true;
        return tell(p, &words().pause_writing, "protocol.pause_writing() failed");
    }
    if (*p).app_writing_paused && size <= (*p).sending.low {
        (*p).app_writing_paused = false;
        return tell(p, &words().resume_writing, "protocol.resume_writing() failed");
    }
    Ok(())
}

#[cold]
unsafe fn tell(p: *mut SslProtocol, method: &Obj, message: &str) -> Res<()> {
    match tell_app(p, method, std::ptr::null_mut()) {
        Ok(_) => Ok(()),
        Err(Raised) => report_raised(p, message),
    }
}

/// Has the transport pause reading or go on, by how much waits to be decrypted.
#[inline]
pub(super) unsafe fn control_reading(p: *mut SslProtocol) -> Res<()> {
    if !(*p).ssl_reading_paused && ((*p).engine.held as f64) < (*p).receiving.high {
        return Ok(());
    }
    control_reading_now(p)
}

/// The same, by what the engine holds.
pub(super) unsafe fn control_reading_now(p: *mut SslProtocol) -> Res<()> {
    let size = Engine::incoming_size(&raw mut (*p).engine)? as f64;
    let method = if size >= (*p).receiving.high && !(*p).ssl_reading_paused {
        (*p).ssl_reading_paused = true;
        &words().pause_reading
    } else if size <= (*p).receiving.low && (*p).ssl_reading_paused {
        (*p).ssl_reading_paused = false;
        &words().resume_reading
    } else {
        return Ok(());
    };
    match Obj::from_opt(ptr_or_null(&(*p).transport)) {
        Some(transport) => call_method(method, &[transport.ptr()]).map(drop),
        None => Ok(()),
    }
}

/// `resume_writing()` of the transport below.
pub(super) unsafe fn resume(p: *mut SslProtocol) -> Res<Obj> {
    (*p).ssl_writing_paused = false;
    super::writing::send(p)?;
    Ok(none())
}
