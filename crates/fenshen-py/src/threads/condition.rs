//! `Condition`: threads wait for each other's news, holding a lock when they look and when they tell.

use std::ffi::{c_int, c_void};

use fenshen_sync::graph::Target;
use fenshen_sync::{Deadline, Failed, Scope, Waiter, Wake, current};
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::any_lock::{AnyLock, Saved};
use super::head::{self, Head, Shared, Standard};
use super::known::known;
use super::park::PyPark;
use super::patience::{self, Patience};
use crate::args::{Signature, sort_call};
use crate::errors::{self, entry, raise, status};
use crate::methods::{fast, getter, no_args, one_arg};
use crate::object::{Obj, Raised, Res, boolean, call, call_method, done, none, text};

/// The layout of `Condition`.
#[repr(C)]
pub(crate) struct Condition {
    head: Head,
    core: fenshen_sync::Condition,
    /// None before `__init__`.
    lock: Option<AnyLock>,
}

static CONDITION: Standard = Standard::new(c"threading", c"Condition");

impl Shared for Condition {
    const CALLED: &'static [&'static std::ffi::CStr] =
        &[c"wait", c"notify", c"notify_all", c"_is_owned", c"_release_save", c"_acquire_restore"];
    const STANDARD: &'static Standard = &CONDITION;

    fn kind() -> *mut PyTypeObject {
        super::kinds::condition()
    }

    unsafe fn prepare(this: *mut Condition) {
        std::ptr::write(&raw mut (*this).core, fenshen_sync::Condition::new(Scope::Process));
        std::ptr::write(&raw mut (*this).lock, None);
    }

    unsafe fn visit(this: *mut Condition, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        (*this).lock.as_ref().map_or(0, |lock| lock.visit(visitor, arg))
    }

    unsafe fn release(this: *mut Condition) {
        drop((*this).lock.take());
    }

    unsafe fn pickled_as(this: *mut Condition) -> &'static str {
        match &(*this).lock {
            Some(lock) if lock.is_reentrant() => "_thread.RLock",
            _ => "_thread.lock",
        }
    }
}

/// The lock of a condition that was initialised.
#[inline]
unsafe fn lock<'a>(c: *mut Condition) -> Res<&'a AnyLock> {
    match &(*c).lock {
        Some(lock) => Ok(lock),
        None => raise(ffi::PyExc_RuntimeError, "Condition.__init__() was not called"),
    }
}

/// The same, kept while Python code may run or the thread may block: `__init__` may be called again.
unsafe fn own_lock(c: *mut Condition) -> Res<AnyLock> {
    Ok(lock(c)?.again())
}

/// A condition over a lock; over a new `RLock` for `None`.
pub(crate) unsafe fn make(lock: *mut PyObject) -> Res<Obj> {
    let this = head::allocate::<Condition>(Condition::kind())?;
    (*this.ptr().cast::<Condition>()).lock = Some(AnyLock::new(lock)?);
    Ok(this)
}

/// Whether the calling thread may wait and tell.
#[inline]
unsafe fn is_owned(c: *mut Condition) -> Res<bool> {
    if (*c).head.plain {
        return own_lock(c)?.is_owned();
    }
    head::truth(&call_method(&known().is_owned, &[c.cast()])?)
}

unsafe fn release_save(c: *mut Condition, lock: &AnyLock) -> Res<Saved> {
    if (*c).head.plain {
        return lock.release_save();
    }
    call_method(&known().release_save, &[c.cast()]).map(Saved::Object)
}

unsafe fn acquire_restore(c: *mut Condition, lock: &AnyLock, saved: &Saved, error: Option<Obj>) -> Res<()> {
    match saved {
        Saved::Object(saved) if !(*c).head.plain => {
            let restored = call_method(&known().acquire_restore, &[c.cast(), saved.ptr()]);
            super::any_lock::raise_after(restored.map(|_| ()), error)
        }
        saved => lock.acquire_restore(saved, error),
    }
}

/// Waits to be told, as long as `patience` says; returns whether it was.
pub(crate) unsafe fn wait(c: *mut Condition, patience: Patience) -> Res<bool> {
    if !is_owned(c)? {
        return raise(ffi::PyExc_RuntimeError, "cannot wait on un-acquired lock");
    }
    let _alive = Obj::from(c.cast());
    let lock = lock(c)?.again();
    let core = &(*c).core;
    let waiter = Waiter::new(current(), Wake::Thread);
    core.enlist(&waiter);
    let saved = match release_save(c, &lock) {
        Ok(saved) => saved,
        Err(Raised) => {
            if core.withdraw(&waiter) {
                core.notify(1);
            }
            return Err(Raised);
        }
    };
    let told = match patience {
        Patience::None => Ok(core.withdraw(&waiter)),
        _ => match core.block(&waiter, &mut PyPark::new(c.cast(), Target::Anyone), patience.deadline()) {
            Ok(()) => Ok(true),
            Err(Failed::TimedOut) => Ok(false),
            Err(Failed::Interrupted) => Err(errors::take()),
        },
    };
    let (told, error) = match told {
        Ok(told) => (told, None),
        Err(error) => (false, Some(error)),
    };
    acquire_restore(c, &lock, &saved, error)?;
    Ok(told)
}

