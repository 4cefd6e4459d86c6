//! Tasks: each step is timed, for the row of its coroutine's code.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::ffi::{self, PyObject};

use super::function::{self, Function};
use super::measure;
use super::span::{self, Span};
use crate::object::{Obj, none};
use crate::task::Task;

/// A task that is not done.
struct Alive {
    /// When it was made.
    began: u64,
    /// Its row's number, from its first step on.
    function: Option<usize>,
    /// The CPU time of its steps so far.
    cpu: u64,
    /// What the coroutine was made with, where its like are weighed: kept until a step has computed, or to the end.
    arguments: Option<Obj>,
}

// SAFETY: a table entry is made, taken out and let go of only by threads that are attached.
unsafe impl Send for Alive {}

#[derive(Default)]
struct Tasks {
    /// By the task's address.
    alive: HashMap<usize, Alive>,
    /// The rows, by the address of the code or the type, which they keep alive.
    rows: HashMap<usize, usize>,
}

static TASKS: Mutex<Option<Tasks>> = Mutex::new(None);

fn with<T>(body: impl FnOnce(&mut Tasks) -> T) -> T {
    let mut held: MutexGuard<'_, Option<Tasks>> = TASKS.lock().unwrap_or_else(PoisonError::into_inner);
    body(held.get_or_insert_default())
}

/// A task is made.
pub(crate) fn created(task: *const Task) {
    let alive = Alive { began: span::wall(), function: None, cpu: 0, arguments: None };
    let lost = with(|tasks| tasks.alive.insert(task as usize, alive));
    if let Some(lost) = lost {
        leave(&lost); // it was destroyed before it was done
    }
}

fn leave(alive: &Alive) {
    if let Some(function) = alive.function.and_then(function::get) {
        let now = span::wall();
        function.most(alive.cpu);
        function.leave(now, now.saturating_sub(alive.began));
    }
}

/// One step of a task.
pub(crate) struct Step {
    task: usize,
    number: usize,
    function: &'static Function,
    span: Span,
}

impl Step {
    /// The task is about to go on with its coroutine.
    pub(crate) unsafe fn begin(task: *mut Task, coro: &Obj) -> Option<Step> {
        let key = task as usize;
        let known = with(|tasks| tasks.alive.get(&key).and_then(|alive| alive.function));
        let number = known.unwrap_or_else(|| first(key, coro));
        let function = function::get(number)?;
        Some(Step { task: key, number, function, span: Span::begin(function) })
    }

    /// It has: `out` is what it yielded or returned, null if it raised.
    pub(crate) unsafe fn end(self, sent: ffi::PySendResult, out: *mut PyObject) {
        let length = self.span.end();
        self.function.worked(length.busy, length.cpu);
        self.function.stepped(length.wall());
        let done = sent != ffi::PySendResult::PYGEN_NEXT;
        let (over, arguments) = with(|tasks| {
            let alive = tasks.alive.get_mut(&self.task);
            let arguments = alive.and_then(|alive| {
                alive.cpu += length.cpu;
                if length.computed() { alive.arguments.take() } else { None }
            });
            (if done { tasks.alive.remove(&self.task) } else { None }, arguments)
        });
        if let Some(over) = over {
            leave(&over);
        }
        if let Some(arguments) = arguments
            && sent != ffi::PySendResult::PYGEN_ERROR
            && self.function.take_weighing()
        {
            let results = measure::tuple(if done { std::slice::from_ref(&out) } else { &[] });
            match results {
                Ok(results) => measure::weigh(self.number, [&none(), &arguments, &none(), &results]),
                Err(_) => ffi::PyErr_Clear(),
            }
        }
    }
}

/// A task's first step: finds its row, and what it was made with if its like may be weighed.
unsafe fn first(task: usize, coro: &Obj) -> usize {
    let source = source(coro);
    let now = span::wall();
    let (number, began) = with(|tasks| {
        let number = *tasks.rows.entry(source.ptr() as usize).or_insert_with(|| {
            let source = source.again().into_ptr();
            function::add(source as usize)
        });
        let fresh = || Alive { began: now, function: None, cpu: 0, arguments: None };
        let alive = tasks.alive.entry(task).or_insert_with(fresh);
        alive.function = Some(number);
        (number, alive.began)
    });
    if let Some(function) = function::get(number) {
        function.enter(began);
        if function.weighs()
            && function.take_try()
            && let Some(arguments) = measure::arguments(coro)
        {
            with(|tasks| tasks.alive.get_mut(&task).map(|alive| alive.arguments.replace(arguments)));
        }
    }
    number
}

/// What a coroutine is known by: its code, or its type where it has none.
unsafe fn source(coro: &Obj) -> Obj {
    for name in [c"cr_code", c"gi_code"] {
        match Obj::steal_opt(ffi::PyObject_GetAttrString(coro.ptr(), name.as_ptr())) {
            Some(code) if code.ptr() != ffi::Py_None() => return code,
            Some(_) => {}
            None => ffi::PyErr_Clear(),
        }
    }
    Obj::from(ffi::Py_TYPE(coro.ptr()).cast())
}

/// How long the tasks of a row have been alive that are not done: all of them together, and the oldest.
pub(super) fn unfinished(number: usize, now: u64) -> (u64, u64) {
    with(|tasks| {
        let ages = tasks.alive.values().filter(|alive| alive.function == Some(number));
        ages.map(|alive| now.saturating_sub(alive.began)).fold((0, 0), |(sum, most), age| (sum + age, most.max(age)))
    })
}

/// After a fork, in the child: the parent's tasks are not this process's to count.
pub(super) fn forget() {
    let theirs = with(|tasks| std::mem::take(&mut tasks.alive));
    drop(theirs); // with the table free: this may run Python code
}
