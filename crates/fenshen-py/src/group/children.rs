//! A child comes, and a child goes.

use std::ptr;

use pyo3::ffi::{self, PyObject};

use super::Group;
use super::known::known;
use crate::args::Args;
use crate::errors::{self, ends_loop, type_error};
use crate::future::{self, Callback, Future, State};
use crate::gather::exception_of;
use crate::names::names;
use crate::object::{Obj, Raised, Res, call_method, call_method_kw, done, none, ptr_or_null};
use crate::primitives::waiters::{is_cancelled, is_done, wake};
use crate::task;

/// `create_task(coro, *, name=None, context=None, **options)`.
pub(super) unsafe fn create_task(this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    let g: *mut Group = this.cast();
    let call = Call::new(args)?;
    if (*g).exiting || (*g).aborting || !(*g).entered {
        call_method(&known().admit, &[this, call.coro])?;
    }
    if !Group::is_on_its_loop(g)? {
        return call.make(&known().create_elsewhere, this);
    }
    let task = call.make(&names().create_task, ptr_or_null(&(*g).event_loop))?;
    let group = Obj::from(this);
    if is_done(&task)? {
        child_done(&group, &task)?; // it was run eagerly
    } else {
        watch(&group, &task)?;
    }
    Ok(task)
}

/// In messages, which are those of a method made in Python.
const CREATE_TASK: &str = "TaskGroup.create_task()";

/// A call of `create_task`, to be handed on; a keyword that is `None` is left out.
struct Call {
    coro: *mut PyObject,
    /// The keywords and their values, none where there are none.
    keywords: Option<(Obj, Vec<*mut PyObject>)>,
}

impl Call {
    unsafe fn new(args: &Args<'_>) -> Res<Call> {
        let (mut coro, mut names, mut values) = (ptr::null_mut::<PyObject>(), Vec::new(), Vec::new());
        for (name, value) in args.each() {
            let is = |known: &std::ffi::CStr| ffi::PyUnicode_CompareWithASCIIString(name, known.as_ptr()) == 0;
            if name.is_null() || is(c"coro") {
                if !coro.is_null() && name.is_null() {
                    let given = args.each().filter(|(name, _)| name.is_null()).count() + 1;
                    return type_error(&format!("{CREATE_TASK} takes 2 positional arguments but {given} were given"));
                }
                if !coro.is_null() {
                    return type_error(&format!("{CREATE_TASK} got multiple values for argument 'coro'"));
                }
                coro = value;
            } else if value != ffi::Py_None() || !(is(c"name") || is(c"context")) {
                names.push(name);
                values.push(value);
            }
        }
        if coro.is_null() {
            return type_error(&format!("{CREATE_TASK} missing 1 required positional argument: 'coro'"));
        }
        let keywords = if names.is_empty() { None } else { Some((tuple(&names)?, values)) };
        Ok(Call { coro, keywords })
    }

    /// Calls that method of `receiver`.
    unsafe fn make(&self, method: &Obj, receiver: *mut PyObject) -> Res<Obj> {
        let Some((names, values)) = &self.keywords else {
            return call_method(method, &[receiver, self.coro]);
        };
        let mut args = vec![receiver, self.coro];
        args.extend(values);
        call_method_kw(method, &args, names)
    }
}

unsafe fn tuple(items: &[*mut PyObject]) -> Res<Obj> {
    let tuple = Obj::new(ffi::PyTuple_New(items.len() as ffi::Py_ssize_t))?;
    for (i, &item) in items.iter().enumerate() {
        done(ffi::PyTuple_SetItem(tuple.ptr(), i as ffi::Py_ssize_t, Obj::from(item).into_ptr()))?;
    }
    Ok(tuple)
}

/// Has a task that is not done be a child of the group.
unsafe fn watch(group: &Obj, task: &Obj) -> Res<()> {
    let children = Group::children(group.ptr().cast())?;
    done(ffi::PySet_Add(children.ptr(), task.ptr()))?;
    if future::is_exact(task.ptr()) {
        return future::add_callback(task.ptr().cast(), Callback::Child(group.again()));
    }
    let told = told_function(group.ptr())?;
    call_method(&names().add_done_callback, &[task.ptr(), told.ptr()]).map(drop)
}

/// Whether its end is only to be counted: a task of ours that did not fail.
pub(crate) unsafe fn went_well(child: &Obj) -> bool {
    let f: *mut Future = child.ptr().cast();
    future::is_exact(child.ptr()) && ((*f).state == State::Cancelled || (*f).exception.is_none())
}

