//! One job of a pool: a call that is to be made, in a copy of its submitter's context, and the future of what it returns.

use std::ptr;

use fenshen_sync::Late;
use pyo3::ffi::{self, PyObject};

use super::future::{self, Future, Turn};
use super::known::known;
use crate::args::Args;
use crate::errors::take;
use crate::object::{Obj, Raised, Res, call_method};

/// A call: what is called, with what, and in which context.
pub(crate) struct Job {
    pub(crate) future: Obj,
    function: Obj,
    /// An empty place, which the callee may use, and then the arguments.
    arguments: Vec<Option<Obj>>,
    positional: usize,
    /// The names of the last arguments.
    names: Option<Obj>,
    context: Obj,
}

/// What lies in a work queue.
pub(crate) enum Work {
    /// A job of ours.
    Job(Job),
    /// An object with a `run` method, which a program has put there.
    Item(Obj),
}

/// Variables that a worker's initializer has set, and what to.
pub(crate) type Own = Vec<(Obj, Obj)>;

impl Job {
    /// The call of the first argument with the others; there is at least one by position.
    pub(crate) unsafe fn new(args: &Args<'_>, future: Obj) -> Res<Job> {
        let values = args.values();
        let mut arguments = Vec::new();
        if values.len() > 1 {
            arguments.reserve_exact(values.len());
            arguments.push(None);
            arguments.extend(values[1..].iter().map(|&v| Some(Obj::from(v))));
        }
        Ok(Job {
            future,
            function: Obj::from(values[0]),
            arguments,
            positional: args.positional().len() - 1,
            names: args.names().map(|n| Obj::from(n)),
            context: Obj::new(ffi::PyContext_CopyCurrent())?,
        })
    }

    /// Its arguments: a tuple and a dict.
    pub(crate) unsafe fn arguments(&self) -> Res<(Obj, Obj)> {
        let positional = Obj::new(ffi::PyTuple_New(self.positional as isize))?;
        let keywords = Obj::new(ffi::PyDict_New())?;
        for (i, value) in self.arguments.iter().skip(1).flatten().enumerate() {
            match i.checked_sub(self.positional).zip(self.names.as_ref()) {
                None => {
                    ffi::PyTuple_SetItem(positional.ptr(), i as isize, value.again().into_ptr());
                }
                Some((k, names)) => {
                    let name = ffi::PyTuple_GetItem(names.ptr(), k as isize);
                    crate::object::done(ffi::PyDict_SetItem(keywords.ptr(), name, value.ptr()))?;
                }
            }
        }
        Ok((positional, keywords))
    }

    /// What is called, and in which context.
    pub(crate) fn function(&self) -> (&Obj, &Obj) {
        (&self.function, &self.context)
    }

    unsafe fn call(&self) -> Res<Obj> {
        let names = crate::object::ptr_or_null(&self.names);
        if self.arguments.is_empty() {
            return Obj::new(ffi::PyObject_Vectorcall(self.function.ptr(), ptr::null(), 0, ptr::null_mut()));
        }
        // An `Option<Obj>` is a pointer that may be null.
        let first = self.arguments.as_ptr().cast::<*mut PyObject>().add(1);
        let count = self.positional | 1 << (usize::BITS - 1);
        Obj::new(ffi::PyObject_Vectorcall(self.function.ptr(), first, count, names))
    }

    unsafe fn call_in_context(&self, own: &Own) -> Res<Obj> {
        if ffi::PyContext_Enter(self.context.ptr()) < 0 {
            return Err(Raised);
        }
        let outcome = set(&self.context, own).and_then(|()| self.call());
        let exc = if outcome.is_err() { Some(take()) } else { None };
        ffi::PyContext_Exit(self.context.ptr());
        match exc {
            None => outcome,
            Some(exc) => {
                crate::errors::restore(exc);
                Err(Raised)
            }
        }
    }

    /// Makes the call, unless it was cancelled, and says what came of it, but for whom `late` is to wake. An error is one
    /// of a callback, which the future's own rules let pass.
    unsafe fn run(self, own: &Own, late: &mut Late) -> Res<()> {
        let f: *mut Future = self.future.ptr().cast();
        if !future::start(f)? {
            return Ok(());
        }
        let outcome = match self.call_in_context(own) {
            Ok(value) => Turn::Return(value),
            Err(Raised) => Turn::Raise(take()),
        };
        let Job { future, function, arguments, names, context, .. } = self;
        drop((function, arguments, names, context));
        future::finish_late(future.ptr().cast(), outcome, late)
    }
}

impl Work {
    /// Does what there is to do. Somebody who waits for it may be left for `late` to wake.
    pub(crate) unsafe fn run(self, own: &Own, late: &mut Late) -> Res<()> {
        match self {
            Work::Job(job) => job.run(own, late),
            Work::Item(item) => call_method(&known().run, &[item.ptr()]).map(drop),
        }
    }
}

/// Sets the worker's own variables in a context that has been entered, but for those that it has.
unsafe fn set(context: &Obj, own: &Own) -> Res<()> {
    for (variable, value) in own {
        let has = ffi::PySequence_Contains(context.ptr(), variable.ptr());
        crate::object::done(has)?;
        if has == 0 {
            Obj::new(ffi::PyContextVar_Set(variable.ptr(), value.ptr()))?;
        }
    }
    Ok(())
}

/// The variables that this thread's context has by now, and had not `before`, or with another value.
pub(crate) unsafe fn set_since(before: &Obj) -> Res<Own> {
    let mut own = Own::new();
    let after = Obj::new(ffi::PyContext_CopyCurrent())?;
    let items = Obj::new(ffi::PyMapping_Items(after.ptr()))?;
    for i in 0..ffi::PyList_Size(items.ptr()) {
        let item = ffi::PyList_GetItem(items.ptr(), i);
        let (variable, value) = (ffi::PyTuple_GetItem(item, 0), ffi::PyTuple_GetItem(item, 1));
        let old = Obj::steal_opt(ffi::PyObject_GetItem(before.ptr(), variable));
        if old.is_none() {
            ffi::PyErr_Clear();
        }
        if crate::object::ptr_or_null(&old) != value {
            own.push((Obj::from(variable), Obj::from(value)));
        }
    }
    Ok(own)
}
