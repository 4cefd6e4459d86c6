//! The Python face of [`Queue`]: `Queue`, `LifoQueue` and `PriorityQueue`.

use std::ffi::{CStr, c_int, c_void};

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::coroutine_function::add_methods;
use super::event::Event;
use super::head::{builder, init_args, shorten, truth, waiters};
use super::queue::{self, Queue};
use super::queue_store::Store;
use super::waiters::Waiters;
use crate::args::{Args, Signature};
use crate::errors::{entry, status};
use crate::kinds;
use crate::methods::{fast, getter, no_args, one_arg, setter};
use crate::names::{asyncio, names};
use crate::object::{
    Obj, Raised, Res, attr, boolean, call, call_method, none, ptr_or_null, repr as shown, set, text, utf8,
};
use crate::types::TypeBuilder;

const INIT: Signature<1> = Signature { func: "Queue.__init__", names: [c"maxsize"], positional: 1, required: 0 };
const PUT: Signature<1> = Signature { func: "Queue.put", names: [c"item"], positional: 1, required: 1 };
const PUT_NOWAIT: Signature<1> = Signature { func: "Queue.put_nowait", names: [c"item"], positional: 1, required: 1 };
const SHUTDOWN: Signature<1> = Signature { func: "Queue.shutdown", names: [c"immediate"], positional: 1, required: 0 };

unsafe fn set_limit(q: *mut Queue, maxsize: *mut PyObject) -> Res<()> {
    let limit = ffi::PyFloat_AsDouble(maxsize);
    if limit == -1.0 && !ffi::PyErr_Occurred().is_null() {
        if ffi::PyErr_ExceptionMatches(ffi::PyExc_OverflowError) == 0 {
            return Err(Raised);
        }
        ffi::PyErr_Clear();
        (*q).limit = f64::INFINITY;
    } else {
        (*q).limit = limit;
    }
    set(&mut (*q).maxsize, Some(Obj::from(maxsize)));
    Ok(())
}

