//! The Python face of [`Future`]: `fenshen.Future`, which `isinstance` takes for `asyncio.Future`.

use std::ffi::{c_int, c_void};
use std::mem::offset_of;
use std::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use crate::args::{Signature, sort_call};
use crate::errors::{entry, raise, status};
use crate::future::{self, Callback, Future, State, alive};
use crate::methods::{fast, getter, no_args, one_arg, setter};
use crate::names::{asyncio, support};
use crate::object::{Obj, Res, boolean, done, none, not_none, set, text, visit};
use crate::task::{self, Task};
use crate::types::{TypeBuilder, free};
use crate::{future_iter, kinds};

const INIT: Signature<1> = Signature { func: "Future", names: [c"loop"], positional: 0, required: 0 };
const ADD: Signature<2> =
    Signature { func: "add_done_callback", names: [c"fn", c"context"], positional: 1, required: 1 };
const CANCEL: Signature<1> = Signature { func: "cancel", names: [c"msg"], positional: 1, required: 0 };

/// The message of `cancel(msg=None)`.
pub(crate) unsafe fn cancel_message(args: &crate::args::Args<'_>) -> Res<Option<Obj>> {
    let [message] = args.sort(&CANCEL)?;
    Ok(if message.is_null() { None } else { Obj::from_opt(not_none(message)) })
}

unsafe extern "C" fn new(ty: *mut PyTypeObject, _args: *mut PyObject, _kw: *mut PyObject) -> *mut PyObject {
    entry(|| Ok(Obj::steal(future::allocate(ty)?.cast())))
}

unsafe extern "C" fn init(this: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> c_int {
    status(|| {
        let [event_loop] = sort_call(&INIT, args, kwargs)?;
        future::initialise(this.cast(), if event_loop.is_null() { event_loop } else { not_none(event_loop) })
    })
}

no_args!(result, |f: Future| {
    future::has_state(f)?;
    future::get_result(f)
});
no_args!(exception, |f: Future| {
    future::has_state(f)?;
    future::get_exception(f)
});
one_arg!(set_result, |f: Future, value| {
    alive(f)?;
    future::set_result(f, Obj::from(value))?;
    Ok(none())
});
one_arg!(set_exception, |f: Future, exc| {
    alive(f)?;
    future::set_exception(f, exc)?;
    Ok(none())
});
fast!(add_done_callback, |f: Future, args| {
    let [func, context] = args.sort(&ADD)?;
    alive(f)?;
    let context = if context.is_null() { context } else { not_none(context) };
    let context = match Obj::from_opt(context) {
        Some(given) => given,
        None => Obj::new(ffi::PyContext_CopyCurrent())?,
    };
    future::add_callback(f, Callback::Call { func: Obj::from(func), context })?;
    Ok(none())
});
one_arg!(remove_done_callback, |f: Future, func| {
    alive(f)?;
    let removed = remove_callbacks(f, func)?;
    Obj::new(ffi::PyLong_FromSize_t(removed))
});
fast!(cancel, |f: Future, args| {
    let message = cancel_message(&args)?;
    alive(f)?;
    Ok(boolean(future::cancel(f, message)?))
});
no_args!(cancelled, |f: Future| Ok(boolean((*f).state == State::Cancelled)));
no_args!(is_done, |f: Future| Ok(boolean((*f).state != State::Pending)));
no_args!(get_loop, |f: Future| {
    alive(f)?;
    Ok(Obj::from_opt(crate::object::ptr_or_null(&(*f).event_loop)).unwrap_or_else(|| none()))
});
no_args!(make_cancelled_error, |f: Future| future::cancelled_error(f));

unsafe extern "C" fn iter(this: *mut PyObject) -> *mut PyObject {
    entry(|| future_iter::over(this.cast()))
}

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    entry(|| {
        alive(this.cast())?;
        support(c"future_repr", &[this])
    })
}

/// Removes every callback equal to `func`; says how many there were. `==` may run anything, so the callbacks are
/// out of the future while it does, and those added meanwhile come after the kept ones.
unsafe fn remove_callbacks(f: *mut Future, func: *mut PyObject) -> Res<usize> {
    let all: Vec<Callback> =
        (*f).first.take().into_iter().chain((*f).rest.take().into_iter().flat_map(|b| *b)).collect();
    let mut kept = Vec::with_capacity(all.len());
    let (mut removed, mut failed) = (0, None);
    for callback in all {
        let same = if failed.is_some() { Ok(false) } else { is_callback(&callback, func) };
        match same {
            Ok(true) => removed += 1,
            Ok(false) => kept.push(callback),
            Err(e) => {
                failed = Some(e);
                kept.push(callback);
            }
        }
    }
    let added: Vec<Callback> =
        (*f).first.take().into_iter().chain((*f).rest.take().into_iter().flat_map(|b| *b)).collect();
    // If a comparison ended the future, those that are left are called, as it would have called them.
    for callback in kept.into_iter().chain(added) {
        future::add_callback(f, callback)?;
    }
    failed.map_or(Ok(removed), Err)
}

