//! `Future`: a result to come, and who is to be told. What it does, without its Python face (`future_type.rs`).

use std::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use crate::errors::{make, raise, raise_object, runtime_error, take, type_error};
use crate::event_loop::Loop;
use crate::names::{asyncio, names, support};
use crate::object::{Obj, Raised, Res, attr, attr_opt, call, call_method, call_method_kw, clear, done, set};
use crate::task::Task;
use crate::{kinds, task};

/// How far a future is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Pending,
    Cancelled,
    Finished,
}

/// Who is to be told when a future is done.
pub(crate) enum Callback {
    /// A task of ours that awaits it.
    Wake(Obj),
    /// A gathering or a group that counts it.
    Child(Obj),
    /// A Python callable, and the context to call it in.
    Call { func: Obj, context: Obj },
}

/// The layout of `fenshen.Future`, and the head of every `fenshen.Task`.
#[repr(C)]
pub(crate) struct Future {
    pub(crate) ob_base: PyObject,
    pub(crate) dict: *mut PyObject,
    pub(crate) weakrefs: *mut PyObject,
    /// The loop it belongs to; none before `__init__` has run.
    pub(crate) event_loop: Option<Obj>,
    /// The same loop where it is one of ours, null where it is somebody else's.
    pub(crate) core: *mut Loop,
    pub(crate) first: Option<Callback>,
    /// The callbacks after the first, in order.
    #[allow(clippy::box_collection, reason = "a future has a second callback so seldom that a word is enough")]
    pub(crate) rest: Option<Box<Vec<Callback>>>,
    pub(crate) result: Option<Obj>,
    pub(crate) exception: Option<Obj>,
    pub(crate) exception_tb: Option<Obj>,
    pub(crate) source_tb: Option<Obj>,
    pub(crate) cancel_message: Option<Obj>,
    /// The `CancelledError` that ended a task, to be raised again as itself.
    pub(crate) cancelled_exc: Option<Obj>,
    pub(crate) state: State,
    /// An exception is here that nobody has looked at.
    pub(crate) log_traceback: bool,
    /// It was yielded by its own iterator and the task has not taken note yet.
    pub(crate) blocking: bool,
}

/// Whether `o` is one of ours: a `fenshen.Future` or of a class derived from it.
#[inline(always)]
pub(crate) unsafe fn is_ours(o: *mut PyObject) -> bool {
    let ty = ffi::Py_TYPE(o);
    ty == kinds::future() || ty == kinds::task() || ffi::PyType_IsSubtype(ty, kinds::future()) != 0
}

/// Whether its class is exactly ours, so that no method of it can be overridden.
#[inline(always)]
pub(crate) unsafe fn is_exact(o: *mut PyObject) -> bool {
    let ty = ffi::Py_TYPE(o);
    ty == kinds::future() || ty == kinds::task()
}

/// Whether a task of ours may wait for it natively: nothing of what an `await` needs is overridden.
#[inline(always)]
pub(crate) unsafe fn awaits_natively(o: *mut PyObject) -> bool {
    is_exact(o) || ffi::Py_TYPE(o) == kinds::gathering()
}

/// Allocates an instance of `ty` (`Future` or derived), not yet bound to a loop.
pub(crate) unsafe fn allocate(ty: *mut PyTypeObject) -> Res<*mut Future> {
    let alloc = (*ty).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
    let f: *mut Future = alloc(ty, 0).cast();
    if f.is_null() {
        return Err(Raised);
    }
    // The allocator hands out zeroed memory: null pointers are `None` already, the enums are not.
    ptr::write(&raw mut (*f).first, None);
    (*f).state = State::Pending;
    Ok(f)
}

/// A pending future on a loop of ours: what `loop.create_future()` gives.
#[inline]
pub(crate) unsafe fn on(core: *mut Loop) -> Res<*mut Future> {
    let f = allocate(kinds::future())?;
    (*f).event_loop = Some(Obj::from(core.cast()));
    (*f).core = (*core).direct();
    if (*core).debug
        && let Err(e) = note_source(f)
    {
        ffi::Py_DECREF(f.cast());
        return Err(e);
    }
    Ok(f)
}

