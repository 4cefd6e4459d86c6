//! `Engine` and `Opening`: the Python faces of `engine.rs`.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

use fenshen_pool::{Counts, Pool};
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::engine::{self, Asked, Engine, Inner, OpeningObject, inner};
use super::kinds;
use super::segment::os_error;
use crate::args::{Signature, sort_call};
use crate::errors::{entry, raise, type_error};
use crate::methods::{fast, getter, no_args, one_arg};
use crate::object::{Obj, Raised, Res, boolean, done, none, set};
use crate::types::{TypeBuilder, free};

const NEW: Signature<3> = Signature { func: "Engine", names: [c"owner", c"kill", c"many"], positional: 3, required: 1 };
const SUBMIT: Signature<7> = Signature {
    func: "submit",
    names: [c"sink", c"function", c"args", c"kwargs", c"timeout", c"retries", c"window"],
    positional: 7,
    required: 4,
};
const ADD: Signature<3> = Signature { func: "add", names: [c"opening", c"pidfd", c"most"], positional: 3, required: 2 };

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let [owner, kill, many] = sort_call(&NEW, args, kwargs)?;
        let kill = !kill.is_null() && ffi::PyObject_IsTrue(kill) == 1;
        let many = if many.is_null() || many == ffi::Py_None() { None } else { Some(integer(many)?) };
        let made = match many {
            None => Pool::new(),
            Some(many) => Pool::of_loops(u32::try_from(many).unwrap_or(0).max(1)),
        };
        let pool = match made {
            Ok(pool) => pool,
            Err(error) => return os_error(&error),
        };
        let o = Obj::new(ffi::PyType_GenericAlloc(ty, 0))?;
        let made = Inner::new(pool, Obj::from(owner), kill);
        std::ptr::write(&raw mut (*o.ptr().cast::<Engine>()).inner, Some(Box::new(made)));
        Ok(o)
    })
}

unsafe extern "C" fn traverse(o: *mut PyObject, visitor: ffi::visitproc, arg: *mut std::ffi::c_void) -> i32 {
    let e: *mut Engine = o.cast();
    let status = visitor(ffi::Py_TYPE(o).cast(), arg);
    if status != 0 {
        return status;
    }
    match &(*e).inner {
        Some(inner) => crate::object::visit(&inner.owner, visitor, arg),
        None => 0,
    }
}

unsafe extern "C" fn clear(o: *mut PyObject) -> i32 {
    if let Some(inner) = &mut (*o.cast::<Engine>()).inner {
        set(&mut inner.owner, None);
    }
    0
}

unsafe extern "C" fn dealloc(o: *mut PyObject) {
    ffi::PyObject_GC_UnTrack(o.cast());
    let e: *mut Engine = o.cast();
    if !(*e).weakrefs.is_null() {
        ffi::PyObject_ClearWeakRefs(o);
    }
    drop((*e).inner.take());
    free(o);
}

/// Seconds; none for no limit.
unsafe fn seconds(o: *mut PyObject) -> Res<Option<Duration>> {
    if o.is_null() || o == ffi::Py_None() {
        return Ok(None);
    }
    let seconds = ffi::PyFloat_AsDouble(o);
    if seconds == -1.0 && !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    Ok(Some(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)))
}

unsafe fn integer(o: *mut PyObject) -> Res<i64> {
    let n = ffi::PyLong_AsLongLong(o);
    if n == -1 && !ffi::PyErr_Occurred().is_null() { Err(Raised) } else { Ok(n) }
}

fast!(py_submit, |e: Engine, args| {
    let [sink, function, arguments, kwargs, timeout, retries, window] = args.sort(&SUBMIT)?;
    let window = if window.is_null() { 0 } else { integer(window)? };
    let retries = if retries.is_null() { 0 } else { integer(retries)? };
    let asked = Asked {
        sink: Obj::from(sink),
        function: Obj::from(function),
        args: Obj::from(arguments),
        kwargs: Obj::from(kwargs),
        timeout: seconds(timeout)?,
        retries: u32::try_from(retries).unwrap_or(0),
        window: u32::try_from(window).unwrap_or(0),
    };
    engine::submit(e, asked)?;
    Ok(none())
});

no_args!(py_open, |e: Engine| {
    let opening = match engine::own(e)?.pool.prepare() {
        Ok(opening) => opening,
        Err(error) => return os_error(&error),
    };
    let o = Obj::new(ffi::PyType_GenericAlloc(kinds::opening(), 0))?;
    std::ptr::write(&raw mut (*o.ptr().cast::<OpeningObject>()).opening, Some(Box::new(opening)));
    Ok(o)
});

