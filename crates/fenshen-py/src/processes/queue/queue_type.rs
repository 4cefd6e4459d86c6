//! The Python face of the queues. What is per queue and not per message is in `fenshen/multiprocessing/queues.py`.

use std::ffi::{CStr, c_void};

use pyo3::ffi::{self, PyTypeObject};

use super::super::kinds;
use super::layout::{self, Queue, check_end, check_open, outbox, shared};
use super::operations::{get, patience, put, recv_bytes, send, send_bytes};
use super::wait::{Wait, without_interpreter};
use crate::args::Signature;
use crate::errors::raise;
use crate::methods::{fast, getter, no_args, one_arg};
use crate::object::{Obj, Raised, Res, boolean, done, none};
use crate::threads::patience::{Patience, of_timeout};
use crate::types::TypeBuilder;

const PUT: Signature<3> =
    Signature { func: "Queue.put", names: [c"obj", c"block", c"timeout"], positional: 3, required: 1 };
const GET: Signature<2> = Signature { func: "Queue.get", names: [c"block", c"timeout"], positional: 2, required: 0 };
const WAIT: Signature<1> = Signature { func: "wait", names: [c"timeout"], positional: 1, required: 0 };
const CREATE: Signature<2> = Signature { func: "_create", names: [c"segment", c"bound"], positional: 2, required: 2 };
const ATTACH: Signature<2> = Signature { func: "_attach", names: [c"segment", c"sign"], positional: 2, required: 2 };

fast!(py_put, |q: Queue, args| {
    let (o, wait) = match args.only() {
        Some(o) => (o, Patience::Endless),
        None => {
            let [o, block, timeout] = args.sort(&PUT)?;
            (o, patience(block, timeout)?)
        }
    };
    check_open(q)?;
    put(q, o, wait)?;
    Ok(none())
});
one_arg!(py_put_nowait, |q: Queue, o| {
    check_open(q)?;
    put(q, o, Patience::None)?;
    Ok(none())
});
fast!(py_get, |q: Queue, args| {
    let wait = match args.is_empty() {
        true => Patience::Endless,
        false => {
            let [block, timeout] = args.sort(&GET)?;
            patience(block, timeout)?
        }
    };
    check_open(q)?;
    check_end((*q).get_closed)?;
    get(q, wait)
});
no_args!(py_get_nowait, |q: Queue| {
    check_open(q)?;
    check_end((*q).get_closed)?;
    get(q, Patience::None)
});
no_args!(py_qsize, |q: Queue| Obj::new(ffi::PyLong_FromUnsignedLongLong(shared(q)?.len())));
no_args!(py_full, |q: Queue| Ok(boolean(shared(q)?.is_full())));
no_args!(py_empty, |q: Queue| {
    check_end((*q).get_closed)?;
    Ok(boolean(shared(q)?.is_empty()))
});
no_args!(py_task_done, |q: Queue| {
    match shared(q)?.task_done() {
        true => Ok(none()),
        false => raise(ffi::PyExc_ValueError, "task_done() called too many times"),
    }
});
no_args!(py_join, |q: Queue| {
    let queue = shared(q)?;
    let mut wait = Wait::new(Patience::Endless);
    while queue.unfinished() > 0 {
        wait.once(|until| queue.wait_until_idle(until))?;
    }
    Ok(none())
});
getter!(get_unfinished, |q: Queue| Obj::new(ffi::PyLong_FromLongLong(shared(q)?.unfinished())));

one_arg!(py_simple_put, |q: Queue, o| {
    check_end((*q).put_closed)?;
    send(q, o)?;
    Ok(none())
});
no_args!(py_simple_get, |q: Queue| {
    check_end((*q).get_closed)?;
    get(q, Patience::Endless)
});
one_arg!(py_send_bytes, |q: Queue, o| {
    let mut view: ffi::Py_buffer = std::mem::zeroed();
    done(ffi::PyObject_GetBuffer(o, &mut view, ffi::PyBUF_SIMPLE))?;
    let sent = send_bytes(q, std::slice::from_raw_parts(view.buf.cast(), view.len as usize));
    ffi::PyBuffer_Release(&mut view);
    sent.map(|_| none())
});
no_args!(py_recv_bytes, |q: Queue| recv_bytes(q, Patience::Endless));

