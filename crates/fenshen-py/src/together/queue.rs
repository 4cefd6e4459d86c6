//! `Queue`: what it does. The type is in `queue_type.rs`.

use fenshen_sync as sync;
use fenshen_sync::graph::Target;
use fenshen_sync::{NotPut, Refused, Wake, current};
use pyo3::ffi::{self, PyObject};

use super::head::Head;
use super::line::{self, Line};
use super::loops::forbid;
use super::seat::{Leave, Seat, tell};
use super::shared::wants::{Done, Item, Place};
use super::shared::{self, Standing};
use crate::errors::{raise, runtime_error};
use crate::future_iter::Await;
use crate::object::{Obj, Raised, Res, none, ptr_or_null};
use crate::primitives::operation::{Operation, Plan, Resume};
use crate::threads::park::PyPark;
use crate::threads::patience::Patience;
use crate::threads::queue::{Asked, Items, raise_empty, raise_full, raise_shut_down, shut_down_class};

/// The layout of `Queue`.
#[repr(C)]
pub(super) struct Queue {
    pub(super) head: Head,
    /// What it is if it is not shared.
    pub(super) core: sync::Queue<Items>,
}

/// Raises what a refusal is in Python.
#[cold]
unsafe fn refuse<T>(why: Refused, late: unsafe fn() -> Res<T>) -> Res<T> {
    match why {
        Refused::Interrupted => Err(Raised),
        Refused::ShutDown | Refused::Retired => raise_shut_down(),
        Refused::WouldWait | Refused::TimedOut => late(),
    }
}

/// `get`.
#[inline]
pub(super) unsafe fn get(q: *mut Queue, asked: Asked) -> Res<Obj> {
    if let Some(shared) = &(*q).head.shared {
        let got = shared::wait::<Item>(q.cast(), shared, std::ptr::null_mut(), asked.patience()?)?;
        return got.map_or_else(|| raise_empty(), Ok);
    }
    let got = match (*q).core.try_get() {
        Ok(item) => Ok(item),
        Err(Refused::WouldWait) if asked.block => get_slowly(q, asked),
        Err(why) => refuse(why, raise_empty),
    };
    tell();
    got
}

#[cold]
unsafe fn get_slowly(q: *mut Queue, asked: Asked) -> Res<Obj> {
    let patience = asked.patience()?;
    if patience == Patience::None {
        return raise_empty();
    }
    forbid("Queue.get", "await queue.aget()")?;
    let _alive = Obj::from(q.cast());
    let mut park = PyPark::new(q.cast(), Target::Anyone);
    match (*q).core.get_slowly(current(), Wake::Thread, &mut park, patience.deadline()) {
        Ok(item) => Ok(item),
        Err(why) => refuse(why, raise_empty),
    }
}

/// `put`.
#[inline]
pub(super) unsafe fn put(q: *mut Queue, item: *mut PyObject, asked: Asked) -> Res<()> {
    if let Some(shared) = &(*q).head.shared {
        return match shared::wait::<Place>(q.cast(), shared, item, asked.patience()?)? {
            Some(_) => Ok(()),
            None => raise_full(),
        };
    }
    let outcome = match (*q).core.try_put(Obj::from(item)) {
        Ok(()) => Ok(()),
        Err(NotPut { why: Refused::WouldWait, item }) if asked.block => put_slowly(q, item, asked),
        Err(NotPut { why, item }) => {
            drop(item);
            refuse(why, raise_full)
        }
    };
    tell();
    outcome
}

#[cold]
unsafe fn put_slowly(q: *mut Queue, item: Obj, asked: Asked) -> Res<()> {
    let patience = asked.patience()?;
    if patience == Patience::None {
        return raise_full();
    }
    forbid("Queue.put", "await queue.aput(item)")?;
    let _alive = Obj::from(q.cast());
    let mut park = PyPark::new(q.cast(), Target::Anyone);
    match (*q).core.put_slowly(item, current(), Wake::Thread, &mut park, patience.deadline()) {
        // A signal handler may have raised as the item went in.
        Ok(()) if ffi::PyErr_Occurred().is_null() => Ok(()),
        Ok(()) => Err(Raised),
        Err(NotPut { why, item }) => {
            drop(item);
            refuse(why, raise_full)
        }
    }
}

/// `task_done`.
pub(super) unsafe fn task_done(q: *mut Queue) -> Res<()> {
    let due = match &(*q).head.shared {
        Some(shared) => shared.task_done(),
        None => (*q).core.task_done(),
    };
    tell();
    if due { Ok(()) } else { raise(ffi::PyExc_ValueError, "task_done() called too many times") }
}

