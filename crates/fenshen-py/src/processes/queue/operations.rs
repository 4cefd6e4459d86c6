//! `put` and `get`.

use std::sync::Arc;
use std::time::Duration;

use fenshen_shm::{Outbox, Refused, SharedQueue};
use fenshen_sync::Deadline;
use pyo3::ffi::{self, PyObject};

use super::layout::{Queue, broken, check_orphaned, outbox, shared};
use super::pickling::{Buffer, Space, dumps, dumps_long, words};
use super::wait::{Wait, without_interpreter};
use crate::errors::{is, take};
use crate::object::{Obj, Raised, Res, call_method, none};
use crate::threads::head::Standard;
use crate::threads::patience::{Patience, of_timeout};

static EMPTY: Standard = Standard::new(c"queue", c"Empty");
static FULL: Standard = Standard::new(c"queue", c"Full");

/// A message that takes longer to copy than another thread should have to wait for the interpreter.
const LONG: usize = 64 << 10;

/// How long a call may take that waits for nobody.
const MOMENT: Duration = Duration::from_millis(2);

#[cold]
unsafe fn raise<T>(kind: &Standard) -> Res<T> {
    ffi::PyErr_SetNone(kind.get()?);
    Err(Raised)
}

/// How long a call may wait: its arguments, of which the second only matters if the first is true.
pub(super) unsafe fn patience(block: *mut PyObject, timeout: *mut PyObject) -> Res<Patience> {
    if !block.is_null() && block != ffi::Py_True() {
        let truth = ffi::PyObject_IsTrue(block);
        crate::object::done(truth)?;
        if truth == 0 {
            return Ok(Patience::None);
        }
    }
    of_timeout(timeout)
}

/// Puts an object. It is pickled here and now; what cannot be pickled is told to `_on_queue_feeder_error`.
pub(crate) unsafe fn put(q: *mut Queue, o: *mut PyObject, patience: Patience) -> Res<()> {
    (*q).used = true;
    if shared(q)?.is_full() && patience == Patience::None {
        return raise(&FULL);
    }
    match dumps_long(o) {
        Ok(Some(long)) => return long.with(&[], |pieces, _| put_message(q, pieces, patience)).map(drop),
        Ok(None) => {}
        Err(Raised) => return pickling_failed(q, o),
    }
    let pickled = match dumps(o, true) {
        Ok(pickled) => pickled,
        Err(Raised) => return pickling_failed(q, o),
    };
    let number = put_message(q, &[pickled.bytes()], patience)?;
    if let Some(pins) = &pickled.pins {
        pin(q, number, pins)?;
    }
    Ok(())
}

#[cold]
unsafe fn pickling_failed(q: *mut Queue, o: *mut PyObject) -> Res<()> {
    let error = take();
    if !is(&error, ffi::PyExc_Exception) {
        crate::errors::restore(error);
        return Err(Raised);
    }
    call_method(&words()?.pickling_failed, &[q.cast(), error.ptr(), o]).map(drop)
}

/// Keeps what was pickled by reference alive until message `number` was taken, or all were if it has no number yet.
unsafe fn pin(q: *mut Queue, number: Option<u64>, pins: &Obj) -> Res<()> {
    let number = match number {
        Some(number) => Obj::new(ffi::PyLong_FromUnsignedLongLong(number))?,
        None => none(),
    };
    call_method(&words()?.pinned, &[q.cast(), number.ptr(), pins.ptr()]).map(drop)
}

unsafe fn put_message(q: *mut Queue, message: &[&[u8]], patience: Patience) -> Res<Option<u64>> {
    let outbox = outbox(q)?;
    let idle = outbox.waiting() == 0;
    let mut outcome = match (idle, is_long(message)) {
        (true, false) => outbox.put_now(message, false).map(Some),
        (false, false) => outbox.put_pieces(message, false),
        (_, true) => without_interpreter(|| put_long(outbox, message)),
    };
    if outcome == Err(Refused::NoRoom) {
        outcome = without_interpreter(|| put_for_room(outbox, message));
    }
    if matches!(outcome, Err(Refused::Full | Refused::Busy)) {
        outcome = put_slowly(q, message, patience)?;
    }
    match outcome {
        Ok(None) if idle => {
            call_method(&words()?.started_feeding, &[q.cast()])?;
            Ok(None)
        }
        Ok(number) => Ok(number),
        Err(Refused::Full) => raise(&FULL),
        Err(why) => broken(why),
    }
}

type Outcome = Result<Option<u64>, Refused>;

fn length(message: &[&[u8]]) -> usize {
    message.iter().map(|piece| piece.len()).sum()
}

fn is_long(message: &[&[u8]]) -> bool {
    length(message) >= LONG
}

/// Whether it takes a slab.
fn is_staged(message: &[&[u8]]) -> bool {
    length(message) > SharedQueue::INLINE
}

