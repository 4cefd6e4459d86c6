//! `Condition`: tasks that hold a lock wait for others to say that something has changed.

use std::ffi::{CStr, c_int, c_void};

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::coroutine_function::add_methods;
use super::head::{self, Head, Primitive, builder, init_args, shorten, truth, waiters};
use super::lock::{self, Lock};
use super::operation::{self, Inner, Operation, Plan, Resume, is_cancellation, settled};
use super::waiters::Waiters;
use crate::args::{Args, Signature};
use crate::errors::{entry, restore, runtime_error, status};
use crate::future_iter::Await;
use crate::kinds;
use crate::methods::{getter, no_args, setter};
use crate::names::{asyncio, names};
use crate::object::{Obj, Raised, Res, call, call_method, clear, none, not_none, ptr_or_null, set, visit};

/// The layout of `fenshen.Condition`.
#[repr(C)]
pub(crate) struct Condition {
    head: Head,
    /// A lock of any kind.
    lock: Option<Obj>,
    waiters: Waiters,
}

impl Primitive for Condition {
    const CALLED: &'static [&'static CStr] = &[c"acquire", c"release", c"locked", c"wait", c"notify"];
    fn kind() -> *mut PyTypeObject {
        kinds::condition()
    }
    unsafe fn prepare(this: *mut Condition) {
        std::ptr::write(&raw mut (*this).waiters, Waiters::empty());
    }
    unsafe fn visit(this: *mut Condition, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        match visit(&(*this).lock, visitor, arg) {
            0 => (*this).waiters.traverse(visitor, arg),
            status => status,
        }
    }
    unsafe fn release(this: *mut Condition) {
        (*this).waiters.clear();
        clear(&mut (*this).lock);
    }
    unsafe fn stands_for(ty: *mut PyTypeObject) -> Option<&'static Obj> {
        (ty == kinds::condition()).then(|| &asyncio().condition_class)
    }
}

const INIT: Signature<1> = Signature { func: "Condition.__init__", names: [c"lock"], positional: 1, required: 0 };
const NOTIFY: Signature<1> = Signature { func: "Condition.notify", names: [c"n"], positional: 1, required: 0 };

/// Whose `acquire`, `release` and `locked` count: the lock's, or its own where one of them is overridden.
pub(crate) unsafe fn lock_of(c: *mut Condition) -> Res<Obj> {
    if !(*c).head.plain {
        return Ok(Obj::from(c.cast()));
    }
    match &(*c).lock {
        Some(lock) => Ok(lock.again()),
        None => crate::errors::raise(ffi::PyExc_AttributeError, "'Condition' object has no attribute '_lock'"),
    }
}

/// Wakes up to `most` waiters, whoever holds the lock.
pub(crate) unsafe fn wake(c: *mut Condition, most: isize) -> Res<()> {
    Waiters::wake_some(&raw mut (*c).waiters, most, ffi::Py_False())
}

const WAITING: u8 = 1;
const TAKING_BACK: u8 = 2;

/// `wait()`: lets go of the lock, waits, and takes the lock back, whatever happened.
unsafe fn run_wait(op: *mut Operation, how: Resume) -> Res<Await> {
    let c: *mut Condition = ptr_or_null(&(*op).owner).cast();
    let lock = lock_of(c)?;
    let how = match (*op).phase {
        0 => {
            if !lock::locked(lock.ptr())? {
                return runtime_error("cannot wait on un-acquired lock");
            }
            let future = Head::future(c.cast())?;
            lock::release(lock.ptr())?;
            Waiters::push(&raw mut (*c).waiters, future.again())?;
            (*op).phase = WAITING;
            return operation::wait(op, future);
        }
        WAITING => {
            let Some(future) = (*op).waiter.take() else {
                return runtime_error("fenshen: a waiter is lost");
            };
            let outcome = settled(&future, how);
            Waiters::remove(&raw mut (*c).waiters, &future)?;
            set(&mut (*op).held, outcome.err());
            (*op).phase = TAKING_BACK;
            Resume::Start
        }
        _ => how,
    };
    take_back(op, c, &lock, how)
}