fast!(py_add, |e: Engine, args| {
    let [opening, pidfd, most] = args.sort(&ADD)?;
    if ffi::Py_TYPE(opening) != kinds::opening() {
        return type_error("add() needs what open() returned");
    }
    let most = if most.is_null() || most == ffi::Py_None() { None } else { Some(integer(most)?) };
    let pidfd = libc::fcntl(integer(pidfd)? as i32, libc::F_DUPFD_CLOEXEC, 3);
    if pidfd < 0 {
        return os_error(&std::io::Error::last_os_error());
    }
    let pidfd = OwnedFd::from_raw_fd(pidfd);
    let Some(opening) = (*opening.cast::<OpeningObject>()).opening.take() else {
        return raise(ffi::PyExc_ValueError, "this worker was added already");
    };
    let most = most.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
    match engine::own(e)?.pool.add(*opening, pidfd, most) {
        Ok((id, after)) => {
            engine::refuse(after)?;
            Obj::new(ffi::PyLong_FromLong(id.into()))
        }
        Err(error) => os_error(&error),
    }
});

no_args!(py_drive, |e: Engine| Ok(boolean(engine::drive(e)?)));
no_args!(py_pause, |e: Engine| {
    inner(e)?.paused.store(true, Ordering::Release);
    inner(e)?.pool.ring();
    Ok(none())
});
no_args!(py_turn, |e: Engine| Ok(boolean(engine::turn(e)?)));
one_arg!(py_wait, |e: Engine, timeout| {
    engine::wait(e, seconds(timeout)?)?;
    Ok(none())
});
no_args!(py_listen, |e: Engine| Ok(boolean(engine::own(e)?.pool.listen())));
no_args!(py_ring, |e: Engine| {
    engine::own(e)?.pool.ring();
    Ok(none())
});
no_args!(py_stop, |e: Engine| {
    inner(e)?.stopped.store(true, Ordering::Release);
    if engine::is_own(e)? {
        inner(e)?.pool.ring();
    }
    Ok(none())
});
no_args!(py_stop_streams, |e: Engine| {
    if engine::is_own(e)? {
        engine::stop_streams(e)?;
    }
    Ok(none())
});
no_args!(py_close, |e: Engine| {
    if engine::is_own(e)? {
        engine::refuse(inner(e)?.pool.close())?;
    }
    Ok(none())
});
no_args!(py_fileno, |e: Engine| Obj::new(ffi::PyLong_FromLong(inner(e)?.pool.waiter().as_raw_fd().into())));
no_args!(py_due, |e: Engine| {
    match engine::own(e)?.pool.due() {
        Some(due) => Obj::new(ffi::PyFloat_FromDouble(due.as_secs_f64())),
        None => Ok(none()),
    }
});
no_args!(py_counts, |e: Engine| {
    let counts = if engine::is_own(e)? { inner(e)?.pool.counts() } else { Counts::default() };
    let [queued, sent, workers, idle] = [counts.queued, counts.sent, counts.workers, counts.idle];
    Obj::new(ffi::Py_BuildValue(c"(nnnn)".as_ptr(), queued, sent, workers, idle))
});
one_arg!(py_retire, |e: Engine, worker| {
    let (is_there, after) = engine::own(e)?.pool.retire(integer(worker)? as u32);
    engine::refuse(after)?;
    Ok(boolean(is_there))
});
one_arg!(py_kill, |e: Engine, number| {
    let Some(number) = i32::try_from(integer(number)?).ok().filter(|n| (1..=64).contains(n)) else {
        return raise(ffi::PyExc_ValueError, "signal number out of range");
    };
    if engine::is_own(e)? {
        inner(e)?.pool.kill(number);
    }
    Ok(none())
});

unsafe fn sinks(jobs: Vec<std::sync::Arc<super::cargo::PyJob>>) -> Res<Obj> {
    let list = Obj::new(ffi::PyList_New(0))?;
    for job in &jobs {
        done(ffi::PyList_Append(list.ptr(), job.cargo.sink.ptr()))?;
    }
    Ok(list)
}

no_args!(py_clear, |e: Engine| if engine::is_own(e)? { sinks(inner(e)?.pool.clear()) } else { sinks(Vec::new()) });
no_args!(py_was_interrupted, |e: Engine| Ok(boolean(engine::is_own(e)? && inner(e)?.pool.was_interrupted())));
no_args!(py_interrupt, |e: Engine| if engine::is_own(e)? {
    sinks(inner(e)?.pool.interrupt())
} else {
    sinks(Vec::new())
});
one_arg!(py_tasks, |e: Engine, worker| sinks(engine::own(e)?.pool.tasks_of(integer(worker)? as u32)));
getter!(get_bell, |e: Engine| Obj::new(ffi::PyLong_FromLong(inner(e)?.pool.bell().as_raw_fd().into())));
getter!(get_fds, |o: OpeningObject| {
    let Some(opening) = &(*o).opening else {
        return raise(ffi::PyExc_ValueError, "this worker was added already");
    };
    let [a, b, c] = opening.ends.fds().map(|fd| fd.as_raw_fd());
    match &opening.doorbell {
        None => Obj::new(ffi::Py_BuildValue(c"(iii)".as_ptr(), a, b, c)),
        Some(doorbell) => Obj::new(ffi::Py_BuildValue(c"(iiii)".as_ptr(), a, b, c, doorbell.as_raw_fd())),
    }
});

