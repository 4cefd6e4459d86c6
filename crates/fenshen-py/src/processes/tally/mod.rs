//! `Tally`: how often each text came, or the sum of its whole numbers; what `map_reduce` adds up in, where it can.
//!
//! `table.rs` is the table, `packed.rs` what goes from worker to worker.

mod packed;
mod table;

use std::ffi::c_void;
use std::ptr;
use std::sync::{Mutex, MutexGuard};

use pyo3::ffi::{self, PyObject, PyTypeObject};

use crate::args::{Signature, sort_call};
use crate::errors::{entry, raise, type_error};
use crate::methods::{getter, no_args, one_arg};
use crate::object::{Obj, Raised, Res, done, none};
use crate::types::{TypeBuilder, free};
use table::Table;

/// The layout of `Tally`.
#[repr(C)]
pub(crate) struct Tally {
    ob_base: PyObject,
    table: Option<Box<Mutex<Table>>>,
}

const NEW: Signature<0> = Signature { func: "Tally", names: [], positional: 0, required: 0 };

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        sort_call(&NEW, args, kwargs)?;
        let alloc = (*ty).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
        let this = Obj::new(alloc(ty, 0))?;
        let tally: *mut Tally = this.ptr().cast();
        ptr::write(&raw mut (*tally).table, Some(Box::new(Mutex::new(Table::new()))));
        Ok(this)
    })
}

/// The table, which nobody else has meanwhile: what frees an object could come back here.
unsafe fn table<'a>(tally: *mut Tally) -> Res<MutexGuard<'a, Table>> {
    match (*tally).table.as_ref().and_then(|table| table.try_lock().ok()) {
        Some(table) => Ok(table),
        None => raise(ffi::PyExc_RuntimeError, "the tally is in use"),
    }
}

/// The bytes of a `str` that is nothing else, if it has such.
#[inline(always)]
unsafe fn text<'a>(o: *mut PyObject) -> Option<&'a [u8]> {
    if ffi::PyUnicode_CheckExact(o) == 0 {
        return None;
    }
    let mut len = 0;
    let start = ffi::PyUnicode_AsUTF8AndSize(o, &mut len);
    if start.is_null() {
        ffi::PyErr_Clear(); // it has surrogates
        return None;
    }
    Some(std::slice::from_raw_parts(start.cast(), len as usize)).filter(|text| Table::takes(text))
}

/// The value of an `int` that is nothing else, and not too large.
#[inline(always)]
unsafe fn whole(o: *mut PyObject) -> Option<i64> {
    if ffi::PyLong_CheckExact(o) == 0 {
        return None;
    }
    let mut overflow = 0;
    let value = ffi::PyLong_AsLongLongAndOverflow(o, &mut overflow);
    (overflow == 0).then_some(value)
}

/// The items of a list or a tuple, one after the other, as long as it has any.
unsafe fn item(list: *mut PyObject, at: usize) -> Option<Obj> {
    if ffi::PyList_Check(list) != 0 {
        let within = (at as isize) < ffi::PyList_GET_SIZE(list);
        return within.then(|| Obj::from(ffi::PyList_GET_ITEM(list, at as isize)));
    }
    let within = (at as isize) < ffi::PyTuple_GET_SIZE(list);
    within.then(|| Obj::from(ffi::PyTuple_GET_ITEM(list, at as isize)))
}

unsafe fn check_list(list: *mut PyObject) -> Res<()> {
    if ffi::PyList_Check(list) == 0 && ffi::PyTuple_Check(list) == 0 {
        return type_error("a list or a tuple is needed");
    }
    Ok(())
}

// Counts texts; whatever is not one is given back.
one_arg!(py_count, |tally: Tally, values| {
    check_list(values)?;
    let rest = Obj::new(ffi::PyList_New(0))?;
    let (mut table, mut at) = (table(tally)?, 0);
    while let Some(value) = item(values, at) {
        if !text(value.ptr()).is_some_and(|text| table.add(text, 1)) {
            done(ffi::PyList_Append(rest.ptr(), value.ptr()))?;
        }
        at += 1;
    }
    Ok(rest)
});

unsafe fn add_pair(table: &mut Table, key: *mut PyObject, value: *mut PyObject) -> bool {
    match (text(key), whole(value)) {
        (Some(text), Some(count)) => table.add(text, count),
        _ => false,
    }
}