unsafe fn take_back(op: *mut Operation, c: *mut Condition, lock: &Obj, how: Resume) -> Res<Await> {
    let mut how = how;
    let failed = loop {
        match lock::take(op, lock.ptr(), how) {
            Inner::Yield(o) => return Ok(Await::Yield(o)),
            Inner::Return(_) => break (*op).held.take(),
            Inner::Raise(exc) if is_cancellation(&exc) => {
                set(&mut (*op).held, Some(exc));
                how = Resume::Start;
            }
            Inner::Raise(exc) => break Some(exc),
        }
    };
    match failed {
        None => Ok(Await::Return(crate::object::boolean(true))),
        Some(exc) => {
            // It may have been notified: somebody else must be instead.
            wake(c, 1)?;
            restore(exc);
            Err(Raised)
        }
    }
}

/// `wait_for(predicate)`.
unsafe fn run_wait_for(op: *mut Operation, how: Resume) -> Res<Await> {
    let c = ptr_or_null(&(*op).owner);
    let mut how = how;
    loop {
        if matches!(how, Resume::Start) {
            let result = call(ptr_or_null(&(*op).arg), &[])?;
            if truth(&result)? {
                return Ok(Await::Return(result));
            }
            let waiting = call_method(&names().wait, &[c])?;
            operation::enter(op, &waiting)?;
        }
        match operation::go_on(op, how) {
            Inner::Yield(o) => return Ok(Await::Yield(o)),
            Inner::Return(_) => how = Resume::Start,
            Inner::Raise(exc) => {
                restore(exc);
                return Err(Raised);
            }
        }
    }
}

unsafe fn run_enter(op: *mut Operation, how: Resume) -> Res<Await> {
    let lock = lock_of(ptr_or_null(&(*op).owner).cast())?;
    match lock::take(op, lock.ptr(), how) {
        Inner::Yield(o) => Ok(Await::Yield(o)),
        Inner::Return(_) => Ok(Await::Return(none())),
        Inner::Raise(exc) => {
            restore(exc);
            Err(Raised)
        }
    }
}

unsafe fn run_exit(op: *mut Operation, _how: Resume) -> Res<Await> {
    let lock = lock_of(ptr_or_null(&(*op).owner).cast())?;
    lock::release(lock.ptr())?;
    Ok(Await::Return(none()))
}

static WAIT: Plan = Plan { name: c"wait", qualname: c"Condition.wait", run: run_wait };
static WAIT_FOR: Plan = Plan { name: c"wait_for", qualname: c"Condition.wait_for", run: run_wait_for };
static ENTER: Plan = Plan { name: c"__aenter__", qualname: c"_ContextManagerMixin.__aenter__", run: run_enter };
static EXIT: Plan = Plan { name: c"__aexit__", qualname: c"_ContextManagerMixin.__aexit__", run: run_exit };

/// `c.wait()`.
pub(crate) unsafe fn waiting(c: *mut PyObject) -> Res<Obj> {
    operation::new(&WAIT, c, std::ptr::null_mut())
}

unsafe fn wait(this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    args.none("Condition.wait")?;
    waiting(this)
}

unsafe fn wait_for(this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    const WAIT_FOR_ARGS: Signature<1> =
        Signature { func: "Condition.wait_for", names: [c"predicate"], positional: 1, required: 1 };
    let [predicate] = args.sort(&WAIT_FOR_ARGS)?;
    operation::new(&WAIT_FOR, this, predicate)
}

unsafe fn aenter(this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    args.none("__aenter__")?;
    operation::new(&ENTER, this, std::ptr::null_mut())
}

unsafe fn aexit(this: *mut PyObject, _args: &Args<'_>) -> Res<Obj> {
    operation::new(&EXIT, this, std::ptr::null_mut())
}

