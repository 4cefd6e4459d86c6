//! The queue between a pool and its workers, and what a worker does.
//!
//! It belongs to the workers as much as to the pool: a pool that is gone leaves its queue to them until it is empty.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use fenshen_sync::graph::Target;
use fenshen_sync::{Deadline, Failed, Grant, Late, Monitor, WaitList, Waiter, Wake, current};
use pyo3::ffi::{self, PyObject};

use super::future::log;
use super::head::Standard;
use super::known::known;
use super::park::PyPark;
use super::work::{Job, Own, Work, set_since};
use crate::errors::{runtime_error, take};
use crate::object::{Obj, Raised, Res, call, call_method, done};

static BROKEN: Standard = Standard::new(c"concurrent.futures.thread", c"BrokenThreadPool");
static EMPTY: Standard = Standard::new(c"_queue", c"Empty");
static FULL: Standard = Standard::new(c"queue", c"Full");

/// The interpreter is about to end: no more jobs are taken.
static ENDING: AtomicBool = AtomicBool::new(false);

/// The layout of `WorkQueue`.
#[repr(C)]
pub(crate) struct WorkQueue {
    pub(crate) ob_base: PyObject,
    pub(crate) weakrefs: *mut PyObject,
    pub(crate) state: Monitor<State>,
}

/// What a queue guards.
pub(crate) struct State {
    pub(crate) work: VecDeque<Work>,
    /// Workers with nothing to do, less the jobs that were put here for them.
    pub(crate) idle: usize,
    /// Workers that are at a job.
    pub(crate) busy: usize,
    /// The threads of all workers.
    workers: Vec<u32>,
    /// How many workers were started, and how many may be.
    pub(crate) started: usize,
    pub(crate) most: usize,
    /// How much work may lie here before a submitter must wait.
    pub(crate) limit: usize,
    /// Idle workers.
    sleepers: WaitList,
    /// Submitters that wait for room.
    submitters: WaitList,
    /// The pool was shut down.
    pub(crate) closed: bool,
    /// The pool is gone.
    pub(crate) orphaned: bool,
    /// Why the pool can't be used any more; false while it can.
    pub(crate) broken: Option<Obj>,
}

/// What becomes of an offer.
pub(crate) enum Offered {
    Taken,
    /// A worker is to be started for it: it was not put in.
    NeedsWorker(Work),
}

/// How much a submitter insists.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Offer {
    /// Wait for room; give the work back where a worker should be started first.
    Wait,
    /// Raise `queue.Full` if there is no room.
    Try,
    /// Put it in: a worker is about to be started.
    Put,
}

impl State {
    pub(crate) fn new(most: usize, limit: usize) -> State {
        State {
            work: VecDeque::new(),
            idle: 0,
            busy: 0,
            workers: Vec::new(),
            started: 0,
            most,
            limit,
            sleepers: WaitList::default(),
            submitters: WaitList::default(),
            closed: false,
            orphaned: false,
            broken: None,
        }
    }

    fn is_over(&self) -> bool {
        self.closed || self.orphaned || ENDING.load(Ordering::Relaxed)
    }
}

/// Whoever could run what lies in a queue: its workers; false if nobody knows.
pub(crate) unsafe fn workers(q: *mut WorkQueue, found: &mut Vec<u32>) -> bool {
    let state = (*q).state.enter();
    if state.workers.is_empty() || state.workers.len() < state.started {
        return false;
    }
    found.extend_from_slice(&state.workers);
    true
}

unsafe fn helpers(of: *const (), found: &mut Vec<u32>) -> bool {
    workers(of.cast::<WorkQueue>().cast_mut(), found)
}

/// Why a pool takes no more jobs.
enum Refusal {
    Broken(Obj),
    Closed,
    Ending,
}

impl Refusal {
    unsafe fn of(state: &State) -> Option<Refusal> {
        match &state.broken {
            Some(why) => Some(Refusal::Broken(why.again())),
            None if state.closed => Some(Refusal::Closed),
            None => ENDING.load(Ordering::Relaxed).then_some(Refusal::Ending),
        }
    }

