//! `Event`: a flag that threads wait for.

use std::ffi::{c_int, c_void};

use fenshen_sync::graph::Target;
use fenshen_sync::{Failed, Scope, Wake, current};
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::head::{self, Head, Shared, Standard};
use super::known::known;
use super::park::PyPark;
use super::patience::{self, Patience};
use super::shown_condition::ShownCondition;
use crate::args::{Signature, sort_call};
use crate::errors::{entry, status};
use crate::methods::{fast, getter, no_args, setter};
use crate::object::{Obj, Raised, Res, boolean, call_method, done, none, text};

/// The layout of `Event`.
#[repr(C)]
pub(crate) struct Event {
    head: Head,
    core: fenshen_sync::Event,
    shown: ShownCondition,
}

static EVENT: Standard = Standard::new(c"threading", c"Event");

impl Shared for Event {
    const CALLED: &'static [&'static std::ffi::CStr] = &[c"is_set"];
    const STANDARD: &'static Standard = &EVENT;

    fn kind() -> *mut PyTypeObject {
        super::kinds::event()
    }

    unsafe fn prepare(this: *mut Event) {
        std::ptr::write(&raw mut (*this).core, fenshen_sync::Event::new(Scope::Process));
    }

    unsafe fn visit(this: *mut Event, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        (*this).shown.visit(visitor, arg)
    }

    unsafe fn release(this: *mut Event) {
        (*this).shown.clear();
    }
}

/// Waits until it is set, as long as `patience` says; returns whether it was.
#[inline]
unsafe fn wait(e: *mut Event, patience: Patience) -> Res<bool> {
    if patience == Patience::None {
        return Ok((*e).core.is_set());
    }
    let _alive = Obj::from(e.cast());
    let mut park = PyPark::new(e.cast(), Target::Anyone);
    match (*e).core.wait_slowly(current(), Wake::Thread, &mut park, patience.deadline()) {
        Ok(()) => Ok(true),
        Err(Failed::TimedOut) => Ok(false),
        Err(Failed::Interrupted) => Err(Raised),
    }
}

unsafe fn set(e: *mut Event) -> Res<()> {
    (*e).core.set();
    (*e).shown.tell(u64::MAX)
}

const WAIT: Signature<1> = Signature { func: "Event.wait", names: [c"timeout"], positional: 1, required: 0 };
const INIT: Signature<0> = Signature { func: "Event.__init__", names: [], positional: 0, required: 0 };

no_args!(py_is_set, |e: Event| Ok(boolean((*e).core.is_set())));
no_args!(py_is_set_old, |e: Event| {
    let message = c"isSet() is deprecated, use is_set() instead";
    done(ffi::PyErr_WarnEx(ffi::PyExc_DeprecationWarning, message.as_ptr(), 1))?;
    if (*e).head.plain { Ok(boolean((*e).core.is_set())) } else { call_method(&known().is_set, &[e.cast()]) }
});
no_args!(py_set, |e: Event| {
    set(e)?;
    Ok(none())
});
no_args!(py_clear, |e: Event| {
    (*e).core.clear();
    Ok(none())
});
fast!(py_wait, |e: Event, args| {
    let timeout = match args.only() {
        Some(timeout) => timeout,
        None if args.is_empty() => std::ptr::null_mut(),
        None => args.sort(&WAIT)?[0],
    };
    if (*e).core.is_set() {
        return Ok(boolean(true));
    }
    Ok(boolean(wait(e, patience::of_timeout(timeout)?)?))
});
no_args!(py_reinit, |e: Event| {
    (*e).core.reset();
    (*e).shown.at_fork_reinit()?;
    Ok(none())
});
getter!(get_flag, |e: Event| Ok(boolean((*e).core.is_set())));
setter!(set_flag, |e: Event, value| {
    if head::truth(&Obj::from(value))? {
        (*e).core.set();
    } else {
        (*e).core.clear();
    }
    Ok(())
});
getter!(get_cond, |e: Event| (*e).shown.get());

unsafe extern "C" fn init(this: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> c_int {
    status(|| {
        sort_call(&INIT, args, kwargs)?;
        (*this.cast::<Event>()).core.clear();
        Ok(())
    })
}

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let state = if (*this.cast::<Event>()).core.is_set() { "set" } else { "unset" };
        text(&format!("<{} at {this:p}: {state}>", head::class_text::<Event>(this)?))
    })
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let doc = c"Event()\n--\n\nA flag that threads wait for, as threading.Event.\n\nWho waits when it is set passes, even if it is cleared at once.";
    head::builder::<Event>(c"fenshen._threads.Event", doc)
        .slot(ffi::Py_tp_init, init as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .no_args(c"is_set", py_is_set, c"is_set($self, /)\n--\n\nWhether it is set.")
        .no_args(c"isSet", py_is_set_old, c"isSet($self, /)\n--\n\nThe deprecated name of is_set().")
        .no_args(c"set", py_set, c"set($self, /)\n--\n\nSet it; those who wait pass, and so does whoever comes.")
        .no_args(c"clear", py_clear, c"clear($self, /)\n--\n\nClear it; whoever comes waits.")
        .fast(
            c"wait",
            py_wait,
            c"wait($self, /, timeout=None)\n--\n\nWait until it is set, at most `timeout` seconds; returns whether it was.",
        )
        .no_args(
            c"_at_fork_reinit",
            py_reinit,
            c"_at_fork_reinit($self, /)\n--\n\nForget those who wait, in a forked child.",
        )
        .property(c"_flag", get_flag, Some(set_flag))
        .property(c"_cond", get_cond, None)
        .build(None)
}
