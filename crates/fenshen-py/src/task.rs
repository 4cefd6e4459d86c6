//! `Task`: a future that runs a coroutine, one step at a time. Its Python face is in `task_type.rs`.

use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::ffi::{self, PyObject};

use crate::errors::{self, ends_loop, make, raise, restore, take};
use crate::event_loop::Loop;
use crate::future::{self, Callback, Future, Outcome, State};
use crate::names::{asyncio, names};
use crate::object::{Obj, Raised, Res, attr_opt, call, call_method, clear, done, ptr_or_null, repr, set, text};
use crate::registry::{self, Links};
use crate::{advise, current, kinds};

/// The layout of `fenshen.Task`.
#[repr(C)]
pub(crate) struct Task {
    pub(crate) future: Future,
    pub(crate) coro: Option<Obj>,
    pub(crate) context: Option<Obj>,
    /// Its name, made when somebody asks unless it was given.
    pub(crate) name: Option<Obj>,
    pub(crate) number: u64,
    /// The future that it waits for.
    pub(crate) waiter: Option<Obj>,
    /// What its next step throws into the coroutine.
    pub(crate) to_throw: Option<Obj>,
    pub(crate) cancels: u64,
    pub(crate) must_cancel: bool,
    /// It is passing a cancellation on to what it waits for.
    passing_on: bool,
    pub(crate) log_destroy_pending: bool,
    pub(crate) links: Links,
}

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// What `Task.__init__` takes.
pub(crate) struct Start {
    pub(crate) coro: *mut PyObject,
    pub(crate) event_loop: *mut PyObject,
    pub(crate) name: *mut PyObject,
    pub(crate) context: *mut PyObject,
    pub(crate) eager: bool,
}

/// Whether `o` is a task of ours.
#[inline(always)]
pub(crate) unsafe fn is_task(o: *mut PyObject) -> bool {
    let ty = ffi::Py_TYPE(o);
    ty == kinds::task() || ffi::PyType_IsSubtype(ty, kinds::task()) != 0
}

unsafe fn is_coroutine(o: *mut PyObject) -> Res<bool> {
    if ffi::PyCoro_CheckExact(o) != 0 || ffi::Py_TYPE(o) == kinds::operation() {
        return Ok(true);
    }
    let answer = call(asyncio().is_coroutine.ptr(), &[o])?;
    let truth = ffi::PyObject_IsTrue(answer.ptr());
    done(truth)?;
    Ok(truth != 0)
}

/// `__init__`: binds it to its loop and coroutine, and schedules the first step (or takes it, if eager).
pub(crate) unsafe fn initialise(t: *mut Task, start: &Start) -> Res<()> {
    registry::unlink(t);
    future::initialise(t.cast(), start.event_loop)?;
    if !is_coroutine(start.coro)? {
        (*t).log_destroy_pending = false;
        return errors::type_error(&format!("a coroutine was expected, got {}", repr(start.coro)));
    }
    begin(t, start)
}

/// Everything of `__init__` after the checks.
pub(crate) unsafe fn begin(t: *mut Task, start: &Start) -> Res<()> {
    let context = match Obj::from_opt(start.context) {
        Some(given) => given,
        None => Obj::new(ffi::PyContext_CopyCurrent())?,
    };
    let name = if start.name.is_null() {
        (*t).number = NUMBER.fetch_add(1, Ordering::Relaxed) + 1;
        None
    } else {
        Some(Obj::new(ffi::PyObject_Str(start.name))?)
    };
    set(&mut (*t).context, Some(context));
    set(&mut (*t).name, name);
    clear(&mut (*t).waiter);
    (*t).cancels = 0;
    (*t).must_cancel = false;
    (*t).log_destroy_pending = true;
    set(&mut (*t).coro, Some(Obj::from(start.coro)));
    if advise::on() {
        advise::created(t);
    }
    if start.eager && loop_is_running(t)? {
        return start_eagerly(t);
    }
    schedule(t)?;
    registry::link(t);
    Ok(())
}

