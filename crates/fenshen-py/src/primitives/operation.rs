//! `Operation`: the native coroutine that `queue.get()`, `lock.acquire()` and the like return.
//!
//! To the interpreter it is a coroutine like any other: it is sent into, thrown into and closed. What it does is one
//! function, its [`Run`], called again at each of these; between two calls it keeps its state in a few fields.

use std::ffi::{CStr, c_int, c_void};
use std::mem::offset_of;
use std::ptr;

use pyo3::ffi::{self, PyObject};

use crate::errors::{self, entry, raise, restore, runtime_error, take, type_error, wall};
use crate::future_iter::{Await, stop, thrown};
use crate::kinds;
use crate::methods::{fast, getter, no_args};
use crate::names::{asyncio, names};
use crate::object::{Obj, Raised, Res, boolean, call, clear, none, ptr_or_null, set, visit};
use crate::stop::end_iteration;
use crate::types::{TypeBuilder, free};

/// How an operation goes on.
pub(crate) enum Resume {
    /// For the first time.
    Start,
    /// What it waited for is done.
    Sent,
    /// With this exception raised where it waits.
    Thrown(Obj),
}

/// What an operation does: runs it to its next wait or its end.
pub(crate) type Run = unsafe fn(*mut Operation, Resume) -> Res<Await>;

/// What an operation is: its names, as the standard library's coroutine has them, and what it does.
pub(crate) struct Plan {
    pub(crate) name: &'static CStr,
    pub(crate) qualname: &'static CStr,
    pub(crate) run: Run,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Fresh,
    Suspended,
    Running,
    Over,
}

/// The layout of an operation.
#[repr(C)]
pub(crate) struct Operation {
    ob_base: PyObject,
    weakrefs: *mut PyObject,
    pub(crate) plan: &'static Plan,
    /// The primitive that it works on.
    pub(crate) owner: Option<Obj>,
    /// The argument of its call: an item, a predicate.
    pub(crate) arg: Option<Obj>,
    /// The future that it waits for, or the iterator that it is inside of.
    pub(crate) waiter: Option<Obj>,
    /// The exception that it will end with, or a timer.
    pub(crate) held: Option<Obj>,
    pub(crate) count: isize,
    /// The file that it waits for.
    pub(crate) fd: std::os::fd::RawFd,
    pub(crate) phase: u8,
    state: State,
}

/// Operations that were let go of, with empty fields, to be used again: most live for one step of a task.
struct Free(std::cell::UnsafeCell<Vec<*mut Operation>>);
// SAFETY: used only by threads that hold the GIL (the crate's contract).
unsafe impl Sync for Free {}
static FREE: Free = Free(std::cell::UnsafeCell::new(Vec::new()));
/// How many are kept.
const KEPT: usize = 256;

// Of CPython's API, but not of PyO3's declarations.
unsafe extern "C" {
    fn PyObject_GC_IsFinalized(o: *mut PyObject) -> c_int;
}

/// A new operation of `plan` on `owner`.
#[inline]
pub(crate) unsafe fn new(plan: &'static Plan, owner: *mut PyObject, arg: *mut PyObject) -> Res<Obj> {
    let op = match (*FREE.0.get()).pop() {
        Some(op) => {
            ffi::PyObject_Init(op.cast(), kinds::operation());
            ffi::PyObject_GC_Track(op.cast());
            op
        }
        None => ffi::PyType_GenericAlloc(kinds::operation(), 0).cast(),
    };
    let made = Obj::new(op.cast())?;
    (*op).phase = 0;
    ptr::write(&raw mut (*op).plan, plan);
    (*op).owner = Obj::from_opt(owner);
    (*op).arg = Obj::from_opt(arg);
    (*op).state = State::Fresh;
    Ok(made)
}

