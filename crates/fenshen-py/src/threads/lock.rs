//! `Lock`: held by one at a time, released by anyone.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering};

use fenshen_sync::graph::Target;
use fenshen_sync::{Failed, Mutex, Scope, Wake, current};
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::known::known;
use super::live;
use super::order;
use super::park::PyPark;
use super::patience::{self, Patience};
use crate::errors::{entry, raise};
use crate::methods::{fast, getter, no_args};
use crate::object::{Obj, Raised, Res, boolean, none, text};
use crate::types::{TypeBuilder, free};

/// The layout of `Lock`.
#[repr(C)]
pub(crate) struct Lock {
    head: live::Head,
    pub(crate) mutex: Mutex,
    /// It was once released by another thread than the one that took it: from then on nobody owns it.
    handed: AtomicBool,
}

/// Takes it, and waits for that as long as `patience` says; returns whether it was taken.
#[inline]
pub(crate) unsafe fn acquire(l: *mut Lock, patience: Patience) -> Res<bool> {
    let me = current();
    let taken = (*l).mutex.try_lock(if (*l).handed.load(Ordering::Relaxed) { 0 } else { me })
        || (patience != Patience::None && acquire_slowly(l, me, patience)?);
    if taken && order::on() {
        order::acquired(l.cast(), patience != Patience::None);
    }
    Ok(taken)
}

#[cold]
unsafe fn acquire_slowly(l: *mut Lock, me: u32, patience: Patience) -> Res<bool> {
    let _alive = Obj::from(l.cast());
    let mutex = &(*l).mutex;
    let target = Target::Owner { cell: mutex.owner_cell(), strict: false };
    let taken = mutex.lock_slowly(me, Wake::Thread, &mut PyPark::new(l.cast(), target), patience.deadline());
    match taken {
        Ok(()) => {
            if (*l).handed.load(Ordering::Relaxed) {
                mutex.disown();
            }
            Ok(true)
        }
        Err(Failed::TimedOut) => Ok(false),
        Err(Failed::Interrupted) => Err(Raised),
    }
}

/// Releases it.
#[inline]
pub(crate) unsafe fn release(l: *mut Lock) -> Res<()> {
    let owner = (*l).mutex.owner();
    if owner != 0 && owner != current() {
        (*l).handed.store(true, Ordering::Relaxed);
    }
    if order::on() {
        order::released(l.cast());
    }
    if (*l).mutex.unlock() { Ok(()) } else { raise(ffi::PyExc_RuntimeError, "release unlocked lock") }
}

fast!(py_acquire, |l: Lock, args| {
    let patience = patience::of_lock(&args)?;
    Ok(boolean(acquire(l, patience)?))
});
no_args!(py_enter, |l: Lock| Ok(boolean(acquire(l, Patience::Endless)?)));
no_args!(py_release, |l: Lock| release(l).map(|()| none()));
fast!(py_exit, |l: Lock, _args| release(l).map(|()| none()));
no_args!(py_locked, |l: Lock| Ok(boolean((*l).mutex.is_locked())));
no_args!(py_reinit, |l: Lock| {
    if order::on() {
        order::released(l.cast());
    }
    (*l).mutex.reset();
    (*l).handed.store(false, Ordering::Relaxed);
    Ok(none())
});
no_args!(py_getstate, |_l: Lock| super::refuse_pickling("_thread.lock"));
getter!(get_class, |l: Lock| Ok(super::standing_for(l.cast(), super::kinds::lock(), &known().lock_class)));

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let l: *mut Lock = this.cast();
        let state = if (*l).mutex.is_locked() { "locked" } else { "unlocked" };
        text(&format!("<{state} _thread.lock object at {this:p}>"))
    })
}

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        super::no_arguments("lock", args, kwargs)?;
        make(ty)
    })
}

/// A free lock.
pub(crate) unsafe fn make(ty: *mut PyTypeObject) -> Res<Obj> {
    let alloc = (*ty).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
    let this = Obj::new(alloc(ty, 0))?;
    let l: *mut Lock = this.ptr().cast();
    std::ptr::write(&raw mut (*l).mutex, Mutex::new(Scope::Process));
    live::link(&raw mut (*l).head);
    Ok(this)
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    let l: *mut Lock = this.cast();
    live::unlink(&raw mut (*l).head);
    if !(*l).head.weakrefs.is_null() {
        ffi::PyObject_ClearWeakRefs(this);
    }
    if order::on() {
        order::forget(this);
    }
    free(this);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let doc = c"Lock()\n--\n\nA lock that any thread may release, as threading.Lock.\n\nWhoever comes by takes a free lock; a waiter that has been passed over for 1 ms gets the next hand-off.";
    TypeBuilder::new::<Lock>(c"fenshen._threads.Lock")
        .doc(doc)
        .slot(ffi::Py_tp_new, new as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .weakrefs(std::mem::offset_of!(live::Head, weakrefs))
        .stand_in(get_class)
        .fast(c"acquire", py_acquire, super::ACQUIRE_DOC)
        .fast(c"acquire_lock", py_acquire, c"An obsolete name of acquire().")
        .no_args(c"release", py_release, c"release($self, /)\n--\n\nRelease it; RuntimeError if nobody holds it.")
        .no_args(c"release_lock", py_release, c"An obsolete name of release().")
        .no_args(c"locked", py_locked, c"locked($self, /)\n--\n\nWhether it is held.")
        .no_args(c"locked_lock", py_locked, c"An obsolete name of locked().")
        .no_args(c"__enter__", py_enter, c"__enter__($self, /)\n--\n\nAcquire it.")
        .fast(c"__exit__", py_exit, c"__exit__($self, /, *exc_info)\n--\n\nRelease it.")
        .no_args(c"_at_fork_reinit", py_reinit, c"_at_fork_reinit($self, /)\n--\n\nMake it new, in a forked child.")
        .no_args(c"__getstate__", py_getstate, super::GETSTATE_DOC)
        .build(None)
}
