//! What a `concurrent.futures.Future` does: a result to come, and those who wait for it.
//!
//! Nobody waits for most futures, so there is no `Condition` before somebody asks for one: our own waits stand in a
//! list of the future. Once a program has the `_condition`, every change is made with it held, as there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fenshen_sync::graph::Target;
use fenshen_sync::{Failed, Grant, Late, Monitor, WaitList, Waiter, Wake, current};
use pyo3::ffi::{self, PyObject};

use super::head::{Head, Standard};
use super::known::known;
use super::park::PyPark;
use super::patience::{self, Patience};
use super::{future_watch, kinds, work_queue};
use crate::errors::{self, take};
use crate::object::{Obj, Raised, Res, call, call_method, call_method_kw, repr};

/// The states, in the order of [`STATES`].
pub(crate) const PENDING: u32 = 0;
pub(crate) const RUNNING: u32 = 1;
pub(crate) const CANCELLED: u32 = 2;
pub(crate) const NOTIFIED: u32 = 3;
pub(crate) const FINISHED: u32 = 4;
/// Their names.
pub(crate) const STATES: [&str; 5] = ["PENDING", "RUNNING", "CANCELLED", "CANCELLED_AND_NOTIFIED", "FINISHED"];

static CANCELLED_ERROR: Standard = Standard::new(c"concurrent.futures._base", c"CancelledError");
static TIMEOUT_ERROR: Standard = Standard::new(c"concurrent.futures._base", c"TimeoutError");
static INVALID_STATE_ERROR: Standard = Standard::new(c"concurrent.futures._base", c"InvalidStateError");
pub(crate) static LOGGER: Standard = Standard::new(c"concurrent.futures._base", c"LOGGER");

/// `concurrent.futures.CancelledError`.
pub(crate) unsafe fn cancelled_error() -> Res<*mut PyObject> {
    CANCELLED_ERROR.get()
}

/// The layout of `Future`.
#[repr(C)]
pub(crate) struct Future {
    pub(crate) head: Head,
    /// Changed by whoever is inside the monitor.
    state: AtomicU32,
    /// The thread that runs what the result is of; zero before.
    runner: AtomicU32,
    pub(crate) inner: Monitor<Inner>,
}

/// What a future guards.
#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) result: Option<Obj>,
    pub(crate) exception: Option<Obj>,
    /// Threads in `result()` and `exception()`.
    sleepers: WaitList,
    /// A list, once there is a callback.
    pub(crate) callbacks: Option<Obj>,
    /// What programs that reach for it wait on.
    pub(crate) condition: Option<Obj>,
    /// Their list of waiters; never without the condition.
    pub(crate) waiters: Option<Obj>,
    /// Our own `wait()` and `as_completed()`.
    watches: Vec<Obj>,
    /// Where the job lies whose result this is, until it is done.
    queue: Option<Obj>,
    /// Who can say more of the job, where it is in another process.
    keeper: Option<Arc<dyn Keeper>>,
}

/// Who knows where a job is, until it is done.
pub(crate) trait Keeper: Send + Sync {
    /// Takes the job back, or ends it where that is allowed. Python code may run.
    unsafe fn cancel(&self) -> Stopped;

    /// Whether it has begun.
    fn is_running(&self) -> bool;
}

/// What became of a job that was to be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// It will not run, or runs no more.
    Yes,
    /// It goes on, or has ended.
    No,
    /// It was asked to end, and will tell when it has.
    Asked,
}

/// Has the keeper of its job asked from now on.
pub(crate) unsafe fn keep(f: *mut Future, keeper: Arc<dyn Keeper>) {
    let old = (*f).inner.enter().keeper.replace(keeper);
    drop(old);
}

/// Whether the call is being made.
pub(crate) unsafe fn is_running(f: *mut Future) -> Res<bool> {
    let keeper = if state(f) == PENDING { (*f).inner.enter().keeper.clone() } else { None };
    if keeper.is_some_and(|k| k.is_running()) {
        turn(f, Turn::Run)?;
    }
    Ok(state(f) == RUNNING)
}

/// A new state for a future, and what comes with it.
pub(crate) enum Turn {
    Cancel,
    /// Cancelled though it ran.
    End,
    Run,
    Return(Obj),
    Raise(Obj),
}