/// Lets it run on; the one way into its [`Run`].
#[inline]
unsafe fn resume(op: *mut Operation, how: Resume) -> Res<Await> {
    let how = match ((*op).state, how) {
        (State::Fresh, Resume::Thrown(exc)) => {
            end(op);
            restore(exc);
            return Err(Raised);
        }
        (State::Fresh, _) => Resume::Start,
        (State::Suspended, how) => how,
        (State::Running, _) => return raise(ffi::PyExc_ValueError, "coroutine already executing"),
        (State::Over, _) => return runtime_error("cannot reuse already awaited coroutine"),
    };
    (*op).state = State::Running;
    let outcome = ((*op).plan.run)(op, how);
    match &outcome {
        Ok(Await::Yield(_)) => (*op).state = State::Suspended,
        Ok(Await::Return(_)) => end(op),
        Err(Raised) => {
            let exc = take();
            end(op);
            restore(exc);
        }
    }
    outcome
}

unsafe fn end(op: *mut Operation) {
    (*op).state = State::Over;
    clear(&mut (*op).waiter);
    clear(&mut (*op).arg);
    clear(&mut (*op).held);
    clear(&mut (*op).owner);
}

/// Waits for `future`: what a [`Run`] returns to do so.
#[inline]
pub(crate) unsafe fn wait(op: *mut Operation, future: Obj) -> Res<Await> {
    super::waiters::mark_blocking(&future)?;
    set(&mut (*op).waiter, Some(future.again()));
    Ok(Await::Yield(future))
}

/// What became of the future that it waited for: the exception to raise, or nothing.
#[inline]
pub(crate) unsafe fn settled(future: &Obj, how: Resume) -> Result<(), Obj> {
    match how {
        Resume::Thrown(exc) => Err(exc),
        Resume::Start | Resume::Sent => super::waiters::check(future).map_err(|Raised| take()),
    }
}

/// How an inner await went on.
pub(crate) enum Inner {
    Yield(Obj),
    Return(Obj),
    Raise(Obj),
}

/// Goes into another awaitable: from now on [`go_on`] drives that.
pub(crate) unsafe fn enter(op: *mut Operation, awaitable: &Obj) -> Res<()> {
    let o = awaitable.ptr();
    let ty = ffi::Py_TYPE(o);
    let it = if ty == kinds::operation() || ffi::PyCoro_CheckExact(o) != 0 {
        awaitable.again()
    } else {
        let slots = (*ty).tp_as_async;
        match if slots.is_null() { None } else { (*slots).am_await } {
            Some(am_await) => Obj::new(am_await(o))?,
            None => {
                let class = crate::object::attr(ty.cast(), &names().name)?;
                let class = crate::object::utf8(class.ptr())?;
                return type_error(&format!("object {class} can't be used in 'await' expression"));
            }
        }
    };
    set(&mut (*op).waiter, Some(it));
    Ok(())
}

/// Drives what [`enter`] went into. On `Return` and `Raise` it is over and no longer held.
pub(crate) unsafe fn go_on(op: *mut Operation, how: Resume) -> Inner {
    let Some(it) = Obj::from_opt(ptr_or_null(&(*op).waiter)) else {
        return Inner::Return(none());
    };
    let mut out = ptr::null_mut();
    let sent = match how {
        Resume::Start | Resume::Sent => ffi::PyIter_Send(it.ptr(), ffi::Py_None(), &mut out),
        Resume::Thrown(exc) => throw_into(&it, exc, &mut out),
    };
    match sent {
        ffi::PySendResult::PYGEN_NEXT => Inner::Yield(Obj::steal(out)),
        ffi::PySendResult::PYGEN_RETURN => {
            clear(&mut (*op).waiter);
            Inner::Return(Obj::steal(out))
        }
        ffi::PySendResult::PYGEN_ERROR => {
            let exc = take();
            clear(&mut (*op).waiter);
            Inner::Raise(exc)
        }
    }
}

unsafe fn throw_into(it: &Obj, exc: Obj, out: &mut *mut PyObject) -> ffi::PySendResult {
    if errors::is(&exc, ffi::PyExc_GeneratorExit) {
        if crate::object::call_method(&names().close, &[it.ptr()]).is_ok() {
            restore(exc);
        }
        return ffi::PySendResult::PYGEN_ERROR;
    }
    match crate::object::call_method(&names().throw, &[it.ptr(), exc.ptr()]) {
        Ok(yielded) => {
            *out = yielded.into_ptr();
            ffi::PySendResult::PYGEN_NEXT
        }
        Err(Raised) => match errors::stop_value() {
            Ok(value) => {
                *out = value.into_ptr();
                ffi::PySendResult::PYGEN_RETURN
            }
            Err(Raised) => ffi::PySendResult::PYGEN_ERROR,
        },
    }
}

