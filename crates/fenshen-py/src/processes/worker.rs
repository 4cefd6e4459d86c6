//! What `Worker` does: runs the calls that its pool sends, and sends back what they return or raise.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use fenshen_pool::{Growth, Order, Worker};
use fenshen_shm::Message;
use fenshen_sync::Slept;
use pyo3::ffi::{self, PyObject};

use super::cargo::{NOT_LOADED, RAISED, RETURNED};
use super::known::known;
use super::pickling::{Dumpers, Pickle, body, unpack};
use super::segment::os_error;
use crate::errors;
use crate::object::{Obj, Raised, Res, call_method};

/// The layout of `Worker`.
#[repr(C)]
pub(crate) struct PyWorker {
    ob_base: PyObject,
    pub(crate) inner: Option<Box<Inner>>,
}

/// What a worker holds.
pub(crate) struct Inner {
    worker: Worker,
    /// Who knows more of Python.
    helper: Obj,
    dumpers: Dumpers,
    /// The functions that tasks refer to, or why they could not be loaded.
    functions: HashMap<u64, Result<Obj, Obj>>,
    /// What other threads have to say, until this one sends it.
    notes: Mutex<Vec<Vec<u8>>>,
    /// Segments that were sent, until the pool has them.
    pins: Vec<Pickle>,
    /// Where a worker that has gathered too much memory is to be replaced.
    growth: Option<Growth>,
}

impl Inner {
    pub(crate) fn new(worker: Worker, helper: Obj, growth: Option<Growth>) -> Inner {
        Inner {
            worker,
            helper,
            dumpers: Dumpers::default(),
            functions: HashMap::new(),
            notes: Mutex::default(),
            pins: Vec::new(),
            growth,
        }
    }
}

pub(crate) unsafe fn inner<'a>(w: *mut PyWorker) -> Res<&'a mut Inner> {
    match &mut (*w).inner {
        Some(inner) => Ok(inner),
        None => errors::runtime_error("the worker was not set up"),
    }
}

/// Runs what comes until the pool says that it is enough.
pub(crate) unsafe fn serve(w: *mut PyWorker) -> Res<()> {
    let _alive = Obj::from(w.cast());
    checked(inner(w)?.worker.ready())?;
    loop {
        send_notes(w)?;
        match checked(inner(w)?.worker.order())? {
            Order::Task(message) => {
                run(w, message)?;
                look_at_memory(w)?;
            }
            Order::Prelude(message) => learn(w, message)?,
            Order::Stop => return Ok(()),
            Order::Nothing => sleep(w, Worker::sleep)?,
        }
    }
}

unsafe fn checked<T>(outcome: std::io::Result<T>) -> Res<T> {
    match outcome {
        Ok(value) => Ok(value),
        Err(error) if error.raw_os_error().is_some() => os_error(&error),
        Err(error) => errors::runtime_error(&error.to_string()),
    }
}

/// Sleeps without the interpreter. The interrupt of the keyboard is the program's to deal with, not an idle worker's.
unsafe fn sleep(w: *mut PyWorker, how: fn(&mut Worker) -> Slept) -> Res<()> {
    let worker = &raw mut inner(w)?.worker;
    let state = ffi::PyEval_SaveThread();
    let slept = how(&mut *worker);
    ffi::PyEval_RestoreThread(state);
    if slept == Slept::Interrupted && ffi::PyErr_CheckSignals() < 0 {
        if ffi::PyErr_ExceptionMatches(ffi::PyExc_KeyboardInterrupt) == 0 {
            return Err(Raised);
        }
        ffi::PyErr_Clear();
    }
    Ok(())
}

unsafe fn learn(w: *mut PyWorker, message: Message) -> Res<()> {
    let name = message.tag;
    let loaded = unpack(message, 0).map_err(|Raised| errors::take());
    inner(w)?.worker.pass();
    let old = inner(w)?.functions.insert(name, loaded);
    drop(old);
    Ok(())
}

/// What a task is to call.
unsafe fn load(w: *mut PyWorker, message: Message) -> Res<[Obj; 3]> {
    if message.missing().is_some() {
        ffi::PyErr_NoMemory();
        return Err(Raised);
    }
    let name = body(&message, 0).first_chunk::<8>().map_or(0, |name| u64::from_ne_bytes(*name));
    let call = unpack(message, 8)?;
    if ffi::PyTuple_Check(call.ptr()) == 0 || ffi::PyTuple_GET_SIZE(call.ptr()) != 3 {
        return errors::type_error("a task is a function, its arguments and its keyword arguments");
    }
    let item = |i| Obj::from(ffi::PyTuple_GET_ITEM(call.ptr(), i));
    let function = match inner(w)?.functions.get(&name) {
        _ if name == 0 => item(0),
        Some(Ok(function)) => function.again(),
        Some(Err(exc)) => return errors::raise_object(&exc.again()),
        None => return errors::runtime_error("the function of this task was never sent"),
    };
    Ok([function, item(1), item(2)])
}

