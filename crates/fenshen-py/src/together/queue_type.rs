//! The type of `Queue`.

use std::ffi::{CStr, c_int, c_void};

use fenshen_sync as sync;
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::head::{self, Headed};
use super::queue::{self, GET, JOIN, NEXT, PUT, Queue};
use super::shared::Shared;
use super::{kinds, line};
use crate::args::{Args, Signature, sort_call};
use crate::errors::{entry, type_error};
use crate::methods::{fast, getter, no_args};
use crate::object::{Obj, Raised, Res, boolean, done, none, text};
use crate::primitives::coroutine_function::add_methods;
use crate::threads::patience;
use crate::threads::queue::{Asked, Items, Order};
use crate::types::TypeBuilder;

const NEW: Signature<2> = Signature { func: "Queue", names: [c"maxsize", c"shared"], positional: 1, required: 0 };
const PUT_ARGS: Signature<3> =
    Signature { func: "Queue.put", names: [c"item", c"block", c"timeout"], positional: 3, required: 1 };
const GET_ARGS: Signature<2> =
    Signature { func: "Queue.get", names: [c"block", c"timeout"], positional: 2, required: 0 };
const PUT_NOWAIT: Signature<1> = Signature { func: "Queue.put_nowait", names: [c"item"], positional: 1, required: 1 };
const APUT: Signature<2> = Signature { func: "Queue.aput", names: [c"item", c"timeout"], positional: 2, required: 1 };
const AGET: Signature<1> = Signature { func: "Queue.aget", names: [c"timeout"], positional: 1, required: 0 };
const JOIN_ARGS: Signature<1> = Signature { func: "Queue.join", names: [c"timeout"], positional: 1, required: 0 };
const AJOIN: Signature<1> = Signature { func: "Queue.ajoin", names: [c"timeout"], positional: 1, required: 0 };
const SHUTDOWN: Signature<1> = Signature { func: "Queue.shutdown", names: [c"immediate"], positional: 1, required: 0 };

/// The truth of an argument that may be null for false.
pub(super) unsafe fn flag(o: *mut PyObject) -> Res<bool> {
    if o.is_null() {
        return Ok(false);
    }
    let truth = ffi::PyObject_IsTrue(o);
    done(truth)?;
    Ok(truth != 0)
}

/// How many items a `maxsize` allows; any number if it is not positive.
unsafe fn limit(maxsize: *mut PyObject) -> Res<usize> {
    if maxsize.is_null() {
        return Ok(usize::MAX);
    }
    if ffi::PyLong_Check(maxsize) == 0 {
        return type_error("maxsize must be an int");
    }
    let mut overflow = 0;
    let number = ffi::PyLong_AsLongLongAndOverflow(maxsize, &mut overflow);
    Ok(if overflow != 0 || number <= 0 { usize::MAX } else { number as usize })
}

impl Headed for Queue {
    const NAME: &'static str = "Queue";

    unsafe fn prepare(this: *mut Queue) {
        std::ptr::write(&raw mut (*this).core, sync::Queue::new(Items::new(Order::Fifo), usize::MAX));
    }

    unsafe fn visit(this: *mut Queue, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        (*this).core.peek(|items| items.traverse(visitor, arg))
    }

    unsafe fn empty(this: *mut Queue) {
        let items = (*this).core.store_mut().take();
        drop(items);
    }

    unsafe fn end(this: *mut Queue) {
        std::ptr::drop_in_place(&raw mut (*this).core);
    }
}

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let [maxsize, shared] = sort_call(&NEW, args, kwargs)?;
        let limit = limit(maxsize)?;
        let bound = if limit == usize::MAX { 0 } else { limit };
        let shared = if flag(shared)? { Some(Shared::create(Some(bound))?) } else { None };
        let made = head::allocate::<Queue>(ty, shared)?;
        (*made.ptr().cast::<Queue>()).core.set_limit(limit);
        Ok(made)
    })
}

fast!(py_put, |q: Queue, args| {
    if let Some(item) = args.only() {
        queue::put(q, item, Asked::ENDLESS)?;
        return Ok(none());
    }
    let [item, block, timeout] = args.sort(&PUT_ARGS)?;
    let asked = Asked::new(block, timeout)?;
    asked.check()?;
    queue::put(q, item, asked)?;
    Ok(none())
});
fast!(py_put_nowait, |q: Queue, args| {
    let [item] = args.sort(&PUT_NOWAIT)?;
    queue::put(q, item, Asked::NEVER)?;
    Ok(none())
});
fast!(py_get, |q: Queue, args| {
    if args.is_empty() {
        return queue::get(q, Asked::ENDLESS);
    }
    let [block, timeout] = args.sort(&GET_ARGS)?;
    let asked = Asked::new(block, timeout)?;
    asked.check()?;
    queue::get(q, asked)
});
no_args!(py_get_nowait, |q: Queue| queue::get(q, Asked::NEVER));
no_args!(py_task_done, |q: Queue| queue::task_done(q).map(|()| none()));
fast!(py_join, |q: Queue, args| {
    let [timeout] = args.sort(&JOIN_ARGS)?;
    Ok(boolean(queue::join(q, patience::of_timeout(timeout)?)?))
});
fast!(py_shutdown, |q: Queue, args| {
    let [immediate] = args.sort(&SHUTDOWN)?;
    queue::shutdown(q, flag(immediate)?)?;
    Ok(none())
});
no_args!(py_qsize, |q: Queue| Obj::new(ffi::PyLong_FromSize_t(queue::len(q))));
no_args!(py_empty, |q: Queue| Ok(boolean(queue::len(q) == 0)));
no_args!(py_full, |q: Queue| Ok(boolean(queue::is_full(q))));
getter!(get_maxsize, |q: Queue| { Obj::new(ffi::PyLong_FromSize_t(queue::limit(q).unwrap_or(0))) });
getter!(get_unfinished, |q: Queue| Obj::new(ffi::PyLong_FromSize_t(queue::unfinished(q))));
getter!(get_shutdown, |q: Queue| Ok(boolean(queue::is_shutdown(q))));