unsafe fn loop_is_running(t: *mut Task) -> Res<bool> {
    let answer = call_method(&names().is_running, &[ptr_or_null(&(*t).future.event_loop)])?;
    let truth = ffi::PyObject_IsTrue(answer.ptr());
    done(truth)?;
    Ok(truth != 0)
}

unsafe fn start_eagerly(t: *mut Task) -> Res<()> {
    let event_loop = ptr_or_null(&(*t).future.event_loop);
    let before = current::swap(event_loop, t.cast())?;
    let outcome = first_step(t);
    let kept = if outcome.is_err() { Some(take()) } else { None };
    let swapped = current::swap(event_loop, ptr_or_null(&before));
    if (*t).future.state == State::Pending {
        registry::link(t);
    } else {
        clear(&mut (*t).coro);
    }
    if let Some(kept) = kept {
        restore(kept);
        return Err(Raised);
    }
    swapped.map(drop)
}

unsafe fn first_step(t: *mut Task) -> Res<()> {
    let Some((register, unregister)) = &asyncio().eager else {
        return in_context(t, None);
    };
    call(register.ptr(), &[t.cast()])?;
    let outcome = in_context(t, None);
    let kept = if outcome.is_err() { Some(take()) } else { None };
    let unregistered = call(unregister.ptr(), &[t.cast()]);
    if let Some(kept) = kept {
        restore(kept);
        return Err(Raised);
    }
    unregistered.map(drop)
}

/// A new reference to the context it runs in.
pub(crate) unsafe fn context(t: *mut Task) -> Obj {
    Obj::from_opt(ptr_or_null(&(*t).context)).unwrap_or_else(|| crate::object::none())
}

/// Its name, made now if it has none yet.
pub(crate) unsafe fn name(t: *mut Task) -> Res<Obj> {
    if (*t).name.is_none() && (*t).number != 0 {
        (*t).name = Some(text(&format!("Task-{}", (*t).number))?);
    }
    Ok(Obj::from_opt(ptr_or_null(&(*t).name)).unwrap_or_else(|| crate::object::none()))
}

/// Has the loop take its next step.
pub(crate) unsafe fn schedule(t: *mut Task) -> Res<()> {
    let core = (*t).future.core;
    if !core.is_null() {
        return Loop::push_step(core, Obj::from(t.cast()));
    }
    future::alive(t.cast())?;
    let step = Obj::new(ffi::PyCFunction_NewEx(STEP.0.get(), t.cast(), ptr::null_mut()))?;
    call_method(&names().call_soon, &[ptr_or_null(&(*t).future.event_loop), step.ptr()])?;
    Ok(())
}

/// Has its next step throw `exc`.
unsafe fn throw_next(t: *mut Task, exc: Obj) -> Res<()> {
    set(&mut (*t).to_throw, Some(exc));
    schedule(t)
}

/// Takes it off whatever it waits for, and has its next step throw `exc`.
pub(crate) unsafe fn interrupt(t: *mut Task, exc: Obj) -> Res<bool> {
    if (*t).future.state != State::Pending {
        return Ok(false);
    }
    let Some(waiter) = Obj::from_opt(ptr_or_null(&(*t).waiter)) else {
        return Ok(false);
    };
    // Only a callback that was still there to be removed will not wake it: else its step is on the ring already.
    let wake = Task::wake_function(t.cast())?;
    let remove = Obj::new(ffi::PyUnicode_InternFromString(c"remove_done_callback".as_ptr()))?;
    let removed = call_method(&remove, &[waiter.ptr(), wake.ptr()])?;
    if ffi::PyObject_IsTrue(removed.ptr()) != 1 {
        return Ok(false);
    }
    clear(&mut (*t).waiter);
    throw_next(t, exc)?;
    Ok(true)
}

/// Takes the step that a wake-up of ours stands for: the future it waited for is done.
#[inline]
pub(crate) unsafe fn wake(t: *mut Task) -> Res<()> {
    let Some(waiter) = Obj::from_opt(ptr_or_null(&(*t).waiter)) else {
        return step(t, None);
    };
    wake_by(t, waiter.ptr())
}

