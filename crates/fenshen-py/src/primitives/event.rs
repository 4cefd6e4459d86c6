//! `Event`: a flag that tasks wait for.

use std::ffi::{c_int, c_void};

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::coroutine_function::add_methods;
use super::head::{self, Head, Primitive, builder, init_args, shorten, truth, waiters};
use super::operation::{self, Operation, Plan, Resume, settled};
use super::waiters::Waiters;
use crate::args::{Args, Signature};
use crate::errors::{entry, restore, runtime_error, status};
use crate::future_iter::Await;
use crate::kinds;
use crate::methods::{getter, no_args, setter};
use crate::names::asyncio;
use crate::object::{Obj, Raised, Res, boolean, none, ptr_or_null};

/// The layout of `fenshen.Event`.
#[repr(C)]
pub(crate) struct Event {
    head: Head,
    waiters: Waiters,
    pub(crate) value: bool,
}

impl Primitive for Event {
    const CALLED: &'static [&'static std::ffi::CStr] = &[];
    fn kind() -> *mut PyTypeObject {
        kinds::event()
    }
    unsafe fn prepare(this: *mut Event) {
        std::ptr::write(&raw mut (*this).waiters, Waiters::empty());
    }
    unsafe fn visit(this: *mut Event, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        (*this).waiters.traverse(visitor, arg)
    }
    unsafe fn release(this: *mut Event) {
        (*this).waiters.clear();
    }
    unsafe fn stands_for(ty: *mut PyTypeObject) -> Option<&'static Obj> {
        (ty == kinds::event()).then(|| &asyncio().event_class)
    }
}

const INIT: Signature<0> = Signature { func: "Event.__init__", names: [], positional: 0, required: 0 };

/// `set()`.
pub(crate) unsafe fn raise_flag(e: *mut Event) -> Res<()> {
    if (*e).value {
        return Ok(());
    }
    (*e).value = true;
    Waiters::wake_some(&raw mut (*e).waiters, isize::MAX, ffi::Py_True())
}

/// Waits for `e` within `op`.
pub(crate) unsafe fn wait_for(op: *mut Operation, e: *mut Event, how: Resume) -> Res<Await> {
    if matches!(how, Resume::Start) {
        if (*e).value {
            return Ok(Await::Return(boolean(true)));
        }
        let future = Head::future(e.cast())?;
        Waiters::push(&raw mut (*e).waiters, future.again())?;
        return operation::wait(op, future);
    }
    let Some(future) = (*op).waiter.take() else {
        return runtime_error("fenshen: a waiter is lost");
    };
    let outcome = settled(&future, how);
    Waiters::remove(&raw mut (*e).waiters, &future)?;
    match outcome {
        Ok(()) => Ok(Await::Return(boolean(true))),
        Err(exc) => {
            restore(exc);
            Err(Raised)
        }
    }
}

static WAIT: Plan = Plan { name: c"wait", qualname: c"Event.wait", run: run_wait };

unsafe fn run_wait(op: *mut Operation, how: Resume) -> Res<Await> {
    wait_for(op, ptr_or_null(&(*op).owner).cast(), how)
}

unsafe fn wait(this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    args.none("Event.wait")?;
    operation::new(&WAIT, this, std::ptr::null_mut())
}

unsafe extern "C" fn init(this: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> c_int {
    status(|| {
        let [] = init_args(&INIT, "Event", args, kwargs)?;
        let e: *mut Event = this.cast();
        drop(std::mem::replace(&mut (*e).waiters, Waiters::empty()));
        (*e).value = false;
        Ok(())
    })
}

no_args!(is_set, |e: Event| Ok(boolean((*e).value)));
no_args!(py_set, |e: Event| raise_flag(e).map(|()| none()));
no_args!(py_clear, |e: Event| {
    (*e).value = false;
    Ok(none())
});

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let e: *mut Event = this.cast();
        head::show(this, if (*e).value { "set" } else { "unset" }, &raw mut (*e).waiters)
    })
}

waiters!(get_waiters, set_waiters, Event, waiters);
getter!(get_value, |e: Event| Ok(boolean((*e).value)));
setter!(set_value, |e: Event, value| {
    (*e).value = truth(&Obj::from(value))?;
    Ok(())
});

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let doc = c"Event()\n--\n\nA flag that tasks wait for, as asyncio.Event. It is down at first.";
    let ty = builder::<Event>(c"fenshen._fenshen.Event", doc)
        .slot(ffi::Py_tp_init, init as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .no_args(c"is_set", is_set, c"is_set($self, /)\n--\n\nWhether it is up.")
        .no_args(c"set", py_set, c"set($self, /)\n--\n\nRaise the flag: every task that waits goes on.")
        .no_args(c"clear", py_clear, c"clear($self, /)\n--\n\nLower the flag.")
        .property(c"_waiters", get_waiters, Some(set_waiters))
        .property(c"_value", get_value, Some(set_value))
        .build(None)?;
    shorten(ty);
    add_methods(ty, Some(&asyncio().event_class), &[(c"wait", wait)])?;
    Ok(ty)
}
