//! What every operation that is awaited does: it tries, else stands in line with a [`Seat`] until it is called, its time is
//! over, or it is cancelled. What it was given by then goes to the next in line, or back.

use pyo3::ffi::PyObject;

use super::seat::{Leave, Seat, tell};
use crate::errors::{restore, runtime_error};
use crate::future_iter::Await;
use crate::object::{Obj, Raised, Res, set};
use crate::primitives::operation::{self, Operation, Plan, Resume, settled};
use crate::threads::patience::{self, Patience};
use crate::threads::queue::Asked;

/// A line, and what is to be had at its front.
pub(super) trait Line {
    /// How a seat leaves it.
    const LEAVE: Leave;
    /// Tries without standing in line.
    unsafe fn attempt(op: *mut Operation) -> Res<Option<Obj>>;
    /// Tries, or puts the seat in line. After an error it is in none.
    unsafe fn enlist(op: *mut Operation, s: *mut Seat) -> Res<Option<Obj>>;
    /// Goes on after a call, or after none. If there is nothing, it is in line again, or still; after an error in none.
    unsafe fn resume(op: *mut Operation, s: *mut Seat) -> Res<Option<Obj>>;
    /// Its time is over: takes it out of the line, and returns what it was given by then.
    unsafe fn give_up(op: *mut Operation, s: *mut Seat) -> Option<Obj>;
    /// What a call comes to whose time is over.
    unsafe fn late() -> Res<Obj>;
}

/// An operation of `plan` on `owner`.
#[inline]
pub(super) unsafe fn new(
    plan: &'static Plan,
    owner: *mut PyObject,
    arg: *mut PyObject,
    timeout: *mut PyObject,
) -> Res<Obj> {
    let op = operation::new(plan, owner, arg)?;
    if !timeout.is_null() {
        (*op.ptr().cast::<Operation>()).held = Some(Obj::from(timeout));
    }
    Ok(op)
}

/// Runs an operation to its next wait or its end.
pub(super) unsafe fn run<L: Line>(op: *mut Operation, how: Resume) -> Res<Await> {
    let outcome = match how {
        Resume::Start => start::<L>(op),
        how => go_on::<L>(op, how),
    };
    tell();
    outcome
}

#[inline]
unsafe fn start<L: Line>(op: *mut Operation) -> Res<Await> {
    let timeout = (*op).held.take();
    let asked = patience_of(timeout.as_ref())?;
    match L::attempt(op)? {
        Some(got) => Ok(Await::Return(got)),
        None if asked == Patience::None => L::late().map(Await::Return),
        None => stand::<L>(op, asked),
    }
}

unsafe fn patience_of(timeout: Option<&Obj>) -> Res<Patience> {
    let Some(timeout) = timeout else {
        return Ok(Patience::Endless);
    };
    Asked::new(std::ptr::null_mut(), timeout.ptr())?.check()?;
    patience::of_timeout(timeout.ptr())
}

/// Stands in line.
unsafe fn stand<L: Line>(op: *mut Operation, asked: Patience) -> Res<Await> {
    let Some(owner) = &(*op).owner else {
        return runtime_error("fenshen: an operation has lost what it works on");
    };
    let seat = Seat::take(owner)?;
    let s: *mut Seat = seat.ptr().cast();
    Seat::limit(&seat, asked)?;
    set(&mut (*op).held, Some(seat));
    match L::enlist(op, s) {
        Ok(None) => {
            Seat::stand(s, L::LEAVE);
            wait(op, s)
        }
        outcome => {
            Seat::end(s);
            outcome.map(|got| Await::Return(got.unwrap_or_else(|| crate::object::none())))
        }
    }
}

unsafe fn wait(op: *mut Operation, s: *mut Seat) -> Res<Await> {
    let waits = Seat::wait(op, s);
    if waits.is_err() {
        Seat::leave(s);
        Seat::end(s);
    }
    waits
}

unsafe fn go_on<L: Line>(op: *mut Operation, how: Resume) -> Res<Await> {
    let (Some(seat), Some(future)) = ((*op).held.as_ref().map(|seat| seat.again()), (*op).waiter.take()) else {
        return runtime_error("fenshen: a waiter is lost");
    };
    let s: *mut Seat = seat.ptr().cast();
    if let Err(exc) = settled(&future, how) {
        Seat::leave(s);
        Seat::end(s);
        restore(exc);
        return Err(Raised);
    }
    match L::resume(op, s) {
        Ok(None) if (*s).expired => {
            Seat::stand_up(s);
            Seat::end(s);
            L::give_up(op, s).map_or_else(|| L::late(), Ok).map(Await::Return)
        }
        Ok(None) => wait(op, s),
        Ok(Some(got)) => {
            Seat::stand_up(s);
            Seat::end(s);
            Ok(Await::Return(got))
        }
        Err(Raised) => {
            Seat::stand_up(s);
            Seat::end(s);
            Err(Raised)
        }
    }
}