fn put_long(outbox: &Arc<Outbox>, message: &[&[u8]]) -> Outcome {
    if outbox.waiting() > 0 {
        return outbox.put_pieces(message, true);
    }
    outbox.put_now(message, true).map(Some)
}

/// When there is no room: whoever takes makes some in a moment, as a rule, and the outbox costs more than to wait for that.
#[cold]
fn put_for_room(outbox: &Arc<Outbox>, message: &[&[u8]]) -> Outcome {
    outbox.queue().wait_for_space(is_staged(message), Some(Deadline::after(MOMENT)));
    outbox.put_pieces(message, true)
}

/// When the queue is full, or others are at it for long. The outcome may still be that it is full.
#[cold]
unsafe fn put_slowly(q: *mut Queue, message: &[&[u8]], patience: Patience) -> Res<Outcome> {
    let (queue, outbox) = (shared(q)?, outbox(q)?);
    let mut wait = Wait::new(patience);
    loop {
        let outcome = without_interpreter(|| outbox.put_pieces(message, true));
        if outcome != Err(Refused::Full) || patience == Patience::None {
            if wait.slept {
                queue.pass_place_on();
            }
            return Ok(outcome);
        }
        match wait.once(|until| queue.wait_for_place(until)) {
            Ok(true) => {}
            Ok(false) => {
                queue.pass_place_on();
                return Ok(outcome);
            }
            Err(Raised) => {
                queue.pass_place_on();
                return Err(Raised);
            }
        }
    }
}

/// Puts an object past the outbox, and waits for room: what `SimpleQueue` does.
pub(super) unsafe fn send(q: *mut Queue, o: *mut PyObject) -> Res<()> {
    if let Some(long) = dumps_long(o)? {
        return long.with(&[], |pieces, _| send_pieces(q, pieces)).map(drop);
    }
    let pickled = dumps(o, true)?;
    let number = send_bytes(q, pickled.bytes())?;
    match &pickled.pins {
        Some(pins) => pin(q, Some(number), pins),
        None => Ok(()),
    }
}

/// The same for a message that is as it is.
pub(super) unsafe fn send_bytes(q: *mut Queue, bytes: &[u8]) -> Res<u64> {
    send_pieces(q, &[bytes])
}

unsafe fn send_pieces(q: *mut Queue, message: &[&[u8]]) -> Res<u64> {
    let (queue, outbox) = (shared(q)?, outbox(q)?);
    let mut wait = Wait::new(Patience::Endless);
    loop {
        let outcome = match is_long(message) {
            false => outbox.put_now(message, false),
            true => without_interpreter(|| outbox.put_now(message, true)),
        };
        match outcome {
            Ok(number) => return Ok(number),
            Err(Refused::Busy) => without_interpreter(|| queue.wait_for_turn(true)),
            Err(Refused::NoRoom) => {
                let staging = is_staged(message);
                wait.once(|until| queue.wait_for_space(staging, until))?;
            }
            Err(Refused::Full) => {
                wait.once(|until| queue.wait_for_place(until))?;
            }
            Err(why) => return broken(why),
        }
    }
}

/// Takes the oldest message.
pub(super) unsafe fn recv_bytes(q: *mut Queue, patience: Patience) -> Res<Obj> {
    receive(q, patience, |len| Buffer::new(len)).map(Buffer::into_bytes)
}

/// Takes the oldest message into what `make` makes for its length.
unsafe fn receive<B: AsMut<[u8]>>(q: *mut Queue, patience: Patience, make: impl Fn(usize) -> Option<B>) -> Res<B> {
    let queue = shared(q)?;
    let mut wait: Option<Wait> = None;
    loop {
        let slept = wait.as_ref().is_some_and(|wait| wait.slept);
        match queue.take(&make, false, slept) {
            Ok(mut taken) => {
                let finished = match taken.unread() >= LONG {
                    false => taken.finish(),
                    true => without_interpreter(|| taken.finish()),
                };
                return finished.or_else(|why| broken(why));
            }
            Err(Refused::Empty) if patience == Patience::None => return raise(&EMPTY),
            Err(Refused::Empty) => {
                let wait = wait.get_or_insert_with(|| Wait::new(patience));
                check_orphaned(q)?;
                match wait.once(|until| queue.wait_for_item(until)) {
                    Ok(true) => {}
                    outcome => {
                        queue.pass_item_on();
                        return outcome.and_then(|_| raise(&EMPTY));
                    }
                }
            }
            Err(Refused::Busy) => without_interpreter(|| queue.wait_for_turn(false)),
            Err(why) => return broken(why),
        }
    }
}

/// Takes the oldest object.
pub(crate) unsafe fn get(q: *mut Queue, patience: Patience) -> Res<Obj> {
    receive(q, patience, |len| Space::new(len))?.load()
}
