//! The Python face of [`Handle`]: `Handle` and `TimerHandle`, which `isinstance` takes for asyncio's.

use std::ffi::{c_int, c_void};
use std::mem::offset_of;
use std::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use crate::args::{Signature, sort_call};
use crate::errors::entry;
use crate::event_loop::Loop;
use crate::handle::{
    Handle, args, cancel, count, dealloc, from_python, gc_clear, get_when_object, run, slots, traverse,
};
use crate::kinds;
use crate::methods::{getter, no_args};
use crate::names::{asyncio, names, support};
use crate::object::{Obj, Raised, Res, boolean, call_method, done, none, ptr_or_null};
use crate::types::TypeBuilder;

const NEW: Signature<4> =
    Signature { func: "Handle", names: [c"callback", c"args", c"loop", c"context"], positional: 4, required: 3 };
const NEW_TIMER: Signature<5> = Signature {
    func: "TimerHandle",
    names: [c"when", c"callback", c"args", c"loop", c"context"],
    positional: 5,
    required: 4,
};

unsafe extern "C" fn py_new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let [callback, args, event_loop, context] = sort_call(&NEW, args, kwargs)?;
        from_python(ty, [ptr::null_mut(), callback, args, event_loop, context])
    })
}

unsafe extern "C" fn py_new_timer(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| from_python(ty, sort_call(&NEW_TIMER, args, kwargs)?))
}

/// Since 3.14 another thread's question to a handle of `call_soon_threadsafe` waits while its callback runs: once
/// `cancel()` has returned, the callback has either ended or never begins.
unsafe fn settle(h: *mut Handle) {
    if !cfg!(Py_3_14) || !(*h).threadsafe || !(*h).running {
        return;
    }
    let Some(event_loop) = Obj::from_opt(ptr_or_null(&(*h).event_loop)) else {
        return;
    };
    while (*h).running && !Loop::runs_here(event_loop.ptr().cast()) {
        let state = ffi::PyEval_SaveThread();
        std::thread::sleep(std::time::Duration::from_micros(100));
        crate::exit::restore_thread(state);
    }
}

no_args!(py_cancel, |h: Handle| {
    settle(h);
    if !(*h).cancelled
        && ffi::Py_TYPE(h.cast()) == kinds::timer_handle()
        && let Some(event_loop) = Obj::from_opt(ptr_or_null(&(*h).event_loop))
        && crate::event_loop::native(event_loop.ptr()).is_null()
    {
        call_method(&names().timer_handle_cancelled, &[event_loop.ptr(), h.cast()])?;
    }
    cancel(h);
    Ok(none())
});
no_args!(py_cancelled, |h: Handle| {
    settle(h);
    Ok(boolean((*h).cancelled))
});
no_args!(py_run, |h: Handle| run(h).map(|()| none()));
no_args!(get_context, |h: Handle| Ok(Obj::from_opt(ptr_or_null(&(*h).context)).unwrap_or_else(|| none())));
no_args!(when, |h: Handle| get_when_object(h));

getter!(get_callback, |h: Handle| Ok(Obj::from_opt(ptr_or_null(&(*h).callback)).unwrap_or_else(|| none())));
getter!(get_args, |h: Handle| { if (*h).callback.is_none() { Ok(none()) } else { args(h) } });
getter!(get_cancelled, |h: Handle| Ok(boolean((*h).cancelled)));
getter!(get_scheduled, |h: Handle| Ok(boolean((*h).scheduled)));
getter!(get_loop, |h: Handle| Ok(Obj::from_opt(ptr_or_null(&(*h).event_loop)).unwrap_or_else(|| none())));
getter!(get_private_context, |h: Handle| Ok(Obj::from_opt(ptr_or_null(&(*h).context)).unwrap_or_else(|| none())));
getter!(get_source, |h: Handle| Ok(match (*h).rare.as_ref().and_then(|r| r.source_tb.as_ref()) {
    Some(stack) => stack.again(),
    None => none(),
}));
getter!(get_shown, |h: Handle| Ok(match (*h).rare.as_ref().and_then(|r| r.shown.as_ref()) {
    Some(shown) => shown.again(),
    None => none(),
}));
getter!(get_when, |h: Handle| get_when_object(h));
getter!(get_class, |h: Handle| Ok(if ffi::Py_TYPE(h.cast()) == kinds::timer_handle() {
    asyncio().timer_handle_class.again()
} else if let (true, Some(class)) = ((*h).threadsafe, &asyncio().threadsafe_handle_class) {
    class.again()
} else {
    asyncio().handle_class.again()
}));

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    entry(|| support(c"handle_repr", &[this]))
}

