//! `sleep(delay, result=None)`: a future and a timer, or one turn of the loop where the delay isn't positive.

use std::ptr;

use pyo3::ffi::{self, PyObject};

use crate::args::{Args, Signature};
use crate::errors::{raise, restore, runtime_error};
use crate::future::{self, Future, State};
use crate::future_iter::Await;
use crate::handle;
use crate::names::{asyncio, names};
use crate::object::{Obj, Raised, Res, call, call_method, done, none, ptr_or_null, set};
use crate::primitives::coroutine_function;
use crate::primitives::operation::{self, Operation, Plan, Resume, settled};
use crate::primitives::waiters;
use crate::{event_loop, kinds, task};

const SLEEP: Signature<2> = Signature { func: "sleep", names: [c"delay", c"result"], positional: 2, required: 1 };
static PLAN: Plan = Plan { name: c"sleep", qualname: c"sleep", run };

/// Whether `delay <= 0`, and whether it is no number at all.
unsafe fn look_at(delay: *mut PyObject) -> Res<(bool, bool)> {
    if ffi::PyFloat_CheckExact(delay) != 0 {
        let seconds = ffi::PyFloat_AsDouble(delay);
        return Ok((seconds <= 0.0, seconds.is_nan()));
    }
    let zero = Obj::new(ffi::PyLong_FromLong(0))?;
    let over = ffi::PyObject_RichCompareBool(delay, zero.ptr(), ffi::Py_LE);
    done(over)?;
    if over != 0 || ffi::PyLong_Check(delay) != 0 {
        return Ok((over != 0, false));
    }
    let seconds = ffi::PyFloat_AsDouble(delay);
    if seconds == -1.0 && !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    Ok((false, seconds.is_nan()))
}

const ONE_TURN: u8 = 1;
const TIMER: u8 = 2;

unsafe fn run(op: *mut Operation, how: Resume) -> Res<Await> {
    match (*op).phase {
        ONE_TURN => match how {
            Resume::Thrown(exc) => {
                restore(exc);
                Err(Raised)
            }
            _ => Ok(Await::Return((*op).arg.take().unwrap_or_else(|| none()))),
        },
        TIMER => over(op, how),
        _ => begin(op),
    }
}

unsafe fn begin(op: *mut Operation) -> Res<Await> {
    let Some(delay) = (*op).owner.take() else {
        return runtime_error("fenshen: a delay is lost");
    };
    let (at_once, nan) = look_at(delay.ptr())?;
    if at_once {
        (*op).phase = ONE_TURN;
        return Ok(Await::Yield(none()));
    }
    // Versions before 3.13 let it through to a heap that cannot order it.
    if nan {
        return raise(ffi::PyExc_ValueError, "Invalid delay: NaN (not a number)");
    }
    let running = call(asyncio().get_running_loop.ptr(), &[])?;
    if running.ptr() == ffi::Py_None() {
        return runtime_error("no running event loop");
    }
    let core = event_loop::native(running.ptr());
    let future = if core.is_null() {
        call_method(&names().create_future, &[running.ptr()])?
    } else {
        Obj::steal(future::on(core)?.cast())
    };
    let result = Obj::from_opt(ptr_or_null(&(*op).arg)).unwrap_or_else(|| none());
    let args = [running.ptr(), delay.ptr(), asyncio().end_sleep.ptr(), future.ptr(), result.ptr()];
    let timer = call_method(&names().call_later, &args)?;
    set(&mut (*op).held, Some(timer));
    (*op).phase = TIMER;
    operation::wait(op, future)
}

unsafe fn over(op: *mut Operation, how: Resume) -> Res<Await> {
    let Some(future) = (*op).waiter.take() else {
        return runtime_error("fenshen: a waiter is lost");
    };
    let outcome = settled(&future, how);
    if let Some(timer) = (*op).held.take() {
        if ffi::Py_TYPE(timer.ptr()) == kinds::timer_handle() {
            handle::cancel(timer.ptr().cast());
        } else {
            call_method(&names().cancel, &[timer.ptr()])?;
        }
    }
    match outcome {
        Err(exc) => {
            restore(exc);
            Err(Raised)
        }
        Ok(()) if future::is_exact(future.ptr()) => future::get_result(future.ptr().cast()).map(Await::Return),
        Ok(()) => call_method(&names().result, &[future.ptr()]).map(Await::Return),
    }
}

unsafe fn sleep(_this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    let [delay, result] = args.sort(&SLEEP)?;
    operation::new(&PLAN, delay, result)
}

/// What the timer calls: ends the future, unless it was cancelled.
unsafe extern "C" fn end(_: *mut PyObject, args: *mut *mut PyObject, n: ffi::Py_ssize_t) -> *mut PyObject {
    crate::errors::entry(|| {
        if n != 2 {
            return crate::errors::type_error("a future and its result are expected");
        }
        let (future, result) = (Obj::from(*args), Obj::from(*args.add(1)));
        let waits = if future::is_exact(future.ptr()) {
            (*future.ptr().cast::<Future>()).state == State::Pending
        } else {
            !waiters::is_cancelled(&future)?
        };
        if waits {
            waiters::wake(&future, result.ptr())?;
        }
        Ok(none())
    })
}

static END: task::Entry = task::Entry::new(ffi::PyMethodDef {
    ml_name: c"_set_result_unless_cancelled".as_ptr(),
    ml_meth: ffi::PyMethodDefPointer { PyCFunctionFast: end },
    ml_flags: ffi::METH_FASTCALL,
    ml_doc: ptr::null(),
});

/// Makes what the timer calls.
pub(crate) unsafe fn end_function() -> Res<Obj> {
    Obj::new(ffi::PyCFunction_NewEx(END.get(), ptr::null_mut(), ptr::null_mut()))
}

/// Makes `sleep`.
pub(crate) unsafe fn build() -> Res<Obj> {
    coroutine_function::new(c"sleep", ptr::null_mut(), sleep, Some(asyncio().sleep.again()))
}