/// `join`: whether all was done in time.
pub(super) unsafe fn join(q: *mut Queue, patience: Patience) -> Res<bool> {
    if let Some(shared) = &(*q).head.shared {
        return Ok(shared::wait::<Done>(q.cast(), shared, std::ptr::null_mut(), patience)?.is_some());
    }
    if (*q).core.unfinished() == 0 || patience == Patience::None {
        return Ok((*q).core.unfinished() == 0);
    }
    forbid("Queue.join", "await queue.ajoin()")?;
    let _alive = Obj::from(q.cast());
    let mut park = PyPark::new(q.cast(), Target::Anyone);
    match (*q).core.join(current(), Wake::Thread, &mut park, patience.deadline()) {
        Ok(()) => Ok(true),
        Err(Refused::TimedOut) => Ok(false),
        Err(_) => Err(Raised),
    }
}

/// `shutdown`.
pub(super) unsafe fn shutdown(q: *mut Queue, immediate: bool) -> Res<()> {
    if let Some(shared) = &(*q).head.shared {
        return shared.shutdown(immediate);
    }
    let left = if immediate {
        (*q).core.shutdown_now()
    } else {
        (*q).core.shutdown();
        Vec::new()
    };
    tell();
    drop(left);
    Ok(())
}

/// How many items it holds.
pub(super) unsafe fn len(q: *mut Queue) -> usize {
    match &(*q).head.shared {
        Some(shared) => shared.queue().len() as usize,
        None => (*q).core.len(),
    }
}

/// Whether it holds as many as it takes.
pub(super) unsafe fn is_full(q: *mut Queue) -> bool {
    match &(*q).head.shared {
        Some(shared) => shared.queue().is_full(),
        None => (*q).core.is_full(),
    }
}

/// How many items it takes; any number if there is none.
pub(super) unsafe fn limit(q: *mut Queue) -> Option<usize> {
    let limit = match &(*q).head.shared {
        Some(shared) => match shared.queue().bound() {
            0 => usize::MAX,
            bound => bound as usize,
        },
        None => (*q).core.limit(),
    };
    (limit != usize::MAX).then_some(limit)
}

/// Whether it is shut down.
pub(super) unsafe fn is_shutdown(q: *mut Queue) -> bool {
    match &(*q).head.shared {
        Some(shared) => !shared.is_open(),
        None => (*q).core.is_shutdown(),
    }
}

/// How many items are not done.
pub(super) unsafe fn unfinished(q: *mut Queue) -> usize {
    match &(*q).head.shared {
        Some(shared) => shared.queue().unfinished().max(0) as usize,
        None => (*q).core.unfinished(),
    }
}

unsafe fn queue_of<'a>(op: *mut Operation) -> &'a Queue {
    &*ptr_or_null(&(*op).owner).cast::<Queue>()
}

unsafe fn queue_of_seat<'a>(s: *mut Seat) -> Option<&'a Queue> {
    ptr_or_null(&(*s).owner).cast::<Queue>().as_ref()
}

/// The line of those who get. `ITERATES`: a queue that is shut down ends an iteration.
struct Getters<const ITERATES: bool>;

impl<const ITERATES: bool> Getters<ITERATES> {
    unsafe fn ended(got: Result<Option<Obj>, Refused>) -> Res<Option<Obj>> {
        match got {
            Ok(got) => Ok(got),
            Err(_) if ITERATES => {
                ffi::PyErr_SetNone(ffi::PyExc_StopAsyncIteration);
                Err(Raised)
            }
            Err(_) => raise_shut_down(),
        }
    }
}

unsafe fn leave_getters(s: *mut Seat) {
    if let Some(q) = queue_of_seat(s)
        && let Some(item) = q.core.withdraw_get(&(*s).hand)
    {
        drop(q.core.return_item(item));
    }
}

impl<const ITERATES: bool> Line for Getters<ITERATES> {
    const LEAVE: Leave = leave_getters;

    unsafe fn attempt(op: *mut Operation) -> Res<Option<Obj>> {
        match queue_of(op).core.try_get() {
            Err(Refused::WouldWait) => Ok(None),
            got => Self::ended(got.map(Some)),
        }
    }

    unsafe fn enlist(op: *mut Operation, s: *mut Seat) -> Res<Option<Obj>> {
        Self::ended(queue_of(op).core.enlist_get(&(*s).hand))
    }

    unsafe fn resume(op: *mut Operation, s: *mut Seat) -> Res<Option<Obj>> {
        Self::ended(queue_of(op).core.resume_get(&(*s).hand))
    }

    unsafe fn give_up(op: *mut Operation, s: *mut Seat) -> Option<Obj> {
        queue_of(op).core.withdraw_get(&(*s).hand)
    }

    unsafe fn late() -> Res<Obj> {
        raise_empty()
    }
}

/// The line of those who put.
struct Putters;

/// What came of an attempt to put an operation's item, which it keeps while it waits.
unsafe fn settle_put(op: *mut Operation, outcome: Result<Option<Obj>, NotPut<Obj>>) -> Res<Option<Obj>> {
    match outcome {
        Ok(None) => Ok(Some(none())),
        Ok(waiting) => {
            (*op).arg = waiting;
            Ok(None)
        }
        Err(NotPut { why: Refused::WouldWait, item }) => {
            (*op).arg = Some(item);
            Ok(None)
        }
        Err(NotPut { item, .. }) => {
            drop(item);
            raise_shut_down()
        }
    }
}

