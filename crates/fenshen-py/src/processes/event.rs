//! `Event`: a flag that processes wait for.

use std::ffi::{c_int, c_void};
use std::mem::size_of;
use std::time::Duration;

use fenshen_shm::Event;
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::places::Place;
use super::shared_place;
use super::waiting::{Patience, Pause, Waiting};
use crate::args::Signature;
use crate::errors::status;
use crate::methods::{fast, no_args};
use crate::object::{Res, boolean, none};
use crate::types::{TypeBuilder, free};

/// The layout of `Event`.
#[repr(C)]
struct PyEvent {
    ob_base: PyObject,
    place: Option<Box<Place>>,
}

const WAIT: Signature<1> = Signature { func: "Event.wait", names: [c"timeout"], positional: 1, required: 0 };
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

unsafe fn event<'a>(e: *mut PyEvent) -> Res<&'a Event> {
    shared_place::at(&(*e).place)
}

no_args!(py_is_set, |e: PyEvent| Ok(boolean(event(e)?.is_set())));
no_args!(py_set, |e: PyEvent| {
    event(e)?.set();
    Ok(none())
});
no_args!(py_clear, |e: PyEvent| {
    event(e)?.clear();
    Ok(none())
});
fast!(py_wait, |e: PyEvent, args| {
    let [timeout] = args.sort(&WAIT)?;
    let event = event(e)?;
    let since = event.since();
    if event.was_set(since) {
        return Ok(boolean(true));
    }
    let mut waiting = Waiting::new(e.cast(), Patience::of(timeout)?.deadline(), LONGEST_PAUSE);
    loop {
        let pause = waiting.sleep(|until| event.sleep(since, until))?;
        if event.was_set(since) || pause == Pause::Late {
            return Ok(boolean(event.was_set(since)));
        }
    }
});
no_args!(py_share, |e: PyEvent| shared_place::share(&mut (*e).place));
fast!(py_attach, |e: PyEvent, args| {
    (*e).place = Some(shared_place::adopt(&args, size_of::<Event>())?);
    Ok(none())
});

unsafe extern "C" fn init(this: *mut PyObject, _: *mut PyObject, _: *mut PyObject) -> c_int {
    status(|| {
        (*this.cast::<PyEvent>()).place = Some(Place::make(size_of::<Event>())?);
        Ok(())
    })
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    drop((*this.cast::<PyEvent>()).place.take());
    free(this);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<PyEvent>(c"fenshen._processes.Event")
        .doc(c"Event()\n--\n\nA flag that processes share and wait for, as multiprocessing.Event.")
        .flags(ffi::Py_TPFLAGS_BASETYPE)
        .slot(ffi::Py_tp_new, ffi::PyType_GenericNew as *mut c_void)
        .slot(ffi::Py_tp_init, init as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .no_args(c"is_set", py_is_set, c"is_set($self, /)\n--\n\nWhether it is set.")
        .no_args(c"set", py_set, c"set($self, /)\n--\n\nSet it; whoever waits goes on.")
        .no_args(c"clear", py_clear, c"clear($self, /)\n--\n\nClear it.")
        .fast(c"wait", py_wait, c"wait($self, /, timeout=None)\n--\n\nWait until it is set, for `timeout` seconds at most; returns whether it was.")
        .no_args(c"_share", py_share, c"_share($self, /)\n--\n\n`(segment, offset)`, for others.")
        .fast(c"_attach", py_attach, c"_attach($self, /, segment, offset)\n--\n\nBe what another process shares.")
        .build(None)
}
