//! `Synchronized`: an object in shared memory and the lock that goes with it.

use std::ffi::{c_int, c_void};
use std::mem::offset_of;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::kinds;
use super::lock_names::names;
use super::number::Number;
use super::shared_lock::SharedLock;
use crate::args::{Signature, sort_call};
use crate::errors::{raise, status};
use crate::methods::{fast, getter, no_args};
use crate::object::{Obj, Res, attr, clear, set, utf8, visit};
use crate::types::{TypeBuilder, free};

/// The layout of `Synchronized`.
#[repr(C)]
pub(crate) struct Synchronized {
    ob_base: PyObject,
    obj: Option<Obj>,
    lock: SharedLock,
    /// The block that the object is a number in, and that number.
    block: Option<Obj>,
    number: Option<Number>,
}

const NEW: Signature<4> =
    Signature { func: "Synchronized", names: [c"obj", c"lock", c"block", c"code"], positional: 4, required: 2 };

/// What it guards.
unsafe fn guarded(s: *mut Synchronized) -> Res<Obj> {
    match &(*s).obj {
        Some(obj) => Ok(obj.again()),
        None => raise(ffi::PyExc_AttributeError, "_obj"),
    }
}

/// The number of type `code` that a block is.
unsafe fn number_in(block: *mut PyObject, code: *mut PyObject) -> Res<Option<Number>> {
    let (start, len) = super::block::memory(block)?;
    Ok(utf8(code)?.bytes().next().and_then(|code| Number::new(code, start, len)))
}

/// What its attribute `value` is, if that is a number.
pub(super) unsafe fn number(s: *mut Synchronized) -> Option<Number> {
    (*s).number
}

/// Does something with what it guards while its lock is held.
#[inline]
pub(super) unsafe fn with_lock<T>(s: *mut Synchronized, action: impl FnOnce(&Obj) -> Res<T>) -> Res<T> {
    let obj = guarded(s)?;
    (*s).lock.with(|| action(&obj))
}

unsafe extern "C" fn init(this: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> c_int {
    status(|| {
        let [obj, lock, block, code] = sort_call(&NEW, args, kwargs)?;
        let s: *mut Synchronized = this.cast();
        let number = if block.is_null() || code.is_null() { None } else { number_in(block, code)? };
        (*s).number = None;
        set(&mut (*s).block, Obj::from_opt(block));
        (*s).number = number;
        (*s).lock.put(Obj::from(lock))?;
        set(&mut (*s).obj, Some(Obj::from(obj)));
        Ok(())
    })
}

no_args!(py_get_obj, |s: Synchronized| guarded(s));
no_args!(py_get_lock, |s: Synchronized| (*s).lock.object());
getter!(get_acquire, |s: Synchronized| attr((*s).lock.object()?.ptr(), &names().acquire));
getter!(get_release, |s: Synchronized| attr((*s).lock.object()?.ptr(), &names().release));
no_args!(py_enter, |s: Synchronized| (*s).lock.enter());
fast!(py_exit, |s: Synchronized, args| (*s).lock.exit(&args));

unsafe extern "C" fn traverse(this: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    let s: *mut Synchronized = this.cast();
    for held in [&(*s).obj, (*s).lock.held(), &(*s).block] {
        match visit(held, visitor, arg) {
            0 => {}
            stop => return stop,
        }
    }
    visitor(ffi::Py_TYPE(this).cast(), arg)
}

unsafe extern "C" fn gc_clear(this: *mut PyObject) -> c_int {
    let s: *mut Synchronized = this.cast();
    (*s).number = None;
    clear(&mut (*s).obj);
    (*s).lock.clear();
    clear(&mut (*s).block);
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
        .doc(c"Synchronized(obj, lock, block=None, code=None)\n--\n\nAn object and the lock that goes with it: the base of multiprocessing's synchronized wrappers. Where the object is a\nnumber of the C type that ctypes calls `code`, in `block`, its value is read and written there.")
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