unsafe extern "C" fn opening_dealloc(o: *mut PyObject) {
    drop((*o.cast::<OpeningObject>()).opening.take());
    free(o);
}

pub(crate) unsafe fn build_opening() -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<OpeningObject>(c"fenshen._processes.Opening")
        .doc(c"A worker that is about to start: `fds` are the descriptors that its process needs.")
        .slot(ffi::Py_tp_dealloc, opening_dealloc as *mut _)
        .flags(ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION)
        .property(c"fds", get_fds, None)
        .build(None)
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<Engine>(c"fenshen._processes.Engine")
        .doc(c"Engine(owner, kill=False, many=None)\n--\n\nTasks and supervised workers. `owner` is told what happens to workers; with `kill`, cancelling a task that runs ends\nits worker. Workers that are `LoopWorker` run up to `many` tasks at once.")
        .flags(ffi::Py_TPFLAGS_HAVE_GC)
        .slot(ffi::Py_tp_new, new as *mut _)
        .slot(ffi::Py_tp_traverse, traverse as *mut _)
        .slot(ffi::Py_tp_clear, clear as *mut _)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut _)
        .weakrefs(std::mem::offset_of!(Engine, weakrefs))
        .property(c"bell", get_bell, None)
        .fast(c"submit", py_submit, c"submit($self, sink, function, args, kwargs, timeout=None, retries=0, window=0)\n--\n\nHave a worker call `function(*args, **kwargs)`. `sink` is a Future, or is called with whether it went well and the\nresult or exception; or that of a stream, with as many items in its `window`. What cannot be pickled fails the task, not this call.")
        .no_args(c"open", py_open, c"open($self, /)\n--\n\nPrepare a worker: what its process needs.\n\nRaises OSError.")
        .fast(c"add", py_add, c"add($self, opening, pidfd, most=None)\n--\n\nTake in a worker whose process was started, for at most so many tasks; its number.\n\nRaises OSError.")
        .no_args(c"drive", py_drive, c"drive($self, /)\n--\n\nTake what comes, until stop() or pause() is called; whether it was stop().")
        .no_args(c"pause", py_pause, c"pause($self, /)\n--\n\nHave drive() return, as another thread is to take what comes.")
        .no_args(c"turn", py_turn, c"turn($self, /)\n--\n\nTake what has come; False if another thread does so now.")
        .one_arg(c"wait", py_wait, c"wait($self, timeout, /)\n--\n\nSleep until something may have come, at most so many seconds.")
        .no_args(c"listen", py_listen, c"listen($self, /)\n--\n\nHave fileno() become readable by the next result; False if there is one already.")
        .no_args(c"ring", py_ring, c"ring($self, /)\n--\n\nWake whoever drives.")
        .no_args(c"stop", py_stop, c"stop($self, /)\n--\n\nHave drive() return.")
        .no_args(c"stop_streams", py_stop_streams, c"stop_streams($self, /)\n--\n\nHave every stream end.")
        .no_args(c"close", py_close, c"close($self, /)\n--\n\nSay that no more tasks come: workers end when nothing is left to do.")
        .no_args(c"fileno", py_fileno, c"fileno($self, /)\n--\n\nWhat is readable when there may be something to take.")
        .no_args(c"due", py_due, c"due($self, /)\n--\n\nAfter how many seconds the clock makes a turn necessary, or None.")
        .no_args(c"counts", py_counts, c"counts($self, /)\n--\n\nHow many tasks wait, how many were sent, how many workers there are, and how many have nothing to do.")
        .one_arg(c"retire", py_retire, c"retire($self, worker, /)\n--\n\nHave a worker end when it has run what it has begun, and give others what it has not; whether there is such a one.")
        .one_arg(c"kill", py_kill, c"kill($self, signal, /)\n--\n\nSend every worker a signal that ends it.")
        .no_args(c"clear", py_clear, c"clear($self, /)\n--\n\nTake out every task that has not begun; their sinks.")
        .no_args(c"was_interrupted", py_was_interrupted, c"was_interrupted($self, /)\n--\n\nWhether an interrupt of the keyboard has lately reached a worker.")
        .no_args(c"interrupt", py_interrupt, c"interrupt($self, /)\n--\n\nTake out every task that has not begun, and interrupt those that began after the interrupt of the keyboard had reached\ntheir worker; the sinks of the former.")
        .one_arg(c"tasks", py_tasks, c"tasks($self, worker, /)\n--\n\nThe sinks of the tasks that a worker was sent, oldest first.")
        .build(None)
}
