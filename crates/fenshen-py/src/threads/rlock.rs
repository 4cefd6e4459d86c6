//! `RLock`: its owner may take it again, and nobody else may release it.

use std::ffi::c_void;

use fenshen_sync::graph::Target;
use fenshen_sync::{Failed, ReentrantMutex, Scope, Wake, current};
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::known::known;
use super::live;
use super::order;
use super::park::PyPark;
use super::patience::{self, Patience};
use crate::errors::{entry, raise};
use crate::methods::{fast, getter, no_args, one_arg};
use crate::object::{Obj, Raised, Res, boolean, done, none, text};
use crate::types::{TypeBuilder, free};

/// The layout of `RLock`.
#[repr(C)]
pub(crate) struct RLock {
    head: live::Head,
    pub(crate) mutex: ReentrantMutex,
}

/// Takes it, and waits for that as long as `patience` says; returns whether it was taken.
#[inline]
pub(crate) unsafe fn acquire(l: *mut RLock, patience: Patience) -> Res<bool> {
    let me = current();
    let taken = (*l).mutex.try_lock(me) || (patience != Patience::None && acquire_slowly(l, me, patience)?);
    if taken && order::on() && (*l).mutex.count() == 1 {
        order::acquired(l.cast(), patience != Patience::None);
    }
    Ok(taken)
}

#[cold]
unsafe fn acquire_slowly(l: *mut RLock, me: u32, patience: Patience) -> Res<bool> {
    let _alive = Obj::from(l.cast());
    let mutex = &(*l).mutex;
    let target = Target::Owner { cell: mutex.owner_cell(), strict: true };
    match mutex.lock_slowly(me, Wake::Thread, &mut PyPark::new(l.cast(), target), patience.deadline()) {
        Ok(()) => Ok(true),
        Err(Failed::TimedOut) => Ok(false),
        Err(Failed::Interrupted) => Err(Raised),
    }
}

/// Releases it once.
#[inline]
pub(crate) unsafe fn release(l: *mut RLock) -> Res<()> {
    let me = current();
    if order::on() && (*l).mutex.is_owned(me) && (*l).mutex.count() == 1 {
        order::released(l.cast());
    }
    if (*l).mutex.unlock(me) { Ok(()) } else { raise(ffi::PyExc_RuntimeError, "cannot release un-acquired lock") }
}

/// Releases it altogether; returns how often it was taken.
pub(crate) unsafe fn release_all(l: *mut RLock) -> Res<u64> {
    if order::on() && (*l).mutex.is_owned(current()) {
        order::released(l.cast());
    }
    match (*l).mutex.release_all(current()) {
        0 => raise(ffi::PyExc_RuntimeError, "cannot release un-acquired lock"),
        count => Ok(count),
    }
}

/// Takes it as often as [`release_all`] said.
pub(crate) unsafe fn restore(l: *mut RLock, count: u64) -> Res<()> {
    acquire(l, Patience::Endless)?;
    (*l).mutex.restore_count(count);
    Ok(())
}

