//! `_init`, `_qsize`, `_put` and `_get`: what the queue itself does there, and the call of whoever overrides them. The
//! queue is exposed, and the mutex held, unless the program calls them without.

use pyo3::ffi::{self, PyObject};

use super::items::Order;
use super::layout::Queue;
use super::words::{DEQUE, HEAPPOP, HEAPPUSH, words};
use crate::errors::raise;
use crate::object::{Obj, Raised, Res, call, call_method, done, set};

/// What `queue` shows.
unsafe fn shown(q: *mut Queue) -> Res<Obj> {
    match &(*q).shown {
        Some(shown) => Ok(shown.again()),
        None => raise(ffi::PyExc_AttributeError, "the queue has no attribute 'queue'"),
    }
}

/// An empty container of the order's kind.
pub(super) unsafe fn container(order: Order) -> Res<Obj> {
    match order {
        Order::Fifo => call(DEQUE.get()?, &[]),
        Order::Lifo | Order::Priority => Obj::new(ffi::PyList_New(0)),
    }
}

/// The queue's own `_init(maxsize)`.
pub(super) unsafe fn own_init(q: *mut Queue) -> Res<()> {
    let fresh = container((*q).order)?;
    set(&mut (*q).shown, Some(fresh));
    Ok(())
}

/// The queue's own `_qsize()`.
#[inline]
pub(super) unsafe fn own_qsize(q: *mut Queue) -> Res<usize> {
    let shown = shown(q)?;
    let size = ffi::PyObject_Size(shown.ptr());
    usize::try_from(size).map_err(|_| Raised)
}

/// The queue's own `_put(item)`.
#[inline]
pub(super) unsafe fn own_put(q: *mut Queue, item: *mut PyObject) -> Res<()> {
    let shown = shown(q)?;
    match (*q).order {
        Order::Priority => call(HEAPPUSH.get()?, &[shown.ptr(), item]).map(drop),
        Order::Lifo if ffi::PyList_CheckExact(shown.ptr()) != 0 => done(ffi::PyList_Append(shown.ptr(), item)),
        Order::Lifo | Order::Fifo => call_method(&words().append, &[shown.ptr(), item]).map(drop),
    }
}

/// The queue's own `_get()`.
#[inline]
pub(super) unsafe fn own_get(q: *mut Queue) -> Res<Obj> {
    let shown = shown(q)?;
    match (*q).order {
        Order::Priority => call(HEAPPOP.get()?, &[shown.ptr()]),
        Order::Fifo => call_method(&words().popleft, &[shown.ptr()]),
        Order::Lifo => call_method(&words().pop, &[shown.ptr()]),
    }
}

/// `len(self)` as the queue or its program has it.
#[inline]
pub(super) unsafe fn qsize(q: *mut Queue) -> Res<Obj> {
    if (*q).head.plain {
        return Obj::new(ffi::PyLong_FromSize_t(own_qsize(q)?));
    }
    call_method(&words().qsize, &[q.cast()])
}

/// Whether it holds anything.
#[inline]
pub(super) unsafe fn has_items(q: *mut Queue) -> Res<bool> {
    if (*q).head.plain {
        return own_qsize(q).map(|size| size > 0);
    }
    let truth = ffi::PyObject_IsTrue(qsize(q)?.ptr());
    done(truth)?;
    Ok(truth != 0)
}

/// Whether `maxsize` is a limit at all.
#[inline]
pub(super) unsafe fn is_limited(q: *mut Queue) -> Res<bool> {
    if !(*q).unusual {
        return Ok((*q).native.limit() != usize::MAX);
    }
    let (maxsize, zero) = (Queue::maxsize(q)?, Obj::new(ffi::PyLong_FromLong(0))?);
    compare(&maxsize, &zero, ffi::Py_GT)
}

/// Whether it holds as much as it may, and `more` than it does now. It is limited.
#[inline]
pub(super) unsafe fn is_full(q: *mut Queue, more: usize) -> Res<bool> {
    if (*q).head.plain && !(*q).unusual {
        return Ok(own_qsize(q)?.saturating_add(more) >= (*q).native.limit());
    }
    let (size, more) = (qsize(q)?, Obj::new(ffi::PyLong_FromSize_t(more))?);
    let size = Obj::new(ffi::PyNumber_Add(size.ptr(), more.ptr()))?;
    compare(&size, &Queue::maxsize(q)?, ffi::Py_GE)
}

unsafe fn compare(a: &Obj, b: &Obj, how: std::ffi::c_int) -> Res<bool> {
    let truth = ffi::PyObject_RichCompareBool(a.ptr(), b.ptr(), how);
    done(truth)?;
    Ok(truth != 0)
}

/// `_put(item)` as the queue or its program has it.
#[inline]
pub(super) unsafe fn put(q: *mut Queue, item: *mut PyObject) -> Res<()> {
    if (*q).head.plain {
        return own_put(q, item);
    }
    call_method(&words().put_hook, &[q.cast(), item]).map(drop)
}

/// `_get()` as the queue or its program has it.
#[inline]
pub(super) unsafe fn get(q: *mut Queue) -> Res<Obj> {
    if (*q).head.plain {
        return own_get(q);
    }
    call_method(&words().get_hook, &[q.cast()])
}

/// Puts an item in front of all others, which a getter was given and could not take.
pub(super) unsafe fn put_back(q: *mut Queue, item: *mut PyObject) -> Res<()> {
    if (*q).head.plain && (*q).order == Order::Fifo {
        return call_method(&words().appendleft, &[shown(q)?.ptr(), item]).map(drop);
    }
    put(q, item)
}