/// Whether `exc` is a cancellation.
pub(crate) unsafe fn is_cancellation(exc: &Obj) -> bool {
    errors::is(exc, asyncio().cancelled_error.ptr())
}

unsafe extern "C" fn am_send(this: *mut PyObject, value: *mut PyObject, out: *mut *mut PyObject) -> ffi::PySendResult {
    wall(ffi::PySendResult::PYGEN_ERROR, || {
        *out = ptr::null_mut();
        let op: *mut Operation = this.cast();
        if (*op).state == State::Fresh && value != ffi::Py_None() && !value.is_null() {
            return type_error("can't send non-None value to a just-started coroutine");
        }
        match resume(op, Resume::Sent)? {
            Await::Yield(o) => {
                *out = o.into_ptr();
                Ok(ffi::PySendResult::PYGEN_NEXT)
            }
            Await::Return(o) => {
                *out = o.into_ptr();
                Ok(ffi::PySendResult::PYGEN_RETURN)
            }
        }
    })
}

unsafe fn to_object(outcome: Await) -> Res<Obj> {
    match outcome {
        Await::Yield(o) => Ok(o),
        Await::Return(value) => Err(stop(value)),
    }
}

unsafe extern "C" fn next(this: *mut PyObject) -> *mut PyObject {
    entry(|| match resume(this.cast(), Resume::Sent)? {
        Await::Yield(o) => Ok(o),
        Await::Return(value) => Err(end_iteration(value)),
    })
}

unsafe extern "C" fn send(this: *mut PyObject, value: *mut PyObject) -> *mut PyObject {
    let mut out = ptr::null_mut();
    match am_send(this, value, &mut out) {
        ffi::PySendResult::PYGEN_NEXT => out,
        ffi::PySendResult::PYGEN_RETURN => entry(|| Err(stop(Obj::steal(out)))),
        ffi::PySendResult::PYGEN_ERROR => ptr::null_mut(),
    }
}

fast!(throw, |op: Operation, args| {
    let exc = thrown(args.positional())?;
    to_object(resume(op, Resume::Thrown(exc))?)
});

unsafe fn close(op: *mut Operation) -> Res<()> {
    match (*op).state {
        State::Over => return Ok(()),
        State::Fresh => {
            end(op);
            return Ok(());
        }
        State::Running | State::Suspended => {}
    }
    let exc = call(ffi::PyExc_GeneratorExit, &[])?;
    match resume(op, Resume::Thrown(exc)) {
        Ok(Await::Return(_)) => Ok(()),
        Ok(Await::Yield(_)) => runtime_error("coroutine ignored GeneratorExit"),
        Err(Raised) if ffi::PyErr_ExceptionMatches(ffi::PyExc_GeneratorExit) != 0 => {
            ffi::PyErr_Clear();
            Ok(())
        }
        Err(e) => Err(e),
    }
}

no_args!(py_close, |op: Operation| close(op).map(|()| none()));

unsafe extern "C" fn itself(this: *mut PyObject) -> *mut PyObject {
    ffi::Py_INCREF(this);
    this
}

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let name = (*this.cast::<Operation>()).plan.qualname.to_string_lossy();
        crate::object::text(&format!("<coroutine object {name} at {this:p}>"))
    })
}

unsafe fn string(s: &'static CStr) -> Res<Obj> {
    Obj::new(ffi::PyUnicode_InternFromString(s.as_ptr()))
}

