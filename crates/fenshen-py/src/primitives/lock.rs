//! `Lock`: held by one task at a time, handed on in the order of asking.

use std::ffi::{c_int, c_void};

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::coroutine_function::add_methods;
use super::head::{self, Head, Primitive, builder, init_args, shorten, truth, waiters};
use super::operation::{self, Inner, Operation, Plan, Resume, settled};
use super::waiters::{Waiters, wake};
use crate::args::{Args, Signature};
use crate::errors::{entry, restore, runtime_error, status};
use crate::future_iter::Await;
use crate::kinds;
use crate::methods::{getter, no_args, setter};
use crate::names::{asyncio, names};
use crate::object::{Obj, Raised, Res, boolean, call_method, none, ptr_or_null};

/// The layout of `fenshen.Lock`.
#[repr(C)]
pub(crate) struct Lock {
    head: Head,
    waiters: Waiters,
    locked: bool,
}

impl Primitive for Lock {
    const CALLED: &'static [&'static std::ffi::CStr] = &[c"acquire", c"release", c"locked"];
    fn kind() -> *mut PyTypeObject {
        kinds::lock()
    }
    unsafe fn prepare(this: *mut Lock) {
        std::ptr::write(&raw mut (*this).waiters, Waiters::Absent);
    }
    unsafe fn visit(this: *mut Lock, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        (*this).waiters.traverse(visitor, arg)
    }
    unsafe fn release(this: *mut Lock) {
        (*this).waiters.clear();
    }
    unsafe fn stands_for(ty: *mut PyTypeObject) -> Option<&'static Obj> {
        (ty == kinds::lock()).then(|| &asyncio().lock_class)
    }
}

const INIT: Signature<0> = Signature { func: "Lock.__init__", names: [], positional: 0, required: 0 };

/// Whether `o` is a lock of ours with no method overridden.
#[inline]
pub(crate) unsafe fn is_plain(o: *mut PyObject) -> bool {
    ffi::Py_TYPE(o) == kinds::lock() && (*o.cast::<Head>()).plain
}

/// `o.locked()` of any kind of lock.
pub(crate) unsafe fn locked(o: *mut PyObject) -> Res<bool> {
    if is_plain(o) {
        return Ok((*o.cast::<Lock>()).locked);
    }
    truth(&call_method(&names().locked, &[o])?)
}

/// `o.release()` of any kind of lock.
pub(crate) unsafe fn release(o: *mut PyObject) -> Res<()> {
    if is_plain(o) {
        return give(o.cast());
    }
    call_method(&names().release, &[o]).map(drop)
}

/// Takes a lock of any kind for `op`, which is to call this again with how it goes on until it says `Return`. On
/// `Raise` the lock is not held.
pub(crate) unsafe fn take(op: *mut Operation, o: *mut PyObject, how: Resume) -> Inner {
    if matches!(how, Resume::Start) {
        if is_plain(o) && matches!(take_now(o.cast()), Ok(true)) {
            return Inner::Return(boolean(true));
        }
        let entered = match call_method(&names().acquire, &[o]) {
            Ok(acquiring) => operation::enter(op, &acquiring),
            Err(e) => Err(e),
        };
        if let Err(Raised) = entered {
            return Inner::Raise(crate::errors::take());
        }
    }
    operation::go_on(op, how)
}

/// Takes it if nobody holds it and nobody has asked for it before.
#[inline]
unsafe fn take_now(l: *mut Lock) -> Res<bool> {
    if (*l).locked || Waiters::any_live(&raw mut (*l).waiters)? {
        return Ok(false);
    }
    (*l).locked = true;
    Ok(true)
}

unsafe fn wake_first(l: *mut Lock) -> Res<()> {
    match Waiters::first(&raw mut (*l).waiters)? {
        // One that is done has been woken already, and takes the lock when its turn comes.
        Some(first) if !super::waiters::is_done(&first)? => wake(&first, ffi::Py_True()),
        _ => Ok(()),
    }
}

#[inline]
unsafe fn give(l: *mut Lock) -> Res<()> {
    if !(*l).locked {
        return runtime_error("Lock is not acquired.");
    }
    (*l).locked = false;
    wake_first(l)
}

static ACQUIRE: Plan = Plan { name: c"acquire", qualname: c"Lock.acquire", run: run_acquire };
static ENTER: Plan = Plan { name: c"__aenter__", qualname: c"_ContextManagerMixin.__aenter__", run: run_enter };
static EXIT: Plan = Plan { name: c"__aexit__", qualname: c"_ContextManagerMixin.__aexit__", run: run_exit };

