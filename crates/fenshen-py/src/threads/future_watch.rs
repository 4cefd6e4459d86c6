//! `FutureWatch`: what one `wait()` or `as_completed()` has its futures tell it.
//!
//! It is entered in futures of ours natively, and in the `_waiters` of all others, whose methods it therefore has.

use std::ffi::{CStr, c_int, c_void};

use fenshen_sync::graph::Target;
use fenshen_sync::{Failed, Grant, Monitor, WaitList, Waiter, Wake, current};
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::future::{self, Future};
use super::future_type::is_exact;
use super::known::known;
use super::park::PyPark;
use super::patience::{self, Patience};
use crate::errors::{raise, status, type_error};
use crate::methods::{no_args, one_arg};
use crate::object::{Obj, Raised, Res, boolean, none, repr, utf8};
use crate::types::{TypeBuilder, free};

/// The layout of `FutureWatch`.
#[repr(C)]
pub(crate) struct FutureWatch {
    ob_base: PyObject,
    until: Until,
    seen: Monitor<Seen>,
}

/// When a wait is over.
#[derive(Clone, Copy, PartialEq)]
enum Until {
    /// When there is a future that was not taken yet.
    Any,
    /// When one has failed, or all are done.
    Failure,
    /// When all are done.
    All,
}

/// What was told.
#[derive(Default)]
struct Seen {
    /// The futures that are done, in the order in which they became so.
    done: Vec<Obj>,
    /// One of them has raised.
    failed: bool,
    /// How many have been entered and are not done.
    pending: usize,
    sleepers: WaitList,
}

impl Seen {
    fn is_over(&self, until: Until) -> bool {
        match until {
            Until::Any => !self.done.is_empty(),
            Until::Failure => self.failed || self.pending == 0,
            Until::All => self.pending == 0,
        }
    }
}

/// A future has ended, as the name of the method says that foreign ones call.
pub(crate) unsafe fn tell(w: *mut FutureWatch, f: *mut Future, told: Option<&Obj>) {
    let failed = told.is_some_and(|t| t.ptr() == known().add_exception.ptr());
    note(w, Obj::from(f.cast()), failed);
}

unsafe fn note(w: *mut FutureWatch, future: Obj, failed: bool) {
    let _alive = Obj::from(w.cast());
    let mut inside = (*w).seen.enter();
    inside.done.push(future);
    inside.failed |= failed;
    inside.pending = inside.pending.saturating_sub(1);
    if inside.is_over((*w).until) {
        inside.grant_all(|seen| &seen.sleepers, Grant::RETRY);
    }
}

one_arg!(add_result, |w: FutureWatch, f| {
    note(w, Obj::from(f), false);
    Ok(none())
});
one_arg!(add_exception, |w: FutureWatch, f| {
    note(w, Obj::from(f), true);
    Ok(none())
});

unsafe fn ours(f: *mut PyObject) -> Res<*mut Future> {
    if is_exact(f) {
        return Ok(f.cast());
    }
    type_error(&format!("{} is not exactly a Future", repr(f)))
}

