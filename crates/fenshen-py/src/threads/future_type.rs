//! The Python face of `Future`.

use std::ffi::{CStr, c_int, c_void};

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::future::{self, FINISHED, Future, STATES, Turn};
use super::head::{Shared, Standard, builder};
use crate::args::Signature;
use crate::errors::{entry, raise, wall};
use crate::methods::{fast, getter, no_args, setter};
use crate::object::{Obj, Res, boolean, none, not_none, ptr_or_null, text, utf8};

static STANDARD: Standard = Standard::new(c"concurrent.futures._base", c"Future");

impl Shared for Future {
    const CALLED: &'static [&'static CStr] = &[c"_invoke_callbacks"];
    const STANDARD: &'static Standard = &STANDARD;

    fn kind() -> *mut PyTypeObject {
        super::kinds::future()
    }

    unsafe fn prepare(this: *mut Future) {
        future::prepare(this);
    }

    unsafe fn visit(this: *mut Future, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        // SAFETY: the garbage collector's own arguments.
        future::each(this, |o| unsafe { visitor(o.ptr(), arg) })
    }

    unsafe fn release(this: *mut Future) {
        future::release(this);
    }
    unsafe fn pickled_as(_this: *mut Future) -> &'static str {
        "_thread.RLock"
    }
}

const TIMEOUT: [&CStr; 1] = [c"timeout"];
const RESULT: Signature<1> = Signature { func: "Future.result", names: TIMEOUT, positional: 1, required: 0 };
const EXCEPTION: Signature<1> = Signature { func: "Future.exception", names: TIMEOUT, positional: 1, required: 0 };
const CALLBACK: Signature<1> =
    Signature { func: "Future.add_done_callback", names: [c"fn"], positional: 1, required: 1 };
const SET_RESULT: Signature<1> =
    Signature { func: "Future.set_result", names: [c"result"], positional: 1, required: 1 };
const SET_EXCEPTION: Signature<1> =
    Signature { func: "Future.set_exception", names: [c"exception"], positional: 1, required: 1 };

fast!(py_result, |f: Future, args| {
    let [timeout] = if args.is_empty() { [std::ptr::null_mut()] } else { args.sort(&RESULT)? };
    future::result(f, timeout)
});
fast!(py_exception, |f: Future, args| {
    let [timeout] = args.sort(&EXCEPTION)?;
    future::exception(f, timeout)
});
no_args!(py_cancel, |f: Future| Ok(boolean(future::cancel(f)?)));
no_args!(py_cancelled, |f: Future| Ok(boolean(matches!(future::state(f), future::CANCELLED | future::NOTIFIED))));
no_args!(py_running, |f: Future| Ok(boolean(future::is_running(f)?)));
no_args!(py_done, |f: Future| Ok(boolean(future::is_done(future::state(f)))));
fast!(py_add_done_callback, |f: Future, args| {
    let [callback] = args.sort(&CALLBACK)?;
    future::add_callback(f, callback)?;
    Ok(none())
});
no_args!(py_start, |f: Future| Ok(boolean(future::start(f)?)));
fast!(py_set_result, |f: Future, args| {
    let [value] = args.sort(&SET_RESULT)?;
    future::finish(f, Turn::Return(Obj::from(value)))?;
    Ok(none())
});
fast!(py_set_exception, |f: Future, args| {
    let [exc] = args.sort(&SET_EXCEPTION)?;
    future::finish(f, Turn::Raise(Obj::from(exc)))?;
    Ok(none())
});
no_args!(py_invoke_callbacks, |f: Future| {
    future::call_callbacks(f)?;
    Ok(none())
});

getter!(get_state, |f: Future| text(STATES[future::state(f) as usize]));
setter!(set_state, |f: Future, value| {
    let name = utf8(value)?;
    match STATES.iter().position(|s| *s == name) {
        Some(state) => {
            future::force(f, state as u32);
            Ok(())
        }
        None => raise(ffi::PyExc_ValueError, &format!("'{name}' is no state of a future")),
    }
});

macro_rules! field {
    ($get:ident, $set:ident, $field:ident) => {
        getter!($get, |f: Future| {
            let found = (*f).inner.enter().$field.as_ref().map(|o| o.again());
            Ok(found.unwrap_or_else(|| none()))
        });
        setter!($set, |f: Future, value| {
            let value = Obj::from_opt(not_none(value));
            let before = std::mem::replace(&mut (*f).inner.enter().$field, value);
            drop(before);
            Ok(())
        });
    };
}
field!(get_result, set_result, result);
field!(get_exception, set_exception, exception);

macro_rules! made_when_asked {
    ($get:ident, $set:ident, $field:ident) => {
        getter!($get, |f: Future| future::$field(f));
        setter!($set, |f: Future, value| {
            let value = Obj::from(value);
            let before = (*f).inner.enter().$field.replace(value);
            drop(before);
            Ok(())
        });
    };
}
made_when_asked!(get_condition, set_condition, condition);
made_when_asked!(get_callbacks, set_callbacks, callbacks);
getter!(get_waiters, |f: Future| future::waiters(f));
setter!(set_waiters, |f: Future, value| {
    future::condition(f)?;
    let before = (*f).inner.enter().waiters.replace(Obj::from(value));
    drop(before);
    Ok(())
});

