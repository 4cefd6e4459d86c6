//! `Barrier`: so many tasks wait until all of them are there.
//!
//! It is a count and a state behind a [`Condition`](super::condition), as in the standard library.

use std::ffi::{CStr, c_int, c_void};

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::condition::{self, Condition};
use super::coroutine_function::add_methods;
use super::head::{self, Head, Primitive, builder, init_args, shorten};
use super::lock;
use super::operation::{self, Inner, Operation, Plan, Resume};
use crate::args::{Args, Signature};
use crate::errors::{entry, raise, restore, status};
use crate::future_iter::Await;
use crate::kinds;
use crate::methods::getter;
use crate::names::{asyncio, names};
use crate::object::{Obj, Raised, Res, boolean, call, call_method, clear, none, ptr_or_null, set, visit};

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Filling,
    Draining,
    Resetting,
    Broken,
}

impl State {
    fn text(self) -> &'static str {
        match self {
            State::Filling => "filling",
            State::Draining => "draining",
            State::Resetting => "resetting",
            State::Broken => "broken",
        }
    }
}

/// The layout of `fenshen.Barrier`.
#[repr(C)]
pub(crate) struct Barrier {
    head: Head,
    condition: Option<Obj>,
    parties: i64,
    count: i64,
    state: State,
}

impl Primitive for Barrier {
    const CALLED: &'static [&'static CStr] = &[c"wait"];
    fn kind() -> *mut PyTypeObject {
        kinds::barrier()
    }
    unsafe fn prepare(this: *mut Barrier) {
        (*this).state = State::Filling;
    }
    unsafe fn visit(this: *mut Barrier, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        visit(&(*this).condition, visitor, arg)
    }
    unsafe fn release(this: *mut Barrier) {
        clear(&mut (*this).condition);
    }
    unsafe fn stands_for(ty: *mut PyTypeObject) -> Option<&'static Obj> {
        if ty != kinds::barrier() {
            return None;
        }
        asyncio().barrier_class.as_ref()
    }
}

const INIT: Signature<1> = Signature { func: "Barrier.__init__", names: [c"parties"], positional: 1, required: 1 };

unsafe fn condition_of(b: *mut Barrier) -> Res<*mut Condition> {
    match &(*b).condition {
        Some(c) => Ok(c.ptr().cast()),
        None => raise(ffi::PyExc_AttributeError, "'Barrier' object has no attribute '_cond'"),
    }
}

unsafe fn notify_all(b: *mut Barrier) -> Res<()> {
    condition::wake(condition_of(b)?, isize::MAX)
}

const TAKING: u8 = 0;
const BLOCKED: u8 = 1;
const INSIDE: u8 = 2;

unsafe fn broken<T>(message: &str) -> Res<T> {
    raise(asyncio().broken_barrier_error.ptr(), message)
}

/// What a task does that holds the condition's lock and goes on: waits more, or is through.
unsafe fn look(op: *mut Operation, b: *mut Barrier) -> Res<bool> {
    if (*op).phase == BLOCKED {
        if matches!((*b).state, State::Draining | State::Resetting) {
            return Ok(false);
        }
        if (*b).state == State::Broken {
            return broken("Barrier aborted");
        }
        (*op).count = (*b).count as isize;
        (*op).phase = INSIDE;
        (*b).count += 1;
        if (*b).count == (*b).parties {
            (*b).state = State::Draining;
            notify_all(b)?;
            return Ok(true);
        }
    }
    match (*b).state {
        State::Filling => Ok(false),
        State::Draining => Ok(true),
        State::Broken | State::Resetting => broken("Abort or reset of barrier"),
    }
}

/// Leaves the barrier; the last one out opens it again.
unsafe fn leave(op: *mut Operation, b: *mut Barrier) -> Res<()> {
    if (*op).phase != INSIDE {
        return Ok(());
    }
    (*b).count -= 1;
    if (*b).count > 0 {
        return Ok(());
    }
    if matches!((*b).state, State::Draining | State::Resetting) {
        (*b).state = State::Filling;
    }
    notify_all(b)
}