    unsafe fn raise<T>(self) -> Res<T> {
        match self {
            Refusal::Broken(why) => crate::errors::raise_object(&call(BROKEN.get()?, &[why.ptr()])?),
            Refusal::Closed => runtime_error("cannot schedule new futures after shutdown"),
            Refusal::Ending => runtime_error("cannot schedule new futures after interpreter shutdown"),
        }
    }
}

/// Puts work into the queue of a pool that takes it.
pub(crate) unsafe fn offer(q: *mut WorkQueue, work: Work, how: Offer) -> Res<Offered> {
    loop {
        let mut state = (*q).state.enter();
        if let Some(refusal) = Refusal::of(&state) {
            drop(state);
            return refusal.raise();
        }
        if how != Offer::Put && state.idle == 0 {
            if state.started < state.most {
                return Ok(Offered::NeedsWorker(work));
            }
            if state.work.len() >= state.limit {
                if how == Offer::Try {
                    drop(state);
                    return crate::errors::raise_object(&call(FULL.get()?, &[])?);
                }
                let waiter = Waiter::new(current(), Wake::Thread);
                state.submitters.push_back(&waiter);
                let list = &raw const state.submitters;
                drop(state);
                let mut park = PyPark::new(q.cast(), Target::Among { list: helpers, of: q as *const () });
                match (*q).state.wait(list, &waiter, &mut park, None) {
                    Ok(_) => continue,
                    Err((_, grant)) => {
                        if grant.is_some() {
                            (*q).state.enter().grant_one(|s| &s.submitters, Grant::RETRY);
                        }
                        return Err(Raised);
                    }
                }
            }
        }
        if how != Offer::Put && state.idle > 0 {
            state.idle -= 1;
        }
        state.work.push_back(work);
        state.grant_one(|s| &s.sleepers, Grant::RETRY);
        return Ok(Offered::Taken);
    }
}

/// `queue.Empty`.
pub(crate) unsafe fn empty() -> Res<*mut PyObject> {
    EMPTY.get()
}

/// Puts work in whatever the state of the pool.
pub(crate) unsafe fn put(q: *mut WorkQueue, work: Work) {
    let mut state = (*q).state.enter();
    state.work.push_back(work);
    state.grant_one(|s| &s.sleepers, Grant::RETRY);
}

/// Has every idle worker look whether it is still needed, and every waiting submitter whether it can go on.
pub(crate) unsafe fn wake_all(q: *mut WorkQueue) {
    (*q).state.enter().grant_all(|s| &s.submitters, Grant::RETRY);
    (*q).state.enter().grant_all(|s| &s.sleepers, Grant::RETRY);
}

/// Takes the oldest work out, if there is any.
pub(crate) unsafe fn try_take(q: *mut WorkQueue) -> Option<Work> {
    let mut state = (*q).state.enter();
    let work = state.work.pop_front()?;
    state.grant_one(|s| &s.submitters, Grant::RETRY);
    Some(work)
}

/// What there is for a worker.
pub(crate) enum Next {
    Work(Work),
    /// The pool takes no more jobs, and there are none left.
    Over,
    TimedOut,
}

/// Waits for work. A worker of ours is counted as idle or at work, and brings whom it has yet to wake: that is done once
/// it holds the interpreter no more, so that the two don't meet at its lock. A program's own counts itself.
pub(crate) unsafe fn take_work(q: *mut WorkQueue, late: Option<Late>, deadline: Option<Deadline>) -> Res<Next> {
    let ours = late.is_some();
    let mut late = late.unwrap_or_default();
    let mut counted = !ours;
    loop {
        let mut state = (*q).state.enter();
        if let Some(work) = state.work.pop_front() {
            state.busy += usize::from(ours);
            state.grant_one(|s| &s.submitters, Grant::RETRY);
            late.wake();
            return Ok(Next::Work(work));
        }
        if state.is_over() {
            drop(state);
            late.wake();
            return Ok(Next::Over);
        }
        if !counted {
            counted = true;
            state.idle += 1;
        }
        let waiter = Waiter::new(current(), Wake::Thread);
        state.sleepers.push_back(&waiter);
        let list = &raw const state.sleepers;
        // A submitter that found no idle worker may wait for one.
        state.grant_one(|s| &s.submitters, Grant::RETRY);
        match (*q).state.wait(list, &waiter, &mut PyPark::idle(q.cast(), std::mem::take(&mut late)), deadline) {
            Ok(_) => {}
            Err((failed, grant)) => {
                if ours {
                    let mut state = (*q).state.enter();
                    state.idle = state.idle.saturating_sub(1);
                }
                if grant.is_some() {
                    (*q).state.enter().grant_one(|s| &s.sleepers, Grant::RETRY);
                }
                return if failed == Failed::TimedOut { Ok(Next::TimedOut) } else { Err(Raised) };
            }
        }
    }
}