unsafe extern "C" fn hash(this: *mut PyObject) -> ffi::Py_hash_t {
    crate::errors::wall(-1, || {
        let when = get_when_object(this.cast())?;
        let hash = ffi::PyObject_Hash(when.ptr());
        if hash == -1 { Err(Raised) } else { Ok(hash) }
    })
}

/// Timers order by when they are due; they are equal when everything about them is.
unsafe extern "C" fn compare(a: *mut PyObject, b: *mut PyObject, op: c_int) -> *mut PyObject {
    entry(|| {
        if ffi::Py_TYPE(b) != kinds::timer_handle() {
            return Ok(Obj::from(ffi::Py_NotImplemented()));
        }
        let (x, y): (*mut Handle, *mut Handle) = (a.cast(), b.cast());
        let equal = || -> Res<bool> {
            if a == b {
                return Ok(true);
            }
            let same = (*x).when == (*y).when && (*x).cancelled == (*y).cancelled && count(x) == count(y);
            if !same {
                return Ok(false);
            }
            // `==` of theirs may run anything, a cancel of these handles too: both are held while it does.
            for i in 0..count(x) {
                let at = |h: *mut Handle| match i {
                    0 => Obj::from_opt(ptr_or_null(&(*h).callback)),
                    _ => Obj::from_opt(*slots(h).add(i)),
                };
                let (Some(p), Some(q)) = (at(x), at(y)) else {
                    return Ok(at(x).is_none() && at(y).is_none());
                };
                let equal = ffi::PyObject_RichCompareBool(p.ptr(), q.ptr(), ffi::Py_EQ);
                done(equal)?;
                if equal == 0 {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let (p, q) = ((*x).when, (*y).when);
        let answer = match op {
            ffi::Py_LT => p < q,
            ffi::Py_GT => p > q,
            ffi::Py_LE => p < q || equal()?,
            ffi::Py_GE => p > q || equal()?,
            ffi::Py_EQ => equal()?,
            _ => !equal()?,
        };
        Ok(boolean(answer))
    })
}

fn common(name: &'static std::ffi::CStr, doc: &'static std::ffi::CStr) -> TypeBuilder {
    TypeBuilder::new::<Handle>(name)
        .doc(doc)
        .variable()
        .weakrefs(offset_of!(Handle, weakrefs))
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .no_args(c"cancel", py_cancel, c"cancel($self, /)\n--\n\nThe callback will not run.")
        .no_args(c"cancelled", py_cancelled, c"cancelled($self, /)\n--\n\nWhether it was cancelled.")
        .no_args(c"get_context", get_context, c"get_context($self, /)\n--\n\nThe context that the callback runs in.")
        .no_args(c"_run", py_run, c"_run($self, /)\n--\n\nRun the callback now.")
        .stand_in(get_class)
        .property(c"_callback", get_callback, None)
        .property(c"_args", get_args, None)
        .property(c"_cancelled", get_cancelled, None)
        .property(c"_loop", get_loop, None)
        .property(c"_context", get_private_context, None)
        .property(c"_source_traceback", get_source, None)
        .property(c"_repr", get_shown, None)
}

/// Makes `Handle`.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    common(
        c"fenshen._fenshen.Handle",
        c"Handle(callback, args, loop, context=None)\n--\n\nA callback that the loop will run, as asyncio.Handle.",
    )
    .slot(ffi::Py_tp_new, py_new as *mut c_void)
    .build(None)
}

/// Makes `TimerHandle`.
pub(crate) unsafe fn build_timer() -> Res<*mut PyTypeObject> {
    common(c"fenshen._fenshen.TimerHandle", c"TimerHandle(when, callback, args, loop, context=None)\n--\n\nA callback that the loop will run at its time, as asyncio.TimerHandle.")
        .slot(ffi::Py_tp_new, py_new_timer as *mut c_void)
        .flags(ffi::Py_TPFLAGS_HAVE_GC)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, gc_clear as *mut c_void)
        .slot(ffi::Py_tp_hash, hash as *mut c_void)
        .slot(ffi::Py_tp_richcompare, compare as *mut c_void)
        .no_args(c"when", when, c"when($self, /)\n--\n\nWhen it is due, in seconds of loop.time().")
        .property(c"_when", get_when, None)
        .property(c"_scheduled", get_scheduled, None)
        .build(None)
}