/// Makes an unfinished one whose job is to lie in a queue.
pub(crate) unsafe fn of_job(queue: &Obj) -> Res<Obj> {
    let future = super::head::allocate::<Future>(kinds::future())?;
    (*(*future.ptr().cast::<Future>()).inner.data()).queue = Some(queue.again());
    Ok(future)
}

pub(crate) unsafe fn prepare(f: *mut Future) {
    std::ptr::write(&raw mut (*f).inner, Monitor::new(Inner::default()));
}

/// Its state.
#[inline]
pub(crate) unsafe fn state(f: *mut Future) -> u32 {
    (*f).state.load(Ordering::Acquire)
}

pub(crate) fn is_done(state: u32) -> bool {
    state >= CANCELLED
}

/// The condition, held as long as this lives, where a program has asked for one.
struct Condition(Option<Obj>);

impl Condition {
    unsafe fn hold(f: *mut Future) -> Res<Condition> {
        let found = (*f).inner.enter().condition.as_ref().map(|c| c.again());
        if let Some(condition) = &found {
            call_method(&known().acquire, &[condition.ptr()])?;
        }
        Ok(Condition(found))
    }

    /// Whether it is still the one that changes must be made with.
    fn holds(&self, inner: &Inner) -> bool {
        let held = self.0.as_ref().map(Obj::ptr);
        held == inner.condition.as_ref().map(Obj::ptr)
    }

    unsafe fn notify_all(&self) -> Res<()> {
        match &self.0 {
            Some(condition) => call_method(&known().notify_all, &[condition.ptr()]).map(drop),
            None => Ok(()),
        }
    }

    unsafe fn release(self) -> Res<()> {
        match &self.0 {
            Some(condition) => call_method(&known().release, &[condition.ptr()]).map(drop),
            None => Ok(()),
        }
    }
}

/// Runs `body` with the condition held where there is one; it returns `None` if one was made meanwhile.
unsafe fn with_condition<T>(f: *mut Future, mut body: impl FnMut(&Condition) -> Res<Option<T>>) -> Res<T> {
    loop {
        let condition = Condition::hold(f)?;
        let outcome = body(&condition);
        let exc = if outcome.is_err() { Some(take()) } else { None };
        let released = condition.release();
        if let Some(exc) = exc {
            errors::restore(exc);
            return Err(Raised);
        }
        released?;
        if let Some(value) = outcome? {
            return Ok(value);
        }
    }
}

/// Changes the state; returns the new one, `None` if it cannot be. Everybody who waits for it is told, but no callback is
/// called.
pub(crate) unsafe fn turn(f: *mut Future, turn: Turn) -> Res<Option<u32>> {
    let mut late = Late::default();
    let new = turn_late(f, turn, &mut late);
    late.wake();
    new
}

/// The same; where nothing is left to be done but to wake somebody, that is left to the caller, as `late`.
unsafe fn turn_late(f: *mut Future, turn: Turn, late: &mut Late) -> Res<Option<u32>> {
    let _alive = Obj::from(f.cast());
    let mut turn = Some(turn);
    with_condition(f, |condition| {
        let mut inside = (*f).inner.enter();
        if !condition.holds(&inside) {
            return Ok(None);
        }
        let old = state(f);
        let (new, told) = match (turn.as_ref(), old) {
            (Some(Turn::Cancel), PENDING) | (Some(Turn::End), PENDING | RUNNING) => (CANCELLED, None),
            (Some(Turn::Run), PENDING) => (RUNNING, None),
            (Some(Turn::Run), CANCELLED) => (NOTIFIED, Some(&known().add_cancelled)),
            (Some(Turn::Return(_)), PENDING | RUNNING) => (FINISHED, Some(&known().add_result)),
            (Some(Turn::Raise(_)), PENDING | RUNNING) => (FINISHED, Some(&known().add_exception)),
            _ => return Ok(Some(None)),
        };
        let mut before = (None, None);
        match turn.take() {
            Some(Turn::Return(value)) => before.0 = inside.result.replace(value),
            // `None` is no exception, and the result is `None` then.
            Some(Turn::Raise(exc)) if exc.ptr() != ffi::Py_None() => before.1 = inside.exception.replace(exc),
            // Of a future that is no job of a pool's, anyone may set the result.
            Some(Turn::Run) if new == RUNNING && inside.queue.is_some() => {
                (*f).runner.store(current(), Ordering::Relaxed);
            }
            _ => {}
        }
        (*f).state.store(new, Ordering::Release);
        if new == RUNNING {
            return Ok(Some(Some(new)));
        }
        let watches = if told.is_some() { std::mem::take(&mut inside.watches) } else { Vec::new() };
        let waiters = inside.waiters.as_ref().filter(|_| told.is_some()).map(|w| w.again());
        let queue = (inside.queue.take(), inside.keeper.take());
        let all_told = waiters.is_none() && watches.is_empty() && inside.callbacks.is_none();
        *late = inside.grant_all_late(|inner| &inner.sleepers, Grant::GIVEN);
        if !all_told || !(*f).head.plain {
            std::mem::take(late).wake();
        }
        drop((before, queue));
        // First those that cannot fail.
        for watch in watches {
            future_watch::tell(watch.ptr().cast(), f, told);
        }
        if let (Some(waiters), Some(method)) = (waiters, told) {
            tell(f, &waiters, method)?;
        }
        if new != NOTIFIED {
            condition.notify_all()?;
        }
        Ok(Some(Some(new)))
    })
}

