//! `AtomicInt`: a number that threads, and forked processes, change without a lock.

use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicI64, Ordering};

use pyo3::ffi::{self, PyObject, PyTypeObject};

use crate::args::{Args, Signature, sort_call};
use crate::errors::{entry, raise, type_error};
use crate::methods::{fast, getter, no_args, one_arg};
use crate::object::{Obj, Raised, Res, boolean, done, none, text};
use crate::types::{TypeBuilder, free};

/// The layout of `AtomicInt`.
#[repr(C)]
pub(crate) struct AtomicInt {
    ob_base: PyObject,
    weakrefs: *mut PyObject,
    own: AtomicI64,
    /// The number in memory that forked children share; none where `own` is the number.
    shared: Option<NonNull<AtomicI64>>,
}

/// One page of memory that children of a fork share.
const PAGE: usize = size_of::<AtomicI64>();

#[inline]
unsafe fn cell<'a>(a: *mut AtomicInt) -> &'a AtomicI64 {
    match (*a).shared {
        // SAFETY: it is mapped as long as the object lives.
        Some(shared) => shared.as_ref(),
        None => &(*a).own,
    }
}

/// A number of 64 bits.
#[inline]
unsafe fn number(o: *mut PyObject) -> Res<i64> {
    let mut overflow = 0;
    let value = if ffi::PyLong_Check(o) != 0 {
        ffi::PyLong_AsLongLongAndOverflow(o, &mut overflow)
    } else {
        let index = Obj::new(ffi::PyNumber_Index(o))?;
        ffi::PyLong_AsLongLongAndOverflow(index.ptr(), &mut overflow)
    };
    match overflow {
        0 => Ok(value),
        _ => too_large(),
    }
}

#[cold]
unsafe fn too_large<T>() -> Res<T> {
    raise(ffi::PyExc_OverflowError, "an AtomicInt has 64 bits")
}

/// Changes the number by `change`; returns what it was and what it is.
#[inline]
unsafe fn update(a: *mut AtomicInt, change: impl Fn(i64) -> Option<i64>) -> Res<i64> {
    let cell = cell(a);
    let mut old = cell.load(Ordering::SeqCst);
    loop {
        let Some(new) = change(old) else { return too_large() };
        match cell.compare_exchange_weak(old, new, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => return Ok(new),
            Err(found) => old = found,
        }
    }
}

/// The optional `n` of `add` and `sub`.
#[inline]
unsafe fn amount(args: &Args<'_>, signature: &Signature<1>) -> Res<i64> {
    match args.only() {
        Some(n) => number(n),
        None if args.is_empty() => Ok(1),
        None => number(args.sort(signature)?[0]),
    }
}

#[inline]
unsafe fn int(value: i64) -> Res<Obj> {
    Obj::new(ffi::PyLong_FromLongLong(value))
}

const ADD: Signature<1> = Signature { func: "add", names: [c"n"], positional: 1, required: 0 };
const SUB: Signature<1> = Signature { func: "sub", names: [c"n"], positional: 1, required: 0 };
const COMPARE_EXCHANGE: Signature<2> =
    Signature { func: "compare_exchange", names: [c"expected", c"value"], positional: 2, required: 2 };
const NEW: Signature<2> = Signature { func: "AtomicInt", names: [c"value", c"shared"], positional: 1, required: 0 };

no_args!(py_load, |a: AtomicInt| int(cell(a).load(Ordering::SeqCst)));
one_arg!(py_store, |a: AtomicInt, value| {
    cell(a).store(number(value)?, Ordering::SeqCst);
    Ok(none())
});
one_arg!(py_exchange, |a: AtomicInt, value| int(cell(a).swap(number(value)?, Ordering::SeqCst)));
fast!(py_compare_exchange, |a: AtomicInt, args| {
    let [expected, value] = args.sort(&COMPARE_EXCHANGE)?;
    let (expected, value) = (number(expected)?, number(value)?);
    Ok(boolean(cell(a).compare_exchange(expected, value, Ordering::SeqCst, Ordering::SeqCst).is_ok()))
});
fast!(py_add, |a: AtomicInt, args| {
    let n = amount(&args, &ADD)?;
    int(update(a, |old| old.checked_add(n))?)
});
fast!(py_sub, |a: AtomicInt, args| {
    let n = amount(&args, &SUB)?;
    int(update(a, |old| old.checked_sub(n))?)
});
no_args!(py_reduce, |a: AtomicInt| {
    if (*a).shared.is_some() {
        return type_error("cannot pickle a shared 'AtomicInt' object: only children of a fork have it");
    }
    super::refuse_pickling("fenshen.AtomicInt")
});
getter!(get_shared, |a: AtomicInt| Ok(boolean((*a).shared.is_some())));

unsafe extern "C" fn nb_int(this: *mut PyObject) -> *mut PyObject {
    entry(|| int(cell(this.cast()).load(Ordering::SeqCst)))
}

unsafe extern "C" fn nb_bool(this: *mut PyObject) -> c_int {
    c_int::from(cell(this.cast()).load(Ordering::SeqCst) != 0)
}

/// `a += n`, which leaves `a` the same object.
unsafe extern "C" fn nb_add(this: *mut PyObject, n: *mut PyObject) -> *mut PyObject {
    entry(|| change_in_place(this, n, i64::checked_add))
}