unsafe fn wake_by(t: *mut Task, waited: *mut PyObject) -> Res<()> {
    let exc = if future::awaits_natively(waited) {
        let f: *mut Future = waited.cast();
        if (*f).state == State::Finished && (*f).exception.is_none() {
            None
        } else {
            match future::outcome(f) {
                Ok(Outcome::Result(_)) => None,
                Ok(Outcome::Exception(exc)) => Some(exc),
                Err(Raised) => Some(take()),
            }
        }
    } else {
        match call_method(&names().result, &[waited]) {
            Ok(_) => None,
            Err(Raised) => Some(take()),
        }
    };
    step(t, exc)
}

/// One step: runs the coroutine to its next `await`, with `exc` thrown into it if there is one.
///
/// An error is `KeyboardInterrupt` or `SystemExit`, or a fault that is not the coroutine's.
pub(crate) unsafe fn step(t: *mut Task, exc: Option<Obj>) -> Res<()> {
    let mut exc = exc.or_else(|| (*t).to_throw.take());
    if (*t).future.state != State::Pending {
        let thrown = exc.as_ref().map_or("None".into(), |e| repr(e.ptr()));
        let message = format!("_step(): already done: {} {thrown}", repr(t.cast()));
        return raise(asyncio().invalid_state_error.ptr(), &message);
    }
    if (*t).must_cancel {
        if !exc.as_ref().is_some_and(|e| errors::is(e, asyncio().cancelled_error.ptr())) {
            exc = Some(future::cancelled_error(t.cast())?);
        }
        (*t).must_cancel = false;
    }
    clear(&mut (*t).waiter);
    let core = (*t).future.core;
    let Some(event_loop) = Obj::from_opt(ptr_or_null(&(*t).future.event_loop)) else {
        return future::alive(t.cast());
    };
    if !core.is_null() && (*core).running && !(*core).stepping {
        Loop::show_task(core, t.cast())?;
        (*core).stepping = true;
        let outcome = in_context(t, exc);
        (*core).stepping = false;
        return outcome;
    }
    current::enter(event_loop.ptr(), t.cast())?;
    let outcome = in_context(t, exc);
    let kept = if outcome.is_err() { Some(take()) } else { None };
    let left = current::leave(event_loop.ptr());
    if let Some(kept) = kept {
        restore(kept);
        return Err(Raised);
    }
    left
}

#[inline]
unsafe fn in_context(t: *mut Task, exc: Option<Obj>) -> Res<()> {
    // A step that calls its own task's `__init__` changes the context: this one is held until it is left.
    let context = context(t);
    done(ffi::PyContext_Enter(context.ptr()))?;
    let outcome = advance(t, exc);
    match outcome {
        Ok(()) => done(ffi::PyContext_Exit(context.ptr())),
        Err(Raised) => {
            let kept = take();
            ffi::PyContext_Exit(context.ptr());
            restore(kept);
            Err(Raised)
        }
    }
}

/// Runs a coroutine to its next `await`: how it got there, and what it yielded or returned.
#[inline(always)]
unsafe fn send(coro: &Obj, exc: Option<Obj>) -> (ffi::PySendResult, *mut PyObject) {
    let mut out = ptr::null_mut();
    let sent = match exc {
        None => ffi::PyIter_Send(coro.ptr(), ffi::Py_None(), &mut out),
        Some(exc) => match call_method(&names().throw, &[coro.ptr(), exc.ptr()]) {
            Ok(yielded) => {
                out = yielded.into_ptr();
                ffi::PySendResult::PYGEN_NEXT
            }
            Err(Raised) => match errors::stop_value() {
                Ok(value) => {
                    out = value.into_ptr();
                    ffi::PySendResult::PYGEN_RETURN
                }
                Err(Raised) => ffi::PySendResult::PYGEN_ERROR,
            },
        },
    };
    (sent, out)
}

/// [`send`], timed.
#[cold]
unsafe fn measured(t: *mut Task, coro: &Obj, exc: Option<Obj>) -> (ffi::PySendResult, *mut PyObject) {
    let step = advise::Step::begin(t, coro);
    let (sent, out) = send(coro, exc);
    if let Some(step) = step {
        step.end(sent, out);
    }
    (sent, out)
}