/// Tells those in a `_waiters` list what became of the future.
unsafe fn tell(f: *mut Future, waiters: &Obj, method: &Obj) -> Res<()> {
    if ffi::PyList_Check(waiters.ptr()) == 0 {
        return errors::type_error("Future._waiters is not a list");
    }
    let mut i = 0;
    while i < ffi::PyList_Size(waiters.ptr()) {
        let waiter = Obj::from(ffi::PyList_GetItem(waiters.ptr(), i));
        call_method(method, &[waiter.ptr(), f.cast()])?;
        i += 1;
    }
    Ok(())
}

/// `cancel()`.
pub(crate) unsafe fn cancel(f: *mut Future) -> Res<bool> {
    let keeper = if is_done(state(f)) { None } else { (*f).inner.enter().keeper.clone() };
    if let Some(keeper) = keeper {
        return cancel_kept(f, &*keeper);
    }
    if turn(f, Turn::Cancel)?.is_none() {
        return Ok(matches!(state(f), CANCELLED | NOTIFIED));
    }
    invoke_callbacks(f)?;
    Ok(true)
}

/// Cancels one whose job is in another process. Nobody comes to find it cancelled later, so that is told at once.
unsafe fn cancel_kept(f: *mut Future, keeper: &dyn Keeper) -> Res<bool> {
    match keeper.cancel() {
        Stopped::Yes => end(f),
        Stopped::No => {
            turn(f, Turn::Run)?;
            Ok(matches!(state(f), CANCELLED | NOTIFIED))
        }
        Stopped::Asked => Ok(true),
    }
}

/// Its job has been cancelled, whether it ran or not; returns whether that is its outcome.
pub(crate) unsafe fn end(f: *mut Future) -> Res<bool> {
    if turn(f, Turn::End)?.is_some() {
        invoke_callbacks(f)?;
        turn(f, Turn::Run)?;
    }
    Ok(matches!(state(f), CANCELLED | NOTIFIED))
}

/// `set_running_or_notify_cancel()`: false if it was cancelled.
pub(crate) unsafe fn start(f: *mut Future) -> Res<bool> {
    if let Some(new) = turn(f, Turn::Run)? {
        return Ok(new == RUNNING);
    }
    let words = crate::object::text("Future %s in unexpected state: %s")?;
    let id = Obj::new(ffi::PyLong_FromVoidPtr(f.cast()))?;
    let name = crate::object::text(STATES[state(f) as usize])?;
    call_method(&known().critical, &[LOGGER.get()?, words.ptr(), id.ptr(), name.ptr()])?;
    errors::runtime_error("Future in unexpected state")
}

/// `set_result()` and `set_exception()`.
pub(crate) unsafe fn finish(f: *mut Future, outcome: Turn) -> Res<()> {
    let mut late = Late::default();
    let finished = finish_late(f, outcome, &mut late);
    late.wake();
    finished
}

/// The same, by somebody who is about to let go of the interpreter, and wakes `late` then.
pub(crate) unsafe fn finish_late(f: *mut Future, outcome: Turn, late: &mut Late) -> Res<()> {
    if turn_late(f, outcome, late)?.is_none() {
        let words = format!("{}: {}", STATES[state(f) as usize], repr(f.cast()));
        return errors::raise(INVALID_STATE_ERROR.get()?, &words);
    }
    invoke_callbacks(f)
}

