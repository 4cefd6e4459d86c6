//! `Queue`: what it does. The types and their attributes are in `queue_type.rs`.
//!
//! Where no method is overridden ("plain"), everything is done here; else every method that the standard library
//! calls on `self` is called, and the base class' own are here.

use std::ffi::{c_int, c_void};

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::event::{self, Event};
use super::head::{Head, Primitive, truth};
use super::operation::{self, Operation, Plan, Resume, settled};
use super::queue_store::{Order, Store};
use super::waiters::{Waiters, is_cancelled, is_done};
use crate::errors::{raise, restore, runtime_error};
use crate::future_iter::Await;
use crate::kinds;
use crate::names::{asyncio, names};
use crate::object::{Obj, Raised, Res, call_method, clear, none, ptr_or_null, visit};

/// The layout of `fenshen.Queue` and what derives from it.
#[repr(C)]
pub(crate) struct Queue {
    pub(crate) head: Head,
    pub(crate) store: Store,
    pub(crate) getters: Waiters,
    pub(crate) putters: Waiters,
    /// `maxsize` as it was given; none before `__init__`.
    pub(crate) maxsize: Option<Obj>,
    /// The same as a number; it has no bound if that isn't positive.
    pub(crate) limit: f64,
    pub(crate) unfinished: i64,
    /// The event that `join` waits for: up while nothing is unfinished.
    pub(crate) finished: Option<Obj>,
    pub(crate) order: Order,
    pub(crate) is_shutdown: bool,
}

impl Primitive for Queue {
    const CALLED: &'static [&'static std::ffi::CStr] =
        &[c"_get", c"_put", c"qsize", c"empty", c"full", c"get_nowait", c"put_nowait", c"maxsize"];
    fn kind() -> *mut PyTypeObject {
        kinds::queue()
    }
    unsafe fn prepare(this: *mut Queue) {
        let ty = ffi::Py_TYPE(this.cast());
        let order = if ffi::PyType_IsSubtype(ty, kinds::priority_queue()) != 0 {
            Order::Priority
        } else if ffi::PyType_IsSubtype(ty, kinds::lifo_queue()) != 0 {
            Order::Lifo
        } else {
            Order::Fifo
        };
        std::ptr::write(&raw mut (*this).order, order);
        std::ptr::write(&raw mut (*this).store, Store::Native(std::collections::VecDeque::new()));
        std::ptr::write(&raw mut (*this).getters, Waiters::empty());
        std::ptr::write(&raw mut (*this).putters, Waiters::empty());
    }
    unsafe fn visit(this: *mut Queue, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        let q = &*this;
        [
            q.store.traverse(visitor, arg),
            q.getters.traverse(visitor, arg),
            q.putters.traverse(visitor, arg),
            visit(&q.maxsize, visitor, arg),
            visit(&q.finished, visitor, arg),
        ]
        .into_iter()
        .find(|status| *status != 0)
        .unwrap_or(0)
    }
    unsafe fn release(this: *mut Queue) {
        (*this).getters.clear();
        (*this).putters.clear();
        (*this).store.clear();
        clear(&mut (*this).maxsize);
        clear(&mut (*this).finished);
    }
    unsafe fn stands_for(ty: *mut PyTypeObject) -> Option<&'static Obj> {
        let a = asyncio();
        if ty == kinds::queue() {
            Some(&a.queue_class)
        } else if ty == kinds::lifo_queue() {
            Some(&a.lifo_queue_class)
        } else if ty == kinds::priority_queue() {
            Some(&a.priority_queue_class)
        } else {
            None
        }
    }
}

/// `empty()`.
#[inline]
pub(crate) unsafe fn empty(q: *mut Queue) -> Res<bool> {
    if (*q).head.plain {
        return Store::is_empty(&raw mut (*q).store);
    }
    truth(&call_method(&names().empty, &[q.cast()])?)
}

/// Whether so many items are as many as it takes.
pub(crate) fn fills(limit: f64, len: usize) -> bool {
    limit > 0.0 && len as f64 >= limit
}

/// `full()`.
#[inline]
pub(crate) unsafe fn full(q: *mut Queue) -> Res<bool> {
    if (*q).head.plain {
        return Ok((*q).limit > 0.0 && fills((*q).limit, Store::len(&raw mut (*q).store)?));
    }
    truth(&call_method(&names().full, &[q.cast()])?)
}

unsafe fn fail<T>(kind: &Obj) -> Res<T> {
    ffi::PyErr_SetNone(kind.ptr());
    Err(Raised)
}

unsafe fn event_of(q: *mut Queue) -> Res<*mut Event> {
    match &(*q).finished {
        Some(event) => Ok(event.ptr().cast()),
        None => raise(ffi::PyExc_AttributeError, "'Queue' object has no attribute '_finished'"),
    }
}

/// `put_nowait(item)`.
#[inline]
pub(crate) unsafe fn put_nowait(q: *mut Queue, item: Obj) -> Res<()> {
    if (*q).is_shutdown {
        return fail(&asyncio().queue_shut_down);
    }
    if full(q)? {
        return fail(&asyncio().queue_full);
    }
    let finished = event_of(q)?;
    if (*q).head.plain {
        Store::put(&raw mut (*q).store, (*q).order, item)?;
    } else {
        call_method(&names().private_put, &[q.cast(), item.ptr()])?;
    }
    (*q).unfinished += 1;
    (*finished).value = false;
    Waiters::wake_next(&raw mut (*q).getters)
}

