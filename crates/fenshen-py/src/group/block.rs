//! The two ends of `async with`.

use std::ptr;

use pyo3::ffi::{self, PyObject};

use super::known::known;
use super::{Group, children, entered};
use crate::args::{Args, Signature};
use crate::current;
use crate::errors::{restore, runtime_error};
use crate::future_iter::Await;
use crate::names::asyncio;
use crate::object::{Obj, Raised, Res, boolean, call, call_method, clear, not_none, ptr_or_null, repr, set};
use crate::primitives::operation::{self, Inner, Operation, Plan, Resume, is_cancellation, settled};

const EXIT: Signature<3> =
    Signature { func: "__aexit__", names: [c"kind", c"exc", c"trace"], positional: 3, required: 3 };
static ENTER_PLAN: Plan = Plan { name: c"__aenter__", qualname: c"TaskGroup.__aenter__", run: run_enter };
static EXIT_PLAN: Plan = Plan { name: c"__aexit__", qualname: c"TaskGroup.__aexit__", run: run_exit };

pub(super) unsafe fn aenter(this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    args.none("__aenter__")?;
    operation::new(&ENTER_PLAN, this, ptr::null_mut())
}

pub(super) unsafe fn aexit(this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    let [_, exc, _] = args.sort(&EXIT)?;
    operation::new(&EXIT_PLAN, this, not_none(exc))
}

unsafe fn owner(op: *mut Operation) -> Res<Obj> {
    match &(*op).owner {
        Some(owner) => Ok(owner.again()),
        None => runtime_error("fenshen: a group is lost"),
    }
}

unsafe fn run_enter(op: *mut Operation, _how: Resume) -> Res<Await> {
    let group = owner(op)?;
    enter(&group)?;
    Ok(Await::Return(group))
}

unsafe fn enter(group: &Obj) -> Res<()> {
    let g: *mut Group = group.ptr().cast();
    if (*g).entered {
        return runtime_error(&format!("TaskGroup {} has already been entered", repr(group.ptr())));
    }
    let running = call(asyncio().get_running_loop.ptr(), &[])?;
    if running.ptr() == ffi::Py_None() {
        return runtime_error("no running event loop");
    }
    let parent = current::task_of(running.ptr())?;
    Group::bind(g, running);
    if parent.is_none() {
        return runtime_error(&format!("TaskGroup {} cannot determine the parent task", repr(group.ptr())));
    }
    set(&mut (*g).parent, parent);
    (*g).entered = true;
    entered::link(g);
    if (*g).watched || (*g).stopped {
        call_method(&known().begin, &[group.ptr()])?;
    }
    Ok(())
}

const WAITING: u8 = 1;
const SETTLING: u8 = 2;

/// What ended the body is the operation's `arg`, a cancellation from outside what it holds.
unsafe fn run_exit(op: *mut Operation, how: Resume) -> Res<Await> {
    let group = owner(op)?;
    match (*op).phase {
        SETTLING => return go_on(op, how),
        WAITING => waited(op, &group, how)?,
        _ => begin(op, &group)?,
    }
    let g: *mut Group = group.ptr().cast();
    if !Group::finish(g) {
        let waiter = Group::future(g)?;
        set(&mut (*g).waiter, Some(waiter.again()));
        (*op).phase = WAITING;
        return operation::wait(op, waiter);
    }
    if ended_well(op, g) {
        entered::unlink(g);
        if (*g).held {
            call_method(&known().close, &[group.ptr()])?;
        }
        clear(&mut (*g).parent);
        return Ok(Await::Return(boolean(true)));
    }
    settle(op, &group)
}

unsafe fn begin(op: *mut Operation, group: &Obj) -> Res<()> {
    let g: *mut Group = group.ptr().cast();
    (*g).exiting = true;
    let Some(exc) = Obj::from_opt(ptr_or_null(&(*op).arg)) else {
        return Ok(());
    };
    children::note_base(g, &exc);
    if is_cancellation(&exc) {
        set(&mut (*op).held, Some(exc));
    }
    abort(group)
}

/// Cancels every child, unless that was done.
unsafe fn abort(group: &Obj) -> Res<()> {
    if (*group.ptr().cast::<Group>()).aborting {
        return Ok(());
    }
    call_method(&known().abort, &[group.ptr()]).map(drop)
}

unsafe fn waited(op: *mut Operation, group: &Obj, how: Resume) -> Res<()> {
    let g: *mut Group = group.ptr().cast();
    let Some(waiter) = (*op).waiter.take() else {
        return runtime_error("fenshen: a waiter is lost");
    };
    clear(&mut (*g).waiter);
    let Err(exc) = settled(&waiter, how) else {
        return Ok(());
    };
    if !is_cancellation(&exc) {
        restore(exc);
        return Err(Raised);
    }
    if !(*g).aborting {
        set(&mut (*op).held, Some(exc));
        abort(group)?;
    }
    Ok(())
}

/// Whether the block has nothing to raise and nobody's cancellation to take back.
unsafe fn ended_well(op: *mut Operation, g: *mut Group) -> bool {
    let no_errors = (*g).errors.as_ref().is_none_or(|errors| ffi::PyList_GET_SIZE(errors.ptr()) == 0);
    let nothing_came = (*op).arg.is_none() && (*op).held.is_none() && (*g).base_error.is_none();
    no_errors && nothing_came && !(*g).timed_out && !(*g).parent_cancel_requested
}

unsafe fn settle(op: *mut Operation, group: &Obj) -> Res<Await> {
    let or_none = |o: &Option<Obj>| o.as_ref().map_or(ffi::Py_None(), Obj::ptr);
    let (exc, cancelled) = (or_none(&(*op).arg), or_none(&(*op).held));
    let settling = call_method(&known().settle, &[group.ptr(), exc, cancelled])?;
    clear(&mut (*op).arg);
    clear(&mut (*op).held);
    operation::enter(op, &settling)?;
    drop(settling);
    (*op).phase = SETTLING;
    go_on(op, Resume::Start)
}

unsafe fn go_on(op: *mut Operation, how: Resume) -> Res<Await> {
    match operation::go_on(op, how) {
        Inner::Yield(o) => Ok(Await::Yield(o)),
        Inner::Return(value) => Ok(Await::Return(value)),
        Inner::Raise(exc) => {
            restore(exc);
            Err(Raised)
        }
    }
}