unsafe extern "C" fn nb_sub(this: *mut PyObject, n: *mut PyObject) -> *mut PyObject {
    entry(|| change_in_place(this, n, i64::checked_sub))
}

unsafe fn change_in_place(this: *mut PyObject, n: *mut PyObject, change: fn(i64, i64) -> Option<i64>) -> Res<Obj> {
    if ffi::PyIndex_Check(n) == 0 {
        return Ok(Obj::from(ffi::Py_NotImplemented()));
    }
    let n = number(n)?;
    update(this.cast(), |old| change(old, n))?;
    Ok(Obj::from(this))
}

unsafe extern "C" fn compare(this: *mut PyObject, other: *mut PyObject, operator: c_int) -> *mut PyObject {
    entry(|| {
        let mine = int(cell(this.cast()).load(Ordering::SeqCst))?;
        let theirs = match ffi::PyIndex_Check(other) {
            0 => Obj::from(other),
            _ => Obj::new(ffi::PyNumber_Index(other))?,
        };
        Obj::new(ffi::PyObject_RichCompare(mine.ptr(), theirs.ptr(), operator))
    })
}

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let a: *mut AtomicInt = this.cast();
        let shared = if (*a).shared.is_some() { ", shared=True" } else { "" };
        text(&format!("AtomicInt({}{shared})", cell(a).load(Ordering::SeqCst)))
    })
}

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let [value, shared] = sort_call(&NEW, args, kwargs)?;
        let value = if value.is_null() { 0 } else { number(value)? };
        let shared = !shared.is_null() && super::head::truth(&Obj::from(shared))?;
        let alloc = (*ty).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
        let this = Obj::new(alloc(ty, 0))?;
        let a: *mut AtomicInt = this.ptr().cast();
        if shared {
            (*a).shared = Some(map()?);
        }
        cell(a).store(value, Ordering::SeqCst);
        Ok(this)
    })
}

/// A zero that children of a fork share.
unsafe fn map() -> Res<NonNull<AtomicI64>> {
    let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    let page = libc::mmap(ptr::null_mut(), PAGE, access, flags, -1, 0);
    if page == libc::MAP_FAILED {
        ffi::PyErr_SetFromErrno(ffi::PyExc_OSError);
        return Err(Raised);
    }
    Ok(NonNull::new_unchecked(page.cast()))
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    let a: *mut AtomicInt = this.cast();
    if !(*a).weakrefs.is_null() {
        ffi::PyObject_ClearWeakRefs(this);
    }
    if let Some(shared) = (*a).shared.take() {
        // Other processes have their own mapping of it.
        libc::munmap(shared.as_ptr().cast(), PAGE);
    }
    free(this);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let doc = c"AtomicInt(value=0, *, shared=False)\n--\n\nA number of 64 bits that threads change without a lock; each method is one step.\n\nIt compares as its value, and so is not hashable. With shared=True the number lies in memory that children of a\nfork, made afterwards, have too; it cannot be sent to other processes. What exceeds 64 bits raises OverflowError and\nchanges nothing.";
    let unhashable = ffi::PyObject_HashNotImplemented as *mut c_void;
    let ty = TypeBuilder::new::<AtomicInt>(c"fenshen._threads.AtomicInt")
        .doc(doc)
        .flags(ffi::Py_TPFLAGS_BASETYPE)
        .weakrefs(std::mem::offset_of!(AtomicInt, weakrefs))
        .slot(ffi::Py_tp_new, new as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .slot(ffi::Py_tp_richcompare, compare as *mut c_void)
        .slot(ffi::Py_tp_hash, unhashable)
        .slot(ffi::Py_nb_int, nb_int as *mut c_void)
        .slot(ffi::Py_nb_index, nb_int as *mut c_void)
        .slot(ffi::Py_nb_bool, nb_bool as *mut c_void)
        .slot(ffi::Py_nb_inplace_add, nb_add as *mut c_void)
        .slot(ffi::Py_nb_inplace_subtract, nb_sub as *mut c_void)
        .no_args(c"load", py_load, c"load($self, /)\n--\n\nThe number.")
        .one_arg(c"store", py_store, c"store($self, value, /)\n--\n\nSet it.")
        .one_arg(c"exchange", py_exchange, c"exchange($self, value, /)\n--\n\nSet it; returns what it was.")
        .fast(
            c"compare_exchange",
            py_compare_exchange,
            c"compare_exchange($self, /, expected, value)\n--\n\nSet it if it is `expected`; returns whether it was.",
        )
        .fast(c"add", py_add, c"add($self, /, n=1)\n--\n\nAdd `n`; returns what it is then.")
        .fast(c"sub", py_sub, c"sub($self, /, n=1)\n--\n\nSubtract `n`; returns what it is then.")
        .property(c"shared", get_shared, None)
        .no_args(c"__reduce__", py_reduce, c"__reduce__($self, /)\n--\n\nRefuse: it cannot be pickled.")
        .build(None)?;
    done(ffi::PyObject_SetAttrString(ty.cast(), c"__hash__".as_ptr(), ffi::Py_None()))?;
    Ok(ty)
}
