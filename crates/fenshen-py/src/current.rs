//! The current task, kept where asyncio keeps it, so that every reader of `asyncio.current_task` sees ours.
//!
//! Up to Python 3.13 that is a dict from loops to tasks, which we write ourselves. From 3.14 on it is a field of
//! the thread's state, which only asyncio's own function reaches.

use pyo3::ffi::{self, PyObject};

use crate::errors::runtime_error;
use crate::names::asyncio;
use crate::object::{Obj, Raised, Res, call, done, repr};

/// Makes `task` (null for none) the current one of `event_loop`; returns the one before.
pub(crate) unsafe fn swap(event_loop: *mut PyObject, task: *mut PyObject) -> Res<Option<Obj>> {
    if let Some(store) = &asyncio().current_tasks {
        let before = Obj::from_opt(ffi::PyDict_GetItemWithError(store.ptr(), event_loop));
        if before.is_none() && !ffi::PyErr_Occurred().is_null() {
            return Err(Raised);
        }
        if !task.is_null() {
            done(ffi::PyDict_SetItem(store.ptr(), event_loop, task))?;
        } else if before.is_some() {
            done(ffi::PyDict_DelItem(store.ptr(), event_loop))?;
        }
        return Ok(before);
    }
    let Some(swap) = &asyncio().swap_current_task else {
        return runtime_error("fenshen: this interpreter's asyncio has no place for the current task");
    };
    let task = if task.is_null() { ffi::Py_None() } else { task };
    let before = call(swap.ptr(), &[event_loop, task])?;
    Ok(if before.ptr() == ffi::Py_None() { None } else { Some(before) })
}

/// The current task of `event_loop`.
pub(crate) unsafe fn task_of(event_loop: *mut PyObject) -> Res<Option<Obj>> {
    if let Some(store) = &asyncio().current_tasks {
        let found = Obj::from_opt(ffi::PyDict_GetItemWithError(store.ptr(), event_loop));
        return if found.is_none() && !ffi::PyErr_Occurred().is_null() { Err(Raised) } else { Ok(found) };
    }
    let found = call(asyncio().current_task.ptr(), &[event_loop])?;
    Ok(if found.ptr() == ffi::Py_None() { None } else { Some(found) })
}

/// Makes `task` the current one; an error if another is.
pub(crate) unsafe fn enter(event_loop: *mut PyObject, task: *mut PyObject) -> Res<()> {
    if let Some(before) = swap(event_loop, task)? {
        swap(event_loop, before.ptr())?;
        return runtime_error(&format!(
            "Cannot enter into task {} while another task {} is being executed.",
            repr(task),
            repr(before.ptr())
        ));
    }
    Ok(())
}

/// Puts `task` over whatever this loop showed before, without looking: the loop knows that it was its own.
#[inline]
pub(crate) unsafe fn replace(event_loop: *mut PyObject, task: *mut PyObject) -> Res<()> {
    match &asyncio().current_tasks {
        Some(store) => done(ffi::PyDict_SetItem(store.ptr(), event_loop, task)),
        None => swap(event_loop, task).map(drop),
    }
}

/// No task is current any more.
pub(crate) unsafe fn leave(event_loop: *mut PyObject) -> Res<()> {
    swap(event_loop, std::ptr::null_mut()).map(drop)
}
