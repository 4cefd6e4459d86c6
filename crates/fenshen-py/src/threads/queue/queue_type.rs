//! The Python face of [`Queue`].

use std::ffi::{CStr, c_int, c_void};

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::asked::Asked;
use super::layout::{LifoQueue, PriorityQueue, Queue};
use super::turn::Which;
use super::words::{EMPTY, FULL, SHUT_DOWN, words};
use super::{exposed, hooks, native};
use crate::args::{Args, Signature, sort_call};
use crate::errors::status;
use crate::methods::{fast, getter, no_args, one_arg, setter};
use crate::object::{Obj, Raised, Res, boolean, call_method_kw, done, none, ptr_or_null, set};
use crate::threads::head::{self, Shared};
use crate::threads::kinds;
use crate::types::TypeBuilder;

const INIT: Signature<1> = Signature { func: "Queue.__init__", names: [c"maxsize"], positional: 1, required: 0 };
const PUT: Signature<3> =
    Signature { func: "Queue.put", names: [c"item", c"block", c"timeout"], positional: 3, required: 1 };
const GET: Signature<2> = Signature { func: "Queue.get", names: [c"block", c"timeout"], positional: 2, required: 0 };
const PUT_NOWAIT: Signature<1> = Signature { func: "Queue.put_nowait", names: [c"item"], positional: 1, required: 1 };
const SHUTDOWN: Signature<1> = Signature { func: "Queue.shutdown", names: [c"immediate"], positional: 1, required: 0 };

