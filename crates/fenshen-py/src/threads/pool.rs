//! `PoolCore`: what `ThreadPoolExecutor` does for each job.

use std::ffi::{CStr, c_int, c_void};

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::head::Standard;
use super::known::known;
use super::work::{Job, Work};
use super::work_queue::{self, Offer, Offered, WorkQueue};
use super::{future, work_queue_type};
use crate::args::{Args, Signature};
use crate::errors::{self, raise, status, take, type_error};
use crate::methods::{fast, getter, no_args, setter};
use crate::object::{Obj, Raised, Res, attr, boolean, call_method, done, none};
use crate::types::{TypeBuilder, free};
use pyo3::prelude::*;

static GLOBAL_LOCK: Standard = Standard::new(c"concurrent.futures.thread", c"_global_shutdown_lock");

/// The layout of `PoolCore`.
#[repr(C)]
pub(crate) struct PoolCore {
    ob_base: PyObject,
    /// Made by `__init__`; null before.
    queue: *mut WorkQueue,
    /// Raise `queue.Full` instead of waiting.
    impatient: bool,
    /// The program starts workers in its own way, or has a queue of its own.
    foreign: bool,
}

const INIT: Signature<3> =
    Signature { func: "PoolCore", names: [c"max_workers", c"max_pending", c"block"], positional: 3, required: 3 };

unsafe fn queue(p: *mut PoolCore) -> Res<*mut WorkQueue> {
    if (*p).queue.is_null() {
        return raise(ffi::PyExc_RuntimeError, "ThreadPoolExecutor.__init__() was not called");
    }
    Ok((*p).queue)
}

unsafe fn submit(p: *mut PoolCore, args: &Args<'_>) -> Res<Obj> {
    if args.positional().is_empty() {
        return type_error("ThreadPoolExecutor.submit() missing 1 required positional argument: 'fn'");
    }
    let q = queue(p)?;
    if (*p).foreign {
        return submit_foreign(p, args);
    }
    let future = future::of_job(&Obj::from(q.cast()))?;
    let job = Job::new(args, future.again())?;
    let how = if (*p).impatient { Offer::Try } else { Offer::Wait };
    match work_queue::offer(q, Work::Job(job), how)? {
        Offered::Taken => {}
        Offered::NeedsWorker(work) => submit_to_new(p, q, work)?,
    }
    Ok(future)
}

/// A worker is to be started first, with the locks held that keep the pool and the interpreter from ending meanwhile.
#[cold]
unsafe fn submit_to_new(p: *mut PoolCore, q: *mut WorkQueue, work: Work) -> Res<()> {
    let lock = attr(p.cast(), &known().shutdown_lock)?;
    let global = Obj::from(GLOBAL_LOCK.get()?);
    let _alive = Obj::from(p.cast());
    call_method(&known().acquire, &[lock.ptr()])?;
    let outcome = call_method(&known().acquire, &[global.ptr()]).and_then(|_| {
        let outcome = work_queue::offer(q, work, Offer::Put)
            .and_then(|_| call_method(&known().adjust_thread_count, &[p.cast()]).map(drop));
        release_after(outcome, &global)
    });
    release_after(outcome, &lock)
}

unsafe fn release_after(outcome: Res<()>, lock: &Obj) -> Res<()> {
    let exc = if outcome.is_err() { Some(take()) } else { None };
    let released = call_method(&known().release, &[lock.ptr()]);
    match exc {
        Some(exc) => {
            errors::restore(exc);
            Err(Raised)
        }
        None => released.map(drop),
    }
}

/// The standard library's own way, by its own method.
#[cold]
unsafe fn submit_foreign(p: *mut PoolCore, args: &Args<'_>) -> Res<Obj> {
    let method = attr(p.cast(), &known().submit_foreign)?;
    let values = args.values();
    let names = args.names().unwrap_or(std::ptr::null_mut());
    Obj::new(ffi::PyObject_Vectorcall(method.ptr(), values.as_ptr(), args.positional().len(), names))
}

fast!(py_submit, |p: PoolCore, args| submit(p, &args));
no_args!(py_close, |p: PoolCore| {
    let q = queue(p)?;
    (*q).state.enter().closed = true;
    work_queue::wake_all(q);
    Ok(none())
});
getter!(get_queue, |p: PoolCore| Ok(Obj::from(queue(p)?.cast())));

macro_rules! number {
    ($get:ident, $set:ident, $field:ident) => {
        getter!($get, |p: PoolCore| {
            let q = queue(p)?;
            let number = (*q).state.enter().$field;
            Obj::new(ffi::PyLong_FromSize_t(number))
        });
        setter!($set, |p: PoolCore, value| {
            let q = queue(p)?;
            let number = ffi::PyLong_AsSsize_t(value);
            if number < 0 && !ffi::PyErr_Occurred().is_null() {
                return Err(Raised);
            }
            (*q).state.enter().$field = number.max(0) as usize;
            Ok(())
        });
    };
}
number!(get_most, set_most, most);
number!(get_idle, set_idle, idle);
number!(get_started, set_started, started);