/// A worker's life: `executor` is a weak reference to the pool.
pub(crate) unsafe fn live(q: *mut WorkQueue, executor: &Obj, initializer: *mut PyObject, args: &Obj) -> Res<()> {
    let _alive = Obj::from(q.cast());
    let me = current();
    let mut state = (*q).state.enter();
    state.workers.push(me);
    state.busy += 1;
    drop(state);
    let begun = begin(executor, initializer, args);
    (*q).state.enter().busy -= 1;
    let outcome = match begun {
        Ok(Some(own)) => serve(q, &own),
        Ok(None) => Ok(()),
        Err(Raised) => Err(Raised),
    };
    let mut state = (*q).state.enter();
    state.workers.retain(|&id| id != me);
    drop(state);
    match outcome {
        Ok(()) => Ok(()),
        Err(Raised) => log(&known().critical, "Exception in worker", &[], &take()),
    }
}

/// Calls the initializer; `None` if it failed.
unsafe fn begin(executor: &Obj, initializer: *mut PyObject, args: &Obj) -> Res<Option<Own>> {
    if initializer == ffi::Py_None() {
        return Ok(Some(Own::new()));
    }
    let before = Obj::new(ffi::PyContext_CopyCurrent())?;
    if Obj::new(ffi::PyObject_CallObject(initializer, args.ptr())).is_ok() {
        return set_since(&before).map(Some);
    }
    log(&known().critical, "Exception in initializer:", &[], &take())?;
    let pool = call(executor.ptr(), &[])?;
    if pool.ptr() != ffi::Py_None() {
        call_method(&known().initializer_failed, &[pool.ptr()])?;
    }
    Ok(None)
}

unsafe fn serve(q: *mut WorkQueue, own: &Own) -> Res<()> {
    let mut late = Late::default();
    loop {
        let work = match take_work(q, Some(late), None)? {
            Next::Work(work) => work,
            Next::Over | Next::TimedOut => return Ok(()),
        };
        late = Late::default();
        let outcome = work.run(own, &mut late);
        (*q).state.enter().busy -= 1;
        if outcome.is_err() {
            late.wake();
            return outcome;
        }
    }
}

/// Empties the queue; the futures of its jobs, and what programs have put there.
pub(crate) unsafe fn drain(q: *mut WorkQueue) -> Res<Obj> {
    let all = std::mem::take(&mut (*q).state.enter().work);
    wake_all(q);
    let list = Obj::new(ffi::PyList_New(0))?;
    let mut all = all.into_iter();
    while let Some(work) = all.next() {
        let future = match work {
            Work::Job(Job { future, .. }) => Ok(future),
            Work::Item(item) => crate::object::attr(item.ptr(), &known().future),
        };
        if let Err(Raised) = future.and_then(|future| done(ffi::PyList_Append(list.ptr(), future.ptr()))) {
            let error = take();
            all.for_each(|work| put(q, work));
            crate::errors::restore(error);
            return Err(Raised);
        }
    }
    Ok(list)
}

/// From now on, pools take no more jobs.
pub(crate) fn end() {
    ENDING.store(true, Ordering::Relaxed);
}

/// They are found while they can be: a worker may need them when the interpreter ends.
pub(crate) unsafe fn prepare() -> Res<()> {
    BROKEN.get()?;
    FULL.get()?;
    EMPTY.get().map(drop)
}
