//! `Event`: a flag that threads, tasks and processes wait for.

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
use super::shared::wants::Flag;
use super::shared::{self, Shared, Standing};
use crate::args::{Args, Signature, sort_call};
use crate::errors::entry;
use crate::future_iter::Await;
use crate::methods::{fast, no_args};
use crate::object::{Obj, Raised, Res, boolean, none, ptr_or_null, text};
use crate::primitives::coroutine_function::add_methods;
use crate::primitives::operation::{Operation, Plan, Resume};
use crate::threads::park::PyPark;
use crate::threads::patience::{self, Patience};

/// The layout of `Event`.
#[repr(C)]
pub(super) struct Event {
    head: Head,
    /// What it is if it is not shared.
    core: sync::Event,
}

impl Headed for Event {
    const NAME: &'static str = "Event";

    unsafe fn prepare(this: *mut Event) {
        std::ptr::write(&raw mut (*this).core, sync::Event::new(Scope::Process));
    }
}

const NEW: Signature<1> = Signature { func: "Event", names: [c"shared"], positional: 0, required: 0 };
const WAIT: Signature<1> = Signature { func: "Event.wait", names: [c"timeout"], positional: 1, required: 0 };
const AWAIT: Signature<1> = Signature { func: "Event.await_set", names: [c"timeout"], positional: 1, required: 0 };

unsafe fn wait(e: *mut Event, timeout: *mut PyObject) -> Res<bool> {
    let patience = patience::of_timeout(timeout)?;
    if let Some(shared) = &(*e).head.shared {
        return Ok(shared::wait::<Flag>(e.cast(), shared, std::ptr::null_mut(), patience)?.is_some());
    }
    if patience == Patience::None || (*e).core.is_set() {
        return Ok((*e).core.is_set());
    }
    forbid("Event.wait", "await event")?;
    let _alive = Obj::from(e.cast());
    let mut park = PyPark::new(e.cast(), Target::Anyone);
    match (*e).core.wait_slowly(current(), Wake::Thread, &mut park, patience.deadline()) {
        Ok(()) => Ok(true),
        Err(Failed::TimedOut) => Ok(false),
        Err(Failed::Interrupted) => Err(Raised),
    }
}

/// The line of those who wait for the flag.
struct Waiters;

unsafe fn event_of<'a>(op: *mut Operation) -> &'a Event {
    &*ptr_or_null(&(*op).owner).cast::<Event>()
}

unsafe fn leave(s: *mut Seat) {
    if let Some(e) = ptr_or_null(&(*s).owner).cast::<Event>().as_ref() {
        e.core.withdraw((*s).hand.waiter());
    }
}

impl Line for Waiters {
    const LEAVE: Leave = leave;

    unsafe fn attempt(op: *mut Operation) -> Res<Option<Obj>> {
        Ok(event_of(op).core.is_set().then(|| boolean(true)))
    }

    unsafe fn enlist(op: *mut Operation, s: *mut Seat) -> Res<Option<Obj>> {
        Ok(event_of(op).core.enlist((*s).hand.waiter()).then(|| boolean(true)))
    }

    unsafe fn resume(_op: *mut Operation, s: *mut Seat) -> Res<Option<Obj>> {
        Ok((*s).hand.waiter().granted().map(|_| boolean(true)))
    }

    unsafe fn give_up(op: *mut Operation, s: *mut Seat) -> Option<Obj> {
        event_of(op).core.withdraw((*s).hand.waiter()).then(|| boolean(true))
    }

    unsafe fn late() -> Res<Obj> {
        Ok(boolean(false))
    }
}

unsafe fn run(op: *mut Operation, how: Resume) -> Res<Await> {
    if shared::of(ptr_or_null(&(*op).owner)).is_some() {
        return line::run::<Standing<Flag>>(op, how);
    }
    line::run::<Waiters>(op, how)
}

static PLAN: Plan = Plan { name: c"await_set", qualname: c"Event.await_set", run };

unsafe fn await_set(e: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    let [timeout] = args.sort(&AWAIT)?;
    line::new(&PLAN, e, std::ptr::null_mut(), timeout)
}

unsafe extern "C" fn am_await(e: *mut PyObject) -> *mut PyObject {
    entry(|| line::new(&PLAN, e, std::ptr::null_mut(), std::ptr::null_mut()))
}

no_args!(py_is_set, |e: Event| Ok(boolean(is_set(e))));
no_args!(py_set, |e: Event| {
    if let Some(shared) = &(*e).head.shared {
        shared.hall.value.store(1, Ordering::SeqCst);
        shared.row(0).call(u64::MAX);
        return Ok(none());
    }
    (*e).core.set();
    tell();
    Ok(none())
});
no_args!(py_clear, |e: Event| {
    match &(*e).head.shared {
        Some(shared) => shared.hall.value.store(0, Ordering::SeqCst),
        None => (*e).core.clear(),
    }
    Ok(none())
});
fast!(py_wait, |e: Event, args| {
    let [timeout] = args.sort(&WAIT)?;
    Ok(boolean(wait(e, timeout)?))
});

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let [shared] = sort_call(&NEW, args, kwargs)?;
        let shared = if flag(shared)? { Some(Shared::create(None)?) } else { None };
        head::allocate::<Event>(ty, shared)
    })
}

/// Whether it is set.
unsafe fn is_set(e: *mut Event) -> bool {
    match &(*e).head.shared {
        Some(shared) => shared.hall.value.load(Ordering::Acquire) != 0,
        None => (*e).core.is_set(),
    }
}

unsafe extern "C" fn repr(o: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let state = if is_set(o.cast()) { "set" } else { "unset" };
        text(&format!("<fenshen.Event at {o:p}: {state}>"))
    })
}

const DOC: &CStr = c"Event(*, shared=False)\n--\n\nA flag that threads, tasks of any event loop and, with `shared`, processes wait for.\n\nThreads wait by wait(), coroutines by `await event` or `await event.await_set(timeout)`. Who waits when it is set\npasses, even if it is cleared at once.";

/// Makes the type.
pub(super) unsafe fn build() -> Res<*mut PyTypeObject> {
    let ty = head::builder::<Event>(c"fenshen._together.Event", DOC)
        .slot(ffi::Py_tp_new, new as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .slot(ffi::Py_am_await, am_await as *mut c_void)
        .no_args(c"is_set", py_is_set, c"is_set($self, /)\n--\n\nWhether it is set.")
        .no_args(c"set", py_set, c"set($self, /)\n--\n\nSet it; those who wait pass, and so does whoever comes.")
        .no_args(c"clear", py_clear, c"clear($self, /)\n--\n\nClear it; whoever comes waits.")
        .fast(c"wait", py_wait, c"wait($self, /, timeout=None)\n--\n\nWait until it is set, at most `timeout` seconds; returns whether it was.\n\nRaises RuntimeError where it would block a running event loop.")
        .build(None)?;
    add_methods(ty, Some(&kinds::awaited(c"Event")?), &[(c"await_set", await_set)])?;
    kinds::rename(ty)?;
    Ok(ty)
}
