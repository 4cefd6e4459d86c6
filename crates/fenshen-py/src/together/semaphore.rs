//! `Semaphore`: so many permits for threads, tasks and processes.

use std::ffi::{CStr, c_void};
use std::sync::atomic::Ordering;

use fenshen_sync as sync;
use fenshen_sync::graph::Target;
use fenshen_sync::{Failed, Scope, Wake, current};
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::head::{self, Head, Headed};
use super::kinds;
use super::line::{self, Line};
use super::loops::forbid;
use super::queue_type::flag;
use super::seat::{Leave, Seat, tell};
use super::shared::wants::Permit;
use super::shared::{self, Shared, Standing};
use crate::args::{Args, Signature, sort_call};
use crate::errors::{entry, raise};
use crate::future_iter::Await;
use crate::methods::{fast, getter, no_args};
use crate::object::{Obj, Raised, Res, boolean, none, ptr_or_null, text};
use crate::primitives::coroutine_function::add_methods;
use crate::primitives::operation::{self, Operation, Plan, Resume};
use crate::threads::park::PyPark;
use crate::threads::patience::Patience;
use crate::threads::queue::Asked;

/// The layout of `Semaphore`.
#[repr(C)]
pub(super) struct Semaphore {
    head: Head,
    /// What it is if it is not shared.
    core: sync::Semaphore,
}

impl Headed for Semaphore {
    const NAME: &'static str = "Semaphore";

    unsafe fn prepare(this: *mut Semaphore) {
        std::ptr::write(&raw mut (*this).core, sync::Semaphore::new(0, Scope::Process));
    }
}

const NEW: Signature<2> = Signature { func: "Semaphore", names: [c"value", c"shared"], positional: 1, required: 0 };
const ACQUIRE: Signature<2> =
    Signature { func: "Semaphore.acquire", names: [c"blocking", c"timeout"], positional: 2, required: 0 };
const RELEASE: Signature<1> = Signature { func: "Semaphore.release", names: [c"n"], positional: 1, required: 0 };
const AACQUIRE: Signature<1> =
    Signature { func: "Semaphore.aacquire", names: [c"timeout"], positional: 1, required: 0 };

unsafe fn acquire(s: *mut Semaphore, asked: Asked) -> Res<bool> {
    if let Some(shared) = &(*s).head.shared {
        return Ok(shared::wait::<Permit>(s.cast(), shared, std::ptr::null_mut(), asked.patience()?)?.is_some());
    }
    if (*s).core.try_acquire() {
        return Ok(true);
    }
    let patience = asked.patience()?;
    if patience == Patience::None {
        return Ok(false);
    }
    forbid("Semaphore.acquire", "await semaphore.aacquire()")?;
    let _alive = Obj::from(s.cast());
    let mut park = PyPark::new(s.cast(), Target::Anyone);
    let outcome = (*s).core.acquire_slowly(current(), Wake::Thread, &mut park, patience.deadline());
    // What came at the last moment is another's.
    tell();
    match outcome {
        Ok(()) => Ok(true),
        Err(Failed::TimedOut) => Ok(false),
        Err(Failed::Interrupted) => Err(Raised),
    }
}

unsafe fn release(s: *mut Semaphore, units: u64) -> Res<()> {
    let fits = match &(*s).head.shared {
        Some(shared) => {
            let value = shared.hall.value.fetch_add(units, Ordering::SeqCst);
            shared.row(0).call(value.saturating_add(units));
            true
        }
        None => (*s).core.release(units),
    };
    tell();
    if fits { Ok(()) } else { raise(ffi::PyExc_OverflowError, "too many permits") }
}

/// The line of those who wait for a permit.
struct Waiters;

unsafe fn semaphore_of<'a>(op: *mut Operation) -> &'a Semaphore {
    &*ptr_or_null(&(*op).owner).cast::<Semaphore>()
}

unsafe fn leave(s: *mut Seat) {
    if let Some(semaphore) = ptr_or_null(&(*s).owner).cast::<Semaphore>().as_ref() {
        semaphore.core.withdraw((*s).hand.waiter());
    }
}

impl Line for Waiters {
    const LEAVE: Leave = leave;

    unsafe fn attempt(op: *mut Operation) -> Res<Option<Obj>> {
        Ok(semaphore_of(op).core.try_acquire().then(|| boolean(true)))
    }

    unsafe fn enlist(op: *mut Operation, s: *mut Seat) -> Res<Option<Obj>> {
        Ok(semaphore_of(op).core.enlist((*s).hand.waiter()).then(|| boolean(true)))
    }

    unsafe fn resume(op: *mut Operation, s: *mut Seat) -> Res<Option<Obj>> {
        Ok(semaphore_of(op).core.resume((*s).hand.waiter()).then(|| boolean(true)))
    }

    unsafe fn give_up(op: *mut Operation, s: *mut Seat) -> Option<Obj> {
        semaphore_of(op).core.withdraw((*s).hand.waiter());
        None
    }

    unsafe fn late() -> Res<Obj> {
        Ok(boolean(false))
    }
}

unsafe fn run_acquire(op: *mut Operation, how: Resume) -> Res<Await> {
    if shared::of(ptr_or_null(&(*op).owner)).is_some() {
        return line::run::<Standing<Permit>>(op, how);
    }
    line::run::<Waiters>(op, how)
}