/// Calls the callbacks, by the method where that is overridden.
unsafe fn invoke_callbacks(f: *mut Future) -> Res<()> {
    if !(*f).head.plain {
        return call_method(&known().invoke_callbacks, &[f.cast()]).map(drop);
    }
    call_callbacks(f)
}

/// `_invoke_callbacks()`.
pub(crate) unsafe fn call_callbacks(f: *mut Future) -> Res<()> {
    let Some(list) = (*f).inner.enter().callbacks.as_ref().map(|l| l.again()) else {
        return Ok(());
    };
    if ffi::PyList_Check(list.ptr()) == 0 {
        return errors::type_error("Future._done_callbacks is not a list");
    }
    let mut i = 0;
    while i < ffi::PyList_Size(list.ptr()) {
        let callback = Obj::from(ffi::PyList_GetItem(list.ptr(), i));
        call_back(f, &callback)?;
        i += 1;
    }
    Ok(())
}

/// Calls one callback; an `Exception` of its is logged.
unsafe fn call_back(f: *mut Future, callback: &Obj) -> Res<()> {
    if call(callback.ptr(), &[f.cast()]).is_ok() {
        return Ok(());
    }
    if ffi::PyErr_ExceptionMatches(ffi::PyExc_Exception) == 0 {
        return Err(Raised);
    }
    log(&known().exception, "exception calling callback for %r", &[f.cast()], &take())
}

/// Has the module's logger say something about an exception.
pub(crate) unsafe fn log(method: &Obj, words: &str, args: &[*mut PyObject], exc: &Obj) -> Res<()> {
    let words = crate::object::text(words)?;
    let mut all = vec![LOGGER.get()?, words.ptr()];
    all.extend_from_slice(args);
    all.push(exc.ptr());
    let names = Obj::new(ffi::PyTuple_Pack(1, known().exc_info.ptr()))?;
    call_method_kw(method, &all, &names).map(drop)
}

/// `add_done_callback()`.
pub(crate) unsafe fn add_callback(f: *mut Future, callback: *mut PyObject) -> Res<()> {
    if !is_done(state(f)) {
        let list = callbacks(f)?;
        let added = with_condition(f, |condition| {
            let inside = (*f).inner.enter();
            if !condition.holds(&inside) {
                return Ok(None);
            }
            if is_done(state(f)) {
                return Ok(Some(false));
            }
            // It makes no object, so nothing of Python's runs.
            crate::object::done(ffi::PyList_Append(list.ptr(), callback))?;
            Ok(Some(true))
        })?;
        if added {
            return Ok(());
        }
    }
    call_back(f, &Obj::from(callback))
}

/// The list of callbacks, made if need be.
pub(crate) unsafe fn callbacks(f: *mut Future) -> Res<Obj> {
    if let Some(list) = &(*f).inner.enter().callbacks {
        return Ok(list.again());
    }
    let fresh = Obj::new(ffi::PyList_New(0))?;
    let mut inside = (*f).inner.enter();
    Ok(inside.callbacks.get_or_insert_with(|| fresh.again()).again())
}

/// `_condition`, made if need be.
pub(crate) unsafe fn condition(f: *mut Future) -> Res<Obj> {
    if let Some(condition) = &(*f).inner.enter().condition {
        return Ok(condition.again());
    }
    let threading = super::known::import(c"threading")?;
    let fresh = call(super::known::find(&threading, c"Condition")?.ptr(), &[])?;
    let mut inside = (*f).inner.enter();
    Ok(inside.condition.get_or_insert_with(|| fresh.again()).again())
}

/// `_waiters`, made if need be.
pub(crate) unsafe fn waiters(f: *mut Future) -> Res<Obj> {
    condition(f)?;
    if let Some(list) = &(*f).inner.enter().waiters {
        return Ok(list.again());
    }
    let fresh = Obj::new(ffi::PyList_New(0))?;
    let mut inside = (*f).inner.enter();
    Ok(inside.waiters.get_or_insert_with(|| fresh.again()).again())
}

/// Sets the state, whatever it was, as a program may that knows it: those who wait look at it again.
pub(crate) unsafe fn force(f: *mut Future, new: u32) {
    let inside = (*f).inner.enter();
    (*f).state.store(new, Ordering::Release);
    inside.grant_all(|inner| &inner.sleepers, Grant::RETRY);
}