fast!(py_wait, |q: Queue, args| {
    let [timeout] = args.sort(&WAIT)?;
    let queue = shared(q)?;
    let mut wait = Wait::new(of_timeout(timeout)?);
    while queue.is_empty() && wait.once(|until| queue.wait_for_item(until))? {}
    // What it was woken for it does not take.
    if wait.slept {
        queue.pass_item_on();
    }
    Ok(boolean(!queue.is_empty()))
});

fast!(py_create, |q: Queue, args| {
    let [segment, bound] = args.sort(&CREATE)?;
    let bound = ffi::PyLong_AsUnsignedLongLong(bound);
    if bound == u64::MAX && !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    layout::create(q, segment, bound)?;
    Ok(none())
});
fast!(py_attach, |q: Queue, args| {
    let [segment, sign] = args.sort(&ATTACH)?;
    let sign = ffi::PyLong_AsLong(sign);
    if sign == -1 && !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    layout::attach(q, segment, sign as i32)?;
    Ok(none())
});
no_args!(py_reset, |q: Queue| {
    layout::reset(q);
    Ok(none())
});
no_args!(py_close_put, |q: Queue| {
    layout::close_put(q);
    Ok(none())
});
no_args!(py_close_get, |q: Queue| {
    (*q).get_closed = true;
    Ok(none())
});
no_args!(py_flush, |q: Queue| {
    let mut wait = Wait::new(Patience::Endless);
    while layout::waiting(q) > 0 {
        let outbox = outbox(q)?;
        wait.once(
            |until| {
                if outbox.flush(until) { fenshen_sync::Slept::Woken } else { fenshen_sync::Slept::TimedOut }
            },
        )?;
    }
    Ok(none())
});
no_args!(py_abandon, |q: Queue| {
    if layout::waiting(q) > 0 {
        let outbox = outbox(q)?;
        without_interpreter(|| outbox.abandon());
    }
    Ok(none())
});
no_args!(py_pollable, |q: Queue| {
    let fd = std::os::fd::AsRawFd::as_raw_fd(&shared(q)?.pollable());
    Obj::new(ffi::PyLong_FromLong(fd.into()))
});
one_arg!(py_was_taken, |q: Queue, number| {
    let number = ffi::PyLong_AsUnsignedLongLong(number);
    if number == u64::MAX && !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    Ok(boolean(shared(q)?.was_taken(number)))
});
getter!(get_waiting, |q: Queue| Obj::new(ffi::PyLong_FromSize_t(layout::waiting(q))));
getter!(get_segment, |q: Queue| {
    shared(q)?;
    Ok((*q).segment.as_ref().map_or_else(|| none(), |s| s.again()))
});
getter!(get_sign, |q: Queue| Obj::new(ffi::PyLong_FromLong(layout::sign(q)?.into())));
getter!(get_put_closed, |q: Queue| Ok(boolean((*q).put_closed)));
getter!(get_used, |q: Queue| Ok(boolean((*q).used)));
getter!(get_get_closed, |q: Queue| Ok(boolean((*q).get_closed)));