/// A child has ended: the last one has the block go on, the first that failed has all end.
pub(crate) unsafe fn child_done(group: &Obj, child: &Obj) -> Res<()> {
    forget(group.ptr().cast(), child)?;
    if went_well(child) || is_cancelled(child)? {
        return Ok(());
    }
    match exception_of(child)? {
        Some(error) => failed(group, child, &error),
        None => Ok(()),
    }
}

/// Takes a child out, whatever came of it.
pub(super) unsafe fn forget(g: *mut Group, child: &Obj) -> Res<()> {
    let children = Group::children(g)?;
    done(ffi::PySet_Discard(children.ptr(), child.ptr()))?;
    drop(children);
    if Group::is_empty(g)
        && let Some(waiter) = Obj::from_opt(ptr_or_null(&(*g).waiter))
        && !is_done(&waiter)?
    {
        wake(&waiter, ffi::Py_True())?;
    }
    Ok(())
}

unsafe fn failed(group: &Obj, child: &Obj, error: &Obj) -> Res<()> {
    let g: *mut Group = group.ptr().cast();
    note(g, error)?;
    let orphaned = match Obj::from_opt(ptr_or_null(&(*g).parent)) {
        Some(parent) => is_done(&parent)?,
        None => true,
    };
    if orphaned {
        call_method(&known().report, &[group.ptr(), child.ptr(), error.ptr()])?;
    } else if !(*g).aborting && !(*g).parent_cancel_requested {
        call_method(&known().fail, &[group.ptr()])?;
    }
    Ok(())
}

/// Cancels every task of ours that is not in `shielded`, a container or null. Returns the other children, with those
/// whose cancellation failed, and the first failure.
pub(super) unsafe fn cancel_tasks(g: *mut Group, shielded: *mut PyObject, message: &Option<Obj>) -> Res<Obj> {
    let children = Group::children(g)?;
    let all = Obj::new(ffi::PySequence_List(children.ptr()))?;
    let others = Obj::new(ffi::PyList_New(0))?;
    let mut failure = None;
    for i in 0..ffi::PyList_GET_SIZE(all.ptr()) {
        let child = Obj::from(ffi::PyList_GET_ITEM(all.ptr(), i));
        if task::is_task(child.ptr()) && future::is_exact(child.ptr()) {
            if !shielded.is_null() && contains(shielded, &child)? {
                continue;
            }
            match task::cancel(child.ptr().cast(), message.as_ref().map(|m| m.again())) {
                Ok(_) => continue,
                Err(Raised) => {
                    let exc = errors::take();
                    failure.get_or_insert(exc);
                }
            }
        }
        done(ffi::PyList_Append(others.ptr(), child.ptr()))?;
    }
    let failure = failure.unwrap_or_else(|| none());
    Obj::new(ffi::PyTuple_Pack(2, others.ptr(), failure.ptr()))
}

unsafe fn contains(container: *mut PyObject, o: &Obj) -> Res<bool> {
    let found = ffi::PySequence_Contains(container, o.ptr());
    done(found)?;
    Ok(found != 0)
}

/// Keeps an error that the block is to raise.
pub(super) unsafe fn note(g: *mut Group, error: &Obj) -> Res<()> {
    let errors = errors(g)?;
    done(ffi::PyList_Append(errors.ptr(), error.ptr()))?;
    note_base(g, error);
    Ok(())
}

/// Keeps the first error that goes on as itself, and not in a group.
pub(super) unsafe fn note_base(g: *mut Group, error: &Obj) {
    if (*g).base_error.is_none() && ends_loop(error) {
        (*g).base_error = Some(error.again());
    }
}

/// The list of errors.
pub(super) unsafe fn errors(g: *mut Group) -> Res<Obj> {
    if let Some(errors) = &(*g).errors {
        return Ok(errors.again());
    }
    let made = Obj::new(ffi::PyList_New(0))?;
    Ok((*g).errors.get_or_insert(made).again())
}

/// The done-callback by which a task that isn't ours tells group `g`.
pub(crate) unsafe fn told_function(g: *mut PyObject) -> Res<Obj> {
    Obj::new(ffi::PyCFunction_NewEx(TOLD.get(), g, ptr::null_mut()))
}

static TOLD: task::Entry = task::Entry::new(ffi::PyMethodDef {
    ml_name: c"_on_task_done".as_ptr(),
    ml_meth: ffi::PyMethodDefPointer { PyCFunction: told },
    ml_flags: ffi::METH_O,
    ml_doc: ptr::null(),
});

pub(super) unsafe extern "C" fn told(g: *mut PyObject, child: *mut PyObject) -> *mut PyObject {
    errors::entry(|| child_done(&Obj::from(g), &Obj::from(child)).map(|()| none()))
}