unsafe fn run_exit(op: *mut Operation, _how: Resume) -> Res<Await> {
    release(ptr_or_null(&(*op).owner).cast(), 1)?;
    Ok(Await::Return(none()))
}

static PLAN: Plan = Plan { name: c"aacquire", qualname: c"Semaphore.aacquire", run: run_acquire };
static EXIT: Plan = Plan { name: c"__aexit__", qualname: c"Semaphore.__aexit__", run: run_exit };

unsafe fn aacquire(s: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    let [timeout] = args.sort(&AACQUIRE)?;
    line::new(&PLAN, s, std::ptr::null_mut(), timeout)
}

unsafe fn aenter(s: *mut PyObject, _args: &Args<'_>) -> Res<Obj> {
    line::new(&PLAN, s, std::ptr::null_mut(), std::ptr::null_mut())
}

unsafe fn aexit(s: *mut PyObject, _args: &Args<'_>) -> Res<Obj> {
    operation::new(&EXIT, s, std::ptr::null_mut())
}

fast!(py_acquire, |s: Semaphore, args| {
    let [blocking, timeout] = args.sort(&ACQUIRE)?;
    let asked = Asked::new(blocking, timeout)?;
    asked.check()?;
    Ok(boolean(acquire(s, asked)?))
});
fast!(py_release, |s: Semaphore, args| {
    let [n] = args.sort(&RELEASE)?;
    let units = if n.is_null() { 1 } else { ffi::PyLong_AsLongLong(n) };
    if units == -1 && !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    if units < 1 {
        return raise(ffi::PyExc_ValueError, "n must be one or more");
    }
    release(s, units as u64)?;
    Ok(none())
});
no_args!(py_locked, |s: Semaphore| Ok(boolean(count(s) == 0)));
no_args!(py_enter, |s: Semaphore| acquire(s, Asked::ENDLESS).map(|got| boolean(got)));
fast!(py_exit, |s: Semaphore, _args| {
    release(s, 1)?;
    Ok(none())
});
getter!(get_value, |s: Semaphore| Obj::new(ffi::PyLong_FromUnsignedLongLong(count(s))));

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let [value, shared] = sort_call(&NEW, args, kwargs)?;
        let value = if value.is_null() { 1 } else { ffi::PyLong_AsLongLong(value) };
        if value == -1 && !ffi::PyErr_Occurred().is_null() {
            return Err(Raised);
        }
        if value < 0 {
            return raise(ffi::PyExc_ValueError, "semaphore initial value must be >= 0");
        }
        let shared = if flag(shared)? { Some(Shared::create(None)?) } else { None };
        if let Some(shared) = &shared {
            shared.hall.value.store(value as u64, Ordering::Release);
        }
        let made = head::allocate::<Semaphore>(ty, shared)?;
        (*made.ptr().cast::<Semaphore>()).core.set_count(value as u64);
        Ok(made)
    })
}

/// How many permits there are.
unsafe fn count(s: *mut Semaphore) -> u64 {
    match &(*s).head.shared {
        Some(shared) => shared.hall.value.load(Ordering::Acquire),
        None => (*s).core.count(),
    }
}

unsafe extern "C" fn repr(o: *mut PyObject) -> *mut PyObject {
    entry(|| text(&format!("<fenshen.Semaphore at {o:p}: value {}>", count(o.cast()))))
}

const DOC: &CStr = c"Semaphore(value=1, *, shared=False)\n--\n\nSo many permits for threads, tasks of any event loop and, with `shared`, processes.\n\nvalue: how many there are at first; ValueError if negative. Permits are handed to those who wait for them in the order\nin which they came. Threads use acquire() or `with`, coroutines `await aacquire()` or `async with`.";

/// Makes the type.
pub(super) unsafe fn build() -> Res<*mut PyTypeObject> {
    let ty = head::builder::<Semaphore>(c"fenshen._together.Semaphore", DOC)
        .slot(ffi::Py_tp_new, new as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .fast(c"acquire", py_acquire, c"acquire($self, /, blocking=True, timeout=None)\n--\n\nTake a permit, and wait for one unless `blocking` is false, at most `timeout` seconds; returns whether it was taken.\n\nRaises ValueError for a negative timeout, RuntimeError where it would block a running event loop.")
        .fast(c"release", py_release, c"release($self, /, n=1)\n--\n\nGive `n` permits back; ValueError if that is less than one.")
        .no_args(c"locked", py_locked, c"locked($self, /)\n--\n\nWhether acquire() would have to wait.")
        .no_args(c"__enter__", py_enter, c"__enter__($self, /)\n--\n\nTake a permit.")
        .fast(c"__exit__", py_exit, c"__exit__($self, /, *exc_info)\n--\n\nGive it back.")
        .property(c"value", get_value, None)
        .build(None)?;
    add_methods(
        ty,
        Some(&kinds::awaited(c"Semaphore")?),
        &[(c"aacquire", aacquire), (c"__aenter__", aenter), (c"__aexit__", aexit)],
    )?;
    kinds::rename(ty)?;
    Ok(ty)
}
