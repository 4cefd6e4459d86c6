//! `Semaphore` and `BoundedSemaphore`: so many permits, handed out in the order of asking.
//!
//! A permit that is handed to a waiter is counted as taken from then on; a waiter that is cancelled before it could go
//! on gives it back, and whoever leaves the queue wakes as many as there are permits for.

use std::ffi::{c_int, c_void};

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::coroutine_function::add_methods;
use super::head::{self, Head, Primitive, builder, init_args, shorten, waiters};
use super::operation::{self, Operation, Plan, Resume, settled};
use super::waiters::{Waiters, is_cancelled, is_done, wake};
use crate::args::{Args, Signature};
use crate::errors::{entry, raise, restore, runtime_error, status};
use crate::future_iter::Await;
use crate::kinds;
use crate::methods::{getter, no_args, setter};
use crate::names::asyncio;
use crate::object::{Obj, Raised, Res, boolean, none, ptr_or_null};
use crate::types::TypeBuilder;

/// The layout of both types.
#[repr(C)]
pub(crate) struct Semaphore {
    head: Head,
    waiters: Waiters,
    value: i64,
    /// The most that `value` may be, where it is bounded.
    bound: i64,
}

impl Primitive for Semaphore {
    const CALLED: &'static [&'static std::ffi::CStr] = &[c"acquire", c"release"];
    fn kind() -> *mut PyTypeObject {
        kinds::semaphore()
    }
    unsafe fn prepare(this: *mut Semaphore) {
        std::ptr::write(&raw mut (*this).waiters, Waiters::Absent);
        (*this).value = 1;
        (*this).bound = i64::MAX;
    }
    unsafe fn visit(this: *mut Semaphore, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        (*this).waiters.traverse(visitor, arg)
    }
    unsafe fn release(this: *mut Semaphore) {
        (*this).waiters.clear();
    }
    unsafe fn stands_for(ty: *mut PyTypeObject) -> Option<&'static Obj> {
        if ty == kinds::semaphore() {
            return Some(&asyncio().semaphore_class);
        }
        (ty == kinds::bounded_semaphore()).then(|| &asyncio().bounded_semaphore_class)
    }
}

unsafe fn locked(s: *mut Semaphore) -> Res<bool> {
    Ok((*s).value == 0 || Waiters::any_live(&raw mut (*s).waiters)?)
}

/// Hands a permit to the first that waits; false if nobody does.
unsafe fn hand_out(s: *mut Semaphore) -> Res<bool> {
    match Waiters::first_pending(&raw mut (*s).waiters)? {
        Some(first) => {
            (*s).value -= 1;
            wake(&first, ffi::Py_True())?;
            Ok(true)
        }
        None => Ok(false),
    }
}

#[inline]
unsafe fn give(s: *mut Semaphore) -> Res<()> {
    if (*s).value >= (*s).bound {
        return raise(ffi::PyExc_ValueError, "BoundedSemaphore released too many times");
    }
    (*s).value += 1;
    hand_out(s).map(drop)
}

unsafe fn run_acquire(op: *mut Operation, how: Resume) -> Res<Await> {
    let s: *mut Semaphore = ptr_or_null(&(*op).owner).cast();
    if matches!(how, Resume::Start) {
        if !locked(s)? {
            (*s).value -= 1;
            return Ok(Await::Return(boolean(true)));
        }
        let future = Head::future(s.cast())?;
        Waiters::push(&raw mut (*s).waiters, future.again())?;
        return operation::wait(op, future);
    }
    let Some(future) = (*op).waiter.take() else {
        return runtime_error("fenshen: a waiter is lost");
    };
    let outcome = settled(&future, how);
    Waiters::remove(&raw mut (*s).waiters, &future)?;
    if outcome.is_err() && is_done(&future)? && !is_cancelled(&future)? {
        (*s).value += 1;
    }
    while (*s).value > 0 && hand_out(s)? {}
    match outcome {
        Ok(()) => Ok(Await::Return(boolean(true))),
        Err(exc) => {
            restore(exc);
            Err(Raised)
        }
    }
}

unsafe fn run_plain_enter(op: *mut Operation, how: Resume) -> Res<Await> {
    match run_acquire(op, how)? {
        Await::Return(_) => Ok(Await::Return(none())),
        other => Ok(other),
    }
}

unsafe fn run_plain_exit(op: *mut Operation, _how: Resume) -> Res<Await> {
    give(ptr_or_null(&(*op).owner).cast())?;
    Ok(Await::Return(none()))
}

static ACQUIRE: Plan = Plan { name: c"acquire", qualname: c"Semaphore.acquire", run: run_acquire };
static PLAIN_ENTER: Plan =
    Plan { name: c"__aenter__", qualname: c"_ContextManagerMixin.__aenter__", run: run_plain_enter };
