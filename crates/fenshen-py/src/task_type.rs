//! The Python face of [`Task`]: `fenshen.Task`, which `isinstance` takes for `asyncio.Task`.

use std::ffi::{c_int, c_void};

use pyo3::ffi::{self, PyObject, PyTypeObject};

use crate::args::{Signature, sort_call};
use crate::errors::{entry, runtime_error, status};
use crate::future::{self, Future, State, alive};
use crate::future_type::{cancel_message, clear_fields, traverse_fields};
use crate::methods::{fast, getter, no_args, one_arg, setter};
use crate::names::{asyncio, names, support};
use crate::object::{Obj, Res, boolean, call, clear, done, none, not_none, ptr_or_null, set, visit};
use crate::task::{self, Start, Task};
use crate::types::{TypeBuilder, free};
use crate::{kinds, registry};

const INIT: Signature<5> = Signature {
    func: "Task",
    names: [c"coro", c"loop", c"name", c"context", c"eager_start"],
    positional: 1,
    required: 1,
};
const GET_STACK: Signature<1> = Signature { func: "get_stack", names: [c"limit"], positional: 0, required: 0 };
const PRINT_STACK: Signature<2> =
    Signature { func: "print_stack", names: [c"limit", c"file"], positional: 0, required: 0 };

unsafe extern "C" fn init(this: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> c_int {
    status(|| {
        let [coro, event_loop, name, context, eager] = sort_call(&INIT, args, kwargs)?;
        let given = |o: *mut PyObject| if o.is_null() { o } else { not_none(o) };
        let eager = if eager.is_null() { 0 } else { ffi::PyObject_IsTrue(eager) };
        done(eager)?;
        let start = Start {
            coro,
            event_loop: given(event_loop),
            name: given(name),
            context: given(context),
            eager: eager != 0,
        };
        task::initialise(this.cast(), &start)
    })
}

fast!(cancel, |t: Task, args| {
    let message = cancel_message(&args)?;
    alive(t.cast())?;
    Ok(boolean(task::cancel(t, message)?))
});
no_args!(cancelling, |t: Task| Obj::new(ffi::PyLong_FromUnsignedLongLong((*t).cancels)));
no_args!(uncancel, |t: Task| {
    if (*t).cancels > 0 {
        (*t).cancels -= 1;
        // Since 3.13 a request that was taken back before it took effect has no effect.
        if cfg!(Py_3_13) && (*t).cancels == 0 {
            (*t).must_cancel = false;
        }
    }
    Obj::new(ffi::PyLong_FromUnsignedLongLong((*t).cancels))
});
no_args!(get_coro, |t: Task| Ok(Obj::from_opt(ptr_or_null(&(*t).coro)).unwrap_or_else(|| none())));
no_args!(get_context, |t: Task| Ok(task::context(t)));
no_args!(get_name, |t: Task| task::name(t));
one_arg!(set_name, |t: Task, name| {
    let name = Obj::new(ffi::PyObject_Str(name))?;
    set(&mut (*t).name, Some(name));
    Ok(none())
});
one_arg!(set_result, |_t: Task, _value| runtime_error("Task does not support set_result operation"));
one_arg!(set_exception, |_t: Task, _value| runtime_error("Task does not support set_exception operation"));
fast!(get_stack, |t: Task, args| {
    let [limit] = args.sort(&GET_STACK)?;
    let limit = if limit.is_null() { ffi::Py_None() } else { limit };
    call(asyncio().task_get_stack.ptr(), &[t.cast(), limit])
});
fast!(print_stack, |t: Task, args| {
    let [limit, file] = args.sort(&PRINT_STACK)?;
    let given = |o: *mut PyObject| if o.is_null() { ffi::Py_None() } else { o };
    call(asyncio().task_print_stack.ptr(), &[t.cast(), given(limit), given(file)])
});
no_args!(make_cancelled_error, |t: Task| future::cancelled_error(t.cast()));

getter!(get_coro_field, |t: Task| Ok(Obj::from_opt(ptr_or_null(&(*t).coro)).unwrap_or_else(|| none())));
getter!(get_waiter, |t: Task| Ok(Obj::from_opt(ptr_or_null(&(*t).waiter)).unwrap_or_else(|| none())));
getter!(get_must_cancel, |t: Task| Ok(boolean((*t).must_cancel)));
getter!(get_log_destroy, |t: Task| Ok(boolean((*t).log_destroy_pending)));
setter!(set_log_destroy, |t: Task, value| {
    let truth = ffi::PyObject_IsTrue(value);
    done(truth)?;
    (*t).log_destroy_pending = truth != 0;
    Ok(())
});
getter!(get_class, |t: Task| {
    let ty = ffi::Py_TYPE(t.cast());
    Ok(if ty == kinds::task() { asyncio().task_class.again() } else { Obj::from(ty.cast()) })
});

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    entry(|| {
        alive(this.cast())?;
        support(c"task_repr", &[this])
    })
}

