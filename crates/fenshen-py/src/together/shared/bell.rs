//! `Bell`: what is rung when one of a loop's tasks is called in a row. `fenshen._bells` has the loop listen to it.

use std::ffi::{c_int, c_void};
use std::os::fd::AsRawFd;

use fenshen_shm::{Bell, Row};
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::super::seat::Seat;
use crate::errors::{entry, runtime_error};
use crate::methods::{getter, no_args};
use crate::object::{Obj, Res, boolean, call, clear, none};
use crate::processes::segment::os_error;
use crate::threads::head::Standard;
use crate::together::kinds;
use crate::types::{TypeBuilder, free};

/// The layout of `Bell`.
#[repr(C)]
pub(in super::super) struct PyBell {
    ob_base: PyObject,
    bell: Option<Bell>,
    process: u32,
    /// Those who wait for it to be rung. Each is here as long as it stands in a row, and gets out before it goes.
    seats: Vec<*mut Seat>,
}

/// Finds the bell of a loop.
static OF: Standard = Standard::new(c"fenshen._bells", c"of");

/// A seat is about to stand in a row: has its loop's bell be heard for it. Returns the bell's number.
pub(super) unsafe fn hear(s: *mut Seat, row: &Row) -> Res<u64> {
    let event_loop = Seat::event_loop(s)?;
    let found = call(OF.get()?, &[event_loop.ptr()])?;
    if ffi::PyObject_TypeCheck(found.ptr(), kinds::bell()) == 0 {
        return runtime_error("fenshen: no bell");
    }
    let b: *mut PyBell = found.ptr().cast();
    let Some(bell) = &(*b).bell else {
        return runtime_error("fenshen: the bell is gone");
    };
    let number = bell.number();
    (*b).seats.push(s);
    (*s).row = row;
    (*s).bell = Some(found);
    Ok(number)
}

/// It stands there no longer.
pub(super) unsafe fn forget(s: *mut Seat) {
    if let Some(bell) = &(*s).bell {
        (*bell.ptr().cast::<PyBell>()).seats.retain(|&other| other != s);
    }
    clear(&mut (*s).bell);
}

/// Has the tasks go on that were called. It runs on the loop's own thread.
unsafe fn tell(b: *mut PyBell) -> Res<()> {
    let called = (*b).seats.iter().filter(|&&s| Seat::is_called(s)).map(|&s| Obj::from(s.cast()));
    let called: Vec<Obj> = called.collect();
    called.iter().try_for_each(|seat| Seat::end_future(seat.ptr().cast()))
}

no_args!(py_ring, |b: PyBell| {
    if let Some(bell) = &(*b).bell {
        bell.hush();
    }
    tell(b).map(|()| none())
});

// Whoever was called, or should have called, may have died, and that wakes nobody: one of each row looks for itself.
no_args!(py_look, |b: PyBell| {
    let mut firsts: Vec<Obj> = Vec::new();
    let mut rows: Vec<*const Row> = Vec::new();
    for &s in &(*b).seats {
        if !rows.contains(&(*s).row) {
            rows.push((*s).row);
            firsts.push(Obj::from(s.cast()));
        }
    }
    for (seat, row) in firsts.iter().zip(rows) {
        // A row is there as long as one of its seats.
        (*row).mend();
        Seat::end_future(seat.ptr().cast())?;
    }
    tell(b)?;
    Ok(boolean(!firsts.is_empty()))
});

no_args!(py_fileno, |b: PyBell| {
    match &(*b).bell {
        Some(bell) => Obj::new(ffi::PyLong_FromLong(bell.socket().as_raw_fd().into())),
        None => runtime_error("the bell is gone"),
    }
});

getter!(get_process, |b: PyBell| Obj::new(ffi::PyLong_FromUnsignedLong((*b).process.into())));

unsafe extern "C" fn new(ty: *mut PyTypeObject, _args: *mut PyObject, _kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let bell = match Bell::new() {
            Ok(bell) => bell,
            Err(error) => return os_error(&error),
        };
        let alloc = (*ty).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
        let o = Obj::new(alloc(ty, 0))?;
        let b: *mut PyBell = o.ptr().cast();
        std::ptr::write(&raw mut (*b).bell, Some(bell));
        std::ptr::write(&raw mut (*b).seats, Vec::new());
        (*b).process = std::process::id();
        Ok(o)
    })
}

unsafe extern "C" fn traverse(o: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    visitor(ffi::Py_TYPE(o).cast(), arg)
}

unsafe extern "C" fn dealloc(o: *mut PyObject) {
    ffi::PyObject_GC_UnTrack(o.cast());
    let b: *mut PyBell = o.cast();
    drop((*b).bell.take());
    std::ptr::drop_in_place(&raw mut (*b).seats);
    free(o);
}

/// Makes the type.
pub(in super::super) unsafe fn build() -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<PyBell>(c"fenshen._together.Bell")
        .doc(c"Bell()\n--\n\nWhat is rung when a task of a loop is called in a row.")
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE)
        .slot(ffi::Py_tp_new, new as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .no_args(c"ring", py_ring, c"ring($self, /)\n--\n\nIt was rung: have the tasks go on that were called.")
        .no_args(
            c"look",
            py_look,
            c"look($self, /)\n--\n\nLook after those who died in a row; returns whether anyone waits.",
        )
        .no_args(c"fileno", py_fileno, c"fileno($self, /)\n--\n\nThe descriptor that is readable once it was rung.")
        .property(c"process", get_process, None)
        .build(None)
}