unsafe extern "C" fn init(this: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> c_int {
    status(|| {
        let [lock] = init_args(&INIT, "Condition", args, kwargs)?;
        let lock = if lock.is_null() { lock } else { not_none(lock) };
        let lock = match Obj::from_opt(lock) {
            Some(given) => given,
            None => head::allocate::<Lock>(kinds::lock())?,
        };
        let c: *mut Condition = this.cast();
        drop(std::mem::replace(&mut (*c).waiters, Waiters::empty()));
        set(&mut (*c).lock, Some(lock));
        Ok(())
    })
}

unsafe fn checked_notify(c: *mut Condition, most: isize) -> Res<Obj> {
    let lock = lock_of(c)?;
    if !lock::locked(lock.ptr())? {
        return runtime_error("cannot notify on un-acquired lock");
    }
    wake(c, most).map(|()| none())
}

unsafe fn count(o: *mut PyObject) -> Res<isize> {
    let most = ffi::PyNumber_AsSsize_t(o, std::ptr::null_mut());
    if most == -1 && !ffi::PyErr_Occurred().is_null() { Err(Raised) } else { Ok(most) }
}

crate::methods::fast!(notify, |c: Condition, args| {
    let [n] = args.sort(&NOTIFY)?;
    let most = if n.is_null() { 1 } else { count(n)? };
    checked_notify(c, most)
});
crate::methods::one_arg!(private_notify, |c: Condition, n| {
    wake(c, count(n)?)?;
    Ok(none())
});
no_args!(notify_all, |c: Condition| {
    let all = Waiters::len(&raw mut (*c).waiters)? as isize;
    if (*c).head.plain {
        return checked_notify(c, all);
    }
    let all = Obj::new(ffi::PyLong_FromSsize_t(all))?;
    call_method(&names().notify, &[c.cast(), all.ptr()])
});

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let c: *mut Condition = this.cast();
        let lock = lock_of(c)?;
        let extra = if lock::locked(lock.ptr())? { "locked" } else { "unlocked" };
        head::show(this, extra, &raw mut (*c).waiters)
    })
}

// The lock's methods are its own: what `c.acquire` gives is `lock.acquire`.
macro_rules! of_lock {
    ($get:ident, $name:ident) => {
        getter!($get, |c: Condition| {
            if !(*c).dict().is_null() {
                let own = ffi::PyDict_GetItemWithError((*c).dict(), names().$name.ptr());
                if !own.is_null() {
                    return Ok(Obj::from(own));
                }
            }
            match &(*c).lock {
                Some(lock) => {
                    let lock = lock.again();
                    crate::object::attr(lock.ptr(), &names().$name)
                }
                None => crate::errors::raise(ffi::PyExc_AttributeError, "'Condition' object has no attribute '_lock'"),
            }
        });
    };
}
of_lock!(get_acquire, acquire);
of_lock!(get_release, release);
of_lock!(get_locked, locked);

macro_rules! own {
    ($set:ident, $name:ident) => {
        setter!($set, |c: Condition, value| {
            let dict = Obj::new(ffi::PyObject_GenericGetDict(c.cast(), std::ptr::null_mut()))?;
            crate::object::done(ffi::PyDict_SetItem(dict.ptr(), names().$name.ptr(), value))
        });
    };
}
own!(set_acquire, acquire);
own!(set_release, release);
own!(set_locked, locked);

impl Condition {
    fn dict(&self) -> *mut PyObject {
        self.head.dict
    }
}

waiters!(get_waiters, set_waiters, Condition, waiters);
getter!(get_lock, |c: Condition| Ok(Obj::from_opt(ptr_or_null(&(*c).lock)).unwrap_or_else(|| none())));
setter!(set_lock, |c: Condition, value| {
    set(&mut (*c).lock, Some(Obj::from(value)));
    Ok(())
});

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let doc = c"Condition(lock=None)\n--\n\nTasks that hold a lock wait for others to say that something has changed, as asyncio.Condition.\n\nlock: an asyncio.Lock of any kind; by default a new one.";
    let ty = builder::<Condition>(c"fenshen._fenshen.Condition", doc)
        .slot(ffi::Py_tp_init, init as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .fast(
            c"notify",
            notify,
            c"notify($self, n=1)\n--\n\nWake up to n waiters; RuntimeError unless the lock is held.",
        )
        .no_args(
            c"notify_all",
            notify_all,
            c"notify_all($self, /)\n--\n\nWake every waiter; RuntimeError unless the lock is held.",
        )
        .one_arg(
            c"_notify",
            private_notify,
            c"_notify($self, n, /)\n--\n\nWake up to n waiters, whoever holds the lock.",
        )
        .property(c"acquire", get_acquire, Some(set_acquire))
        .property(c"release", get_release, Some(set_release))
        .property(c"locked", get_locked, Some(set_locked))
        .property(c"_lock", get_lock, Some(set_lock))
        .property(c"_waiters", get_waiters, Some(set_waiters))
        .build(None)?;
    let methods =
        [(c"wait", wait as _), (c"wait_for", wait_for as _), (c"__aenter__", aenter as _), (c"__aexit__", aexit as _)];
    shorten(ty);
    add_methods(ty, Some(&asyncio().condition_class), &methods)?;
    Ok(ty)
}