#[cfg(Py_3_14)]
no_args!(py_get_snapshot, |f: Future| {
    let inside = (*f).inner.enter();
    let state = future::state(f);
    let (result, exc) = (inside.result.as_ref().map(|o| o.again()), inside.exception.as_ref().map(|o| o.again()));
    drop(inside);
    let done = boolean(future::is_done(state));
    let cancelled = boolean(matches!(state, future::CANCELLED | future::NOTIFIED));
    let (result, exc) = (result.unwrap_or_else(|| none()), exc.unwrap_or_else(|| none()));
    Obj::new(ffi::PyTuple_Pack(4, done.ptr(), cancelled.ptr(), result.ptr(), exc.ptr()))
});

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let f: *mut Future = this.cast();
        let inside = (*f).inner.enter();
        let state = future::state(f);
        let failed = inside.exception.is_some();
        let what = Obj::from_opt(ptr_or_null(if failed { &inside.exception } else { &inside.result }));
        drop(inside);
        let what = what.unwrap_or_else(|| none());
        let outcome = match state {
            FINISHED => {
                format!(" {} {}", if failed { "raised" } else { "returned" }, super::known::class_name(what.ptr())?)
            }
            _ => String::new(),
        };
        let name = super::known::class_name(this)?;
        let state = ["pending", "running", "cancelled", "cancelled", "finished"][state as usize];
        text(&format!("<{name} at {this:p} state={state}{outcome}>"))
    })
}

unsafe extern "C" fn init(_: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> c_int {
    wall(-1, || {
        let keywords = if kwargs.is_null() { 0 } else { ffi::PyDict_Size(kwargs) };
        let given = ffi::PyTuple_GET_SIZE(args) + keywords;
        if given > 0 {
            return crate::errors::type_error(&format!(
                "Future.__init__() takes 1 positional argument but {} were given",
                given + 1
            ));
        }
        Ok(0)
    })
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let built = builder::<Future>(c"fenshen._threads.Future", c"Future()\n--\n\nThe result of a computation to come, as concurrent.futures.Future.")
        .slot(ffi::Py_tp_init, init as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .generic()
        .property(c"_state", get_state, Some(set_state))
        .property(c"_result", get_result, Some(set_result))
        .property(c"_exception", get_exception, Some(set_exception))
        .property(c"_condition", get_condition, Some(set_condition))
        .property(c"_waiters", get_waiters, Some(set_waiters))
        .property(c"_done_callbacks", get_callbacks, Some(set_callbacks))
        .fast(c"result", py_result, c"result($self, timeout=None)\n--\n\nWhat the call returned; waits for it up to `timeout` seconds, None for ever.\n\nRaises what the call raised, CancelledError if it was cancelled, TimeoutError if it is not done in time.")
        .fast(c"exception", py_exception, c"exception($self, timeout=None)\n--\n\nWhat the call raised, None if it returned; waits for it up to `timeout` seconds, None for ever.\n\nRaises CancelledError if it was cancelled, TimeoutError if it is not done in time.")
        .no_args(c"cancel", py_cancel, c"cancel($self, /)\n--\n\nCancel it unless it runs or is finished; returns whether it is cancelled.")
        .no_args(c"cancelled", py_cancelled, c"cancelled($self, /)\n--\n\nWhether it was cancelled.")
        .no_args(c"running", py_running, c"running($self, /)\n--\n\nWhether the call is being made.")
        .no_args(c"done", py_done, c"done($self, /)\n--\n\nWhether it is finished or cancelled.")
        .fast(c"add_done_callback", py_add_done_callback, c"add_done_callback($self, fn)\n--\n\nHave fn(self) called when it is done, or now if it is: by the thread that ends it, in the order of adding. An Exception that it raises is logged.")
        .no_args(c"set_running_or_notify_cancel", py_start, c"set_running_or_notify_cancel($self, /)\n--\n\nFor executors: say that the call begins; False if it was cancelled and must not be made.\n\nRaises RuntimeError if it has begun or ended already.")
        .fast(c"set_result", py_set_result, c"set_result($self, result)\n--\n\nFor executors: say what the call returned. Raises InvalidStateError if it is done.")
        .fast(c"set_exception", py_set_exception, c"set_exception($self, exception)\n--\n\nFor executors: say what the call raised. Raises InvalidStateError if it is done.")
        .no_args(c"_invoke_callbacks", py_invoke_callbacks, c"_invoke_callbacks($self, /)\n--\n\nCall the callbacks.");
    #[cfg(Py_3_14)]
    let built = built.no_args(
        c"_get_snapshot",
        py_get_snapshot,
        c"_get_snapshot($self, /)\n--\n\n(done, cancelled, result, exception), of one moment.",
    );
    built.build(None)
}

/// Whether an object is exactly a future of ours, with nothing overridden.
#[inline]
pub(crate) unsafe fn is_exact(o: *mut PyObject) -> bool {
    ffi::Py_TYPE(o) == super::kinds::future()
}