unsafe fn advance(t: *mut Task, exc: Option<Obj>) -> Res<()> {
    let Some(coro) = Obj::from_opt(ptr_or_null(&(*t).coro)) else {
        return errors::runtime_error("uninitialized Task object");
    };
    let (sent, out) = if advise::on() { measured(t, &coro, exc) } else { send(&coro, exc) };
    drop(coro);
    match sent {
        ffi::PySendResult::PYGEN_NEXT => yielded(t, Obj::steal(out)),
        ffi::PySendResult::PYGEN_RETURN => returned(t, Obj::steal(out)),
        ffi::PySendResult::PYGEN_ERROR => failed(t),
    }
}

unsafe fn returned(t: *mut Task, value: Obj) -> Res<()> {
    registry::unlink(t);
    let f: *mut Future = t.cast();
    if (*t).must_cancel {
        (*t).must_cancel = false;
        let message = (*f).cancel_message.take();
        return future::cancel(f, message).map(drop);
    }
    future::set_result(f, value)
}

unsafe fn failed(t: *mut Task) -> Res<()> {
    registry::unlink(t);
    let f: *mut Future = t.cast();
    let exc = take();
    if errors::is(&exc, asyncio().cancelled_error.ptr()) {
        set(&mut (*f).cancelled_exc, Some(exc));
        return future::cancel(f, None).map(drop);
    }
    let fatal = ends_loop(&exc);
    future::set_exception(f, exc.ptr())?;
    if fatal {
        restore(exc);
        return Err(Raised);
    }
    Ok(())
}

/// What the coroutine yielded: a future to wait for, `None` to be called again, or a mistake.
#[inline]
unsafe fn yielded(t: *mut Task, what: Obj) -> Res<()> {
    let o = what.ptr();
    if future::awaits_natively(o) {
        let f: *mut Future = o.cast();
        if ptr_or_null(&(*f).event_loop) != ptr_or_null(&(*t).future.event_loop) {
            return wrong_loop(t, o);
        }
        if !(*f).blocking {
            return bare_yield(t, o);
        }
        if o == t.cast() {
            return awaits_itself(t);
        }
        (*f).blocking = false;
        future::add_callback(f, Callback::Wake(Obj::from(t.cast())))?;
        return waits_for(t, what);
    }
    if o == ffi::Py_None() {
        return schedule(t);
    }
    yielded_other(t, what)
}

unsafe fn waits_for(t: *mut Task, what: Obj) -> Res<()> {
    let o = what.ptr();
    set(&mut (*t).waiter, Some(what));
    if (*t).must_cancel && future::cancel_any(o, &(*t).future.cancel_message)? {
        (*t).must_cancel = false;
    }
    Ok(())
}

/// A future of another class: asyncio's own, or one derived from ours.
unsafe fn yielded_other(t: *mut Task, what: Obj) -> Res<()> {
    let o = what.ptr();
    let blocking = match attr_opt(o, &names().blocking)? {
        Some(blocking) if blocking.ptr() != ffi::Py_None() => {
            let truth = ffi::PyObject_IsTrue(blocking.ptr());
            done(truth)?;
            truth != 0
        }
        _ if ffi::PyGen_CheckExact(o) != 0 => {
            let message = format!(
                "yield was used instead of yield from for generator in task {} with {}",
                repr(t.cast()),
                repr(o)
            );
            return complain(t, &message);
        }
        _ => return complain(t, &format!("Task got bad yield: {}", repr(o))),
    };
    let event_loop = future::loop_of(o)?;
    if event_loop.ptr() != ptr_or_null(&(*t).future.event_loop) {
        return wrong_loop(t, o);
    }
    if !blocking {
        return bare_yield(t, o);
    }
    if o == t.cast() {
        return awaits_itself(t);
    }
    done(ffi::PyObject_SetAttr(o, names().blocking.ptr(), ffi::Py_False()))?;
    // Without the task's context: the step enters that itself, and a context cannot be entered twice.
    let wake = Task::wake_function(t.cast())?;
    call_method(&names().add_done_callback, &[o, wake.ptr()])?;
    waits_for(t, what)
}