unsafe extern "C" fn traverse(this: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    let t: *mut Task = this.cast();
    let status = visitor(ffi::Py_TYPE(this).cast(), arg);
    if status != 0 {
        return status;
    }
    let fields = [&(*t).coro, &(*t).context, &(*t).name, &(*t).waiter, &(*t).to_throw];
    for field in fields {
        let status = visit(field, visitor, arg);
        if status != 0 {
            return status;
        }
    }
    traverse_fields(this.cast(), visitor, arg)
}

unsafe extern "C" fn gc_clear(this: *mut PyObject) -> c_int {
    let t: *mut Task = this.cast();
    clear(&mut (*t).coro);
    clear(&mut (*t).context);
    clear(&mut (*t).name);
    clear(&mut (*t).waiter);
    clear(&mut (*t).to_throw);
    clear_fields(this.cast());
    0
}

unsafe extern "C" fn finalize(this: *mut PyObject) {
    let t: *mut Task = this.cast();
    let f: *mut Future = this.cast();
    // Whoever keeps it alive from here on keeps a task that nothing will ever run.
    registry::unlink(t);
    if (*f).state == State::Pending && (*t).log_destroy_pending && (*f).event_loop.is_some() {
        future::say(f, &names().task, "Task was destroyed but it is pending!", None);
    }
    future::report_unretrieved(f);
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    if ffi::Py_TYPE(this) == kinds::task() && ffi::PyObject_CallFinalizerFromDealloc(this) < 0 {
        return;
    }
    registry::unlink(this.cast());
    ffi::PyObject_GC_UnTrack(this.cast());
    if !(*this.cast::<Future>()).weakrefs.is_null() {
        ffi::PyObject_ClearWeakRefs(this);
    }
    gc_clear(this);
    free(this);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let flags = ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE;
    let builder = TypeBuilder::new::<Task>(c"fenshen._fenshen.Task")
        .doc(c"Task(coro, *, loop=None, name=None, context=None, eager_start=False)\n--\n\nA coroutine that its loop runs, as asyncio.Task.\n\ncoro: the coroutine; TypeError if it is none.\nloop: its event loop; by default the running or current one.\nname: its name; by default Task-N.\ncontext: the contextvars.Context to run in; by default a copy of the present one.\neager_start: take the first step at once, if the loop runs.")
        .flags(flags)
        .slot(ffi::Py_tp_init, init as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, gc_clear as *mut c_void)
        .slot(ffi::Py_tp_finalize, finalize as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .fast(c"cancel", cancel, c"cancel($self, /, msg=None)\n--\n\nHave the coroutine get a CancelledError at its next step; False if it is done.")
        .no_args(c"cancelling", cancelling, c"cancelling($self, /)\n--\n\nHow many requests to cancel it are open.")
        .no_args(c"uncancel", uncancel, c"uncancel($self, /)\n--\n\nTake one request to cancel it back; returns how many are left.")
        .no_args(c"get_coro", get_coro, c"get_coro($self, /)\n--\n\nIts coroutine; None if it was done at its eager start.")
        .no_args(c"get_context", get_context, c"get_context($self, /)\n--\n\nThe context it runs in.")
        .no_args(c"get_name", get_name, c"get_name($self, /)\n--\n\nIts name.")
        .one_arg(c"set_name", set_name, c"set_name($self, name, /)\n--\n\nName it str(name).")
        .one_arg(c"set_result", set_result, c"set_result($self, result, /)\n--\n\nRaises RuntimeError: only its coroutine ends a task.")
        .one_arg(c"set_exception", set_exception, c"set_exception($self, exception, /)\n--\n\nRaises RuntimeError: only its coroutine ends a task.")
        .fast(c"get_stack", get_stack, c"get_stack($self, /, *, limit=None)\n--\n\nThe frames of its coroutine, oldest first: where it is suspended, or the traceback it ended with.")
        .fast(c"print_stack", print_stack, c"print_stack($self, /, *, limit=None, file=None)\n--\n\nPrint get_stack() like a traceback, to sys.stderr by default.")
        .no_args(c"_make_cancelled_error", make_cancelled_error, c"_make_cancelled_error($self, /)\n--\n\nThe CancelledError to raise; for derived classes.")
        .generic()
        .stand_in(get_class)
        .property(c"_coro", get_coro_field, None)
        .property(c"_fut_waiter", get_waiter, None)
        .property(c"_must_cancel", get_must_cancel, None)
        .property(c"_log_destroy_pending", get_log_destroy, Some(set_log_destroy));
    builder.build(Some(kinds::future()))
}