/// Tells the `count` that have waited longest.
#[inline]
pub(crate) unsafe fn notify(c: *mut Condition, count: u64) -> Res<()> {
    if !is_owned(c)? {
        return raise(ffi::PyExc_RuntimeError, "cannot notify on un-acquired lock");
    }
    (*c).core.notify(count);
    Ok(())
}

/// Whether none of the methods that others call is overridden, neither in its class nor in itself.
#[inline]
pub(crate) unsafe fn is_plain(c: *mut Condition) -> bool {
    (*c).head.plain
}

/// Acquires its lock.
pub(crate) unsafe fn enter(c: *mut Condition) -> Res<()> {
    own_lock(c)?.enter().map(|_| ())
}

/// Releases its lock.
pub(crate) unsafe fn leave(c: *mut Condition) -> Res<()> {
    own_lock(c)?.release().map(|_| ())
}

/// `n` of `notify`: any number; what is not above zero tells nobody.
unsafe fn how_many(n: *mut PyObject) -> Res<u64> {
    if ffi::PyLong_CheckExact(n) != 0 {
        let mut overflow = 0;
        let count = ffi::PyLong_AsLongLongAndOverflow(n, &mut overflow);
        return Ok(if overflow > 0 { u64::MAX } else { count.max(0) as u64 });
    }
    let count = ffi::PyFloat_AsDouble(n);
    if count == -1.0 && !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    Ok(count.ceil() as u64)
}

const NOTIFY: Signature<1> = Signature { func: "Condition.notify", names: [c"n"], positional: 1, required: 0 };
const WAIT: Signature<1> = Signature { func: "Condition.wait", names: [c"timeout"], positional: 1, required: 0 };
const WAIT_FOR: Signature<2> =
    Signature { func: "Condition.wait_for", names: [c"predicate", c"timeout"], positional: 2, required: 1 };
const INIT: Signature<1> = Signature { func: "Condition.__init__", names: [c"lock"], positional: 1, required: 0 };

fast!(py_acquire, |c: Condition, args| own_lock(c)?.acquire(&args));
no_args!(py_release, |c: Condition| own_lock(c)?.release());
no_args!(py_enter, |c: Condition| own_lock(c)?.enter());
fast!(py_exit, |c: Condition, args| own_lock(c)?.exit(&args));
no_args!(py_locked, |c: Condition| call_method(&known().locked, &[lock(c)?.object().ptr()]));
no_args!(py_is_owned, |c: Condition| Ok(boolean(own_lock(c)?.is_owned()?)));
no_args!(py_release_save, |c: Condition| own_lock(c)?.save_object());
one_arg!(py_acquire_restore, |c: Condition, saved| {
    own_lock(c)?.restore_object(saved)?;
    Ok(none())
});
fast!(py_wait, |c: Condition, args| {
    let [timeout] = args.sort(&WAIT)?;
    Ok(boolean(wait(c, patience::of_timeout(timeout)?)?))
});
fast!(py_wait_for, |c: Condition, args| {
    let [predicate, timeout] = args.sort(&WAIT_FOR)?;
    let _alive = Obj::from(c.cast());
    let timeout = if timeout.is_null() { ffi::Py_None() } else { timeout };
    if (*c).head.plain { wait_for(c, predicate, timeout) } else { wait_for_by_methods(c, predicate, timeout) }
});
fast!(py_notify, |c: Condition, args| {
    let count = if args.is_empty() {
        1
    } else {
        let [n] = args.sort(&NOTIFY)?;
        how_many(n)?
    };
    notify(c, count)?;
    Ok(none())
});
no_args!(py_notify_all, |c: Condition| {
    if (*c).head.plain {
        notify(c, u64::MAX)?;
        return Ok(none());
    }
    let count = Obj::new(ffi::PyLong_FromSize_t((*c).core.len()))?;
    call_method(&known().notify, &[c.cast(), count.ptr()])?;
    Ok(none())
});
no_args!(py_notify_all_old, |c: Condition| {
    let message = c"notifyAll() is deprecated, use notify_all() instead";
    done(ffi::PyErr_WarnEx(ffi::PyExc_DeprecationWarning, message.as_ptr(), 1))?;
    call_method(&known().notify_all, &[c.cast()])
});
no_args!(py_reinit, |c: Condition| {
    lock(c)?.at_fork_reinit()?;
    (*c).core.reset();
    Ok(none())
});
getter!(get_lock, |c: Condition| Ok(lock(c)?.object().again()));
getter!(get_waiters, |c: Condition| {
    let waiters = Obj::new(ffi::PyList_New(0))?;
    for owner in (*c).core.owners() {
        let ident = fenshen_sync::find(owner).map_or(0, |thread| thread.ident);
        let ident = Obj::new(ffi::PyLong_FromUnsignedLongLong(ident))?;
        done(ffi::PyList_Append(waiters.ptr(), ident.ptr()))?;
    }
    Ok(waiters)
});

