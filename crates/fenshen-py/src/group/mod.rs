//! `GroupCore`: what a task group does for each of its children, and at the two ends of its `async with`.
//!
//! `fenshen.TaskGroup` derives from it. A child that ends tells its group by a native callback, as it would tell a
//! gathering; what is rare (a failure, a deadline, threads, another loop) is done by methods of the class in Python.

mod block;
mod children;
mod entered;
mod face;
mod known;

use std::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use crate::event_loop::{self, Loop};
use crate::names::{asyncio, names};
use crate::object::{Obj, Raised, Res, call, call_method, set};

pub(crate) use children::{child_done, told_function, went_well};
pub(crate) use entered::list as entered_groups;
pub(crate) use face::build;
pub(crate) use known::init;

/// The layout of `GroupCore`.
#[repr(C)]
pub(crate) struct Group {
    ob_base: PyObject,
    /// The loop that it was entered on.
    event_loop: Option<Obj>,
    /// The same loop where it is one of ours, else null.
    core: *mut Loop,
    /// The task whose block it is.
    parent: Option<Obj>,
    /// What the end of the block waits for.
    waiter: Option<Obj>,
    /// The set of those that have not ended.
    children: Option<Obj>,
    /// The list of the children's errors, made for the first one.
    errors: Option<Obj>,
    /// The first error that goes on as itself.
    base_error: Option<Obj>,
    /// What guards it where threads meet, made when it is asked for.
    lock: Option<Obj>,
    links: entered::Links,
    entered: bool,
    exiting: bool,
    aborting: bool,
    finished: bool,
    /// The group itself has decided to end.
    stopped: bool,
    timed_out: bool,
    parent_cancel_requested: bool,
    /// `_begin()` is to be called when it is entered, for its deadline or its signals.
    watched: bool,
    /// `_close()` is to be called when it is left, for its timers, signals or threads.
    held: bool,
}

impl Group {
    unsafe fn allocate(ty: *mut PyTypeObject) -> Res<Obj> {
        let alloc = (*ty).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
        let g: *mut Group = alloc(ty, 0).cast();
        if g.is_null() {
            return Err(Raised);
        }
        let made = Obj::steal(g.cast());
        ptr::write(&raw mut (*g).links, entered::Links::new());
        (*g).children = Some(Obj::new(ffi::PySet_New(ptr::null_mut()))?);
        Ok(made)
    }

    /// The set of children.
    unsafe fn children(g: *mut Group) -> Res<Obj> {
        match &(*g).children {
            Some(children) => Ok(children.again()),
            None => crate::errors::runtime_error("fenshen: the group's children are lost"),
        }
    }

    /// Whether no child is left.
    unsafe fn is_empty(g: *mut Group) -> bool {
        (*g).children.as_ref().is_none_or(|children| ffi::PySet_Size(children.ptr()) == 0)
    }

    /// Finishes the group if no child is left; whether that is so. From then on nothing is added to it.
    unsafe fn finish(g: *mut Group) -> bool {
        (*g).finished = Group::is_empty(g);
        (*g).finished
    }

    /// Whether its loop runs in this thread.
    #[inline]
    unsafe fn is_on_its_loop(g: *mut Group) -> Res<bool> {
        if !(*g).core.is_null() && Loop::runs_here((*g).core) {
            return Ok(true);
        }
        let Some(own) = &(*g).event_loop else {
            return Ok(false);
        };
        let own = own.ptr();
        Ok(call(asyncio().get_running_loop.ptr(), &[])?.ptr() == own)
    }

    unsafe fn bind(g: *mut Group, event_loop: Obj) {
        (*g).core = event_loop::native(event_loop.ptr());
        set(&mut (*g).event_loop, Some(event_loop));
    }

    /// A pending future of its loop.
    unsafe fn future(g: *mut Group) -> Res<Obj> {
        if !(*g).core.is_null() {
            return Loop::create_future((*g).core);
        }
        let event_loop = Obj::from_opt(crate::object::ptr_or_null(&(*g).event_loop));
        let Some(event_loop) = event_loop else {
            return crate::errors::runtime_error("fenshen: the group has no loop");
        };
        call_method(&names().create_future, &[event_loop.ptr()])
    }
}
