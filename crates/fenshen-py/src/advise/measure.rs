//! Calls that are measured, and what is asked of Python about a few of them.

use std::ffi::CStr;
use std::ptr;
use std::sync::OnceLock;

use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;

use super::function::{self, Function};
use super::remote::Ticket;
use super::span::{Length, Span};
use crate::args::Args;
use crate::errors::{entry, raise, type_error};
use crate::object::{Obj, Res, call};
use crate::task::Entry;

/// What Python does for us.
struct Hooks {
    /// Weighs what a process would have been sent.
    weigh: Py<PyAny>,
    /// Tells the arguments of a coroutine that has not begun.
    arguments: Py<PyAny>,
    /// Tells what a pool's task calls, and how often.
    task: Py<PyAny>,
}

static HOOKS: OnceLock<Hooks> = OnceLock::new();

pub(super) fn set_hooks(weigh: Bound<'_, PyAny>, arguments: Bound<'_, PyAny>, task: Bound<'_, PyAny>) {
    let _ = HOOKS.set(Hooks { weigh: weigh.unbind(), arguments: arguments.unbind(), task: task.unbind() });
}

/// Has Python weigh what a process would have been sent for a call that has ended.
pub(super) unsafe fn weigh(number: usize, parts: [&Obj; 4]) {
    let Some(hooks) = HOOKS.get() else {
        return;
    };
    let outside = Span::outside();
    let [callable, args, kwargs, results] = parts;
    let weighed = Obj::new(ffi::PyLong_FromSize_t(number)).and_then(|number| {
        call(hooks.weigh.as_ptr(), &[number.ptr(), callable.ptr(), args.ptr(), kwargs.ptr(), results.ptr()])
    });
    unraisable(weighed, &hooks.weigh);
    outside.end();
}

/// The arguments that a coroutine was made with; None if they can't be told.
pub(super) unsafe fn arguments(coro: &Obj) -> Option<Obj> {
    let hooks = HOOKS.get()?;
    let found = call(hooks.arguments.as_ptr(), &[coro.ptr()]);
    unraisable(found, &hooks.arguments).filter(|found| found.ptr() != ffi::Py_None())
}

/// The ticket of a task that is handed to the pool of `owner`; None if it is not to be measured.
pub(crate) unsafe fn ticket(owner: &Obj, function: &Obj, args: &Obj) -> Option<Box<Ticket>> {
    let hooks = HOOKS.get()?;
    let outside = Span::outside();
    let found = call(hooks.task.as_ptr(), &[owner.ptr(), function.ptr(), args.ptr()]).and_then(|pair| numbers(&pair));
    let found = unraisable(found, &hooks.task);
    outside.end();
    found.and_then(|(number, calls)| Ticket::new(number, calls))
}

unsafe fn numbers(pair: &Obj) -> Res<(usize, u64)> {
    let (mut number, mut calls) = (0_usize, 0_u64);
    let read = ffi::PyArg_ParseTuple(pair.ptr(), c"nK".as_ptr(), &raw mut number, &raw mut calls);
    if read == 0 { Err(crate::object::Raised) } else { Ok((number, calls)) }
}

/// What is asked about a call must not change how it goes.
unsafe fn unraisable<T>(outcome: Res<T>, hook: &Py<PyAny>) -> Option<T> {
    if outcome.is_err() {
        ffi::PyErr_WriteUnraisable(hook.as_ptr());
    }
    outcome.ok()
}

unsafe extern "C" fn measure(
    _: *mut PyObject,
    args: *const *mut PyObject,
    n: ffi::Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    entry(|| {
        let all = Args::new(args, n, names);
        let [number, callable, rest @ ..] = all.positional() else {
            return type_error("advise_measure() takes a function's number and a callable");
        };
        let number = ffi::PyLong_AsSize_t(*number);
        let forward = || Obj::new(ffi::PyObject_Vectorcall(*callable, rest.as_ptr(), rest.len(), names));
        match function::get(number) {
            _ if !ffi::PyErr_Occurred().is_null() => Err(crate::object::Raised),
            None => raise(ffi::PyExc_IndexError, "no function has this number"),
            Some(_) if !super::on() => forward(),
            Some(function) => {
                let (result, length) = timed(function, forward);
                if let Ok(result) = &result
                    && length.computed()
                    && function.take_weighing()
                {
                    let parts = (Obj::from(*callable), tuple(rest)?, all.keywords()?, tuple(&[result.ptr()])?);
                    weigh(number, [&parts.0, &parts.1, &parts.2, &parts.3]);
                }
                result
            }
        }
    })
}

unsafe fn timed(function: &'static Function, forward: impl FnOnce() -> Res<Obj>) -> (Res<Obj>, Length) {
    let span = Span::begin(function);
    function.enter(span.began());
    let result = forward();
    let length = span.end();
    function.worked(length.busy, length.cpu);
    function.most(length.cpu);
    function.leave(length.ended, length.wall());
    (result, length)
}

/// A tuple of borrowed objects.
pub(super) unsafe fn tuple(items: &[*mut PyObject]) -> Res<Obj> {
    let tuple = Obj::new(ffi::PyTuple_New(items.len() as ffi::Py_ssize_t))?;
    for (at, &item) in items.iter().enumerate() {
        ffi::PyTuple_SetItem(tuple.ptr(), at as ffi::Py_ssize_t, Obj::from(item).into_ptr());
    }
    Ok(tuple)
}

const NAME: &CStr = c"advise_measure";
const DOC: &CStr = c"advise_measure(function, callable, /, *args, **kwargs)
--

callable(*args, **kwargs), measured as a call of the row with that number.

Raises IndexError if there is no such row.";

static MEASURE: Entry = Entry::new(ffi::PyMethodDef {
    ml_name: NAME.as_ptr(),
    ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: measure },
    ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
    ml_doc: DOC.as_ptr(),
});

/// Adds `advise_measure` to the module.
pub(super) fn add_to(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let module = m.name()?;
    // SAFETY: the thread is attached, as `m` says; the definition lives for ever.
    let made = unsafe {
        let made = ffi::PyCFunction_NewEx(MEASURE.get(), ptr::null_mut(), module.as_ptr());
        Bound::from_owned_ptr_or_err(m.py(), made)?
    };
    m.add("advise_measure", made)
}