/// Remembers where it was made, as asyncio does in debug mode.
pub(crate) unsafe fn note_source(f: *mut Future) -> Res<()> {
    let stack = call(asyncio().extract_stack.ptr(), &[])?;
    set(&mut (*f).source_tb, Some(stack));
    Ok(())
}

/// `__init__`: binds it to `event_loop`, or to the current one where that is null.
pub(crate) unsafe fn initialise(f: *mut Future, event_loop: *mut PyObject) -> Res<()> {
    let event_loop = match Obj::from_opt(event_loop) {
        Some(given) => given,
        None => call(asyncio().get_event_loop.ptr(), &[])?,
    };
    release(f);
    (*f).state = State::Pending;
    (*f).log_traceback = false;
    (*f).blocking = false;
    let core = crate::event_loop::native(event_loop.ptr());
    (*f).core = core;
    let debug = if core.is_null() {
        let debug = call_method(&names().get_debug, &[event_loop.ptr()])?;
        let truth = ffi::PyObject_IsTrue(debug.ptr());
        done(truth)?;
        truth != 0
    } else {
        (*core).debug
    };
    set(&mut (*f).event_loop, Some(event_loop));
    if debug { note_source(f) } else { Ok(()) }
}

/// Lets go of everything it refers to but its `__dict__`.
pub(crate) unsafe fn release(f: *mut Future) {
    (*f).core = ptr::null_mut();
    let (first, rest) = ((*f).first.take(), (*f).rest.take());
    drop(first);
    drop(rest);
    clear(&mut (*f).event_loop);
    clear(&mut (*f).result);
    clear(&mut (*f).exception);
    clear(&mut (*f).exception_tb);
    clear(&mut (*f).source_tb);
    clear(&mut (*f).cancel_message);
    clear(&mut (*f).cancelled_exc);
}

/// Raises unless `__init__` has run.
#[inline(always)]
pub(crate) unsafe fn alive(f: *mut Future) -> Res<()> {
    if (*f).event_loop.is_none() {
        return runtime_error(if task::is_task(f.cast()) {
            "Task object is not initialized."
        } else {
            "Future object is not initialized."
        });
    }
    Ok(())
}

/// Like [`alive`], with the exception that `result()` and `exception()` raise.
pub(crate) unsafe fn has_state(f: *mut Future) -> Res<()> {
    if (*f).event_loop.is_none() {
        return invalid_state("Future object is not initialized.");
    }
    Ok(())
}

#[cold]
unsafe fn invalid_state<T>(message: &str) -> Res<T> {
    raise(asyncio().invalid_state_error.ptr(), message)
}

/// Hands every callback to the loop.
pub(crate) unsafe fn tell(f: *mut Future) -> Res<()> {
    if let Some(first) = (*f).first.take() {
        schedule(f, first)?;
        if let Some(rest) = (*f).rest.take() {
            for callback in *rest {
                schedule(f, callback)?;
            }
        }
    }
    Ok(())
}

unsafe fn schedule(f: *mut Future, callback: Callback) -> Res<()> {
    let core = (*f).core;
    match callback {
        Callback::Wake(task) if !core.is_null() => Loop::push_wake(core, task),
        Callback::Call { func, context } if !core.is_null() => {
            Loop::push_done(core, func, Obj::from(f.cast()), context)
        }
        Callback::Child(outer) if !core.is_null() => Loop::push_child(core, outer, Obj::from(f.cast())),
        Callback::Child(outer) => {
            let told = crate::child::told_function(outer.ptr())?;
            call_soon_foreign(f, &told, None)
        }
        Callback::Wake(task) => {
            let wake = Task::wake_function(task.ptr())?;
            call_soon_foreign(f, &wake, None)
        }
        Callback::Call { func, context } => call_soon_foreign(f, &func, Some(context)),
    }
}

/// `loop.call_soon(func, f, context=context)` on a loop that isn't ours.
unsafe fn call_soon_foreign(f: *mut Future, func: &Obj, context: Option<Obj>) -> Res<()> {
    let Some(event_loop) = Obj::from_opt(crate::object::ptr_or_null(&(*f).event_loop)) else {
        return alive(f);
    };
    let args = [event_loop.ptr(), func.ptr(), f.cast(), crate::object::ptr_or_null(&context)];
    match context {
        Some(_) => call_method_kw(&names().call_soon, &args, kinds::context_keyword())?,
        None => call_method(&names().call_soon, &args[..3])?,
    };
    Ok(())
}

