//! `Synchronized`: an object in shared memory and the lock that goes with it.

use std::ffi::{c_int, c_void};
use std::mem::offset_of;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::kinds;
use super::lock_names::names;
use super::semlock::{self, SemLock};
use crate::args::{Signature, sort_call};
use crate::errors::{self, raise, status};
use crate::methods::{fast, getter, no_args};
use crate::object::{Obj, Res, attr, call, call_method, clear, none, set, visit};
use crate::types::{TypeBuilder, free};

/// The layout of `Synchronized`.
#[repr(C)]
pub(crate) struct Synchronized {
    ob_base: PyObject,
    obj: Option<Obj>,
    lock: Option<Obj>,
    /// Whether the lock is one of ours and nobody has changed what its methods do.
    plain: bool,
}

const NEW: Signature<2> = Signature { func: "Synchronized", names: [c"obj", c"lock"], positional: 2, required: 2 };

/// What it guards.
unsafe fn guarded(s: *mut Synchronized) -> Res<Obj> {
    match &(*s).obj {
        Some(obj) => Ok(obj.again()),
        None => raise(ffi::PyExc_AttributeError, "_obj"),
    }
}

unsafe fn lock(s: *mut Synchronized) -> Res<Obj> {
    match &(*s).lock {
        Some(lock) => Ok(lock.again()),
        None => raise(ffi::PyExc_AttributeError, "_lock"),
    }
}

/// Does something while its lock is held.
#[inline]
pub(super) unsafe fn with_lock<T>(s: *mut Synchronized, action: impl FnOnce(&Obj) -> Res<T>) -> Res<T> {
    let (lock, obj) = (lock(s)?, guarded(s)?);
    if (*s).plain {
        let lock: *mut SemLock = lock.ptr().cast();
        semlock::acquire(lock, &semlock::Patience::Endless)?;
        finally(action(&obj), || semlock::release(lock))
    } else {
        call(attr(lock.ptr(), &names().acquire)?.ptr(), &[])?;
        finally(action(&obj), || call_method(&names().release, &[lock.ptr()]).map(drop))
    }
}

/// The outcome, once the lock was released; an error of that is the one that is raised.
unsafe fn finally<T>(outcome: Res<T>, release: impl FnOnce() -> Res<()>) -> Res<T> {
    if outcome.is_ok() {
        release()?;
        return outcome;
    }
    let error = errors::take();
    release()?;
    errors::restore(error);
    outcome
}

/// Whether the lock is ours, with our methods.
unsafe fn is_plain(lock: &Obj) -> Res<bool> {
    let (ty, ours) = (ffi::Py_TYPE(lock.ptr()), kinds::semlock());
    if ffi::PyType_IsSubtype(ty, ours) == 0 {
        return Ok(false);
    }
    for name in [&names().acquire, &names().release] {
        if attr(ty.cast(), name)?.ptr() != attr(ours.cast(), name)?.ptr() {
            return Ok(false);
        }
    }
    Ok(true)
}

unsafe extern "C" fn init(this: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> c_int {
    status(|| {
        let [obj, lock] = sort_call(&NEW, args, kwargs)?;
        let (s, lock): (*mut Synchronized, _) = (this.cast(), Obj::from(lock));
        (*s).plain = is_plain(&lock)?;
        set(&mut (*s).obj, Some(Obj::from(obj)));
        set(&mut (*s).lock, Some(lock));
        Ok(())
    })
}

no_args!(py_get_obj, |s: Synchronized| guarded(s));
no_args!(py_get_lock, |s: Synchronized| lock(s));
getter!(get_acquire, |s: Synchronized| attr(lock(s)?.ptr(), &names().acquire));
getter!(get_release, |s: Synchronized| attr(lock(s)?.ptr(), &names().release));
no_args!(py_enter, |s: Synchronized| {
    let lock = lock(s)?;
    if (*s).plain {
        let taken = semlock::acquire(lock.ptr().cast(), &semlock::Patience::Endless)?;
        return Ok(crate::object::boolean(taken));
    }
    call_method(&names().enter, &[lock.ptr()])
});
fast!(py_exit, |s: Synchronized, args| {
    let lock = lock(s)?;
    if (*s).plain {
        semlock::release(lock.ptr().cast())?;
        return Ok(none());
    }
    let mut all = vec![lock.ptr()];
    all.extend_from_slice(args.positional());
    call_method(&names().exit, &all)
});

unsafe extern "C" fn traverse(this: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    let s: *mut Synchronized = this.cast();
    for held in [&(*s).obj, &(*s).lock] {
        match visit(held, visitor, arg) {
            0 => {}
            stop => return stop,
        }
    }
    visitor(ffi::Py_TYPE(this).cast(), arg)
}

unsafe extern "C" fn gc_clear(this: *mut PyObject) -> c_int {
    let s: *mut Synchronized = this.cast();
    (*s).plain = false;
    clear(&mut (*s).obj);
    clear(&mut (*s).lock);
    0
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    ffi::PyObject_GC_UnTrack(this.cast());
    gc_clear(this);
    free(this);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let object = ffi::Py_T_OBJECT_EX;
    TypeBuilder::new::<Synchronized>(c"fenshen._processes.Synchronized")
        .doc(c"Synchronized(obj, lock)\n--\n\nAn object and the lock that goes with it: the base of multiprocessing's synchronized wrappers.")
        .flags(ffi::Py_TPFLAGS_BASETYPE | ffi::Py_TPFLAGS_HAVE_GC)
        .slot(ffi::Py_tp_new, ffi::PyType_GenericNew as *mut c_void)
        .slot(ffi::Py_tp_init, init as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, gc_clear as *mut c_void)
        .member(c"_obj", object, offset_of!(Synchronized, obj), true)
        .member(c"_lock", object, offset_of!(Synchronized, lock), true)
        .property(c"acquire", get_acquire, None)
        .property(c"release", get_release, None)
        .no_args(c"get_obj", py_get_obj, c"get_obj($self, /)\n--\n\nThe object, without its lock.")
        .no_args(c"get_lock", py_get_lock, c"get_lock($self, /)\n--\n\nThe lock.")
        .no_args(c"__enter__", py_enter, c"__enter__($self, /)\n--\n\nAcquire the lock.")
        .fast(c"__exit__", py_exit, c"__exit__($self, /, *exc_info)\n--\n\nRelease the lock.")
        .build(None)
}

/// Whether it is one.
pub(super) unsafe fn check(o: *mut PyObject) -> Res<*mut Synchronized> {
    if o.is_null() || ffi::PyType_IsSubtype(ffi::Py_TYPE(o), kinds::synchronized()) == 0 {
        return raise(ffi::PyExc_TypeError, "a synchronized wrapper is needed");
    }
    Ok(o.cast())
}
