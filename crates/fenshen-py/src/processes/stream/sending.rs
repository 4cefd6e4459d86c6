//! A worker's task that sends items: runs on while the pool wants more of them.

use fenshen_pool::Permit;
use pyo3::ffi;

use crate::errors;
use crate::object::{Obj, Raised, Res, attr_opt, call, none};
use crate::processes::cargo::{CLOSED, RAISED, RAISED_AT_CLOSE, RETURNED};
use crate::processes::known::known;
use crate::processes::pickling::Pickle;
use crate::processes::worker::{PyWorker, inner, pickled, send_item, send_notes, sleep_in_task};

/// What is sent at the end, or the exception.
type Ended = Result<(u32, Pickle), (u32, Obj)>;

unsafe fn raised(_: Raised) -> (u32, Obj) {
    (RAISED, errors::take())
}

/// Calls a function, and sends what iterating over the result yields.
pub(crate) unsafe fn send_all(w: *mut PyWorker, function: &Obj, args: &Obj, kwargs: &Obj) -> Ended {
    if inner(w).map_err(|r| raised(r))?.worker.permit() == Permit::Stop {
        return closed(w, Ok(()));
    }
    let returned = Obj::new(ffi::PyObject_Call(function.ptr(), args.ptr(), kwargs.ptr())).map_err(|r| raised(r))?;
    let iterator = Obj::new(ffi::PyObject_GetIter(returned.ptr())).map_err(|r| raised(r))?;
    drop(returned);
    match each(w, &iterator) {
        Ok(Some(value)) => {
            drop(iterator);
            pickled(w, &value).map(|pickle| (RETURNED, pickle))
        }
        Ok(None) => {
            let outcome = close(&iterator);
            drop(iterator);
            closed(w, outcome)
        }
        Err(exc) => {
            // Of a generator that has raised nothing is left; one whose item could not be sent is to clean up.
            if close(&iterator).is_err() {
                ffi::PyErr_WriteUnraisable(iterator.ptr());
            }
            Err(exc)
        }
    }
}

/// What is sent when the generator was closed.
unsafe fn closed(w: *mut PyWorker, outcome: Res<()>) -> Ended {
    match outcome {
        Ok(()) => pickled(w, &none()).map(|pickle| (CLOSED, pickle)),
        Err(Raised) => Err((RAISED_AT_CLOSE, errors::take())),
    }
}

/// Has a generator clean up; other iterators have nothing to clean up.
unsafe fn close(iterator: &Obj) -> Res<()> {
    match attr_opt(iterator.ptr(), &known().close)? {
        Some(method) => call(method.ptr(), &[]).map(drop),
        None => Ok(()),
    }
}

/// Sends items; returns the iterator's value, or `None` if nobody wants more.
unsafe fn each(w: *mut PyWorker, iterator: &Obj) -> Result<Option<Obj>, (u32, Obj)> {
    loop {
        if !may_send(w).map_err(|r| raised(r))? {
            return Ok(None);
        }
        let mut item = std::ptr::null_mut();
        match ffi::PyIter_Send(iterator.ptr(), ffi::Py_None(), &mut item) {
            ffi::PySendResult::PYGEN_ERROR => return Err(raised(Raised)),
            ffi::PySendResult::PYGEN_RETURN => return Ok(Some(Obj::steal(item))),
            ffi::PySendResult::PYGEN_NEXT => {}
        }
        let item = Obj::steal(item);
        let pickle = pickled(w, &item)?;
        drop(item);
        send_item(w, pickle).map_err(|r| raised(r))?;
    }
}

/// Waits until an item may be sent; false if no more are wanted.
unsafe fn may_send(w: *mut PyWorker) -> Res<bool> {
    loop {
        send_notes(w)?;
        match inner(w)?.worker.permit() {
            Permit::Send => return Ok(true),
            Permit::Stop => return Ok(false),
            Permit::Wait => sleep_in_task(w, |worker, _| worker.sleep_without_permit())?,
        }
    }
}
