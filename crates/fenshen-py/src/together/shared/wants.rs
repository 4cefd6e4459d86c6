//! What one may wait for.

use std::sync::atomic::Ordering;

use fenshen_shm::{Hall, SharedQueue};
use pyo3::ffi::{self, PyObject};

use super::{OPEN, Shared};
use crate::object::{Obj, Raised, Res, boolean, none};
use crate::processes::queue as channel;
use crate::threads::patience::Patience;
use crate::threads::queue::{empty_class, full_class, raise_empty, raise_full, raise_shut_down};

/// The rows.
pub(super) const GETTERS: usize = 0;
pub(super) const PUTTERS: usize = 1;
pub(super) const JOINERS: usize = 2;
/// Of an event and a semaphore, the only one.
const WAITERS: usize = 0;

/// Something that one may wait for.
pub(in super::super) trait Want {
    /// The row in which one stands for it.
    const ROW: usize;
    /// The call that would block, and what to await instead.
    const CALL: (&'static str, &'static str);
    /// For how many there is something.
    fn available(shared: &Shared) -> u64;
    /// Tries to have it. `called` is whether its turn has come.
    unsafe fn attempt(shared: &Shared, arg: *mut PyObject, called: bool) -> Res<Option<Obj>>;
    /// Spins for a moment, without the interpreter, if that may help.
    fn look(_shared: &Shared) {}
    /// What a call comes to whose time is over.
    unsafe fn late() -> Res<Obj> {
        Ok(boolean(false))
    }
}

/// For how many who get there is something: an item, or that nothing will come.
pub(super) fn items(hall: &Hall, queue: &SharedQueue) -> u64 {
    if hall.state.load(Ordering::Acquire) != OPEN && queue.is_exhausted() { u64::MAX } else { queue.ready() }
}

/// How many places there are.
pub(super) fn places(queue: &SharedQueue) -> u64 {
    match queue.bound() {
        0 => u64::MAX,
        bound => bound.saturating_sub(queue.len()),
    }
}

/// What an attempt came to that raises `nothing` where there is nothing.
unsafe fn unless(outcome: Res<Obj>, nothing: *mut PyObject) -> Res<Option<Obj>> {
    match outcome {
        Ok(got) => Ok(Some(got)),
        Err(Raised) if ffi::PyErr_ExceptionMatches(nothing) != 0 => {
            ffi::PyErr_Clear();
            Ok(None)
        }
        Err(Raised) => Err(Raised),
    }
}

/// An item.
pub(in super::super) struct Item;

impl Want for Item {
    const ROW: usize = GETTERS;
    const CALL: (&'static str, &'static str) = ("Queue.get", "await queue.aget()");

    fn available(shared: &Shared) -> u64 {
        items(&shared.hall, shared.queue())
    }

    unsafe fn attempt(shared: &Shared, _arg: *mut PyObject, _called: bool) -> Res<Option<Obj>> {
        let queue = shared.queue();
        if queue.is_empty() {
            let over = !shared.is_open() && queue.is_exhausted();
            return if over { raise_shut_down() } else { Ok(None) };
        }
        unless(channel::get(shared.channel()?, Patience::None), empty_class()?)
    }

    fn look(shared: &Shared) {
        let _ = shared.queue().look_for_item();
    }

    unsafe fn late() -> Res<Obj> {
        raise_empty()
    }
}

/// A place for an item, which is put there.
pub(in super::super) struct Place;

impl Want for Place {
    const ROW: usize = PUTTERS;
    const CALL: (&'static str, &'static str) = ("Queue.put", "await queue.aput(item)");

    fn available(shared: &Shared) -> u64 {
        if shared.is_open() { places(shared.queue()) } else { u64::MAX }
    }

    unsafe fn attempt(shared: &Shared, item: *mut PyObject, _called: bool) -> Res<Option<Obj>> {
        if !shared.is_open() {
            return raise_shut_down();
        }
        if shared.queue().is_full() {
            return Ok(None);
        }
        let put = channel::put(shared.channel()?, item, Patience::None);
        unless(put.map(|()| none()), full_class()?)
    }

    fn look(shared: &Shared) {
        let _ = shared.queue().look_for_place();
    }

    unsafe fn late() -> Res<Obj> {
        raise_full()
    }
}

/// The end of all work.
pub(in super::super) struct Done;

impl Want for Done {
    const ROW: usize = JOINERS;
    const CALL: (&'static str, &'static str) = ("Queue.join", "await queue.ajoin()");

    fn available(shared: &Shared) -> u64 {
        if shared.queue().unfinished() <= 0 { u64::MAX } else { 0 }
    }

    unsafe fn attempt(shared: &Shared, _arg: *mut PyObject, called: bool) -> Res<Option<Obj>> {
        Ok((called || Done::available(shared) > 0).then(|| boolean(true)))
    }
}

/// A flag.
pub(in super::super) struct Flag;

impl Want for Flag {
    const ROW: usize = WAITERS;
    const CALL: (&'static str, &'static str) = ("Event.wait", "await event");

    fn available(shared: &Shared) -> u64 {
        if shared.hall.value.load(Ordering::Acquire) != 0 { u64::MAX } else { 0 }
    }

    unsafe fn attempt(shared: &Shared, _arg: *mut PyObject, called: bool) -> Res<Option<Obj>> {
        Ok((called || Flag::available(shared) > 0).then(|| boolean(true)))
    }
}

/// A permit.
pub(in super::super) struct Permit;

impl Want for Permit {
    const ROW: usize = WAITERS;
    const CALL: (&'static str, &'static str) = ("Semaphore.acquire", "await semaphore.aacquire()");

    fn available(shared: &Shared) -> u64 {
        shared.hall.value.load(Ordering::Acquire)
    }

    unsafe fn attempt(shared: &Shared, _arg: *mut PyObject, _called: bool) -> Res<Option<Obj>> {
        Ok(shared.hall.take_one().then(|| boolean(true)))
    }
}