getter!(get_name, |op: Operation| string((*op).plan.name));
getter!(get_qualname, |op: Operation| string((*op).plan.qualname));
getter!(get_running, |op: Operation| Ok(boolean((*op).state == State::Running)));
getter!(get_suspended, |op: Operation| Ok(boolean((*op).state == State::Suspended)));
getter!(get_none, |_op: Operation| Ok(none()));
getter!(get_await, |op: Operation| Ok(Obj::from_opt(ptr_or_null(&(*op).waiter)).unwrap_or_else(|| none())));
getter!(get_class, |_op: Operation| Ok(asyncio().coroutine_class.again()));

unsafe extern "C" fn traverse(this: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    let op: *mut Operation = this.cast();
    let status = visitor(ffi::Py_TYPE(this).cast(), arg);
    if status != 0 {
        return status;
    }
    let fields = [&(*op).owner, &(*op).arg, &(*op).waiter, &(*op).held];
    fields.into_iter().map(|field| visit(field, visitor, arg)).find(|status| *status != 0).unwrap_or(0)
}

unsafe extern "C" fn gc_clear(this: *mut PyObject) -> c_int {
    let op: *mut Operation = this.cast();
    clear(&mut (*op).waiter);
    clear(&mut (*op).arg);
    clear(&mut (*op).held);
    clear(&mut (*op).owner);
    (*op).state = State::Over;
    0
}

/// What a coroutine that nobody will run any more does: one that was never started says so, one that waits is closed.
unsafe extern "C" fn finalize(this: *mut PyObject) {
    let op: *mut Operation = this.cast();
    if !matches!((*op).state, State::Fresh | State::Suspended) {
        return;
    }
    let kept = if ffi::PyErr_Occurred().is_null() { None } else { Some(take()) };
    let outcome = if (*op).state == State::Fresh {
        let warned = call(asyncio().warn_unawaited.ptr(), &[this]);
        (*op).state = State::Over;
        warned.map(drop)
    } else {
        close(op)
    };
    if outcome.is_err() {
        ffi::PyErr_WriteUnraisable(this);
    }
    if let Some(kept) = kept {
        restore(kept);
    }
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    let op: *mut Operation = this.cast();
    if matches!((*op).state, State::Fresh | State::Suspended) && ffi::PyObject_CallFinalizerFromDealloc(this) < 0 {
        return;
    }
    ffi::PyObject_GC_UnTrack(this.cast());
    if !(*op).weakrefs.is_null() {
        ffi::PyObject_ClearWeakRefs(this);
    }
    gc_clear(this);
    // One whose finalizer has run would not have it run again.
    if (*FREE.0.get()).len() < KEPT && PyObject_GC_IsFinalized(this) == 0 {
        let ty = ffi::Py_TYPE(this);
        (*FREE.0.get()).push(op);
        ffi::Py_DECREF(ty.cast());
        return;
    }
    free(this);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut ffi::PyTypeObject> {
    TypeBuilder::new::<Operation>(c"fenshen._fenshen.Operation")
        .doc(c"The coroutine of an operation of ours, to be awaited once.")
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION)
        .weakrefs(offset_of!(Operation, weakrefs))
        .slot(ffi::Py_am_send, am_send as *mut c_void)
        .slot(ffi::Py_am_await, itself as *mut c_void)
        // A generator made a coroutine by `types.coroutine` may `yield from` it.
        .slot(ffi::Py_tp_iter, itself as *mut c_void)
        .slot(ffi::Py_tp_iternext, next as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, gc_clear as *mut c_void)
        .slot(ffi::Py_tp_finalize, finalize as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .one_arg(c"send", send, c"send($self, value, /)\n--\n\nGo on; the value sent is not used.")
        .fast(c"throw", throw, c"Raise an exception where it waits.")
        .no_args(c"close", py_close, c"close($self, /)\n--\n\nEnd it where it waits.")
        .stand_in(get_class)
        .property(c"__name__", get_name, None)
        .property(c"__qualname__", get_qualname, None)
        .property(c"cr_running", get_running, None)
        .property(c"cr_suspended", get_suspended, None)
        .property(c"cr_await", get_await, None)
        .property(c"cr_frame", get_none, None)
        .property(c"cr_code", get_none, None)
        .property(c"cr_origin", get_none, None)
        .build(None)
}
