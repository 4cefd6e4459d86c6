//! The types of the module, made once.

use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi::{self, PyTypeObject};

use super::{event, queue_type, seat, semaphore};
use crate::kinds::kinds;
use crate::object::{Res, done, text};

kinds! {
    /// `Queue`.
    queue, QUEUE;
    /// `Event`.
    event, EVENT;
    /// `Semaphore`.
    semaphore, SEMAPHORE;
    /// What a task stands in line with.
    seat, SEAT;
}

/// Makes every type.
pub(super) unsafe fn init() -> Res<()> {
    SEAT.store(seat::build()?, Ordering::Relaxed);
    QUEUE.store(queue_type::build()?, Ordering::Relaxed);
    EVENT.store(event::build()?, Ordering::Relaxed);
    SEMAPHORE.store(semaphore::build()?, Ordering::Relaxed);
    Ok(())
}

/// Has a type be known by the name under which programs find it: `fenshen.Queue`.
pub(super) unsafe fn rename(ty: *mut PyTypeObject) -> Res<()> {
    let module = text("fenshen")?;
    done(ffi::PyObject_SetAttrString(ty.cast(), c"__module__".as_ptr(), module.ptr()))
}
