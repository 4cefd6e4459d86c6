//! What has come of a stream, who waits for it, and how it ended.

use std::collections::VecDeque;
use std::sync::Arc;

use fenshen_pool::{Cancelled, Pool};
use fenshen_sync::graph::Target;
use fenshen_sync::{Failed, Grant, Monitor, WaitList, Waiter, Wake, current};
use pyo3::ffi::{self, PyObject};

use crate::object::{Obj, Raised, Res, call};
use crate::processes::cargo::{Call, PyJob};
use crate::processes::engine;
use crate::threads::park::PyPark;

/// How a stream ends.
pub(crate) enum End {
    /// The generator has returned.
    Returned(Obj),
    /// It has raised, or it was lost.
    Raised(Obj),
    /// It was closed, as it was told to.
    Closed,
    /// It was closed, and raised then.
    RaisedAtClose(Obj),
}

/// What comes next to whoever asks.
pub(crate) enum Step {
    Item(Obj),
    Returned(Obj),
    Raised(Obj),
    /// The pool has ended it.
    Cancelled,
    /// It was over already.
    Over,
    /// Nothing yet.
    Nothing,
}

/// What a stream and its task share.
pub(crate) struct Flow {
    /// The process whose pool this is.
    owner_id: u32,
    pool: Arc<Pool<Call>>,
    /// How many items may be on their way, or wait to be taken.
    pub(crate) window: u32,
    inner: Monitor<Inner>,
}

/// What a flow guards.
#[derive(Default)]
struct Inner {
    items: VecDeque<Obj>,
    /// How many were taken since the worker was last told.
    taken: u32,
    /// The task, until it has ended.
    job: Option<Arc<PyJob>>,
    end: Option<End>,
    /// What the generator returned.
    value: Option<Obj>,
    /// Nobody wants any more.
    closing: bool,
    /// Threads that wait.
    sleepers: WaitList,
    /// Who is called once there is something to take.
    watchers: Vec<Obj>,
    /// What is called at the end.
    on_end: Option<Obj>,
    ended: bool,
}

// SAFETY: what is Python's in it is only touched by threads that are attached, by the crate's contract.
unsafe impl Send for Inner {}

impl Inner {
    /// Whether there is something that whoever waits wants to know.
    fn has_news(&self) -> bool {
        self.ended || !self.items.is_empty()
    }
}

impl Flow {
    pub(crate) fn new(owner_id: u32, pool: Arc<Pool<Call>>, window: u32) -> Flow {
        Flow { owner_id, pool, window, inner: Monitor::new(Inner::default()) }
    }

    fn is_own(&self) -> bool {
        self.owner_id == std::process::id()
    }

    /// What is called at the end.
    pub(crate) fn set_on_end(&self, on_end: Obj) {
        let old = self.inner.enter().on_end.replace(on_end);
        drop(old);
    }

    /// Its task is about to be handed to the pool, perhaps in another form than before.
    pub(crate) unsafe fn attach(&self, job: &Arc<PyJob>) -> Res<()> {
        let mut inside = self.inner.enter();
        let wanted = !inside.closing && !inside.ended;
        let old = if wanted { inside.job.replace(job.clone()) } else { None };
        drop(inside);
        drop(old);
        if wanted { Ok(()) } else { self.stop(job) }
    }

    /// An item has come.
    pub(crate) unsafe fn push(&self, item: Obj) -> Res<()> {
        let mut inside = self.inner.enter();
        if inside.closing || inside.ended {
            drop(inside);
            drop(item);
            return Ok(());
        }
        inside.items.push_back(item);
        let watchers = std::mem::take(&mut inside.watchers);
        inside.grant_all(|inner| &inner.sleepers, Grant::RETRY);
        tell(watchers)
    }

    /// Its task has ended. What it ended with does not matter to whoever had closed it, but for what that brought about.
    pub(crate) unsafe fn end(&self, end: End) -> Res<()> {
        let mut inside = self.inner.enter();
        if inside.ended {
            drop(inside);
            drop(end);
            return Ok(());
        }
        inside.ended = true;
        if let (End::Returned(value), false) = (&end, inside.closing) {
            inside.value = Some(value.again());
        }
        let unwanted = inside.closing && !matches!(end, End::RaisedAtClose(_));
        let unwanted = if unwanted { Some(end) } else { inside.end.replace(end) };
        let (job, watchers, on_end) = (inside.job.take(), std::mem::take(&mut inside.watchers), inside.on_end.take());
        inside.grant_all(|inner| &inner.sleepers, Grant::RETRY);
        drop((unwanted, job));
        let told = tell(watchers);
        if let Some(on_end) = on_end {
            call(on_end.ptr(), &[])?;
        }
        told
    }