unsafe fn item_of(op: *mut Operation) -> Res<Obj> {
    match (*op).arg.take() {
        Some(item) => Ok(item),
        None => runtime_error("fenshen: an item is lost"),
    }
}

unsafe fn leave_putters(s: *mut Seat) {
    if let Some(q) = queue_of_seat(s) {
        q.core.withdraw_put(&(*s).hand);
    }
}

impl Line for Putters {
    const LEAVE: Leave = leave_putters;

    unsafe fn attempt(op: *mut Operation) -> Res<Option<Obj>> {
        let outcome = queue_of(op).core.try_put(item_of(op)?);
        settle_put(op, outcome.map(|()| None))
    }

    unsafe fn enlist(op: *mut Operation, s: *mut Seat) -> Res<Option<Obj>> {
        let outcome = queue_of(op).core.enlist_put(&(*s).hand, item_of(op)?);
        settle_put(op, outcome)
    }

    unsafe fn resume(op: *mut Operation, s: *mut Seat) -> Res<Option<Obj>> {
        let outcome = queue_of(op).core.resume_put(&(*s).hand, item_of(op)?);
        settle_put(op, outcome)
    }

    unsafe fn give_up(op: *mut Operation, s: *mut Seat) -> Option<Obj> {
        queue_of(op).core.withdraw_put(&(*s).hand);
        None
    }

    unsafe fn late() -> Res<Obj> {
        raise_full()
    }
}

/// The line of those who wait for the end of all work.
struct Joiners;

unsafe fn leave_joiners(s: *mut Seat) {
    if let Some(q) = queue_of_seat(s) {
        q.core.withdraw_join((*s).hand.waiter());
    }
}

impl Line for Joiners {
    const LEAVE: Leave = leave_joiners;

    unsafe fn attempt(op: *mut Operation) -> Res<Option<Obj>> {
        Ok((queue_of(op).core.unfinished() == 0).then(|| crate::object::boolean(true)))
    }

    unsafe fn enlist(op: *mut Operation, s: *mut Seat) -> Res<Option<Obj>> {
        Ok(queue_of(op).core.enlist_join((*s).hand.waiter()).then(|| crate::object::boolean(true)))
    }

    unsafe fn resume(_op: *mut Operation, s: *mut Seat) -> Res<Option<Obj>> {
        Ok((*s).hand.waiter().granted().map(|_| crate::object::boolean(true)))
    }

    unsafe fn give_up(op: *mut Operation, s: *mut Seat) -> Option<Obj> {
        queue_of(op).core.withdraw_join((*s).hand.waiter());
        None
    }

    unsafe fn late() -> Res<Obj> {
        Ok(crate::object::boolean(false))
    }
}

#[inline]
unsafe fn is_shared(op: *mut Operation) -> bool {
    shared::of(ptr_or_null(&(*op).owner)).is_some()
}

/// The next item of an iteration.
unsafe fn next_shared(op: *mut Operation, how: Resume) -> Res<Await> {
    let next = line::run::<Standing<Item>>(op, how);
    if next.is_err() && is_over() {
        ffi::PyErr_Clear();
        ffi::PyErr_SetNone(ffi::PyExc_StopAsyncIteration);
    }
    next
}

unsafe fn run_get(op: *mut Operation, how: Resume) -> Res<Await> {
    if is_shared(op) { line::run::<Standing<Item>>(op, how) } else { line::run::<Getters<false>>(op, how) }
}

unsafe fn run_next(op: *mut Operation, how: Resume) -> Res<Await> {
    if is_shared(op) { next_shared(op, how) } else { line::run::<Getters<true>>(op, how) }
}

unsafe fn run_put(op: *mut Operation, how: Resume) -> Res<Await> {
    if is_shared(op) { line::run::<Standing<Place>>(op, how) } else { line::run::<Putters>(op, how) }
}

unsafe fn run_join(op: *mut Operation, how: Resume) -> Res<Await> {
    if is_shared(op) { line::run::<Standing<Done>>(op, how) } else { line::run::<Joiners>(op, how) }
}

pub(super) static GET: Plan = Plan { name: c"aget", qualname: c"Queue.aget", run: run_get };
pub(super) static NEXT: Plan = Plan { name: c"__anext__", qualname: c"Queue.__anext__", run: run_next };
pub(super) static PUT: Plan = Plan { name: c"aput", qualname: c"Queue.aput", run: run_put };
pub(super) static JOIN: Plan = Plan { name: c"ajoin", qualname: c"Queue.ajoin", run: run_join };

/// Whether the error that is set says that a queue is shut down.
pub(super) unsafe fn is_over() -> bool {
    shut_down_class().is_ok_and(|class| ffi::PyErr_ExceptionMatches(class) != 0)
}