fast!(py_acquire, |l: RLock, args| {
    let patience = patience::of_lock(&args)?;
    Ok(boolean(acquire(l, patience)?))
});
no_args!(py_enter, |l: RLock| Ok(boolean(acquire(l, Patience::Endless)?)));
no_args!(py_release, |l: RLock| release(l).map(|()| none()));
fast!(py_exit, |l: RLock, _args| release(l).map(|()| none()));
no_args!(py_locked, |l: RLock| Ok(boolean((*l).mutex.is_locked())));
no_args!(py_is_owned, |l: RLock| Ok(boolean((*l).mutex.is_owned(current()))));
no_args!(py_recursion_count, |l: RLock| {
    let mutex = &(*l).mutex;
    let count = if mutex.is_owned(current()) { mutex.count() } else { 0 };
    Obj::new(ffi::PyLong_FromUnsignedLongLong(count))
});
no_args!(py_release_save, |l: RLock| {
    let count = Obj::new(ffi::PyLong_FromUnsignedLongLong(release_all(l)?))?;
    let owner = Obj::new(ffi::PyLong_FromUnsignedLongLong(libc::pthread_self()))?;
    Obj::new(ffi::PyTuple_Pack(2, count.ptr(), owner.ptr()))
});
one_arg!(py_acquire_restore, |l: RLock, saved| {
    if ffi::PyTuple_Check(saved) == 0 || ffi::PyTuple_GET_SIZE(saved) != 2 {
        return raise(ffi::PyExc_TypeError, "_acquire_restore() takes what _release_save() returned");
    }
    let count = ffi::PyLong_AsUnsignedLongLong(ffi::PyTuple_GET_ITEM(saved, 0));
    if count == u64::MAX && !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    restore(l, count)?;
    Ok(none())
});
no_args!(py_reinit, |l: RLock| {
    if order::on() {
        order::released(l.cast());
    }
    (*l).mutex.reset();
    Ok(none())
});
no_args!(py_getstate, |_l: RLock| super::refuse_pickling("_thread.RLock"));
getter!(get_class, |l: RLock| Ok(super::standing_for(l.cast(), super::kinds::rlock(), &known().rlock_class)));

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let mutex = &(*this.cast::<RLock>()).mutex;
        let state = if mutex.is_locked() { "locked" } else { "unlocked" };
        let owner = fenshen_sync::find(mutex.owner()).map_or(0, |t| t.ident);
        let exact = ffi::Py_TYPE(this) == super::kinds::rlock();
        let name = if exact { "_thread.RLock".into() } else { super::known::class_name(this)? };
        text(&format!("<{state} {name} object owner={owner} count={} at {this:p}>", mutex.count()))
    })
}

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let any = ffi::PyTuple_GET_SIZE(args) > 0 || (!kwargs.is_null() && ffi::PyDict_Size(kwargs) > 0);
        if cfg!(Py_3_13) && any && ty == super::kinds::rlock() {
            let message = c"Passing arguments to RLock is deprecated and will be removed in 3.15";
            done(ffi::PyErr_WarnEx(ffi::PyExc_DeprecationWarning, message.as_ptr(), 1))?;
        }
        make(ty)
    })
}

/// A free lock.
pub(crate) unsafe fn make(ty: *mut PyTypeObject) -> Res<Obj> {
    let alloc = (*ty).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
    let this = Obj::new(alloc(ty, 0))?;
    let l: *mut RLock = this.ptr().cast();
    std::ptr::write(&raw mut (*l).mutex, ReentrantMutex::new(Scope::Process));
    live::link(&raw mut (*l).head);
    Ok(this)
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    let l: *mut RLock = this.cast();
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
    let doc = c"RLock()\n--\n\nA lock that its owner may acquire any number of times and must release as often, as threading.RLock.";
    TypeBuilder::new::<RLock>(c"fenshen._threads.RLock")
        .doc(doc)
        .flags(ffi::Py_TPFLAGS_BASETYPE)
        .slot(ffi::Py_tp_new, new as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .weakrefs(std::mem::offset_of!(live::Head, weakrefs))
        .stand_in(get_class)
        .fast(c"acquire", py_acquire, super::ACQUIRE_DOC)
        .no_args(
            c"release",
            py_release,
            c"release($self, /)\n--\n\nRelease it once; RuntimeError unless this thread holds it.",
        )
        .no_args(c"__enter__", py_enter, c"__enter__($self, /)\n--\n\nAcquire it.")
        .fast(c"__exit__", py_exit, c"__exit__($self, /, *exc_info)\n--\n\nRelease it.")
        .no_args(c"locked", py_locked, c"locked($self, /)\n--\n\nWhether anyone holds it.")
        .no_args(c"_is_owned", py_is_owned, c"_is_owned($self, /)\n--\n\nWhether this thread holds it.")
        .no_args(
            c"_recursion_count",
            py_recursion_count,
            c"_recursion_count($self, /)\n--\n\nHow often this thread has acquired it.",
        )
        .no_args(
            c"_release_save",
            py_release_save,
            c"_release_save($self, /)\n--\n\nRelease it altogether; returns what _acquire_restore() takes.",
        )
        .one_arg(
            c"_acquire_restore",
            py_acquire_restore,
            c"_acquire_restore($self, saved, /)\n--\n\nAcquire it as often as it was.",
        )
        .no_args(c"_at_fork_reinit", py_reinit, c"_at_fork_reinit($self, /)\n--\n\nMake it new, in a forked child.")
        .no_args(c"__getstate__", py_getstate, super::GETSTATE_DOC)
        .build(None)
}
