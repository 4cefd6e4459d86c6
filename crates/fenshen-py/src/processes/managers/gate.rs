//! `Gate`: a barrier of processes.

use fenshen_shm::Gate;
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::memory::Memory;
use super::patience::Patience;
use crate::args::{Signature, sort_call};
use crate::errors::{entry, raise};
use crate::methods::{fast, getter, no_args};
use crate::object::{Obj, Raised, Res, boolean, none};
use crate::types::{TypeBuilder, free};

/// The layout of `Gate`.
#[repr(C)]
struct PyGate {
    ob_base: PyObject,
    inner: Option<(Gate, Memory)>,
    parties: u64,
}

const NEW: Signature<2> = Signature { func: "Gate", names: [c"memory", c"parties"], positional: 2, required: 2 };
const WAIT: Signature<2> = Signature { func: "wait", names: [c"timeout", c"life"], positional: 2, required: 0 };

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let [memory, parties] = sort_call(&NEW, args, kwargs)?;
        let parties = ffi::PyLong_AsUnsignedLongLong(parties);
        if !ffi::PyErr_Occurred().is_null() {
            return Err(Raised);
        }
        let memory = Memory::of(memory, Gate::SIZE)?;
        let o = Obj::new(ffi::PyType_GenericAlloc(ty, 0))?;
        let this: *mut PyGate = o.ptr().cast();
        std::ptr::write(&raw mut (*this).inner, Some((Gate::at(memory.start()), memory)));
        (*this).parties = parties;
        Ok(o)
    })
}

unsafe extern "C" fn dealloc(o: *mut PyObject) {
    drop((*o.cast::<PyGate>()).inner.take());
    free(o);
}

unsafe fn gate<'a>(this: *mut PyGate) -> Res<&'a Gate> {
    match &(*this).inner {
        Some((gate, _)) => Ok(gate),
        None => raise(ffi::PyExc_ValueError, "the barrier was not made"),
    }
}

fast!(py_wait, |this: PyGate, args| {
    let gate = gate(this)?;
    let [timeout, life] = args.sort(&WAIT)?;
    let patience = Patience::new(timeout, life)?;
    let Some(arrival) = gate.arrive((*this).parties) else {
        return Ok(none());
    };
    let waited = patience.wait(|| gate.outcome(arrival).is_some(), |until| gate.sleep(arrival, until));
    // Whoever goes away, at the deadline or by a signal, breaks it for the others.
    let passed = gate.outcome(arrival).unwrap_or_else(|| !gate.give_up(arrival) && gate.outcome(arrival) == Some(true));
    waited?;
    match passed {
        true => Obj::new(ffi::PyLong_FromUnsignedLongLong(arrival.index)),
        false => Ok(none()),
    }
});
no_args!(py_abort, |this: PyGate| {
    gate(this)?.abort();
    Ok(none())
});
no_args!(py_reset, |this: PyGate| {
    gate(this)?.reset();
    Ok(none())
});
getter!(get_waiting, |this: PyGate| Obj::new(ffi::PyLong_FromUnsignedLongLong(gate(this)?.waiting())));
getter!(get_broken, |this: PyGate| Ok(boolean(gate(this)?.is_broken())));

/// Makes the type.
pub(super) unsafe fn build() -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<PyGate>(c"fenshen._processes.Gate")
        .doc(c"Gate(memory, parties)\n--\n\nA barrier of processes in shared memory: all zero is one at which nobody has arrived.")
        .slot(ffi::Py_tp_new, new as *mut _)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut _)
        .fast(c"wait", py_wait, c"wait($self, /, timeout=None, life=None)\n--\n\nWait for the others, for `timeout` seconds at most; how many were there before, or None if it is broken.\n\nRaises EOFError when `life` is over.")
        .no_args(c"abort", py_abort, c"abort($self, /)\n--\n\nBreak it.")
        .no_args(c"reset", py_reset, c"reset($self, /)\n--\n\nMake it as new; it breaks for those who wait.")
        .property(c"waiting", get_waiting, None)
        .property(c"broken", get_broken, None)
        .build(None)
}