unsafe fn run_wait(op: *mut Operation, how: Resume) -> Res<Await> {
    let b: *mut Barrier = ptr_or_null(&(*op).owner).cast();
    let c = condition_of(b)?;
    let lock = condition::lock_of(c)?;
    let mut how = how;
    if (*op).phase == TAKING {
        match lock::take(op, lock.ptr(), how) {
            Inner::Yield(o) => return Ok(Await::Yield(o)),
            Inner::Raise(exc) => {
                restore(exc);
                return Err(Raised);
            }
            Inner::Return(_) => {
                (*op).phase = BLOCKED;
                how = Resume::Start;
            }
        }
    }
    let outcome = loop {
        if matches!(how, Resume::Start) {
            match look(op, b) {
                Ok(true) => break Ok(()),
                Ok(false) => {}
                Err(e) => break Err(e),
            }
            let waiting = condition::waiting(c.cast())?;
            operation::enter(op, &waiting)?;
        }
        match operation::go_on(op, how) {
            Inner::Yield(o) => return Ok(Await::Yield(o)),
            Inner::Return(_) => how = Resume::Start,
            Inner::Raise(exc) => {
                restore(exc);
                break Err(Raised);
            }
        }
    };
    let exc = if outcome.is_err() { Some(crate::errors::take()) } else { None };
    leave(op, b)?;
    lock::release(lock.ptr())?;
    match exc {
        None => Obj::new(ffi::PyLong_FromSsize_t((*op).count)).map(Await::Return),
        Some(exc) => {
            restore(exc);
            Err(Raised)
        }
    }
}

/// `reset()` and `abort()`: takes the lock and changes the state.
unsafe fn run_change(op: *mut Operation, how: Resume, change: unsafe fn(*mut Barrier)) -> Res<Await> {
    let b: *mut Barrier = ptr_or_null(&(*op).owner).cast();
    let lock = condition::lock_of(condition_of(b)?)?;
    match lock::take(op, lock.ptr(), how) {
        Inner::Yield(o) => Ok(Await::Yield(o)),
        Inner::Raise(exc) => {
            restore(exc);
            Err(Raised)
        }
        Inner::Return(_) => {
            change(b);
            notify_all(b)?;
            lock::release(lock.ptr())?;
            Ok(Await::Return(none()))
        }
    }
}

unsafe fn run_reset(op: *mut Operation, how: Resume) -> Res<Await> {
    run_change(op, how, |b| (*b).state = if (*b).count > 0 { State::Resetting } else { State::Filling })
}

unsafe fn run_abort(op: *mut Operation, how: Resume) -> Res<Await> {
    run_change(op, how, |b| (*b).state = State::Broken)
}

/// `__aenter__` where `wait` is overridden.
unsafe fn run_enter(op: *mut Operation, how: Resume) -> Res<Await> {
    if matches!(how, Resume::Start) {
        let waiting = call_method(&names().wait, &[ptr_or_null(&(*op).owner)])?;
        operation::enter(op, &waiting)?;
    }
    match operation::go_on(op, how) {
        Inner::Yield(o) => Ok(Await::Yield(o)),
        Inner::Return(index) => Ok(Await::Return(index)),
        Inner::Raise(exc) => {
            restore(exc);
            Err(Raised)
        }
    }
}

unsafe fn run_exit(_op: *mut Operation, _how: Resume) -> Res<Await> {
    Ok(Await::Return(none()))
}

static WAIT: Plan = Plan { name: c"wait", qualname: c"Barrier.wait", run: run_wait };
static RESET: Plan = Plan { name: c"reset", qualname: c"Barrier.reset", run: run_reset };
static ABORT: Plan = Plan { name: c"abort", qualname: c"Barrier.abort", run: run_abort };
static PLAIN_ENTER: Plan = Plan { name: c"__aenter__", qualname: c"Barrier.__aenter__", run: run_wait };
static ENTER: Plan = Plan { name: c"__aenter__", qualname: c"Barrier.__aenter__", run: run_enter };
static EXIT: Plan = Plan { name: c"__aexit__", qualname: c"Barrier.__aexit__", run: run_exit };

