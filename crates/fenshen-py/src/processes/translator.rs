//! `Translator`: what a message asks a worker for, and how it says what came of that.
//!
//! Each of these functions runs Python code, in which the worker may be asked for something else: hence they are given
//! a pointer.

use std::collections::HashMap;

use fenshen_shm::Message;
use pyo3::ffi;

use super::known::known;
use super::pickling::{Dumpers, Pickle, unpack};
use crate::errors;
use crate::object::{Obj, Raised, Res, call_method};

pub(super) struct Translator {
    /// Who knows more of Python.
    helper: Obj,
    dumpers: Dumpers,
    /// The functions that tasks refer to, or why they could not be loaded.
    functions: HashMap<u64, Result<Obj, Obj>>,
}

impl Translator {
    pub(super) fn new(helper: Obj) -> Translator {
        Translator { helper, dumpers: Dumpers::default(), functions: HashMap::new() }
    }

    pub(super) unsafe fn helper(&self) -> Obj {
        self.helper.again()
    }
}

/// The function `name` is this, or cannot be loaded.
pub(super) unsafe fn learn(t: *mut Translator, name: u64, loaded: Result<Obj, Obj>) {
    let old = (*t).functions.insert(name, loaded);
    drop(old);
}

/// Forgets every function.
pub(super) unsafe fn forget(t: *mut Translator) {
    let old = std::mem::take(&mut (*t).functions);
    drop(old);
}

/// What a task is to call: by the name of its function, and what is behind the head of its message.
pub(super) unsafe fn load(t: *mut Translator, message: Message, name: u64, head: usize) -> Res<[Obj; 3]> {
    if message.missing().is_some() {
        ffi::PyErr_NoMemory();
        return Err(Raised);
    }
    let call = unpack(message, head)?;
    if ffi::PyTuple_Check(call.ptr()) == 0 || ffi::PyTuple_GET_SIZE(call.ptr()) != 3 {
        return errors::type_error("a task is a function, its arguments and its keyword arguments");
    }
    let item = |i| Obj::from(ffi::PyTuple_GET_ITEM(call.ptr(), i));
    let function = match (*t).functions.get(&name) {
        _ if name == 0 => item(0),
        Some(Ok(function)) => function.again(),
        Some(Err(exc)) => return errors::raise_object(&exc.again()),
        None => return errors::runtime_error("the function of this task was never sent"),
    };
    Ok([function, item(1), item(2)])
}

/// The pickle of a result.
pub(super) unsafe fn dump(t: *mut Translator, value: &Obj) -> Res<Pickle> {
    Dumpers::dump(&raw mut (*t).dumpers, value.ptr())
}

/// The pickle of what the first way could not pickle, none if this one can't either.
pub(super) unsafe fn dump_by_value(t: *mut Translator, value: &Obj) -> Res<Option<Pickle>> {
    let helper = (*t).helper();
    let found = call_method(&known().by_value, &[helper.ptr(), value.ptr()])?;
    let (mut start, mut len) = (std::ptr::null_mut(), 0);
    if found.ptr() == ffi::Py_None() || ffi::PyBytes_AsStringAndSize(found.ptr(), &mut start, &mut len) < 0 {
        ffi::PyErr_Clear();
        return Ok(None);
    }
    Ok(Some(Pickle::ready(std::slice::from_raw_parts(start.cast::<u8>(), len as usize).to_vec())))
}

/// The pickle of an exception, with its traceback's text; of what keeps it from being pickled, if something does.
pub(super) unsafe fn dump_raised(t: *mut Translator, exc: &Obj) -> Res<Pickle> {
    let helper = (*t).helper();
    let pair = call_method(&known().traceback_of, &[helper.ptr(), exc.ptr()])?;
    if let Ok(pickle) = dump(t, &pair) {
        return Ok(pickle);
    }
    let refused = errors::take();
    let pair = call_method(&known().not_pickled, &[helper.ptr(), exc.ptr(), refused.ptr()])?;
    dump(t, &pair)
}