/// Adds a callback, or schedules it at once where the future is done.
pub(crate) unsafe fn add_callback(f: *mut Future, callback: Callback) -> Res<()> {
    if (*f).state != State::Pending {
        return schedule(f, callback);
    }
    if (*f).first.is_none() {
        (*f).first = Some(callback);
    } else {
        (*f).rest.get_or_insert_default().push(callback);
    }
    Ok(())
}

/// Ends it with a result.
#[inline]
pub(crate) unsafe fn set_result(f: *mut Future, result: Obj) -> Res<()> {
    if (*f).state != State::Pending {
        return invalid_state("invalid state");
    }
    (*f).result = Some(result);
    (*f).state = State::Finished;
    tell(f)
}

/// Ends it with an exception: an instance, or a class to be called.
pub(crate) unsafe fn set_exception(f: *mut Future, exc: *mut PyObject) -> Res<()> {
    if (*f).state != State::Pending {
        return invalid_state("invalid state");
    }
    let mut exc = if ffi::PyExceptionClass_Check(exc) != 0 { call(exc, &[])? } else { Obj::from(exc) };
    if ffi::PyExceptionInstance_Check(exc.ptr()) == 0 {
        return type_error("invalid exception object");
    }
    if crate::errors::is(&exc, ffi::PyExc_StopIteration) {
        let message = "StopIteration interacts badly with generators and cannot be raised into a Future";
        if support(c"refuses_stop_iteration", &[])?.ptr() == ffi::Py_True() {
            return type_error(message);
        }
        let replaced = make(ffi::PyExc_RuntimeError, message)?;
        ffi::PyException_SetContext(replaced.ptr(), exc.again().into_ptr());
        ffi::PyException_SetCause(replaced.ptr(), exc.into_ptr());
        exc = replaced;
    }
    set(&mut (*f).exception_tb, Obj::steal_opt(ffi::PyException_GetTraceback(exc.ptr())));
    (*f).exception = Some(exc);
    (*f).state = State::Finished;
    (*f).log_traceback = true;
    tell(f)
}

/// `Future.cancel`, whatever the class: a task's own is in `task.rs`.
pub(crate) unsafe fn cancel(f: *mut Future, message: Option<Obj>) -> Res<bool> {
    (*f).log_traceback = false;
    if (*f).state != State::Pending {
        return Ok(false);
    }
    (*f).state = State::Cancelled;
    set(&mut (*f).cancel_message, message);
    tell(f)?;
    Ok(true)
}

/// `o.cancel(msg=message)` on any kind of future.
pub(crate) unsafe fn cancel_any(o: *mut PyObject, message: &Option<Obj>) -> Res<bool> {
    if is_exact(o) {
        let message = message.as_ref().map(|m| m.again());
        return if task::is_task(o) { task::cancel(o.cast(), message) } else { cancel(o.cast(), message) };
    }
    let answer = match message {
        None => call_method(&names().cancel, &[o])?,
        Some(m) => call_method_kw(&names().cancel, &[o, m.ptr()], kinds::msg_keyword())?,
    };
    let truth = ffi::PyObject_IsTrue(answer.ptr());
    done(truth)?;
    Ok(truth != 0)
}

/// The `CancelledError` to raise from a cancelled future.
pub(crate) unsafe fn cancelled_error(f: *mut Future) -> Res<Obj> {
    let before = (*f).cancelled_exc.take();
    if cfg!(Py_3_11)
        && let Some(exc) = before
    {
        return Ok(exc);
    }
    let kind = asyncio().cancelled_error.ptr();
    let exc = match &(*f).cancel_message {
        Some(message) => call(kind, &[message.ptr()])?,
        None => call(kind, &[])?,
    };
    if let Some(before) = before {
        ffi::PyException_SetContext(exc.ptr(), before.into_ptr());
    }
    Ok(exc)
}

/// How a done future ended: its result, or the exception to raise, with the traceback that it came with.
pub(crate) enum Outcome {
    Result(Obj),
    Exception(Obj),
}