unsafe fn is_callback(callback: &Callback, func: *mut PyObject) -> Res<bool> {
    let equal = match callback {
        Callback::Call { func: mine, .. } => ffi::PyObject_RichCompareBool(mine.ptr(), func, ffi::Py_EQ),
        Callback::Wake(task) => {
            let wake = Task::wake_function(task.ptr())?;
            ffi::PyObject_RichCompareBool(wake.ptr(), func, ffi::Py_EQ)
        }
        Callback::Child(outer) => {
            let told = crate::child::told_function(outer.ptr())?;
            ffi::PyObject_RichCompareBool(told.ptr(), func, ffi::Py_EQ)
        }
    };
    done(equal)?;
    Ok(equal == 1)
}

getter!(get_state, |f: Future| {
    alive(f)?;
    text(match (*f).state {
        State::Pending => "PENDING",
        State::Cancelled => "CANCELLED",
        State::Finished => "FINISHED",
    })
});
getter!(get_blocking, |f: Future| Ok(boolean((*f).blocking)));
setter!(set_blocking, |f: Future, value| {
    let truth = ffi::PyObject_IsTrue(value);
    done(truth)?;
    (*f).blocking = truth != 0;
    Ok(())
});
getter!(get_private_loop, |f: Future| Ok(
    Obj::from_opt(crate::object::ptr_or_null(&(*f).event_loop)).unwrap_or_else(|| none())
));
getter!(get_callbacks, |f: Future| {
    alive(f)?;
    let Some(first) = &(*f).first else {
        return Ok(none());
    };
    let list = Obj::new(ffi::PyList_New(0))?;
    let rest = (*f).rest.as_deref().map_or(&[][..], Vec::as_slice);
    for callback in std::iter::once(first).chain(rest) {
        let (func, context) = match callback {
            Callback::Call { func, context } => (func.again(), context.again()),
            Callback::Child(outer) => (crate::child::told_function(outer.ptr())?, none()),
            Callback::Wake(task) => (Task::wake_function(task.ptr())?, task::context(task.ptr().cast())),
        };
        let pair = Obj::new(ffi::PyTuple_Pack(2, func.ptr(), context.ptr()))?;
        done(ffi::PyList_Append(list.ptr(), pair.ptr()))?;
    }
    Ok(list)
});

macro_rules! stored {
    ($get:ident, $field:ident) => {
        getter!(
            $get,
            |f: Future| Ok(Obj::from_opt(crate::object::ptr_or_null(&(*f).$field)).unwrap_or_else(|| none()))
        );
    };
}
getter!(get_result_field, |f: Future| {
    alive(f)?;
    Ok(Obj::from_opt(crate::object::ptr_or_null(&(*f).result)).unwrap_or_else(|| none()))
});
getter!(get_exception_field, |f: Future| {
    alive(f)?;
    Ok(Obj::from_opt(crate::object::ptr_or_null(&(*f).exception)).unwrap_or_else(|| none()))
});
stored!(get_source_traceback, source_tb);
stored!(get_cancel_message, cancel_message);
setter!(set_source_traceback, |f: Future, value| {
    set(&mut (*f).source_tb, Obj::from_opt(not_none(value)));
    Ok(())
});
setter!(set_cancel_message, |f: Future, value| {
    set(&mut (*f).cancel_message, Obj::from_opt(not_none(value)));
    Ok(())
});
getter!(get_log_traceback, |f: Future| {
    alive(f)?;
    Ok(boolean((*f).log_traceback))
});
setter!(set_log_traceback, |f: Future, value| {
    let truth = ffi::PyObject_IsTrue(value);
    done(truth)?;
    if truth != 0 {
        return raise(ffi::PyExc_ValueError, "_log_traceback can only be set to False");
    }
    (*f).log_traceback = false;
    Ok(())
});

#[cfg(Py_3_14)]
getter!(get_awaited_by, |f: Future| {
    alive(f)?;
    support(c"awaited_by", &[f.cast()])
});

getter!(get_class, |f: Future| {
    let ty = ffi::Py_TYPE(f.cast());
    Ok(if ty == kinds::future() { asyncio().future_class.again() } else { Obj::from(ty.cast()) })
});

/// Visits every field of a future.
pub(crate) unsafe fn traverse_fields(f: *mut Future, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    let one = |callback: &Callback| -> c_int {
        match callback {
            Callback::Wake(waits) | Callback::Child(waits) => visitor(waits.ptr(), arg),
            Callback::Call { func, context } => match visitor(func.ptr(), arg) {
                0 => visitor(context.ptr(), arg),
                status => status,
            },
        }
    };
    if let Some(first) = &(*f).first {
        let status = one(first);
        if status != 0 {
            return status;
        }
    }
    for callback in (*f).rest.as_deref().into_iter().flatten() {
        let status = one(callback);
        if status != 0 {
            return status;
        }
    }
    if !(*f).dict.is_null() {
        let status = visitor((*f).dict, arg);
        if status != 0 {
            return status;
        }
    }
    let fields = [
        &(*f).event_loop,
        &(*f).result,
        &(*f).exception,
        &(*f).exception_tb,
        &(*f).source_tb,
        &(*f).cancel_message,
        &(*f).cancelled_exc,
    ];
    fields.into_iter().map(|field| visit(field, visitor, arg)).find(|status| *status != 0).unwrap_or(0)
}