/// `get_nowait()`.
#[inline]
pub(crate) unsafe fn get_nowait(q: *mut Queue) -> Res<Obj> {
    if empty(q)? {
        return fail(if (*q).is_shutdown { &asyncio().queue_shut_down } else { &asyncio().queue_empty });
    }
    let item = if (*q).head.plain {
        Store::get(&raw mut (*q).store, (*q).order)?
    } else {
        call_method(&names().private_get, &[q.cast()])?
    };
    Waiters::wake_next(&raw mut (*q).putters)?;
    Ok(item)
}

/// `task_done()`.
pub(crate) unsafe fn task_done(q: *mut Queue) -> Res<()> {
    if (*q).unfinished <= 0 {
        return raise(ffi::PyExc_ValueError, "task_done() called too many times");
    }
    (*q).unfinished -= 1;
    if (*q).unfinished == 0 { event::raise_flag(event_of(q)?) } else { Ok(()) }
}

/// `shutdown(immediate)`.
pub(crate) unsafe fn shutdown(q: *mut Queue, immediate: bool) -> Res<()> {
    (*q).is_shutdown = true;
    if immediate {
        while !empty(q)? {
            let item = if (*q).head.plain {
                Store::get(&raw mut (*q).store, (*q).order)?
            } else {
                call_method(&names().private_get, &[q.cast()])?
            };
            drop(item);
            if (*q).unfinished > 0 {
                (*q).unfinished -= 1;
            }
        }
        if (*q).unfinished == 0 {
            event::raise_flag(event_of(q)?)?;
        }
    }
    for waiters in [&raw mut (*q).getters, &raw mut (*q).putters] {
        while let Some(f) = Waiters::pop(waiters)? {
            if !is_done(&f)? {
                super::waiters::wake(&f, ffi::Py_None())?;
            }
        }
    }
    Ok(())
}

/// A wait for an item or a place is over. If it failed after it was woken, the next in line is woken instead.
unsafe fn waited(
    op: *mut Operation,
    q: *mut Queue,
    waiters: *mut Waiters,
    blocked: unsafe fn(*mut Queue) -> Res<bool>,
    how: Resume,
) -> Res<()> {
    let Some(future) = (*op).waiter.take() else {
        return runtime_error("fenshen: a waiter is lost");
    };
    let Err(exc) = settled(&future, how) else {
        return Ok(());
    };
    crate::future::cancel_any(future.ptr(), &None)?;
    Waiters::remove(waiters, &future)?;
    if !is_cancelled(&future)? && !blocked(q)? {
        Waiters::wake_next(waiters)?;
    }
    restore(exc);
    Err(Raised)
}

unsafe fn wait_in(op: *mut Operation, q: *mut Queue, waiters: *mut Waiters) -> Res<Await> {
    if (*q).is_shutdown {
        return fail(&asyncio().queue_shut_down);
    }
    let future = Head::future(q.cast())?;
    Waiters::push(waiters, future.again())?;
    operation::wait(op, future)
}

unsafe fn run_get(op: *mut Operation, how: Resume) -> Res<Await> {
    let q: *mut Queue = ptr_or_null(&(*op).owner).cast();
    if !matches!(how, Resume::Start) {
        waited(op, q, &raw mut (*q).getters, empty, how)?;
    }
    if empty(q)? {
        return wait_in(op, q, &raw mut (*q).getters);
    }
    if (*q).head.plain {
        return get_nowait(q).map(Await::Return);
    }
    call_method(&names().get_nowait, &[q.cast()]).map(Await::Return)
}

unsafe fn run_put(op: *mut Operation, how: Resume) -> Res<Await> {
    let q: *mut Queue = ptr_or_null(&(*op).owner).cast();
    if !matches!(how, Resume::Start) {
        waited(op, q, &raw mut (*q).putters, full, how)?;
    }
    if full(q)? {
        return wait_in(op, q, &raw mut (*q).putters);
    }
    let Some(item) = (*op).arg.take() else {
        return runtime_error("fenshen: an item is lost");
    };
    if (*q).head.plain {
        put_nowait(q, item)?;
        return Ok(Await::Return(none()));
    }
    call_method(&names().put_nowait, &[q.cast(), item.ptr()]).map(Await::Return)
}

unsafe fn run_join(op: *mut Operation, how: Resume) -> Res<Await> {
    let q: *mut Queue = ptr_or_null(&(*op).owner).cast();
    if matches!(how, Resume::Start) && (*q).unfinished <= 0 {
        return Ok(Await::Return(none()));
    }
    Ok(match event::wait_for(op, event_of(q)?, how)? {
        Await::Return(_) => Await::Return(none()),
        other => other,
    })
}

static GET: Plan = Plan { name: c"get", qualname: c"Queue.get", run: run_get };
static PUT: Plan = Plan { name: c"put", qualname: c"Queue.put", run: run_put };
static JOIN: Plan = Plan { name: c"join", qualname: c"Queue.join", run: run_join };

/// `get()`.
#[inline]
pub(crate) unsafe fn get(q: *mut PyObject) -> Res<Obj> {
    operation::new(&GET, q, std::ptr::null_mut())
}

/// `put(item)`.
#[inline]
pub(crate) unsafe fn put(q: *mut PyObject, item: *mut PyObject) -> Res<Obj> {
    operation::new(&PUT, q, item)
}

/// `join()`.
pub(crate) unsafe fn join(q: *mut PyObject) -> Res<Obj> {
    operation::new(&JOIN, q, std::ptr::null_mut())
}
