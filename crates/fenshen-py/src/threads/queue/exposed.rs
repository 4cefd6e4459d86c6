//! The operations of an exposed queue: the same steps as the standard library's, under the mutex.
//!
//! A `put` that interrupts an operation of its own thread (from a signal handler, a finaliser, a hook, a comparison) finds
//! the items half moved. It leaves its item beside the queue, and the operation that it has interrupted puts it in before
//! it ends. What can't be left for later, because it would have to wait for its own thread, raises RuntimeError.

use pyo3::ffi;

use super::asked::Until;
use super::hooks;
use super::items::Order;
use super::layout::Queue;
use super::turn::{Begun, Operation, Turn, Which, notify};
use super::words::{raise_empty, raise_full, raise_shut_down};
use crate::errors::{self, raise, runtime_error};
use crate::object::{Obj, Res, set};

/// Makes a native queue an exposed one. Whoever waits is told, and goes on waiting for the conditions.
#[cold]
pub(super) unsafe fn expose(q: *mut Queue) -> Res<()> {
    if (*q).turn.is_made() {
        return Ok(());
    }
    let (turn, shown) = (Turn::new()?, hooks::container((*q).order)?);
    if (*q).turn.is_made() {
        // Somebody did while these were made.
        return Ok(());
    }
    (*q).turn = turn;
    set(&mut (*q).shown, Some(shown));
    let Begun::Mine(operation) = Operation::begin(q)? else {
        return Ok(());
    };
    let moved = fill(q, (*q).native.retire());
    end(q, operation, moved)
}

/// Moves what was in the native queue, the next one first, into the container.
unsafe fn fill(q: *mut Queue, mut items: Vec<Obj>) -> Res<()> {
    if (*q).order == Order::Lifo {
        items.reverse();
    }
    items.iter().try_for_each(|item| hooks::own_put(q, item.ptr()))
}

/// Takes over what an interrupted getter has given back to the native queue that this was.
pub(super) unsafe fn reclaim(q: *mut Queue) {
    let left = (*q).native.retire();
    if left.is_empty() {
        return;
    }
    let error = errors::take();
    let outcome = within(
        q,
        || runtime_error("a queue's item came back in its own operation"),
        |_| {
            left.iter().try_for_each(|item| hooks::put_back(q, item.ptr()))?;
            notify(q, Which::NotEmpty, true)
        },
    );
    if outcome.is_err() {
        ffi::PyErr_WriteUnraisable(q.cast());
    }
    errors::restore(error);
}

/// Runs `body` as an operation of its own, or `nested` if it has interrupted one.
unsafe fn within<T>(q: *mut Queue, nested: impl FnOnce() -> Res<T>, body: impl FnOnce(&Operation) -> Res<T>) -> Res<T> {
    match Operation::begin(q)? {
        Begun::Nested => nested(),
        Begun::Mine(operation) => {
            let outcome = body(&operation);
            end(q, operation, outcome)
        }
    }
}

/// Ends an operation, once what interrupted it is finished too.
#[inline]
unsafe fn end<T>(q: *mut Queue, operation: Operation, outcome: Res<T>) -> Res<T> {
    if operation.is_held() && (!(*q).aside.is_empty() || (*q).emptied) {
        finish_keeping_error(q);
    }
    if outcome.is_ok() {
        operation.end(q)?;
        return outcome;
    }
    let error = errors::take();
    if operation.end(q).is_err() {
        ffi::PyErr_WriteUnraisable(q.cast());
    }
    errors::restore(error);
    outcome
}

#[cold]
unsafe fn finish_keeping_error(q: *mut Queue) {
    if ffi::PyErr_Occurred().is_null() {
        return finish_aside(q);
    }
    let error = errors::take();
    finish_aside(q);
    errors::restore(error);
}

/// Finishes what interrupted the operation. Its caller has gone on, so that an error can only be reported.
#[cold]
unsafe fn finish_aside(q: *mut Queue) {
    loop {
        if std::mem::take(&mut (*q).emptied) {
            let mut left = Vec::new();
            if throw_away(q, &mut left).is_err() {
                ffi::PyErr_WriteUnraisable(q.cast());
            }
        }
        let Some(item) = (*q).aside.pop_front() else {
            return;
        };
        if put_in(q, &item).is_err() {
            ffi::PyErr_WriteUnraisable(q.cast());
        }
    }
}

unsafe fn put_in(q: *mut Queue, item: &Obj) -> Res<()> {
    hooks::put(q, item.ptr())?;
    (*q).native.task_added();
    notify(q, Which::NotEmpty, false)
}

/// Waits for a condition; false if the time is over, or was none.
unsafe fn wait(q: *mut Queue, operation: &Operation, which: Which, until: &mut Until) -> Res<bool> {
    if !(*q).aside.is_empty() || (*q).emptied {
        finish_aside(q);
        return Ok(true);
    }
    let begun = until.begin()?;
    // A timeout of the program's own kind may have run anything.
    if !(*q).aside.is_empty() || (*q).emptied {
        finish_aside(q);
        return Ok(true);
    }
    let Some(deadline) = begun else {
        return Ok(false);
    };
    if deadline.is_some_and(|deadline| deadline.is_past()) {
        return Ok(false);
    }
    operation.wait(q, which, deadline)?;
    Ok(true)
}