/// Lets go of everything, the `__dict__` too.
pub(crate) unsafe fn clear_fields(f: *mut Future) {
    future::release(f);
    let dict = std::mem::replace(&mut (*f).dict, ptr::null_mut());
    ffi::Py_XDECREF(dict);
}

unsafe extern "C" fn traverse(this: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    let status = visitor(ffi::Py_TYPE(this).cast(), arg);
    if status != 0 { status } else { traverse_fields(this.cast(), visitor, arg) }
}

unsafe extern "C" fn gc_clear(this: *mut PyObject) -> c_int {
    clear_fields(this.cast());
    0
}

unsafe extern "C" fn finalize(this: *mut PyObject) {
    future::report_unretrieved(this.cast());
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    // A derived class' own deallocation has finalised it already.
    if ffi::Py_TYPE(this) == kinds::future() && ffi::PyObject_CallFinalizerFromDealloc(this) < 0 {
        return;
    }
    ffi::PyObject_GC_UnTrack(this.cast());
    if !(*this.cast::<Future>()).weakrefs.is_null() {
        ffi::PyObject_ClearWeakRefs(this);
    }
    clear_fields(this.cast());
    free(this);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let flags = ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE;
    let builder = TypeBuilder::new::<Future>(c"fenshen._fenshen.Future")
        .doc(c"Future(*, loop=None)\n--\n\nA result to come, as asyncio.Future.\n\nloop: the event loop it belongs to; by default the running or current one.")
        .flags(flags)
        .weakrefs(offset_of!(Future, weakrefs))
        .dict(offset_of!(Future, dict))
        .slot(ffi::Py_tp_new, new as *mut c_void)
        .slot(ffi::Py_tp_init, init as *mut c_void)
        .slot(ffi::Py_tp_iter, iter as *mut c_void)
        .slot(ffi::Py_am_await, iter as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, gc_clear as *mut c_void)
        .slot(ffi::Py_tp_finalize, finalize as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .no_args(c"result", result, c"result($self, /)\n--\n\nThe result; raises the exception it ended with, CancelledError, or InvalidStateError while it is pending.")
        .no_args(c"exception", exception, c"exception($self, /)\n--\n\nThe exception it ended with, or None; raises CancelledError, or InvalidStateError while it is pending.")
        .one_arg(c"set_result", set_result, c"set_result($self, result, /)\n--\n\nEnd it with a result; InvalidStateError if it has ended.")
        .one_arg(c"set_exception", set_exception, c"set_exception($self, exception, /)\n--\n\nEnd it with an exception; InvalidStateError if it has ended.")
        .fast(c"add_done_callback", add_done_callback, c"add_done_callback($self, fn, /, *, context=None)\n--\n\nHave the loop call fn(future) once it is done, in `context` or a copy of the present one.")
        .one_arg(c"remove_done_callback", remove_done_callback, c"remove_done_callback($self, fn, /)\n--\n\nRemove every callback equal to fn; returns how many there were.")
        .fast(c"cancel", cancel, c"cancel($self, /, msg=None)\n--\n\nCancel it; False if it is done already.")
        .no_args(c"cancelled", cancelled, c"cancelled($self, /)\n--\n\nWhether it was cancelled.")
        .no_args(c"done", is_done, c"done($self, /)\n--\n\nWhether it has a result, an exception, or was cancelled.")
        .no_args(c"get_loop", get_loop, c"get_loop($self, /)\n--\n\nThe event loop it belongs to.")
        .no_args(c"_make_cancelled_error", make_cancelled_error, c"_make_cancelled_error($self, /)\n--\n\nThe CancelledError to raise; for derived classes.")
        .generic()
        .stand_in(get_class)
        .property(c"_state", get_state, None)
        .property(c"_asyncio_future_blocking", get_blocking, Some(set_blocking))
        .property(c"_loop", get_private_loop, None)
        .property(c"_callbacks", get_callbacks, None)
        .property(c"_result", get_result_field, None)
        .property(c"_exception", get_exception_field, None)
        .property(c"_log_traceback", get_log_traceback, Some(set_log_traceback))
        .property(c"_source_traceback", get_source_traceback, Some(set_source_traceback))
        .property(c"_cancel_message", get_cancel_message, Some(set_cancel_message));
    #[cfg(Py_3_14)]
    let builder = builder.property(c"_asyncio_awaited_by", get_awaited_by, None);
    builder.build(None)
}