/// What all three have.
unsafe fn common(name: &'static CStr, doc: &'static CStr) -> TypeBuilder {
    TypeBuilder::new::<Queue>(name)
        .doc(doc)
        .flags(ffi::Py_TPFLAGS_BASETYPE)
        .slot(ffi::Py_tp_new, layout::new as *mut c_void)
        .slot(ffi::Py_tp_dealloc, layout::dealloc as *mut c_void)
        .weakrefs(layout::WEAKREFS)
        .no_args(c"empty", py_empty, c"empty($self, /)\n--\n\nWhether there is nothing to get.")
        .fast(c"_create", py_create, c"_create($self, /, segment, bound)\n--\n\nMake it in a new segment.")
        .fast(c"_attach", py_attach, c"_attach($self, /, segment, sign)\n--\n\nFind the one that another process made.")
        .no_args(c"_reset", py_reset, c"_reset($self, /)\n--\n\nNothing of it is closed, in a child.")
        .no_args(c"_close_put", py_close_put, c"_close_put($self, /)\n--\n\nPut nothing more through this object.")
        .no_args(c"_close_get", py_close_get, c"_close_get($self, /)\n--\n\nTake nothing more through this object.")
        .fast(c"_wait", py_wait, c"_wait($self, /, timeout=None)\n--\n\nWait until there is something, and return whether there is; `timeout` is in seconds.")
        .no_args(c"_pollable", py_pollable, c"_pollable($self, /)\n--\n\nThe descriptor that is readable while there is something.")
        .one_arg(c"_send_bytes", py_send_bytes, c"_send_bytes($self, message, /)\n--\n\nPut a message that is as it is.")
        .no_args(c"_recv_bytes", py_recv_bytes, c"_recv_bytes($self, /)\n--\n\nTake a message as it is.")
        .one_arg(c"_was_taken", py_was_taken, c"_was_taken($self, number, /)\n--\n\nWhether that message was taken.")
        .property(c"_segment", get_segment, None)
        .property(c"_sign", get_sign, None)
        .property(c"_put_closed", get_put_closed, None)
        .property(c"_get_closed", get_get_closed, None)
}

/// Makes `Queue`.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    common(c"fenshen._processes.Queue", c"What multiprocessing.Queue does for each object that is put and taken.")
        .fast(c"put", py_put, c"put($self, /, obj, block=True, timeout=None)\n--\n\nPut an object. If the queue is full, wait until it is not, unless `block` is false, at most `timeout` seconds.\n\nRaises Full if it is full then, ValueError if the queue is closed. An object that cannot be pickled is dropped, with\nits traceback on standard error.")
        .one_arg(c"put_nowait", py_put_nowait, c"put_nowait($self, obj)\n--\n\nPut an object; Full if the queue is full.")
        .fast(c"get", py_get, c"get($self, /, block=True, timeout=None)\n--\n\nTake the oldest object, and wait for one unless `block` is false, at most `timeout` seconds.\n\nRaises Empty if there is none by then, ValueError if the queue is closed.")
        .no_args(c"get_nowait", py_get_nowait, c"get_nowait($self, /)\n--\n\nTake the oldest object; Empty if there is none.")
        .no_args(c"qsize", py_qsize, c"qsize($self, /)\n--\n\nHow many objects were put and not taken.")
        .no_args(c"full", py_full, c"full($self, /)\n--\n\nWhether it holds as many objects as it may.")
        .no_args(c"_flush", py_flush, c"_flush($self, /)\n--\n\nWait until what this process has put is in shared memory.")
        .no_args(c"_abandon", py_abandon, c"_abandon($self, /)\n--\n\nGive up what is not in shared memory yet.")
        .property(c"_waiting", get_waiting, None)
        .property(c"_closed", get_put_closed, None)
        .property(c"_used", get_used, None)
        .build(None)
}

/// Makes `JoinableQueue`.
pub(crate) unsafe fn build_joinable() -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<Queue>(c"fenshen._processes.JoinableQueue")
        .doc(c"What multiprocessing.JoinableQueue does for each object that is put and taken.")
        .flags(ffi::Py_TPFLAGS_BASETYPE)
        .no_args(
            c"task_done",
            py_task_done,
            c"task_done($self, /)\n--\n\nSay that what was taken is done; ValueError if everything is.",
        )
        .no_args(c"join", py_join, c"join($self, /)\n--\n\nWait until everything that was put was said to be done.")
        .property(c"_unfinished", get_unfinished, None)
        .build(Some(kinds::process_queue()))
}

/// Makes `SimpleQueue`.
pub(crate) unsafe fn build_simple() -> Res<*mut PyTypeObject> {
    common(
        c"fenshen._processes.SimpleQueue",
        c"What multiprocessing.SimpleQueue does for each object that is put and taken.",
    )
    .one_arg(
        c"put",
        py_simple_put,
        c"put($self, obj)\n--\n\nPut an object, and wait for room if need be. Raises what pickling it raises.",
    )
    .no_args(c"get", py_simple_get, c"get($self, /)\n--\n\nTake the oldest object, and wait for one.")
    .build(None)
}