unsafe extern "C" fn init(this: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> c_int {
    status(|| {
        let [maxsize] = sort_call(&INIT, args, kwargs)?;
        let maxsize = match Obj::from_opt(maxsize) {
            Some(given) => given,
            None => Obj::new(ffi::PyLong_FromLong(0))?,
        };
        Queue::begin(this.cast(), maxsize)
    })
}

/// Whether `put` and `get` are certainly our own.
#[inline]
unsafe fn is_exact(q: *mut Queue) -> bool {
    let ty = ffi::Py_TYPE(q.cast());
    (*q).head.dict.is_null() && (ty == kinds::queue() || ty == kinds::lifo_queue() || ty == kinds::priority_queue())
}

/// `("block",)`.
unsafe fn block_keyword() -> Res<Obj> {
    Obj::new(ffi::PyTuple_Pack(1, words().block.ptr()))
}

unsafe fn put_sorted(q: *mut Queue, args: &Args<'_>) -> Res<()> {
    let [item, block, timeout] = args.sort(&PUT)?;
    let item = Obj::from(item);
    let asked = Asked::new(block, timeout)?;
    native::put_timed(q, item.ptr(), asked)
}

unsafe fn get_sorted(q: *mut Queue, args: &Args<'_>) -> Res<Obj> {
    let [block, timeout] = args.sort(&GET)?;
    let asked = Asked::new(block, timeout)?;
    native::get_timed(q, asked)
}

fast!(put, |q: Queue, args| {
    match args.only() {
        Some(item) => native::put(q, item, Asked::ENDLESS)?,
        None => put_sorted(q, &args)?,
    }
    Ok(none())
});
fast!(get, |q: Queue, args| if args.is_empty() { native::get(q, Asked::ENDLESS) } else { get_sorted(q, &args) });
fast!(put_nowait, |q: Queue, args| {
    let [item] = args.sort(&PUT_NOWAIT)?;
    if is_exact(q) {
        native::put(q, item, Asked::NEVER)?;
        return Ok(none());
    }
    call_method_kw(&words().put, &[q.cast(), item, ffi::Py_False()], &block_keyword()?)
});
no_args!(get_nowait, |q: Queue| {
    if is_exact(q) {
        return native::get(q, Asked::NEVER);
    }
    call_method_kw(&words().get, &[q.cast(), ffi::Py_False()], &block_keyword()?)
});
no_args!(task_done, |q: Queue| native::task_done(q).map(|()| none()));
no_args!(join, |q: Queue| native::join(q).map(|()| none()));
fast!(shutdown, |q: Queue, args| {
    let [immediate] = args.sort(&SHUTDOWN)?;
    let immediate = if immediate.is_null() { 0 } else { ffi::PyObject_IsTrue(immediate) };
    done(immediate)?;
    native::shutdown(q, immediate != 0).map(|()| none())
});
no_args!(qsize, |q: Queue| native::qsize(q));
no_args!(empty, |q: Queue| Ok(boolean(native::is_empty(q)?)));
no_args!(full, |q: Queue| Ok(boolean(native::is_full(q)?)));

// What derived classes override and call.
one_arg!(own_init, |q: Queue, _maxsize| {
    exposed::expose(q)?;
    hooks::own_init(q).map(|()| none())
});
no_args!(own_qsize, |q: Queue| {
    exposed::expose(q)?;
    Obj::new(ffi::PyLong_FromSize_t(hooks::own_qsize(q)?))
});
one_arg!(own_put, |q: Queue, item| {
    exposed::expose(q)?;
    hooks::own_put(q, item).map(|()| none())
});
no_args!(own_get, |q: Queue| {
    exposed::expose(q)?;
    hooks::own_get(q)
});

getter!(get_maxsize, |q: Queue| Queue::maxsize(q));
setter!(set_maxsize, |q: Queue, value| {
    Queue::set_maxsize(q, Obj::from(value))?;
    if (*q).unusual { exposed::expose(q) } else { Ok(()) }
});
getter!(get_unfinished, |q: Queue| Obj::new(ffi::PyLong_FromSize_t((*q).native.unfinished())));
setter!(set_unfinished, |q: Queue, value| {
    let count = ffi::PyLong_AsSize_t(value);
    if count == usize::MAX && !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    (*q).native.set_unfinished(count);
    Ok(())
});
getter!(get_shutdown, |q: Queue| Ok(boolean((*q).native.is_shutdown())));
setter!(set_shutdown, |q: Queue, value| {
    let truth = ffi::PyObject_IsTrue(value);
    done(truth)?;
    match truth {
        0 => (*q).native.reopen(),
        _ => (*q).native.shutdown(),
    }
    Ok(())
});
getter!(get_queue, |q: Queue| exposed::show(q, || Obj::from_opt(ptr_or_null(&(*q).shown))));
setter!(set_queue, |q: Queue, value| {
    exposed::expose(q)?;
    set(&mut (*q).shown, Some(Obj::from(value)));
    Ok(())
});
getter!(get_mutex, |q: Queue| exposed::show(q, || Obj::from_opt(ptr_or_null(&(*q).turn.mutex))));
setter!(set_mutex, |q: Queue, value| {
    exposed::expose(q)?;
    set(&mut (*q).turn.mutex, Some(Obj::from(value)));
    Ok(())
});

/// The getter and setter of a condition.
macro_rules! condition {
    ($get:ident, $set:ident, $which:expr) => {
        getter!($get, |q: Queue| exposed::show(q, || {
            Obj::from_opt(ptr_or_null(&(*q).turn.conditions[$which as usize]))
        }));
        setter!($set, |q: Queue, value| {
            exposed::expose(q)?;
            (*q).turn.replace($which, value);
            Ok(())
        });
    };
}
condition!(get_not_empty, set_not_empty, Which::NotEmpty);
condition!(get_not_full, set_not_full, Which::NotFull);
condition!(get_all_tasks_done, set_all_tasks_done, Which::AllTasksDone);

/// Makes `Queue`.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    super::words::init()?;
    let doc = c"Queue(maxsize=0)\n--\n\nA queue between threads, as queue.Queue, with shutdown() on every version.\n\nmaxsize: how many items it takes before put() waits; without bound if not positive. Items and places are handed to\nthose who wait for them in the order in which they came. A put() by a signal handler or finaliser that interrupts an\noperation of the same thread on the same queue is finished by that operation.";
    methods(head::builder::<Queue>(c"fenshen._threads.Queue", doc))
        .slot(ffi::Py_tp_init, init as *mut c_void)
        .generic()
        .one_arg(c"_init", own_init, c"_init($self, maxsize, /)\n--\n\nMake the container; for derived classes.")
        .no_args(c"_qsize", own_qsize, c"_qsize($self, /)\n--\n\nThe size of the container; for derived classes.")
        .one_arg(c"_put", own_put, c"_put($self, item, /)\n--\n\nPut an item into the container; for derived classes.")
        .no_args(
            c"_get",
            own_get,
            c"_get($self, /)\n--\n\nTake the next item out of the container; for derived classes.",
        )
        .property(c"maxsize", get_maxsize, Some(set_maxsize))
        .property(c"unfinished_tasks", get_unfinished, Some(set_unfinished))
        .property(c"is_shutdown", get_shutdown, Some(set_shutdown))
        .property(c"queue", get_queue, Some(set_queue))
        .property(c"mutex", get_mutex, Some(set_mutex))
        .property(c"not_empty", get_not_empty, Some(set_not_empty))
        .property(c"not_full", get_not_full, Some(set_not_full))
        .property(c"all_tasks_done", get_all_tasks_done, Some(set_all_tasks_done))
        .build(None)
}