static PLAIN_EXIT: Plan = Plan { name: c"__aexit__", qualname: c"_ContextManagerMixin.__aexit__", run: run_plain_exit };

unsafe fn acquire(this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    args.none("Semaphore.acquire")?;
    operation::new(&ACQUIRE, this, std::ptr::null_mut())
}

unsafe fn aenter(this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    args.none("__aenter__")?;
    let plan = if (*this.cast::<Head>()).plain { &PLAIN_ENTER } else { super::lock::context_plans().0 };
    operation::new(plan, this, std::ptr::null_mut())
}

unsafe fn aexit(this: *mut PyObject, _args: &Args<'_>) -> Res<Obj> {
    let plan = if (*this.cast::<Head>()).plain { &PLAIN_EXIT } else { super::lock::context_plans().1 };
    operation::new(plan, this, std::ptr::null_mut())
}

/// A count; a `float` that is a whole number will do, as it does in the standard library.
pub(crate) unsafe fn integer(o: *mut PyObject) -> Res<i64> {
    if ffi::PyFloat_Check(o) != 0 {
        let value = ffi::PyFloat_AsDouble(o);
        if value.fract() == 0.0 && value.abs() < 1e15 {
            return Ok(value as i64);
        }
    }
    let value = ffi::PyLong_AsLongLong(o);
    if value == -1 && !ffi::PyErr_Occurred().is_null() { Err(Raised) } else { Ok(value) }
}

unsafe extern "C" fn init(this: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> c_int {
    status(|| {
        let bounded = ffi::PyType_IsSubtype(ffi::Py_TYPE(this), kinds::bounded_semaphore()) != 0;
        let class = if bounded { "BoundedSemaphore" } else { "Semaphore" };
        let func = if bounded { "BoundedSemaphore.__init__" } else { "Semaphore.__init__" };
        let signature = Signature { func, names: [c"value"], positional: 1, required: 0 };
        let [value] = init_args(&signature, class, args, kwargs)?;
        let value = if value.is_null() { 1 } else { integer(value)? };
        if value < 0 {
            return raise(ffi::PyExc_ValueError, "Semaphore initial value must be >= 0");
        }
        let s: *mut Semaphore = this.cast();
        (*s).waiters.clear();
        (*s).value = value;
        (*s).bound = if bounded { value } else { i64::MAX };
        Ok(())
    })
}

no_args!(py_locked, |s: Semaphore| Ok(boolean(locked(s)?)));
no_args!(py_release, |s: Semaphore| give(s).map(|()| none()));

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let s: *mut Semaphore = this.cast();
        let extra = if locked(s)? { "locked".into() } else { format!("unlocked, value:{}", (*s).value) };
        head::show(this, &extra, &raw mut (*s).waiters)
    })
}

waiters!(get_waiters, set_waiters, Semaphore, waiters);
getter!(get_value, |s: Semaphore| Obj::new(ffi::PyLong_FromLongLong((*s).value)));
setter!(set_value, |s: Semaphore, value| {
    (*s).value = integer(value)?;
    Ok(())
});
getter!(get_bound, |s: Semaphore| Obj::new(ffi::PyLong_FromLongLong((*s).bound)));
setter!(set_bound, |s: Semaphore, value| {
    (*s).bound = integer(value)?;
    Ok(())
});

/// Makes `Semaphore`.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let doc = c"Semaphore(value=1)\n--\n\nSo many permits for tasks, as asyncio.Semaphore.\n\nvalue: how many at first; ValueError if negative.";
    let ty = builder::<Semaphore>(c"fenshen._fenshen.Semaphore", doc)
        .slot(ffi::Py_tp_init, init as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .no_args(c"locked", py_locked, c"locked($self, /)\n--\n\nWhether acquire() would have to wait.")
        .no_args(c"release", py_release, c"release($self, /)\n--\n\nGive a permit back.")
        .property(c"_waiters", get_waiters, Some(set_waiters))
        .property(c"_value", get_value, Some(set_value))
        .build(None)?;
    shorten(ty);
    add_methods(
        ty,
        Some(&asyncio().semaphore_class),
        &[(c"acquire", acquire), (c"__aenter__", aenter), (c"__aexit__", aexit)],
    )?;
    Ok(ty)
}

/// Makes `BoundedSemaphore`.
pub(crate) unsafe fn build_bounded() -> Res<*mut PyTypeObject> {
    let doc = c"BoundedSemaphore(value=1)\n--\n\nA Semaphore whose release() raises ValueError when no permit is out.";
    TypeBuilder::new::<Semaphore>(c"fenshen._fenshen.BoundedSemaphore")
        .doc(doc)
        .flags(ffi::Py_TPFLAGS_BASETYPE)
        .property(c"_bound_value", get_bound, Some(set_bound))
        .build(Some(kinds::semaphore()))
        .inspect(|&ty| shorten(ty))
}