unsafe extern "C" fn init(this: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> c_int {
    status(|| {
        let q: *mut Queue = this.cast();
        let class = attr(ffi::Py_TYPE(this).cast(), &names().name)?;
        let [maxsize] = init_args(&INIT, &utf8(class.ptr())?, args, kwargs)?;
        let maxsize = match Obj::from_opt(maxsize) {
            Some(given) => given,
            None => Obj::new(ffi::PyLong_FromLong(0))?,
        };
        set_limit(q, maxsize.ptr())?;
        drop(std::mem::replace(&mut (*q).getters, Waiters::empty()));
        drop(std::mem::replace(&mut (*q).putters, Waiters::empty()));
        (*q).unfinished = 0;
        (*q).is_shutdown = false;
        let finished = call(kinds::event().cast(), &[])?;
        (*finished.ptr().cast::<Event>()).value = true;
        set(&mut (*q).finished, Some(finished));
        if super::queue::Queue::is_exact(this) {
            return fill(q);
        }
        call_method(&names().private_init, &[this, maxsize.ptr()]).map(drop)
    })
}

unsafe fn fill(q: *mut Queue) -> Res<()> {
    let fresh = Store::new((*q).order)?;
    drop(std::mem::replace(&mut (*q).store, fresh));
    Ok(())
}

unsafe fn get(this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    args.none("Queue.get")?;
    queue::get(this)
}

unsafe fn put(this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    let [item] = args.sort(&PUT)?;
    queue::put(this, item)
}

unsafe fn join(this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    args.none("Queue.join")?;
    queue::join(this)
}

no_args!(get_nowait, |q: Queue| queue::get_nowait(q));
fast!(put_nowait, |q: Queue, args| {
    let [item] = args.sort(&PUT_NOWAIT)?;
    queue::put_nowait(q, Obj::from(item)).map(|()| none())
});
no_args!(task_done, |q: Queue| queue::task_done(q).map(|()| none()));
fast!(shutdown, |q: Queue, args| {
    let [immediate] = args.sort(&SHUTDOWN)?;
    let immediate = if immediate.is_null() { false } else { truth(&Obj::from(immediate))? };
    queue::shutdown(q, immediate).map(|()| none())
});
no_args!(qsize, |q: Queue| Obj::new(ffi::PyLong_FromSize_t(Store::len(&raw mut (*q).store)?)));
no_args!(empty, |q: Queue| Ok(boolean(Store::is_empty(&raw mut (*q).store)?)));
no_args!(full, |q: Queue| {
    if (*q).limit <= 0.0 {
        return Ok(boolean(false));
    }
    let len = if (*q).head.plain {
        Store::len(&raw mut (*q).store)?
    } else {
        let size = call_method(&names().qsize, &[q.cast()])?;
        let size = ffi::PyNumber_AsSsize_t(size.ptr(), std::ptr::null_mut());
        if size == -1 && !ffi::PyErr_Occurred().is_null() {
            return Err(Raised);
        }
        size.max(0) as usize
    };
    Ok(boolean(queue::fills((*q).limit, len)))
});

// What a derived class may override.
one_arg!(private_init, |q: Queue, _maxsize| fill(q).map(|()| none()));
one_arg!(private_put, |q: Queue, item| Store::put(&raw mut (*q).store, (*q).order, Obj::from(item)).map(|()| none()));
no_args!(private_get, |q: Queue| Store::get(&raw mut (*q).store, (*q).order));
one_arg!(wakeup_next, |_q: Queue, waiters| {
    let mut waiters = Waiters::Shown(Obj::from(waiters));
    let woken = Waiters::wake_next(&raw mut waiters);
    waiters.clear();
    woken.map(|()| none())
});

unsafe fn format(q: *mut Queue) -> Res<String> {
    let maxsize = Obj::from_opt(ptr_or_null(&(*q).maxsize)).unwrap_or_else(|| none());
    let mut out = format!("maxsize={}", shown(maxsize.ptr()));
    if !Store::is_empty(&raw mut (*q).store)? {
        let list = Store::list(&raw mut (*q).store)?;
        let list = Obj::new(ffi::PyObject_Repr(list.ptr()))?;
        out += &format!(" _queue={}", utf8(list.ptr())?);
    }
    for (name, waiters) in [("getters", &raw mut (*q).getters), ("putters", &raw mut (*q).putters)] {
        let count = Waiters::len(waiters)?;
        if count > 0 {
            out += &format!(" _{name}[{count}]");
        }
    }
    if (*q).unfinished != 0 {
        out += &format!(" tasks={}", (*q).unfinished);
    }
    if (*q).is_shutdown {
        out += " shutdown";
    }
    Ok(out)
}

unsafe fn formatted(q: *mut Queue) -> Res<(String, String)> {
    let class = attr(ffi::Py_TYPE(q.cast()).cast(), &names().name)?;
    let format = Obj::new(ffi::PyObject_CallMethodNoArgs(q.cast(), names().private_format.ptr()))?;
    Ok((utf8(class.ptr())?, utf8(format.ptr())?))
}

no_args!(private_format, |q: Queue| text(&format(q)?));

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let (class, format) = formatted(this.cast())?;
        text(&format!("<{class} at {this:p} {format}>"))
    })
}

unsafe extern "C" fn str(this: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let (class, format) = formatted(this.cast())?;
        text(&format!("<{class} {format}>"))
    })
}

waiters!(get_getters, set_getters, Queue, getters);
waiters!(get_putters, set_putters, Queue, putters);
getter!(get_queue, |q: Queue| Store::show(&raw mut (*q).store, (*q).order));
setter!(set_queue, |q: Queue, value| {
    Store::replace(&raw mut (*q).store, value);
    Ok(())
});
getter!(get_maxsize, |q: Queue| Ok(Obj::from_opt(ptr_or_null(&(*q).maxsize)).unwrap_or_else(|| none())));
setter!(set_maxsize, |q: Queue, value| set_limit(q, value));
getter!(get_unfinished, |q: Queue| Obj::new(ffi::PyLong_FromLongLong((*q).unfinished)));
setter!(set_unfinished, |q: Queue, value| {
    let count = ffi::PyLong_AsLongLong(value);
    if count == -1 && !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    (*q).unfinished = count;
    Ok(())
});
getter!(get_finished, |q: Queue| Ok(Obj::from_opt(ptr_or_null(&(*q).finished)).unwrap_or_else(|| none())));
getter!(get_shutdown, |q: Queue| Ok(boolean((*q).is_shutdown)));
setter!(set_shutdown, |q: Queue, value| {
    (*q).is_shutdown = truth(&Obj::from(value))?;
    Ok(())
});

