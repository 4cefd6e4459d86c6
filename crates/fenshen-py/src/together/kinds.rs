//! The types of the module, made once.

use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi::{self, PyTypeObject};

use super::{event, queue_type, seat, semaphore, shared};
use crate::kinds::kinds;
use crate::object::{Obj, Res, done, text};
use crate::types::shorten;

kinds! {
    /// `Queue`.
    queue, QUEUE;
    /// `Event`.
    event, EVENT;
    /// `Semaphore`.
    semaphore, SEMAPHORE;
    /// What a task stands in line with.
    seat, SEAT;
    /// What is rung for a loop.
    bell, BELL;
}

/// Makes every type.
pub(super) unsafe fn init() -> Res<()> {
    SEAT.store(seat::build()?, Ordering::Relaxed);
    BELL.store(shared::bell::build()?, Ordering::Relaxed);
    QUEUE.store(queue_type::build()?, Ordering::Relaxed);
    EVENT.store(event::build()?, Ordering::Relaxed);
    SEMAPHORE.store(semaphore::build()?, Ordering::Relaxed);
    Ok(())
}

/// Has a type be known by the name under which programs find it: `fenshen.Queue`.
pub(super) unsafe fn rename(ty: *mut PyTypeObject) -> Res<()> {
    shorten(ty);
    let module = text("fenshen")?;
    done(ffi::PyObject_SetAttrString(ty.cast(), c"__module__".as_ptr(), module.ptr()))
}

/// What the awaitable methods of a type stand for.
pub(super) unsafe fn awaited(name: &std::ffi::CStr) -> Res<Obj> {
    let module = Obj::new(ffi::PyImport_ImportModule(c"fenshen._awaited".as_ptr()))?;
    Obj::new(ffi::PyObject_GetAttrString(module.ptr(), name.as_ptr()))
}
