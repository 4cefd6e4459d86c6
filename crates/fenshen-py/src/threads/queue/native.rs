//! The operations of a native queue. One that was exposed meanwhile sends them on.

use fenshen_sync::graph::Target;
use fenshen_sync::{NotPut, Refused, Wake, current};
use pyo3::ffi::{self, PyObject};

use super::asked::{Asked, Until};
use super::exposed;
use super::layout::Queue;
use super::words::{raise_empty, raise_full, raise_shut_down};
use crate::errors::raise;
use crate::object::{Obj, Raised, Res};
use crate::threads::park::PyPark;

/// `put`.
#[inline]
pub(super) unsafe fn put(q: *mut Queue, item: *mut PyObject, asked: Asked) -> Res<()> {
    match (*q).native.try_put(Obj::from(item)) {
        Ok(()) => Ok(()),
        Err(refused) => put_refused(q, refused, asked),
    }
}

/// `put` with a timeout, which is looked at first where there is a limit.
pub(super) unsafe fn put_timed(q: *mut Queue, item: *mut PyObject, asked: Asked) -> Res<()> {
    if (*q).native.limit() != usize::MAX && !(*q).native.is_retired() {
        if (*q).native.is_shutdown() {
            return raise_shut_down();
        }
        asked.check()?;
    }
    put(q, item, asked)
}

#[cold]
unsafe fn put_refused(q: *mut Queue, refused: NotPut<Obj>, asked: Asked) -> Res<()> {
    let _alive = Obj::from(q.cast());
    let mut until = Until::Unknown(asked);
    let mut refused = refused;
    if refused.why == Refused::WouldWait {
        let deadline = if asked.block { until.begin()? } else { None };
        let Some(deadline) = deadline else {
            return raise_full();
        };
        let mut park = PyPark::new(q.cast(), Target::Anyone);
        refused = match (*q).native.put_slowly(refused.item, current(), Wake::Thread, &mut park, deadline) {
            // A signal handler may have raised as the item went in.
            Ok(()) => return if ffi::PyErr_Occurred().is_null() { Ok(()) } else { Err(Raised) },
            Err(refused) => refused,
        };
    }
    match refused.why {
        Refused::Retired => exposed::put(q, refused.item, until),
        Refused::ShutDown => raise_shut_down(),
        Refused::Interrupted => Err(Raised),
        Refused::TimedOut | Refused::WouldWait => raise_full(),
    }
}

/// `get`.
#[inline]
pub(super) unsafe fn get(q: *mut Queue, asked: Asked) -> Res<Obj> {
    match (*q).native.try_get() {
        Ok(item) => Ok(item),
        Err(why) => get_refused(q, why, asked),
    }
}

/// `get` with a timeout, which is looked at first.
pub(super) unsafe fn get_timed(q: *mut Queue, asked: Asked) -> Res<Obj> {
    if !(*q).native.is_retired() {
        if (*q).native.is_shutdown() && (*q).native.is_empty() {
            return raise_shut_down();
        }
        asked.check()?;
    }
    get(q, asked)
}

#[cold]
unsafe fn get_refused(q: *mut Queue, why: Refused, asked: Asked) -> Res<Obj> {
    let _alive = Obj::from(q.cast());
    let mut until = Until::Unknown(asked);
    let mut why = why;
    if why == Refused::WouldWait {
        let deadline = if asked.block { until.begin()? } else { None };
        let Some(deadline) = deadline else {
            return raise_empty();
        };
        let mut park = PyPark::new(q.cast(), Target::Anyone);
        why = match (*q).native.get_slowly(current(), Wake::Thread, &mut park, deadline) {
            Ok(item) => return Ok(item),
            Err(why) => why,
        };
    }
    match why {
        Refused::Retired => exposed::get(q, until),
        Refused::ShutDown => raise_shut_down(),
        Refused::Interrupted => {
            if (*q).native.is_retired() {
                exposed::reclaim(q);
            }
            Err(Raised)
        }
        Refused::TimedOut | Refused::WouldWait => raise_empty(),
    }
}

/// `task_done`.
#[inline]
pub(super) unsafe fn task_done(q: *mut Queue) -> Res<()> {
    if Queue::is_exposed(q) {
        return exposed::task_done(q);
    }
    if (*q).native.task_done() {
        return Ok(());
    }
    raise(ffi::PyExc_ValueError, "task_done() called too many times")
}

/// `join`.
pub(super) unsafe fn join(q: *mut Queue) -> Res<()> {
    let _alive = Obj::from(q.cast());
    if Queue::is_exposed(q) {
        return exposed::join(q);
    }
    let mut park = PyPark::new(q.cast(), Target::Anyone);
    match (*q).native.join(current(), Wake::Thread, &mut park, None) {
        Ok(()) => Ok(()),
        Err(Refused::Retired) => exposed::join(q),
        Err(_) => Err(Raised),
    }
}

/// `shutdown`.
pub(super) unsafe fn shutdown(q: *mut Queue, immediate: bool) -> Res<()> {
    if Queue::is_exposed(q) {
        return exposed::shutdown(q, immediate);
    }
    if immediate {
        drop((*q).native.shutdown_now());
    } else {
        (*q).native.shutdown();
    }
    Ok(())
}

/// `qsize`.
#[inline]
pub(super) unsafe fn qsize(q: *mut Queue) -> Res<Obj> {
    if Queue::is_exposed(q) {
        return exposed::qsize(q);
    }
    Obj::new(ffi::PyLong_FromSize_t((*q).native.len()))
}

/// `empty`.
#[inline]
pub(super) unsafe fn is_empty(q: *mut Queue) -> Res<bool> {
    if Queue::is_exposed(q) { exposed::is_empty(q) } else { Ok((*q).native.is_empty()) }
}

/// `full`.
#[inline]
pub(super) unsafe fn is_full(q: *mut Queue) -> Res<bool> {
    if Queue::is_exposed(q) { exposed::is_full(q) } else { Ok((*q).native.is_full()) }
}