unsafe fn wait(this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    args.none("Barrier.wait")?;
    operation::new(&WAIT, this, std::ptr::null_mut())
}

unsafe fn reset(this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    args.none("Barrier.reset")?;
    operation::new(&RESET, this, std::ptr::null_mut())
}

unsafe fn abort(this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    args.none("Barrier.abort")?;
    operation::new(&ABORT, this, std::ptr::null_mut())
}

unsafe fn aenter(this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    args.none("Barrier.__aenter__")?;
    let plan = if (*this.cast::<Head>()).plain { &PLAIN_ENTER } else { &ENTER };
    operation::new(plan, this, std::ptr::null_mut())
}

unsafe fn aexit(this: *mut PyObject, _args: &Args<'_>) -> Res<Obj> {
    operation::new(&EXIT, this, std::ptr::null_mut())
}

unsafe extern "C" fn init(this: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> c_int {
    status(|| {
        let [parties] = init_args(&INIT, "Barrier", args, kwargs)?;
        let parties = super::semaphore::integer(parties)?;
        if parties < 1 {
            return raise(ffi::PyExc_ValueError, "parties must be > 0");
        }
        let made = call(kinds::condition().cast(), &[])?;
        let b: *mut Barrier = this.cast();
        (*b).parties = parties;
        (*b).count = 0;
        (*b).state = State::Filling;
        set(&mut (*b).condition, Some(made));
        Ok(())
    })
}

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let b: *mut Barrier = this.cast();
        let extra = match (*b).state {
            State::Broken => "broken".to_owned(),
            state => format!("{}, waiters:{}/{}", state.text(), waiting(b), (*b).parties),
        };
        head::show(this, &extra, std::ptr::null_mut())
    })
}

unsafe fn waiting(b: *mut Barrier) -> i64 {
    if (*b).state == State::Filling { (*b).count } else { 0 }
}

getter!(get_parties, |b: Barrier| Obj::new(ffi::PyLong_FromLongLong((*b).parties)));
getter!(get_waiting, |b: Barrier| Obj::new(ffi::PyLong_FromLongLong(waiting(b))));
getter!(get_broken, |b: Barrier| Ok(boolean((*b).state == State::Broken)));
getter!(get_count, |b: Barrier| Obj::new(ffi::PyLong_FromLongLong((*b).count)));
getter!(get_condition, |b: Barrier| Ok(Obj::from_opt(ptr_or_null(&(*b).condition)).unwrap_or_else(|| none())));
getter!(get_state, |b: Barrier| {
    let state = crate::object::text((*b).state.text())?;
    match &asyncio().barrier_state {
        Some(states) => call(states.ptr(), &[state.ptr()]),
        None => Ok(state),
    }
});

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let doc = c"Barrier(parties)\n--\n\nSo many tasks wait until all of them are there, as asyncio.Barrier.\n\nparties: how many; ValueError unless positive.";
    let ty = builder::<Barrier>(c"fenshen._fenshen.Barrier", doc)
        .slot(ffi::Py_tp_init, init as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .property(c"parties", get_parties, None)
        .property(c"n_waiting", get_waiting, None)
        .property(c"broken", get_broken, None)
        .property(c"_parties", get_parties, None)
        .property(c"_count", get_count, None)
        .property(c"_state", get_state, None)
        .property(c"_cond", get_condition, None)
        .build(None)?;
    let methods = [
        (c"wait", wait as _),
        (c"reset", reset as _),
        (c"abort", abort as _),
        (c"__aenter__", aenter as _),
        (c"__aexit__", aexit as _),
    ];
    shorten(ty);
    add_methods(ty, asyncio().barrier_class.as_ref(), &methods)?;
    Ok(ty)
}