// Adds numbers to their texts' sums; pairs of whatever else are given back.
one_arg!(py_add, |tally: Tally, pairs| {
    let rest = Obj::new(ffi::PyList_New(0))?;
    let mut table = table(tally)?;
    if ffi::PyDict_Check(pairs) != 0 {
        let (mut place, mut key, mut value) = (0, ptr::null_mut(), ptr::null_mut());
        while ffi::PyDict_Next(pairs, &mut place, &mut key, &mut value) != 0 {
            if !add_pair(&mut table, key, value) {
                let (key, value) = (Obj::from(key), Obj::from(value));
                let pair = Obj::new(ffi::PyTuple_Pack(2, key.ptr(), value.ptr()))?;
                done(ffi::PyList_Append(rest.ptr(), pair.ptr()))?;
            }
        }
        return Ok(rest);
    }
    check_list(pairs)?;
    let mut at = 0;
    while let Some(pair) = item(pairs, at) {
        let is_pair = ffi::PyTuple_CheckExact(pair.ptr()) != 0 && ffi::PyTuple_GET_SIZE(pair.ptr()) == 2;
        let taken = is_pair && {
            let (key, value) = (ffi::PyTuple_GET_ITEM(pair.ptr(), 0), ffi::PyTuple_GET_ITEM(pair.ptr(), 1));
            add_pair(&mut table, key, value)
        };
        if !taken {
            done(ffi::PyList_Append(rest.ptr(), pair.ptr()))?;
        }
        at += 1;
    }
    Ok(rest)
});

/// What `bytes` hold.
unsafe fn bytes<'a>(o: *mut PyObject) -> Res<&'a [u8]> {
    if ffi::PyBytes_Check(o) == 0 {
        return type_error("bytes are needed");
    }
    Ok(std::slice::from_raw_parts(ffi::PyBytes_AS_STRING(o).cast(), ffi::PyBytes_Size(o) as usize))
}

unsafe fn not_packed<T>() -> Res<T> {
    raise(ffi::PyExc_ValueError, "these are no packed counts, or a sum is too large")
}

// Adds what another has packed.
one_arg!(py_merge, |tally: Tally, packed| {
    let packed = bytes(packed)?;
    let mut table = table(tally)?;
    match packed::unpack(packed, |text, count| table.add(text, count).then_some(())) {
        Some(()) => Ok(none()),
        None => not_packed(),
    }
});

// Everything, packed, by partition; nothing is left.
one_arg!(py_drain, |tally: Tally, partitions| {
    let partitions = ffi::PyLong_AsSsize_t(partitions);
    if partitions < 1 {
        let known = ffi::PyErr_Occurred().is_null();
        return if known { raise(ffi::PyExc_ValueError, "partitions must be at least 1") } else { Err(Raised) };
    }
    let full = std::mem::replace(&mut *table(tally)?, Table::new());
    let parts = packed::pack(&full, partitions as usize);
    drop(full);
    let list = Obj::new(ffi::PyList_New(0))?;
    for part in parts {
        let part = Obj::new(ffi::PyBytes_FromStringAndSize(part.as_ptr().cast(), part.len() as isize))?;
        done(ffi::PyList_Append(list.ptr(), part.ptr()))?;
    }
    Ok(list)
});

// What was packed, as a dict.
one_arg!(py_unpack, |_tally: Tally, packed| {
    let packed = bytes(packed)?;
    let dict = Obj::new(ffi::PyDict_New())?;
    let mut failed = false;
    let all = packed::unpack(packed, |text, count| {
        let set = set_count(&dict, text, count);
        failed = set.is_err();
        set.ok()
    });
    match all {
        Some(()) => Ok(dict),
        None if failed => Err(Raised),
        None => not_packed(),
    }
});

unsafe fn set_count(dict: &Obj, text: &[u8], count: i64) -> Res<()> {
    let key = Obj::new(ffi::PyUnicode_FromStringAndSize(text.as_ptr().cast(), text.len() as isize))?;
    let value = Obj::new(ffi::PyLong_FromLongLong(count))?;
    done(ffi::PyDict_SetItem(dict.ptr(), key.ptr(), value.ptr()))
}

no_args!(py_len, |tally: Tally| Obj::new(ffi::PyLong_FromSize_t(table(tally)?.len())));
getter!(weight, |tally: Tally| Obj::new(ffi::PyLong_FromSize_t(table(tally)?.weight())));

unsafe extern "C" fn dealloc(o: *mut PyObject) {
    drop((*o.cast::<Tally>()).table.take());
    free(o);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<Tally>(c"fenshen._processes.Tally")
        .doc(c"Tally()\n--\n\nHow often each text came, or the sum of its whole numbers.")
        .slot(ffi::Py_tp_new, new as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .no_args(c"texts", py_len, c"texts($self, /)\n--\n\nHow many texts there are.")
        .property(c"weight", weight, None)
        .one_arg(c"count", py_count, c"count($self, values, /)\n--\n\nCount each `str` of a list or tuple; a list of what is not one.")
        .one_arg(c"add", py_add, c"add($self, pairs, /)\n--\n\nAdd each `int` of a dict, or of pairs in a list, to its `str`'s sum; a list of the pairs that are not these, or would make a sum too large.")
        .one_arg(c"merge", py_merge, c"merge($self, packed, /)\n--\n\nAdd what drain() of another has given. Raises ValueError if a sum is too large.")
        .one_arg(c"drain", py_drain, c"drain($self, partitions, /)\n--\n\nEverything as bytes, by partition, and leave nothing; b'' where there is nothing.")
        .one_arg(c"unpack", py_unpack, c"unpack($self, packed, /)\n--\n\nWhat drain() has given, as a dict.")
        .build(None)
}
