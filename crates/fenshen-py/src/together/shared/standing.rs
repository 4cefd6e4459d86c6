//! How a task waits for what is shared: its seat has a place in the row, and its loop's bell is rung when it is called.

use std::marker::PhantomData;

use super::wants::Want;
use super::{Shared, bell, of, waiting};
use crate::object::{Obj, Raised, Res, ptr_or_null};
use crate::primitives::operation::Operation;
use crate::together::line::Line;
use crate::together::seat::{Leave, Seat};

/// The row of those who wait for `W`.
pub(in super::super) struct Standing<W>(PhantomData<W>);

unsafe fn shared_of<'a>(op: *mut Operation) -> Res<&'a Shared> {
    match of(ptr_or_null(&(*op).owner)) {
        Some(shared) => Ok(shared),
        None => crate::errors::runtime_error("fenshen: what was waited for is gone"),
    }
}

unsafe fn leave<W: Want>(s: *mut Seat) {
    bell::forget(s);
    let owner = ptr_or_null(&(*s).owner);
    let Some(shared) = (if owner.is_null() { None } else { of(owner) }) else {
        return;
    };
    if let Some(place) = (*s).place.take() {
        let row = shared.row(W::ROW);
        row.leave(&place);
        row.call(W::available(shared));
    }
}

impl<W: Want> Line for Standing<W> {
    const LEAVE: Leave = leave::<W>;

    unsafe fn attempt(op: *mut Operation) -> Res<Option<Obj>> {
        waiting::now::<W>(shared_of(op)?, ptr_or_null(&(*op).arg))
    }

    unsafe fn enlist(op: *mut Operation, s: *mut Seat) -> Res<Option<Obj>> {
        let row = shared_of(op)?.row(W::ROW);
        let number = bell::hear(s, row)?;
        match waiting::stand(row, number) {
            Ok(place) => (*s).place = Some(place),
            Err(Raised) => {
                leave::<W>(s);
                return Err(Raised);
            }
        }
        Self::resume(op, s)
    }

    unsafe fn resume(op: *mut Operation, s: *mut Seat) -> Res<Option<Obj>> {
        let shared = shared_of(op)?;
        let row = shared.row(W::ROW);
        loop {
            row.call(W::available(shared));
            if !Seat::is_called(s) {
                return Ok(None);
            }
            let outcome = W::attempt(shared, ptr_or_null(&(*op).arg), true);
            if let Ok(None) = outcome {
                if let Some(place) = &(*s).place {
                    row.stand_on(place);
                }
                continue;
            }
            leave::<W>(s);
            return outcome;
        }
    }

    unsafe fn give_up(_op: *mut Operation, s: *mut Seat) -> Option<Obj> {
        leave::<W>(s);
        None
    }

    unsafe fn late() -> Res<Obj> {
        W::late()
    }
}