unsafe extern "C" fn itself(o: *mut PyObject) -> *mut PyObject {
    ffi::Py_INCREF(o);
    o
}

/// The next item of an iteration, which ends when the queue is shut down and empty.
unsafe extern "C" fn next(o: *mut PyObject) -> *mut PyObject {
    entry(|| match queue::get(o.cast(), Asked::ENDLESS) {
        Err(Raised) if queue::is_over() => {
            ffi::PyErr_Clear();
            Err(Raised)
        }
        got => got,
    })
}

unsafe extern "C" fn anext(o: *mut PyObject) -> *mut PyObject {
    entry(|| line::new(&NEXT, o, std::ptr::null_mut(), std::ptr::null_mut()))
}

unsafe fn aget(q: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    let [timeout] = args.sort(&AGET)?;
    line::new(&GET, q, std::ptr::null_mut(), timeout)
}

unsafe fn aput(q: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    let [item, timeout] = args.sort(&APUT)?;
    line::new(&PUT, q, item, timeout)
}

unsafe fn ajoin(q: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    let [timeout] = args.sort(&AJOIN)?;
    line::new(&JOIN, q, std::ptr::null_mut(), timeout)
}

unsafe extern "C" fn repr(o: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let q: *mut Queue = o.cast();
        let len = queue::len(q);
        let bound = queue::limit(q).map_or_else(String::new, |limit| format!(" of {limit}"));
        let ended = if queue::is_shutdown(q) { ", shut down" } else { "" };
        text(&format!("<fenshen.Queue at {o:p}: {len}{bound} items{ended}>"))
    })
}

const DOC: &CStr = c"Queue(maxsize=0, *, shared=False)\n--\n\nA queue between threads, tasks of any event loop and, with `shared`, processes.\n\nmaxsize: how many items it takes before a put waits; without bound if not positive. Items and places are handed to\nthose who wait for them in the order in which they came, threads and tasks alike; what a cancelled one was given goes\nto the next. A queue is its own iterator, for `for` and `async for`: over when it is shut down and empty.\n\nThreads use put() and get(), coroutines `await aput()` and `await aget()`.";

fn methods(builder: TypeBuilder) -> TypeBuilder {
    builder
        .fast(c"put", py_put, c"put($self, /, item, block=True, timeout=None)\n--\n\nPut an item in, and wait for a place unless `block` is false, at most `timeout` seconds.\n\nRaises queue.Full if there is no place by then, queue.ShutDown if the queue is shut down, ValueError for a negative\ntimeout, RuntimeError where it would block a running event loop.")
        .fast(c"get", py_get, c"get($self, /, block=True, timeout=None)\n--\n\nTake the next item, and wait for one unless `block` is false, at most `timeout` seconds.\n\nRaises queue.Empty if there is none by then, queue.ShutDown if there is none and the queue is shut down, ValueError\nfor a negative timeout, RuntimeError where it would block a running event loop.")
        .fast(c"put_nowait", py_put_nowait, c"put_nowait($self, /, item)\n--\n\nPut an item in; queue.Full if there is no place.")
        .no_args(c"get_nowait", py_get_nowait, c"get_nowait($self, /)\n--\n\nTake the next item; queue.Empty if there is none.")
        .no_args(c"task_done", py_task_done, c"task_done($self, /)\n--\n\nThe work on an item is done; ValueError if that was said of every item already.")
        .fast(c"join", py_join, c"join($self, /, timeout=None)\n--\n\nWait until the work on every item is done, at most `timeout` seconds; returns whether it is.\n\nRaises RuntimeError where it would block a running event loop.")
        .fast(c"shutdown", py_shutdown, c"shutdown($self, /, immediate=False)\n--\n\nTake no more items; those inside may still be taken, or are thrown away and done if `immediate`.\n\nWhoever waits to put, or for an item that will not come, is told by queue.ShutDown.")
        .no_args(c"qsize", py_qsize, c"qsize($self, /)\n--\n\nHow many items it holds.")
        .no_args(c"empty", py_empty, c"empty($self, /)\n--\n\nWhether it holds nothing.")
        .no_args(c"full", py_full, c"full($self, /)\n--\n\nWhether it holds maxsize items.")
}

/// Makes the type.
pub(super) unsafe fn build() -> Res<*mut PyTypeObject> {
    let ty = methods(head::builder::<Queue>(c"fenshen._together.Queue", DOC))
        .slot(ffi::Py_tp_new, new as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .slot(ffi::Py_tp_iter, itself as *mut c_void)
        .slot(ffi::Py_tp_iternext, next as *mut c_void)
        .slot(ffi::Py_am_aiter, itself as *mut c_void)
        .slot(ffi::Py_am_anext, anext as *mut c_void)
        .generic()
        .property(c"maxsize", get_maxsize, None)
        .property(c"unfinished_tasks", get_unfinished, None)
        .property(c"is_shutdown", get_shutdown, None)
        .build(None)?;
    add_methods(ty, Some(&kinds::awaited(c"Queue")?), &[(c"aget", aget), (c"aput", aput), (c"ajoin", ajoin)])?;
    // `item in queue` would go through it, and take the items.
    done(ffi::PyObject_SetAttrString(ty.cast(), c"__contains__".as_ptr(), ffi::Py_None()))?;
    kinds::rename(ty)?;
    Ok(ty)
}
