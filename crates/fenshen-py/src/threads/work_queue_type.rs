//! The Python face of `WorkQueue`, which a pool shows as its `_work_queue`.

use std::ffi::{CStr, c_void};

use fenshen_sync::Monitor;
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::patience;
use super::work::Work;
use super::work_queue::{self, Next, State, WorkQueue};
use crate::args::Signature;
use crate::errors::raise_object;
use crate::methods::{fast, getter, no_args};
use crate::object::{Obj, Res, boolean, call, none};
use crate::types::{TypeBuilder, free};

const GET: Signature<2> = Signature { func: "get", names: [c"block", c"timeout"], positional: 2, required: 0 };
const PUT: Signature<3> = Signature { func: "put", names: [c"item", c"block", c"timeout"], positional: 3, required: 1 };
const LIVE: Signature<3> =
    Signature { func: "_live", names: [c"executor", c"initializer", c"initargs"], positional: 3, required: 3 };

/// An empty queue for a pool of up to `most` workers.
pub(crate) unsafe fn make(most: usize, limit: usize) -> Res<Obj> {
    let ty = super::kinds::work_queue();
    let alloc = (*ty).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
    let this = Obj::new(alloc(ty, 0))?;
    let q: *mut WorkQueue = this.ptr().cast();
    std::ptr::write(&raw mut (*q).state, Monitor::new(State::new(most, limit)));
    Ok(this)
}

/// Work as a program takes it out: something with `run()`, `future`, `fn`, `args` and `kwargs`.
unsafe fn shown(work: Work) -> Res<Obj> {
    match work {
        Work::Item(item) => Ok(item),
        Work::Job(job) => {
            let (args, kwargs) = job.arguments()?;
            let (function, context) = job.function();
            let class = super::known::find(&super::known::import(c"fenshen._thread_executor")?, c"_WorkItem")?;
            let parts = [job.future.ptr(), function.ptr(), args.ptr(), kwargs.ptr(), context.ptr()];
            call(class.ptr(), &parts)
        }
    }
}

unsafe fn raise_empty<T>() -> Res<T> {
    raise_object(&call(work_queue::empty()?, &[])?)
}

fast!(put, |q: WorkQueue, args| {
    let [item, _, _] = args.sort(&PUT)?;
    if item == ffi::Py_None() {
        work_queue::wake_all(q);
    } else {
        work_queue::put(q, Work::Item(Obj::from(item)));
    }
    Ok(none())
});
no_args!(get_nowait, |q: WorkQueue| match work_queue::try_take(q) {
    Some(work) => shown(work),
    None => raise_empty(),
});
fast!(get, |q: WorkQueue, args| {
    let [block, timeout] = args.sort(&GET)?;
    let truth = if block.is_null() { 1 } else { ffi::PyObject_IsTrue(block) };
    crate::object::done(truth)?;
    let waits = truth != 0;
    let patience = if waits { patience::of_timeout(timeout)? } else { patience::Patience::None };
    let _alive = Obj::from(q.cast());
    match work_queue::take_work(q, None, patience.deadline())? {
        Next::Work(work) => shown(work),
        Next::Over => Ok(none()),
        Next::TimedOut => raise_empty(),
    }
});
no_args!(qsize, |q: WorkQueue| {
    let size = (*q).state.enter().work.len();
    Obj::new(ffi::PyLong_FromSize_t(size))
});
no_args!(empty, |q: WorkQueue| Ok(boolean((*q).state.enter().work.is_empty())));
no_args!(drain, |q: WorkQueue| work_queue::drain(q));
fast!(live, |q: WorkQueue, args| {
    let [executor, initializer, initargs] = args.sort(&LIVE)?;
    let arguments = Obj::new(ffi::PySequence_Tuple(initargs))?;
    work_queue::live(q, &Obj::from(executor), initializer, &arguments)?;
    Ok(none())
});
getter!(busy, |q: WorkQueue| {
    let busy = (*q).state.enter().busy;
    Obj::new(ffi::PyLong_FromSize_t(busy))
});

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    let q: *mut WorkQueue = this.cast();
    if !(*q).weakrefs.is_null() {
        ffi::PyObject_ClearWeakRefs(this);
    }
    std::ptr::drop_in_place(&raw mut (*q).state);
    free(this);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let doc: &CStr = c"The queue between a ThreadPoolExecutor and its workers.";
    TypeBuilder::new::<WorkQueue>(c"fenshen._threads.WorkQueue")
        .doc(doc)
        .flags(ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION)
        .weakrefs(std::mem::offset_of!(WorkQueue, weakrefs))
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .fast(c"put", put, c"put($self, item, block=True, timeout=None)\n--\n\nAdd something with a run() method; None has the idle workers look whether they are still needed.")
        .fast(c"get", get, c"get($self, block=True, timeout=None)\n--\n\nThe oldest work item, waiting up to `timeout` seconds for one, None for ever; None if the pool takes no more.\n\nRaises queue.Empty if there is none in time.")
        .no_args(c"get_nowait", get_nowait, c"get_nowait($self, /)\n--\n\nThe oldest work item; queue.Empty if there is none.")
        .no_args(c"qsize", qsize, c"qsize($self, /)\n--\n\nHow many items wait for a worker.")
        .no_args(c"empty", empty, c"empty($self, /)\n--\n\nWhether none does.")
        .no_args(c"_drain", drain, c"_drain($self, /)\n--\n\nTake everything out; returns the futures.")
        .fast(c"_live", live, c"_live($self, executor, initializer, initargs)\n--\n\nBe a worker of the pool that the weak reference `executor` is to, until it needs none.")
        .property(c"_busy", busy, None)
        .build(None)
}
