//! `Flag`: an event of processes.

use fenshen_shm::Flag;
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::memory::Memory;
use super::patience::Patience;
use crate::args::{Signature, sort_call};
use crate::errors::{entry, raise};
use crate::methods::{fast, no_args};
use crate::object::{Obj, Res, boolean, none};
use crate::types::{TypeBuilder, free};

/// The layout of `Flag`.
#[repr(C)]
struct PyFlag {
    ob_base: PyObject,
    inner: Option<(Flag, Memory)>,
}

const NEW: Signature<1> = Signature { func: "Flag", names: [c"memory"], positional: 1, required: 1 };
const WAIT: Signature<2> = Signature { func: "wait", names: [c"timeout", c"life"], positional: 2, required: 0 };

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let [memory] = sort_call(&NEW, args, kwargs)?;
        let memory = Memory::of(memory, Flag::SIZE)?;
        let o = Obj::new(ffi::PyType_GenericAlloc(ty, 0))?;
        std::ptr::write(&raw mut (*o.ptr().cast::<PyFlag>()).inner, Some((Flag::at(memory.start()), memory)));
        Ok(o)
    })
}

unsafe extern "C" fn dealloc(o: *mut PyObject) {
    drop((*o.cast::<PyFlag>()).inner.take());
    free(o);
}

unsafe fn flag<'a>(this: *mut PyFlag) -> Res<&'a Flag> {
    match &(*this).inner {
        Some((flag, _)) => Ok(flag),
        None => raise(ffi::PyExc_ValueError, "the flag was not made"),
    }
}

no_args!(py_is_set, |this: PyFlag| Ok(boolean(flag(this)?.is_set())));
no_args!(py_set, |this: PyFlag| {
    flag(this)?.set();
    Ok(none())
});
no_args!(py_clear, |this: PyFlag| {
    flag(this)?.clear();
    Ok(none())
});
fast!(py_wait, |this: PyFlag, args| {
    let flag = flag(this)?;
    let [timeout, life] = args.sort(&WAIT)?;
    let Some(began) = flag.begin() else {
        return Ok(boolean(true));
    };
    let patience = Patience::new(timeout, life)?;
    Ok(boolean(patience.wait(|| flag.came(began), |until| flag.sleep(began, until))?))
});

/// Makes the type.
pub(super) unsafe fn build() -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<PyFlag>(c"fenshen._processes.Flag")
        .doc(c"Flag(memory)\n--\n\nAn event of processes in shared memory: all zero is one that is not set.")
        .slot(ffi::Py_tp_new, new as *mut _)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut _)
        .no_args(c"is_set", py_is_set, c"is_set($self, /)\n--\n\nWhether it is set.")
        .no_args(c"set", py_set, c"set($self, /)\n--\n\nSet it, and wake all who wait.")
        .no_args(c"clear", py_clear, c"clear($self, /)\n--\n\nHave those who come wait.")
        .fast(c"wait", py_wait, c"wait($self, /, timeout=None, life=None)\n--\n\nWait until it is set, for `timeout` seconds at most; whether it was.\n\nRaises EOFError when `life` is over.")
        .build(None)
}