    /// Takes what comes next.
    pub(crate) unsafe fn step(&self) -> Step {
        let mut inside = self.inner.enter();
        let Some(item) = inside.items.pop_front() else {
            if inside.closing {
                return if inside.ended { Step::Over } else { Step::Nothing };
            }
            return match inside.end.take() {
                Some(End::Returned(value)) => Step::Returned(value),
                Some(End::Raised(exc) | End::RaisedAtClose(exc)) => Step::Raised(exc),
                Some(End::Closed) => Step::Cancelled,
                None if inside.ended => Step::Over,
                None => Step::Nothing,
            };
        };
        inside.taken += 1;
        // In halves: a worker that waits is woken for several, and never has none left while nothing is here.
        let due = inside.taken >= self.window.div_ceil(2);
        let taken = if due { std::mem::take(&mut inside.taken) } else { 0 };
        let job = if due { inside.job.clone() } else { None };
        drop(inside);
        if let Some(job) = job
            && self.is_own()
        {
            self.pool.grant(&job, taken);
        }
        Step::Item(item)
    }

    /// Nobody wants any more.
    pub(crate) unsafe fn close(&self) -> Res<()> {
        let mut inside = self.inner.enter();
        if inside.closing {
            return Ok(());
        }
        inside.closing = true;
        let (items, job, end) = (std::mem::take(&mut inside.items), inside.job.clone(), inside.end.take());
        drop(inside);
        drop((items, end));
        match job {
            Some(job) if self.is_own() => self.stop(&job),
            _ => Ok(()),
        }
    }

    /// Has the task end.
    pub(crate) unsafe fn stop(&self, job: &PyJob) -> Res<()> {
        let (stopped, after) = self.pool.stop(job);
        self.pool.ring();
        engine::refuse(after)?;
        if stopped == Cancelled::Yes { self.end(End::Closed) } else { Ok(()) }
    }

    /// Waits until there is something to take, or, once it is closed, until its task has ended. `what` is whom the wait is
    /// for.
    pub(crate) unsafe fn wait(&self, what: *mut PyObject) -> Res<()> {
        let waiter = Waiter::new(current(), Wake::Thread);
        let inside = self.inner.enter();
        if inside.has_news() {
            return Ok(());
        }
        inside.sleepers.push_back(&waiter);
        let list = &raw const inside.sleepers;
        drop(inside);
        match self.inner.wait(list, &waiter, &mut PyPark::new(what, Target::Anyone), None) {
            Ok(_) | Err((Failed::TimedOut, _)) => Ok(()),
            Err((Failed::Interrupted, _)) => Err(Raised),
        }
    }

    /// Has `watcher` called once there is something to take; false, and it is not, if there is.
    pub(crate) fn watch(&self, watcher: Obj) -> bool {
        let mut inside = self.inner.enter();
        if inside.has_news() {
            drop(inside);
            drop(watcher);
            return false;
        }
        inside.watchers.push(watcher);
        true
    }

    /// Has it not called any more.
    pub(crate) unsafe fn unwatch(&self, watcher: *mut PyObject) {
        let mut inside = self.inner.enter();
        let found: Vec<Obj> = inside.watchers.extract_if(.., |w| w.ptr() == watcher).collect();
        drop(inside);
        drop(found);
    }

    /// Whether its task has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.inner.enter().ended
    }

    /// What the generator raised when it was closed.
    pub(crate) fn take_error_of_close(&self) -> Option<Obj> {
        let mut inside = self.inner.enter();
        match inside.end.take() {
            Some(End::RaisedAtClose(exc)) => Some(exc),
            other => {
                inside.end = other;
                None
            }
        }
    }

    /// What the generator returned, once that is known.
    pub(crate) unsafe fn value(&self) -> Option<Obj> {
        self.inner.enter().value.as_ref().map(|value| value.again())
    }

    /// Everything of Python's that it holds.
    pub(crate) unsafe fn traverse(&self, visitor: ffi::visitproc, arg: *mut std::ffi::c_void) -> i32 {
        let inner = &*self.inner.data();
        let end = match &inner.end {
            Some(End::Returned(o) | End::Raised(o) | End::RaisedAtClose(o)) => Some(o),
            Some(End::Closed) | None => None,
        };
        let held = inner.items.iter().chain(&inner.watchers).chain(&inner.value).chain(&inner.on_end).chain(end);
        held.map(|o| visitor(o.ptr(), arg)).find(|status| *status != 0).unwrap_or(0)
    }

    /// Lets go of what cycles can go through.
    pub(crate) fn clear(&self) {
        let mut inside = self.inner.enter();
        let held = (std::mem::take(&mut inside.items), std::mem::take(&mut inside.watchers));
        drop(inside);
        drop(held);
    }
}

unsafe fn tell(watchers: Vec<Obj>) -> Res<()> {
    watchers.iter().try_for_each(|watcher| call(watcher.ptr(), &[]).map(drop))
}