/// Waits until `predicate` is true; returns what it returned last.
unsafe fn wait_for(c: *mut Condition, predicate: *mut PyObject, timeout: *mut PyObject) -> Res<Obj> {
    let mut result = call(predicate, &[])?;
    let mut deadline: Option<Deadline> = None;
    let mut patience = Patience::Endless;
    while !head::truth(&result)? {
        if timeout != ffi::Py_None() {
            match deadline {
                None => {
                    patience = patience::of_timeout(timeout)?;
                    deadline = patience.deadline();
                }
                Some(deadline) if deadline.is_past() => break,
                Some(deadline) => patience = Patience::For(deadline.remaining()),
            }
        }
        wait(c, patience)?;
        result = call(predicate, &[])?;
    }
    Ok(result)
}

/// The same by the object's own `wait`, which is overridden.
unsafe fn wait_for_by_methods(c: *mut Condition, predicate: *mut PyObject, timeout: *mut PyObject) -> Res<Obj> {
    let mut result = call(predicate, &[])?;
    let mut deadline: Option<Deadline> = None;
    let mut left = Obj::from(timeout);
    while !head::truth(&result)? {
        if timeout != ffi::Py_None() {
            match deadline {
                None => deadline = patience::of_timeout(timeout)?.deadline(),
                Some(deadline) if deadline.is_past() => break,
                Some(deadline) => left = Obj::new(ffi::PyFloat_FromDouble(deadline.remaining().as_secs_f64()))?,
            }
        }
        call_method(&known().wait, &[c.cast(), left.ptr()])?;
        result = call(predicate, &[])?;
    }
    Ok(result)
}

unsafe extern "C" fn init(this: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> c_int {
    status(|| {
        let [lock] = sort_call(&INIT, args, kwargs)?;
        let lock = AnyLock::new(if lock.is_null() { ffi::Py_None() } else { lock })?;
        let old = (*this.cast::<Condition>()).lock.replace(lock);
        drop(old);
        Ok(())
    })
}

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let c: *mut Condition = this.cast();
        let shown = Obj::new(ffi::PyObject_Str(lock(c)?.object().ptr()))?;
        text(&format!("<Condition({}, {})>", crate::object::utf8(shown.ptr())?, (*c).core.len()))
    })
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let doc = c"Condition(lock=None)\n--\n\nA condition variable over `lock`, or a new RLock, as threading.Condition.\n\nThose who wait are told in the order in which they came. Any lock with acquire() and release() serves, the\ninterpreter's own among them; its _release_save(), _acquire_restore() and _is_owned() are used where it has them.";
    let builder = head::builder::<Condition>(c"fenshen._threads.Condition", doc)
        .slot(ffi::Py_tp_init, init as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .fast(c"acquire", py_acquire, c"acquire($self, /, *args, **kwargs)\n--\n\nAcquire the lock, as its own acquire() does.")
        .no_args(c"release", py_release, c"release($self, /)\n--\n\nRelease the lock.")
        .no_args(c"__enter__", py_enter, c"__enter__($self, /)\n--\n\nEnter the lock.")
        .fast(c"__exit__", py_exit, c"__exit__($self, /, *args)\n--\n\nLeave the lock.")
        .fast(
            c"wait",
            py_wait,
            c"wait($self, /, timeout=None)\n--\n\nRelease the lock, wait to be told, at most `timeout` seconds, and take the lock again.\n\nReturns whether it was told. Raises RuntimeError if the lock is not held.",
        )
        .fast(
            c"wait_for",
            py_wait_for,
            c"wait_for($self, /, predicate, timeout=None)\n--\n\nWait, at most `timeout` seconds, until predicate() is true; returns what it returned last.",
        )
        .fast(
            c"notify",
            py_notify,
            c"notify($self, /, n=1)\n--\n\nTell the `n` that have waited longest. Raises RuntimeError if the lock is not held.",
        )
        .no_args(
            c"notify_all",
            py_notify_all,
            c"notify_all($self, /)\n--\n\nTell all who wait. Raises RuntimeError if the lock is not held.",
        )
        .no_args(
            c"notifyAll",
            py_notify_all_old,
            c"notifyAll($self, /)\n--\n\nThe deprecated name of notify_all().",
        )
        .no_args(c"_is_owned", py_is_owned, c"_is_owned($self, /)\n--\n\nWhether this thread holds the lock; whether anyone does, where the lock cannot tell.")
        .no_args(c"_release_save", py_release_save, c"_release_save($self, /)\n--\n\nRelease the lock altogether; returns what _acquire_restore() takes.")
        .one_arg(c"_acquire_restore", py_acquire_restore, c"_acquire_restore($self, saved, /)\n--\n\nTake the lock as it was held.")
        .no_args(c"_at_fork_reinit", py_reinit, c"_at_fork_reinit($self, /)\n--\n\nMake it and its lock new, in a forked child.")
        .property(c"_lock", get_lock, None)
        .property(c"_waiters", get_waiters, None);
    let locked = c"locked($self, /)\n--\n\nWhether the lock is held.";
    if cfg!(Py_3_14) { builder.no_args(c"locked", py_locked, locked) } else { builder }.build(None)
}