unsafe fn run_acquire(op: *mut Operation, how: Resume) -> Res<Await> {
    let l: *mut Lock = ptr_or_null(&(*op).owner).cast();
    if matches!(how, Resume::Start) {
        if take_now(l)? {
            return Ok(Await::Return(boolean(true)));
        }
        let future = Head::future(l.cast())?;
        Waiters::push(&raw mut (*l).waiters, future.again())?;
        return operation::wait(op, future);
    }
    let Some(future) = (*op).waiter.take() else {
        return runtime_error("fenshen: a waiter is lost");
    };
    let outcome = settled(&future, how);
    Waiters::remove(&raw mut (*l).waiters, &future)?;
    match outcome {
        Ok(()) => {
            (*l).locked = true;
            Ok(Await::Return(boolean(true)))
        }
        Err(exc) => {
            // It may have been woken for this lock: then the next one must be.
            if !(*l).locked {
                wake_first(l)?;
            }
            restore(exc);
            Err(Raised)
        }
    }
}

/// `__aenter__` of everything with `acquire` and `release`: awaits what `acquire` returns.
pub(crate) unsafe fn run_enter(op: *mut Operation, how: Resume) -> Res<Await> {
    let owner = ptr_or_null(&(*op).owner);
    if matches!(how, Resume::Start) {
        let acquiring = call_method(&names().acquire, &[owner])?;
        operation::enter(op, &acquiring)?;
    }
    match operation::go_on(op, how) {
        Inner::Yield(o) => Ok(Await::Yield(o)),
        Inner::Return(_) => Ok(Await::Return(none())),
        Inner::Raise(exc) => {
            restore(exc);
            Err(Raised)
        }
    }
}

/// `__aexit__` of everything with `acquire` and `release`.
pub(crate) unsafe fn run_exit(op: *mut Operation, _how: Resume) -> Res<Await> {
    call_method(&names().release, &[ptr_or_null(&(*op).owner)])?;
    Ok(Await::Return(none()))
}

/// As [`run_enter`] where no method is overridden.
unsafe fn run_plain_enter(op: *mut Operation, how: Resume) -> Res<Await> {
    match run_acquire(op, how)? {
        Await::Return(_) => Ok(Await::Return(none())),
        other => Ok(other),
    }
}

unsafe fn run_plain_exit(op: *mut Operation, _how: Resume) -> Res<Await> {
    give(ptr_or_null(&(*op).owner).cast())?;
    Ok(Await::Return(none()))
}

static PLAIN_ENTER: Plan =
    Plan { name: c"__aenter__", qualname: c"_ContextManagerMixin.__aenter__", run: run_plain_enter };
static PLAIN_EXIT: Plan = Plan { name: c"__aexit__", qualname: c"_ContextManagerMixin.__aexit__", run: run_plain_exit };

unsafe fn acquire(this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    args.none("Lock.acquire")?;
    operation::new(&ACQUIRE, this, std::ptr::null_mut())
}

unsafe fn aenter(this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    args.none("__aenter__")?;
    let plan = if (*this.cast::<Head>()).plain { &PLAIN_ENTER } else { &ENTER };
    operation::new(plan, this, std::ptr::null_mut())
}

unsafe fn aexit(this: *mut PyObject, _args: &Args<'_>) -> Res<Obj> {
    let plan = if (*this.cast::<Head>()).plain { &PLAIN_EXIT } else { &EXIT };
    operation::new(plan, this, std::ptr::null_mut())
}

/// The plans of `__aenter__` and `__aexit__` for what has methods of its own.
pub(crate) fn context_plans() -> (&'static Plan, &'static Plan) {
    (&ENTER, &EXIT)
}

unsafe extern "C" fn init(this: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> c_int {
    status(|| {
        let [] = init_args(&INIT, "Lock", args, kwargs)?;
        let l: *mut Lock = this.cast();
        (*l).waiters.clear();
        (*l).locked = false;
        Ok(())
    })
}

no_args!(py_locked, |l: Lock| Ok(boolean((*l).locked)));
no_args!(py_release, |l: Lock| give(l).map(|()| none()));

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let l: *mut Lock = this.cast();
        head::show(this, if (*l).locked { "locked" } else { "unlocked" }, &raw mut (*l).waiters)
    })
}

waiters!(get_waiters, set_waiters, Lock, waiters);
getter!(get_locked, |l: Lock| Ok(boolean((*l).locked)));
setter!(set_locked, |l: Lock, value| {
    (*l).locked = truth(&Obj::from(value))?;
    Ok(())
});

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let doc =
        c"Lock()\n--\n\nA lock for tasks, as asyncio.Lock: held by one at a time, handed on in the order of asking.";
    let ty = builder::<Lock>(c"fenshen._fenshen.Lock", doc)
        .slot(ffi::Py_tp_init, init as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .no_args(c"locked", py_locked, c"locked($self, /)\n--\n\nWhether it is held.")
        .no_args(c"release", py_release, c"release($self, /)\n--\n\nLet go of it; RuntimeError if nobody holds it.")
        .property(c"_waiters", get_waiters, Some(set_waiters))
        .property(c"_locked", get_locked, Some(set_locked))
        .build(None)?;
    shorten(ty);
    add_methods(
        ty,
        Some(&asyncio().lock_class),
        &[(c"acquire", acquire), (c"__aenter__", aenter), (c"__aexit__", aexit)],
    )?;
    Ok(ty)
}