#[cold]
unsafe fn complain(t: *mut Task, message: &str) -> Res<()> {
    let exc = make(ffi::PyExc_RuntimeError, message)?;
    throw_next(t, exc)
}

#[cold]
unsafe fn wrong_loop(t: *mut Task, o: *mut PyObject) -> Res<()> {
    complain(t, &format!("Task {} got Future {} attached to a different loop", repr(t.cast()), repr(o)))
}

#[cold]
unsafe fn bare_yield(t: *mut Task, o: *mut PyObject) -> Res<()> {
    complain(t, &format!("yield was used instead of yield from in task {} with {}", repr(t.cast()), repr(o)))
}

#[cold]
unsafe fn awaits_itself(t: *mut Task) -> Res<()> {
    complain(t, &format!("Task cannot await on itself: {}", repr(t.cast())))
}

/// Cancels what the task waits for; whether that took it.
unsafe fn pass_on(t: *mut Task, waiter: &Obj, message: &Option<Obj>) -> Res<bool> {
    if (*t).passing_on {
        // Tasks that await each other in a ring: it opens here, where asyncio would recurse until it fails.
        set(&mut (*t).future.cancel_message, message.as_ref().map(|m| m.again()));
        let exc = future::cancelled_error(t.cast())?;
        return interrupt(t, exc);
    }
    if ffi::Py_EnterRecursiveCall(c" while cancelling a task".as_ptr()) != 0 {
        return Err(Raised);
    }
    (*t).passing_on = true;
    let outcome = future::cancel_any(waiter.ptr(), message);
    (*t).passing_on = false;
    ffi::Py_LeaveRecursiveCall();
    outcome
}

/// `Task.cancel`.
pub(crate) unsafe fn cancel(t: *mut Task, message: Option<Obj>) -> Res<bool> {
    let f: *mut Future = t.cast();
    (*f).log_traceback = false;
    if (*f).state != State::Pending {
        return Ok(false);
    }
    (*t).cancels += 1;
    if let Some(waiter) = Obj::from_opt(ptr_or_null(&(*t).waiter))
        && pass_on(t, &waiter, &message)?
    {
        return Ok(true);
    }
    (*t).must_cancel = true;
    set(&mut (*f).cancel_message, message);
    Ok(true)
}

/// A method table's entry that lives for ever and that CPython takes by a mutable pointer.
pub(crate) struct Entry(std::cell::UnsafeCell<ffi::PyMethodDef>);
// SAFETY: CPython only reads it.
unsafe impl Sync for Entry {}

impl Entry {
    pub(crate) const fn new(def: ffi::PyMethodDef) -> Entry {
        Entry(std::cell::UnsafeCell::new(def))
    }

    pub(crate) fn get(&'static self) -> *mut ffi::PyMethodDef {
        self.0.get()
    }
}

static STEP: Entry = Entry::new(ffi::PyMethodDef {
    ml_name: c"task_step".as_ptr(),
    ml_meth: ffi::PyMethodDefPointer { PyCFunction: call_step },
    ml_flags: ffi::METH_NOARGS,
    ml_doc: ptr::null(),
});

static WAKE: Entry = Entry::new(ffi::PyMethodDef {
    ml_name: c"task_wakeup".as_ptr(),
    ml_meth: ffi::PyMethodDefPointer { PyCFunction: call_wake },
    ml_flags: ffi::METH_O,
    ml_doc: ptr::null(),
});

unsafe extern "C" fn call_step(t: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    errors::entry(|| step(t.cast(), None).map(|()| crate::object::none()))
}

unsafe extern "C" fn call_wake(t: *mut PyObject, waited: *mut PyObject) -> *mut PyObject {
    errors::entry(|| wake_by(t.cast(), waited).map(|()| crate::object::none()))
}

impl Task {
    /// The done-callback by which a future that isn't ours wakes task `t`.
    pub(crate) unsafe fn wake_function(t: *mut PyObject) -> Res<Obj> {
        Obj::new(ffi::PyCFunction_NewEx(WAKE.0.get(), t, ptr::null_mut()))
    }
}