/// Enters a watch; returns whether the future is done, and so will not tell it anything.
pub(crate) unsafe fn enter_watch(f: *mut Future, watch: &Obj) -> bool {
    let mut inside = (*f).inner.enter();
    let done = matches!(state(f), NOTIFIED | FINISHED);
    if !done {
        inside.watches.push(watch.again());
    }
    done
}

/// Takes it out again; returns whether it was still there.
pub(crate) unsafe fn leave_watch(f: *mut Future, watch: *mut PyObject) -> bool {
    let mut inside = (*f).inner.enter();
    let found = inside.watches.iter().position(|w| w.ptr() == watch).map(|at| inside.watches.swap_remove(at));
    drop(inside);
    found.is_some()
}

/// Waits until it is done; returns whether it is.
unsafe fn wait(f: *mut Future, timeout: *mut PyObject) -> Res<bool> {
    let patience = patience::of_timeout(timeout)?;
    let _alive = Obj::from(f.cast());
    let deadline = patience.deadline();
    loop {
        let waiter = Waiter::new(current(), Wake::Thread);
        let inside = (*f).inner.enter();
        if is_done(state(f)) {
            return Ok(true);
        }
        if patience == Patience::None {
            return Ok(false);
        }
        inside.sleepers.push_back(&waiter);
        let list = &raw const inside.sleepers;
        drop(inside);
        let mut park = PyPark::new(f.cast(), Target::Among { list: helpers, of: f as *const () });
        let waited = (*f).inner.wait(list, &waiter, &mut park, deadline);
        if let Err((Failed::Interrupted, _)) = waited {
            return Err(Raised);
        }
        // Whoever sets the state by hand sets the result after it, and holds the condition meanwhile.
        Condition::hold(f)?.release()?;
        if waited.is_err() {
            return Ok(is_done(state(f)));
        }
    }
}

/// Who could end the wait for a future: the thread that runs its job, or those that may come to run it.
unsafe fn helpers(of: *const (), found: &mut Vec<u32>) -> bool {
    let f = of.cast::<Future>().cast_mut();
    let runner = (*f).runner.load(Ordering::Relaxed);
    if runner != 0 {
        found.push(runner);
        return true;
    }
    match &(*f).inner.enter().queue {
        Some(queue) => work_queue::workers(queue.ptr().cast(), found),
        None => false,
    }
}

/// The state when it is done; raises if it is cancelled, or not done in time.
unsafe fn settled(f: *mut Future, timeout: *mut PyObject) -> Res<()> {
    if !is_done(state(f)) && !wait(f, timeout)? {
        return raise_bare(TIMEOUT_ERROR.get()?);
    }
    if state(f) == FINISHED { Ok(()) } else { raise_bare(CANCELLED_ERROR.get()?) }
}

unsafe fn raise_bare<T>(class: *mut PyObject) -> Res<T> {
    errors::raise_object(&call(class, &[])?)
}

/// `result(timeout)`.
pub(crate) unsafe fn result(f: *mut Future, timeout: *mut PyObject) -> Res<Obj> {
    settled(f, timeout)?;
    let inside = (*f).inner.enter();
    if let Some(exc) = inside.exception.as_ref().map(|e| e.again()) {
        drop(inside);
        return errors::raise_object(&exc);
    }
    let found = inside.result.as_ref().map(|r| r.again());
    Ok(found.unwrap_or_else(|| crate::object::none()))
}

/// `exception(timeout)`.
pub(crate) unsafe fn exception(f: *mut Future, timeout: *mut PyObject) -> Res<Obj> {
    settled(f, timeout)?;
    let found = (*f).inner.enter().exception.as_ref().map(|e| e.again());
    Ok(found.unwrap_or_else(|| crate::object::none()))
}

/// Everything that the garbage collector must know of.
pub(crate) unsafe fn each(f: *mut Future, mut visit: impl FnMut(&Obj) -> std::ffi::c_int) -> std::ffi::c_int {
    let inner = &*(*f).inner.data();
    let fields = [&inner.result, &inner.exception, &inner.callbacks, &inner.condition, &inner.waiters, &inner.queue];
    let all = fields.into_iter().flatten().chain(&inner.watches);
    all.map(&mut visit).find(|status| *status != 0).unwrap_or(0)
}

/// Lets go of everything.
pub(crate) unsafe fn release(f: *mut Future) {
    let inner = std::mem::take(&mut *(*f).inner.enter());
    drop(inner);
}