impl Queue {
    /// Whether `o` is of one of our three types, with nothing overridden in it.
    pub(crate) unsafe fn is_exact(o: *mut PyObject) -> bool {
        let ty = ffi::Py_TYPE(o);
        ty == kinds::queue() || ty == kinds::lifo_queue() || ty == kinds::priority_queue()
    }
}

/// Makes `Queue`.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let doc = c"Queue(maxsize=0)\n--\n\nA queue between tasks, as asyncio.Queue, with shutdown() on every version.\n\nmaxsize: how many items it takes before put() waits; without bound if not positive.";
    let ty = builder::<Queue>(c"fenshen._fenshen.Queue", doc)
        .slot(ffi::Py_tp_init, init as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .slot(ffi::Py_tp_str, str as *mut c_void)
        .generic()
        .no_args(c"qsize", qsize, c"qsize($self, /)\n--\n\nHow many items it holds.")
        .no_args(c"empty", empty, c"empty($self, /)\n--\n\nWhether it holds nothing.")
        .no_args(c"full", full, c"full($self, /)\n--\n\nWhether it holds maxsize items.")
        .no_args(c"get_nowait", get_nowait, c"get_nowait($self, /)\n--\n\nTake an item; QueueEmpty if there is none, QueueShutDown if none will come.")
        .fast(c"put_nowait", put_nowait, c"put_nowait($self, item)\n--\n\nPut an item in; QueueFull if there is no place, QueueShutDown if it is shut down.")
        .no_args(c"task_done", task_done, c"task_done($self, /)\n--\n\nThe work on an item is done; ValueError if that was said of every item already.")
        .fast(c"shutdown", shutdown, c"shutdown($self, immediate=False)\n--\n\nTake no more items; those inside may still be taken unless `immediate`.")
        .one_arg(c"_init", private_init, c"_init($self, maxsize, /)\n--\n\nMake the container; for derived classes.")
        .one_arg(c"_put", private_put, c"_put($self, item, /)\n--\n\nPut an item into the container; for derived classes.")
        .no_args(c"_get", private_get, c"_get($self, /)\n--\n\nTake the next item out of the container; for derived classes.")
        .no_args(c"_format", private_format, c"_format($self, /)\n--\n\nWhat its repr says of it.")
        .one_arg(c"_wakeup_next", wakeup_next, c"_wakeup_next($self, waiters, /)\n--\n\nWake the first of `waiters` that still waits.")
        .property(c"maxsize", get_maxsize, None)
        .property(c"_maxsize", get_maxsize, Some(set_maxsize))
        .property(c"_queue", get_queue, Some(set_queue))
        .property(c"_getters", get_getters, Some(set_getters))
        .property(c"_putters", get_putters, Some(set_putters))
        .property(c"_unfinished_tasks", get_unfinished, Some(set_unfinished))
        .property(c"_finished", get_finished, None)
        .property(c"_is_shutdown", get_shutdown, Some(set_shutdown))
        .build(None)?;
    shorten(ty);
    add_methods(ty, Some(&asyncio().queue_class), &[(c"get", get), (c"put", put), (c"join", join)])?;
    Ok(ty)
}

unsafe fn derived(name: &'static CStr, doc: &'static CStr) -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<Queue>(name)
        .doc(doc)
        .flags(ffi::Py_TPFLAGS_BASETYPE)
        .build(Some(kinds::queue()))
        .inspect(|&ty| shorten(ty))
}

/// Makes `LifoQueue`.
pub(crate) unsafe fn build_lifo() -> Res<*mut PyTypeObject> {
    derived(c"fenshen._fenshen.LifoQueue", c"LifoQueue(maxsize=0)\n--\n\nA Queue whose next item is the newest.")
}

/// Makes `PriorityQueue`.
pub(crate) unsafe fn build_priority() -> Res<*mut PyTypeObject> {
    derived(c"fenshen._fenshen.PriorityQueue", c"PriorityQueue(maxsize=0)\n--\n\nA Queue whose next item is the least.")
}