getter!(get_shutdown, |p: PoolCore| Ok(boolean((*queue(p)?).state.enter().closed)));
setter!(set_shutdown, |p: PoolCore, value| {
    let truth = ffi::PyObject_IsTrue(value);
    done(truth)?;
    (*queue(p)?).state.enter().closed = truth != 0;
    Ok(())
});
getter!(get_broken, |p: PoolCore| {
    let why = (*queue(p)?).state.enter().broken.as_ref().map(|why| why.again());
    Ok(why.unwrap_or_else(|| boolean(false)))
});
setter!(set_broken, |p: PoolCore, value| {
    let truth = ffi::PyObject_IsTrue(value);
    done(truth)?;
    let why = if truth != 0 { Some(Obj::from(value)) } else { None };
    let before = std::mem::replace(&mut (*queue(p)?).state.enter().broken, why);
    drop(before);
    Ok(())
});
getter!(get_foreign, |p: PoolCore| Ok(boolean((*p).foreign)));
setter!(set_foreign, |p: PoolCore, value| {
    let truth = ffi::PyObject_IsTrue(value);
    done(truth)?;
    (*p).foreign = truth != 0;
    Ok(())
});

unsafe extern "C" fn init(this: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> c_int {
    status(|| {
        let p: *mut PoolCore = this.cast();
        let [most, limit, block] = crate::args::sort_call(&INIT, args, kwargs)?;
        let most = ffi::PyLong_AsSsize_t(most);
        let limit = if limit == ffi::Py_None() { isize::MAX } else { ffi::PyLong_AsSsize_t(limit) };
        let block = ffi::PyObject_IsTrue(block);
        if !ffi::PyErr_Occurred().is_null() {
            return Err(Raised);
        }
        let fresh = work_queue_type::make(most.max(0) as usize, limit.max(0) as usize)?;
        (*p).impatient = block == 0;
        let before = std::mem::replace(&mut (*p).queue, fresh.into_ptr().cast());
        abandon(before);
        Ok(())
    })
}

/// Leaves a queue to its workers, until it is empty.
unsafe fn abandon(q: *mut WorkQueue) {
    if let Some(queue) = Obj::steal_opt(q.cast()) {
        (*q).state.enter().orphaned = true;
        work_queue::wake_all(q);
        drop(queue);
    }
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    let p: *mut PoolCore = this.cast();
    abandon(std::mem::replace(&mut (*p).queue, std::ptr::null_mut()));
    free(this);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let doc: &CStr = c"PoolCore(max_workers, max_pending, block)\n--\n\nThe native part of ThreadPoolExecutor.";
    TypeBuilder::new::<PoolCore>(c"fenshen._threads.PoolCore")
        .doc(doc)
        .flags(ffi::Py_TPFLAGS_BASETYPE)
        .slot(ffi::Py_tp_init, init as *mut c_void)
        .slot(ffi::Py_tp_new, ffi::PyType_GenericNew as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .fast(c"submit", py_submit, c"submit($self, fn, /, *args, **kwargs)\n--\n\nHave a worker call fn(*args, **kwargs) in a copy of this context; returns the Future of what it returns.\n\nWaits while `max_pending` jobs wait for a worker, or raises queue.Full with block=False. Raises RuntimeError after shutdown(), BrokenThreadPool if an initializer has failed.")
        .no_args(c"_close", py_close, c"_close($self, /)\n--\n\nTake no more jobs; the workers end when there are none left.")
        .property(c"_queue", get_queue, None)
        .property(c"_max_workers", get_most, Some(set_most))
        .property(c"_idle", get_idle, Some(set_idle))
        .property(c"_started", get_started, Some(set_started))
        .property(c"_shutdown", get_shutdown, Some(set_shutdown))
        .property(c"_broken", get_broken, Some(set_broken))
        .property(c"_foreign", get_foreign, Some(set_foreign))
        .build(None)
}

/// Looks up what futures need of `concurrent.futures`, its logger for one: it may be needed when the interpreter ends.
#[pyfunction]
pub(super) fn meet_futures(py: Python<'_>) -> PyResult<()> {
    // SAFETY: the thread is attached.
    unsafe { future::LOGGER.get().and_then(|_| super::head::meet::<future::Future>()) }.map_err(|e| crate::fetch(py, e))
}

/// Looks up what pools need, of `queue` too.
#[pyfunction]
pub(super) fn meet_pools(py: Python<'_>) -> PyResult<()> {
    meet_futures(py)?;
    // SAFETY: the thread is attached.
    unsafe { work_queue::prepare() }.map_err(|e| crate::fetch(py, e))
}

/// The interpreter is about to end: from now on, no pool takes a job.
#[pyfunction]
pub(super) fn end_pools() {
    work_queue::end();
}