unsafe fn run(w: *mut PyWorker, message: Message) -> Res<()> {
    let loaded = load(w, message);
    inner(w)?.worker.pass();
    let outcome = match loaded {
        Ok([function, args, kwargs]) => {
            let returned = Obj::new(ffi::PyObject_Call(function.ptr(), args.ptr(), kwargs.ptr()));
            match returned {
                Ok(value) => pickled(w, &value).map(|pickle| (RETURNED, pickle)),
                Err(Raised) => Err((RAISED, errors::take())),
            }
        }
        Err(Raised) => Err((NOT_LOADED, errors::take())),
    };
    let (flavour, pickle) = match outcome {
        Ok(sent) => sent,
        Err((flavour, exc)) => (flavour, shown(w, &exc)?),
    };
    send_notes(w)?;
    finish(w, flavour, pickle)
}

/// The pickle of a result, or why there is none.
unsafe fn pickled(w: *mut PyWorker, value: &Obj) -> Result<Pickle, (u32, Obj)> {
    let raised = |Raised| (RAISED, errors::take());
    let dumpers = &raw mut inner(w).map_err(raised)?.dumpers;
    let exc = match Dumpers::dump(dumpers, value.ptr()) {
        Ok(pickle) => return Ok(pickle),
        Err(Raised) => errors::take(),
    };
    let helper = inner(w).map_err(raised)?.helper.again();
    let found = call_method(&known().by_value, &[helper.ptr(), value.ptr()]).map_err(raised)?;
    let (mut start, mut len) = (std::ptr::null_mut(), 0);
    if found.ptr() == ffi::Py_None() || ffi::PyBytes_AsStringAndSize(found.ptr(), &mut start, &mut len) < 0 {
        ffi::PyErr_Clear();
        return Err((RAISED, exc));
    }
    Ok(Pickle::ready(std::slice::from_raw_parts(start.cast::<u8>(), len as usize).to_vec()))
}

/// An exception, with its traceback's text, as it is sent.
unsafe fn shown(w: *mut PyWorker, exc: &Obj) -> Res<Pickle> {
    let helper = inner(w)?.helper.again();
    let pair = call_method(&known().traceback_of, &[helper.ptr(), exc.ptr()])?;
    if let Ok(pickle) = Dumpers::dump(&raw mut inner(w)?.dumpers, pair.ptr()) {
        return Ok(pickle);
    }
    let refused = errors::take();
    let pair = call_method(&known().not_pickled, &[helper.ptr(), exc.ptr(), refused.ptr()])?;
    Dumpers::dump(&raw mut inner(w)?.dumpers, pair.ptr())
}

unsafe fn finish(w: *mut PyWorker, flavour: u32, pickle: Pickle) -> Res<()> {
    loop {
        let worker = &raw mut inner(w)?.worker;
        let sent = pickle.with(&[], |body, parts| (*worker).finish(flavour, body, parts));
        if checked(sent)? {
            break;
        }
        sleep(w, Worker::sleep_crowded)?;
    }
    if pickle.has_pins() {
        inner(w)?.pins.push(pickle);
    } else if !inner(w)?.pins.is_empty() && inner(w)?.worker.is_drained() {
        inner(w)?.pins.clear();
    }
    Ok(())
}

/// Has the pool replace this worker if its tasks have left too much behind that is not mere garbage.
unsafe fn look_at_memory(w: *mut PyWorker) -> Res<()> {
    if !inner(w)?.growth.as_mut().is_some_and(Growth::is_over) {
        return Ok(());
    }
    let helper = inner(w)?.helper.again();
    drop(call_method(&known().collect, &[helper.ptr()])?);
    if !inner(w)?.growth.as_mut().is_some_and(Growth::is_over_now) {
        return Ok(());
    }
    while !checked(inner(w)?.worker.leave())? {
        sleep(w, Worker::sleep_crowded)?;
    }
    Ok(())
}

/// Keeps what a thread has to say until the one that serves can send it.
pub(crate) unsafe fn note(w: *mut PyWorker, bytes: &[u8]) -> Res<()> {
    let this = inner(w)?;
    this.notes.lock().unwrap_or_else(PoisonError::into_inner).push(bytes.to_vec());
    this.worker.rouse();
    Ok(())
}

/// A part of the running task's result.
pub(crate) unsafe fn item(w: *mut PyWorker, flavour: u32, value: *mut PyObject) -> Res<()> {
    let pickle = Dumpers::dump(&raw mut inner(w)?.dumpers, value)?;
    loop {
        let worker = &raw mut inner(w)?.worker;
        let sent = pickle.with(&[], |body, parts| (*worker).item(flavour, body, parts));
        if checked(sent)? {
            return Ok(());
        }
        sleep(w, Worker::sleep_crowded)?;
    }
}

unsafe fn send_notes(w: *mut PyWorker) -> Res<()> {
    let notes = std::mem::take(&mut *inner(w)?.notes.lock().unwrap_or_else(PoisonError::into_inner));
    for note in notes {
        while !checked(inner(w)?.worker.note(0, &[&note]))? {
            sleep(w, Worker::sleep_crowded)?;
        }
    }
    Ok(())
}