one_arg!(enter, |w: FutureWatch, f| {
    let f = ours(f)?;
    (*w).seen.enter().pending += 1;
    let done = future::enter_watch(f, &Obj::from(w.cast()));
    if done {
        (*w).seen.enter().pending -= 1;
    }
    Ok(boolean(done))
});
one_arg!(leave, |w: FutureWatch, f| {
    if future::leave_watch(ours(f)?, w.cast()) {
        let mut inside = (*w).seen.enter();
        inside.pending = inside.pending.saturating_sub(1);
    }
    Ok(none())
});
no_args!(expect, |w: FutureWatch| {
    (*w).seen.enter().pending += 1;
    Ok(none())
});
no_args!(take, |w: FutureWatch| {
    let done = std::mem::take(&mut (*w).seen.enter().done);
    let list = Obj::new(ffi::PyList_New(0))?;
    for future in done {
        crate::object::done(ffi::PyList_Append(list.ptr(), future.ptr()))?;
    }
    Ok(list)
});
one_arg!(wait, |w: FutureWatch, timeout| {
    let patience = patience::of_timeout(timeout)?;
    let deadline = patience.deadline();
    loop {
        let waiter = Waiter::new(current(), Wake::Thread);
        let inside = (*w).seen.enter();
        if inside.is_over((*w).until) {
            return Ok(boolean(true));
        }
        if patience == Patience::None {
            return Ok(boolean(false));
        }
        inside.sleepers.push_back(&waiter);
        let list = &raw const inside.sleepers;
        drop(inside);
        let waited = (*w).seen.wait(list, &waiter, &mut PyPark::new(w.cast(), Target::Anyone), deadline);
        match waited {
            Ok(_) => {}
            Err((Failed::TimedOut, _)) => return Ok(boolean((*w).seen.enter().is_over((*w).until))),
            Err((Failed::Interrupted, _)) => return Err(Raised),
        }
    }
});

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    crate::errors::entry(|| {
        const SIGNATURE: crate::args::Signature<1> =
            crate::args::Signature { func: "FutureWatch", names: [c"return_when"], positional: 1, required: 1 };
        let [when] = crate::args::sort_call(&SIGNATURE, args, kwargs)?;
        let until = match if ffi::PyUnicode_Check(when) != 0 { utf8(when)? } else { String::new() }.as_str() {
            "FIRST_COMPLETED" => Until::Any,
            "FIRST_EXCEPTION" => Until::Failure,
            "ALL_COMPLETED" => Until::All,
            _ => return raise(ffi::PyExc_ValueError, &format!("Invalid return condition: {}", repr(when))),
        };
        let alloc = (*ty).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
        let this = Obj::new(alloc(ty, 0))?;
        let w: *mut FutureWatch = this.ptr().cast();
        std::ptr::write(&raw mut (*w).until, until);
        std::ptr::write(&raw mut (*w).seen, Monitor::new(Seen::default()));
        Ok(this)
    })
}

unsafe extern "C" fn traverse(this: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    let seen = &*(*this.cast::<FutureWatch>()).seen.data();
    let all = std::iter::once(ffi::Py_TYPE(this).cast()).chain(seen.done.iter().map(Obj::ptr));
    all.map(|o| visitor(o, arg)).find(|status| *status != 0).unwrap_or(0)
}

unsafe extern "C" fn gc_clear(this: *mut PyObject) -> c_int {
    status(|| {
        let done = std::mem::take(&mut (*this.cast::<FutureWatch>()).seen.enter().done);
        drop(done);
        Ok(())
    })
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    ffi::PyObject_GC_UnTrack(this.cast());
    std::ptr::drop_in_place(&raw mut (*this.cast::<FutureWatch>()).seen);
    free(this);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let doc: &CStr = c"FutureWatch(return_when)\n--\n\nWhat one wait() or as_completed() has its futures tell it.";
    TypeBuilder::new::<FutureWatch>(c"fenshen._threads.FutureWatch")
        .doc(doc)
        .flags(ffi::Py_TPFLAGS_HAVE_GC)
        .slot(ffi::Py_tp_new, new as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, gc_clear as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .one_arg(c"enter", enter, c"enter($self, future, /)\n--\n\nHave a native future tell it when it is done; True if it is done already, and tells nothing.")
        .one_arg(c"leave", leave, c"leave($self, future, /)\n--\n\nHave a native future tell it nothing any more.")
        .no_args(c"expect", expect, c"expect($self, /)\n--\n\nCount one more future, into whose _waiters it was put.")
        .one_arg(c"wait", wait, c"wait($self, timeout, /)\n--\n\nWait until what is waited for is there, up to `timeout` seconds, None for ever; returns whether it is.")
        .no_args(c"take", take, c"take($self, /)\n--\n\nThe futures that have told it that they are done, since this was last asked.")
        .one_arg(c"add_result", add_result, c"add_result($self, future, /)\n--\n\nA future has returned.")
        .one_arg(c"add_exception", add_exception, c"add_exception($self, future, /)\n--\n\nA future has raised.")
        .one_arg(c"add_cancelled", add_result, c"add_cancelled($self, future, /)\n--\n\nA future was cancelled.")
        .build(None)
}