fn methods(builder: TypeBuilder) -> TypeBuilder {
    builder
        .fast(c"put", put, c"put($self, /, item, block=True, timeout=None)\n--\n\nPut an item in, and wait for a place unless `block` is false, at most `timeout` seconds.\n\nRaises Full if there is no place by then, ShutDown if the queue is shut down, ValueError for a negative timeout.")
        .fast(c"get", get, c"get($self, /, block=True, timeout=None)\n--\n\nTake the next item, and wait for one unless `block` is false, at most `timeout` seconds.\n\nRaises Empty if there is none by then, ShutDown if there is none and the queue is shut down, ValueError for a\nnegative timeout.")
        .fast(c"put_nowait", put_nowait, c"put_nowait($self, /, item)\n--\n\nPut an item in; Full if there is no place.")
        .no_args(c"get_nowait", get_nowait, c"get_nowait($self, /)\n--\n\nTake the next item; Empty if there is none.")
        .no_args(c"task_done", task_done, c"task_done($self, /)\n--\n\nThe work on an item is done; ValueError if that was said of every item already.")
        .no_args(c"join", join, c"join($self, /)\n--\n\nWait until the work on every item is done.")
        .fast(c"shutdown", shutdown, c"shutdown($self, /, immediate=False)\n--\n\nTake no more items; those inside may still be taken, or are thrown away and done if `immediate`.\n\nWhoever waits in put() or get() is told by ShutDown.")
        .no_args(c"qsize", qsize, c"qsize($self, /)\n--\n\nHow many items it holds.")
        .no_args(c"empty", empty, c"empty($self, /)\n--\n\nWhether it holds nothing.")
        .no_args(c"full", full, c"full($self, /)\n--\n\nWhether it holds maxsize items.")
}

unsafe fn derived<P: Shared>(name: &'static CStr, doc: &'static CStr) -> Res<*mut PyTypeObject> {
    head::builder::<P>(name, doc).slot(ffi::Py_tp_init, init as *mut c_void).build(Some(kinds::queue()))
}

/// Makes `LifoQueue`.
pub(crate) unsafe fn build_lifo() -> Res<*mut PyTypeObject> {
    let doc = c"LifoQueue(maxsize=0)\n--\n\nA Queue whose next item is the newest.";
    derived::<LifoQueue>(c"fenshen._threads.LifoQueue", doc)
}

/// Makes `PriorityQueue`.
pub(crate) unsafe fn build_priority() -> Res<*mut PyTypeObject> {
    let doc = c"PriorityQueue(maxsize=0)\n--\n\nA Queue whose next item is the least: of tuples (priority, data), say.";
    derived::<PriorityQueue>(c"fenshen._threads.PriorityQueue", doc)
}

/// Has `isinstance` take the standard queues for ours, and puts the exceptions into the classes.
pub(crate) unsafe fn meet() -> Res<()> {
    head::meet::<Queue>()?;
    head::meet::<LifoQueue>()?;
    head::meet::<PriorityQueue>()?;
    for (name, class) in [(c"Empty", &EMPTY), (c"Full", &FULL), (c"ShutDown", &SHUT_DOWN)] {
        done(ffi::PyObject_SetAttrString(kinds::queue().cast(), name.as_ptr(), class.get()?))?;
    }
    crate::threads::simple_queue::meet()
}