/// `put`.
pub(super) unsafe fn put(q: *mut Queue, item: Obj, mut until: Until) -> Res<()> {
    let asked = until;
    within(
        q,
        || set_aside(q, item.again(), asked),
        |operation| {
            if (*q).native.is_shutdown() {
                return raise_shut_down();
            }
            if hooks::is_limited(q)? {
                until.check()?;
                while hooks::is_full(q, 0)? {
                    if !until.blocks() || !wait(q, operation, Which::NotFull, &mut until)? {
                        return raise_full();
                    }
                    if (*q).native.is_shutdown() {
                        return raise_shut_down();
                    }
                }
            }
            put_in(q, &item)
        },
    )
}

/// A `put` that has interrupted an operation of its own thread.
#[cold]
unsafe fn set_aside(q: *mut Queue, item: Obj, until: Until) -> Res<()> {
    if (*q).native.is_shutdown() {
        return raise_shut_down();
    }
    if hooks::is_limited(q)? {
        until.check()?;
        if hooks::is_full(q, (*q).aside.len())? {
            return if until.blocks() { interrupts("put") } else { raise_full() };
        }
    }
    (*q).aside.push_back(item);
    Ok(())
}

#[cold]
unsafe fn interrupts<T>(name: &str) -> Res<T> {
    runtime_error(&format!("{name}() interrupts this thread's own operation on the queue, and would wait for it"))
}

/// `get`.
pub(super) unsafe fn get(q: *mut Queue, mut until: Until) -> Res<Obj> {
    within(
        q,
        || interrupts("get"),
        |operation| {
            let shut_down = || (*q).native.is_shutdown();
            if shut_down() && !hooks::has_items(q)? {
                return raise_shut_down();
            }
            until.check()?;
            while !hooks::has_items(q)? {
                if !until.blocks() || !wait(q, operation, Which::NotEmpty, &mut until)? {
                    return raise_empty();
                }
                if shut_down() && !hooks::has_items(q)? {
                    return raise_shut_down();
                }
            }
            let item = hooks::get(q)?;
            notify(q, Which::NotFull, false)?;
            Ok(item)
        },
    )
}

/// `task_done`.
pub(super) unsafe fn task_done(q: *mut Queue) -> Res<()> {
    let count_down = || {
        if !(*q).native.task_done() {
            return raise(ffi::PyExc_ValueError, "task_done() called too many times");
        }
        if (*q).native.unfinished() == 0 { notify(q, Which::AllTasksDone, true) } else { Ok(()) }
    };
    within(q, count_down, |_| count_down())
}

/// `join`.
pub(super) unsafe fn join(q: *mut Queue) -> Res<()> {
    let nested = || if (*q).native.unfinished() == 0 { Ok(()) } else { interrupts("join") };
    within(q, nested, |operation| {
        let mut until = Until::Known(None);
        while (*q).native.unfinished() > 0 {
            wait(q, operation, Which::AllTasksDone, &mut until)?;
        }
        Ok(())
    })
}

/// `shutdown`.
pub(super) unsafe fn shutdown(q: *mut Queue, immediate: bool) -> Res<()> {
    // What is thrown away goes when the mutex is free again.
    let mut left = Vec::new();
    let close = || {
        (*q).native.shutdown();
        notify(q, Which::NotEmpty, true)?;
        notify(q, Which::NotFull, true)
    };
    let nested = || {
        (*q).emptied |= immediate;
        close()
    };
    within(q, nested, |_| {
        if immediate {
            (*q).native.shutdown();
            throw_away(q, &mut left)?;
        }
        close()
    })
}

/// Takes everything out; each item is done.
unsafe fn throw_away(q: *mut Queue, left: &mut Vec<Obj>) -> Res<()> {
    while hooks::has_items(q)? {
        left.push(hooks::get(q)?);
        (*q).native.task_done();
    }
    notify(q, Which::AllTasksDone, true)
}

/// `_qsize()`, under the mutex.
pub(super) unsafe fn qsize(q: *mut Queue) -> Res<Obj> {
    within(q, || hooks::qsize(q), |_| hooks::qsize(q))
}

/// Whether there is nothing in it.
pub(super) unsafe fn is_empty(q: *mut Queue) -> Res<bool> {
    let look = || hooks::has_items(q).map(|has| !has);
    within(q, look, |_| look())
}

/// Whether it is full.
pub(super) unsafe fn is_full(q: *mut Queue) -> Res<bool> {
    let look = || Ok(hooks::is_limited(q)? && hooks::is_full(q, 0)?);
    within(q, look, |_| look())
}

/// An attribute of an exposed queue is about to be looked at.
pub(super) unsafe fn show(q: *mut Queue, of: impl FnOnce() -> Option<Obj>) -> Res<Obj> {
    expose(q)?;
    match of() {
        Some(shown) => Ok(shown),
        None => raise(ffi::PyExc_AttributeError, "the queue was cleared by garbage collection"),
    }
}