/// Looks at a future's outcome as `result()` does: an exception counts as retrieved then.
pub(crate) unsafe fn outcome(f: *mut Future) -> Res<Outcome> {
    match (*f).state {
        State::Pending => invalid_state("Result is not set."),
        State::Cancelled => Ok(Outcome::Exception(cancelled_error(f)?)),
        State::Finished => {
            (*f).log_traceback = false;
            if let Some(exc) = &(*f).exception {
                let exc = exc.again();
                let tb = (*f).exception_tb.as_ref().map_or(ffi::Py_None(), Obj::ptr);
                done(ffi::PyException_SetTraceback(exc.ptr(), tb))?;
                return Ok(Outcome::Exception(exc));
            }
            match &(*f).result {
                Some(result) => Ok(Outcome::Result(result.again())),
                None => invalid_state("Result is not set."),
            }
        }
    }
}

/// `result()`.
pub(crate) unsafe fn get_result(f: *mut Future) -> Res<Obj> {
    match outcome(f)? {
        Outcome::Result(result) => Ok(result),
        Outcome::Exception(exc) => raise_object(&exc),
    }
}

/// `exception()`.
pub(crate) unsafe fn get_exception(f: *mut Future) -> Res<Obj> {
    match (*f).state {
        State::Pending => invalid_state("Exception is not set."),
        State::Cancelled => {
            let exc = cancelled_error(f)?;
            raise_object(&exc)
        }
        State::Finished => {
            (*f).log_traceback = false;
            Ok(match &(*f).exception {
                Some(exc) => exc.again(),
                None => crate::object::none(),
            })
        }
    }
}

/// The loop of any future-like object, as asyncio finds it.
pub(crate) unsafe fn loop_of(o: *mut PyObject) -> Res<Obj> {
    if is_exact(o) {
        alive(o.cast())?;
        if let Some(event_loop) = &(*o.cast::<Future>()).event_loop {
            return Ok(event_loop.again());
        }
    }
    match attr_opt(o, &names().get_loop)? {
        Some(getter) => call(getter.ptr(), &[]),
        None => attr(o, &names().private_loop),
    }
}

/// What `__del__` says of an exception that nobody looked at.
pub(crate) unsafe fn report_unretrieved(f: *mut Future) {
    if !(*f).log_traceback {
        return;
    }
    (*f).log_traceback = false;
    if let Some(exc) = Obj::from_opt(crate::object::ptr_or_null(&(*f).exception)) {
        say(f, &names().future, " exception was never retrieved", Some(exc));
    }
}

/// Tells the loop's exception handler of something that befell `f` while it was being destroyed.
pub(crate) unsafe fn say(f: *mut Future, role: &Obj, message: &str, exc: Option<Obj>) {
    let pending = ffi::PyErr_Occurred();
    let kept = if pending.is_null() { None } else { Some(take()) };
    if say_inner(f, role, message, exc).is_err() {
        ffi::PyErr_WriteUnraisable(f.cast());
    }
    if let Some(kept) = kept {
        crate::errors::restore(kept);
    }
}

unsafe fn say_inner(f: *mut Future, role: &Obj, message: &str, exc: Option<Obj>) -> Res<()> {
    let Some(event_loop) = Obj::from_opt(crate::object::ptr_or_null(&(*f).event_loop)) else {
        return Ok(());
    };
    let about = Obj::new(ffi::PyDict_New())?;
    let message = if message.starts_with(' ') {
        let class = attr(ffi::Py_TYPE(f.cast()).cast(), &names().name)?;
        format!("{}{message}", crate::object::utf8(class.ptr())?)
    } else {
        message.to_owned()
    };
    let message = crate::object::text(&message)?;
    done(ffi::PyDict_SetItem(about.ptr(), names().message.ptr(), message.ptr()))?;
    if let Some(exc) = exc {
        done(ffi::PyDict_SetItem(about.ptr(), names().exception.ptr(), exc.ptr()))?;
    }
    done(ffi::PyDict_SetItem(about.ptr(), role.ptr(), f.cast()))?;
    if let Some(source) = &(*f).source_tb {
        done(ffi::PyDict_SetItem(about.ptr(), names().source_traceback.ptr(), source.ptr()))?;
    }
    call_method(&names().call_exception_handler, &[event_loop.ptr(), about.ptr()])?;
    Ok(())
}
