//! The lock of a condition: one of ours, or anything with `acquire` and `release`.

use std::ffi::c_int;

use fenshen_sync::current;
use pyo3::ffi::{self, PyObject};

use super::known::known;
use super::lock::{self, Lock};
use super::patience::{self, Patience};
use super::rlock::{self, RLock};
use super::{head, kinds};
use crate::args::Args;
use crate::errors;
use crate::object::{Obj, Raised, Res, attr, attr_opt, boolean, call, call_method, none, ptr_or_null, visit};

/// A lock, and how to use it.
pub(crate) struct AnyLock {
    object: Obj,
    kind: Kind,
}

enum Kind {
    Lock,
    RLock,
    Other(Box<Methods>),
}

/// The bound methods of a lock that is none of ours, looked up once as the standard library does.
struct Methods {
    acquire: Option<Obj>,
    release: Option<Obj>,
    /// What a lock may have for conditions; without them it is acquired and released.
    release_save: Option<Obj>,
    acquire_restore: Option<Obj>,
    is_owned: Option<Obj>,
}

/// What is needed to take a lock again as it was held.
pub(crate) enum Saved {
    /// It was held.
    Once,
    /// It was held that often.
    Often(u64),
    /// What `_release_save` returned.
    Object(Obj),
}

impl AnyLock {
    /// `lock`, or a new `RLock` for `None`.
    pub(crate) unsafe fn new(lock: *mut PyObject) -> Res<AnyLock> {
        let object = if lock == ffi::Py_None() { rlock::make(kinds::rlock())? } else { Obj::from(lock) };
        let kind = match ffi::Py_TYPE(object.ptr()) {
            ty if ty == kinds::lock() => Kind::Lock,
            ty if ty == kinds::rlock() => Kind::RLock,
            _ => Kind::Other(Box::new(Methods::of(object.ptr())?)),
        };
        Ok(AnyLock { object, kind })
    }

    /// Whether it is an `RLock`, ours or the interpreter's.
    pub(crate) unsafe fn is_reentrant(&self) -> bool {
        let ty: *mut PyObject = ffi::Py_TYPE(self.object.ptr()).cast();
        matches!(self.kind, Kind::RLock) || ty == known().rlock_class.ptr()
    }

    /// The lock itself.
    pub(crate) fn object(&self) -> &Obj {
        &self.object
    }

    /// The same lock once more, for as long as a wait takes: its condition may be given another one meanwhile.
    pub(crate) unsafe fn again(&self) -> AnyLock {
        let kind = match &self.kind {
            Kind::Lock => Kind::Lock,
            Kind::RLock => Kind::RLock,
            Kind::Other(methods) => Kind::Other(Box::new(methods.again())),
        };
        AnyLock { object: self.object.again(), kind }
    }

    fn lock(&self) -> *mut Lock {
        self.object.ptr().cast()
    }

    fn rlock(&self) -> *mut RLock {
        self.object.ptr().cast()
    }

    /// `acquire(*args)`.
    #[inline]
    pub(crate) unsafe fn acquire(&self, args: &Args<'_>) -> Res<Obj> {
        match &self.kind {
            Kind::Lock => Ok(boolean(lock::acquire(self.lock(), patience::of_lock(args)?)?)),
            Kind::RLock => Ok(boolean(rlock::acquire(self.rlock(), patience::of_lock(args)?)?)),
            Kind::Other(methods) => call_with(ptr_or_null(&methods.acquire), args),
        }
    }

    /// `release()`.
    #[inline]
    pub(crate) unsafe fn release(&self) -> Res<Obj> {
        match &self.kind {
            Kind::Lock => lock::release(self.lock()).map(|()| none()),
            Kind::RLock => rlock::release(self.rlock()).map(|()| none()),
            Kind::Other(methods) => call(ptr_or_null(&methods.release), &[]),
        }
    }

    /// `__enter__()`.
    #[inline]
    pub(crate) unsafe fn enter(&self) -> Res<Obj> {
        match &self.kind {
            Kind::Lock => Ok(boolean(lock::acquire(self.lock(), Patience::Endless)?)),
            Kind::RLock => Ok(boolean(rlock::acquire(self.rlock(), Patience::Endless)?)),
            Kind::Other(_) => call_method(&known().enter, &[self.object.ptr()]),
        }
    }

    /// `__exit__(*args)`.
    #[inline]
    pub(crate) unsafe fn exit(&self, args: &Args<'_>) -> Res<Obj> {
        match &self.kind {
            Kind::Lock => lock::release(self.lock()).map(|()| none()),
            Kind::RLock => rlock::release(self.rlock()).map(|()| none()),
            Kind::Other(_) => call_with(attr(self.object.ptr(), &known().exit)?.ptr(), args),
        }
    }

    /// Whether the calling thread holds it; of a lock without owners, whether anyone does.
    #[inline]
    pub(crate) unsafe fn is_owned(&self) -> Res<bool> {
        match &self.kind {
            Kind::Lock => Ok((*self.lock()).mutex.is_locked()),
            Kind::RLock => Ok((*self.rlock()).mutex.is_owned(current())),
            Kind::Other(methods) => methods.is_owned(),
        }
    }

    /// Releases it altogether.
    pub(crate) unsafe fn release_save(&self) -> Res<Saved> {
        match &self.kind {
            Kind::Lock => lock::release(self.lock()).map(|()| Saved::Once),
            Kind::RLock => rlock::release_all(self.rlock()).map(Saved::Often),
            Kind::Other(methods) => match &methods.release_save {
                Some(save) => call(save.ptr(), &[]).map(Saved::Object),
                None => call(ptr_or_null(&methods.release), &[]).map(|_| Saved::Once),
            },
        }
    }

    /// Takes it again, and then raises `error`, if there is one. An error that comes meanwhile (a signal handler's) is
    /// raised when that is done too; but a second one, and a deadlock, end the attempt: there has to be a way out.
    pub(crate) unsafe fn acquire_restore(&self, saved: &Saved, mut error: Option<Obj>) -> Res<()> {
        loop {
            let restored = self.try_restore(saved);
            if restored.is_ok() || error.is_some() || matches!(self.kind, Kind::Other(_)) {
                return raise_after(restored, error);
            }
            let raised = errors::take();
            if is_deadlock(&raised) {
                errors::restore(raised);
                return Err(Raised);
            }
            error = Some(raised);
        }
    }

    unsafe fn try_restore(&self, saved: &Saved) -> Res<()> {
        match (&self.kind, saved) {
            (Kind::Lock, _) => lock::acquire(self.lock(), Patience::Endless).map(|_| ()),
            (Kind::RLock, Saved::Often(count)) => rlock::restore(self.rlock(), *count),
            (Kind::RLock, _) => rlock::acquire(self.rlock(), Patience::Endless).map(|_| ()),
            (Kind::Other(methods), saved) => methods.acquire_restore(saved),
        }
    }

    /// `_release_save()` as a condition's own method.
    pub(crate) unsafe fn save_object(&self) -> Res<Obj> {
        match &self.kind {
            Kind::RLock => call_method(&known().release_save, &[self.object.ptr()]),
            _ => match self.release_save()? {
                Saved::Object(saved) => Ok(saved),
                _ => Ok(none()),
            },
        }
    }

    /// `_acquire_restore(saved)` as a condition's own method.
    pub(crate) unsafe fn restore_object(&self, saved: *mut PyObject) -> Res<()> {
        match &self.kind {
            Kind::Lock => lock::acquire(self.lock(), Patience::Endless).map(|_| ()),
            Kind::RLock => call_method(&known().acquire_restore, &[self.object.ptr(), saved]).map(|_| ()),
            Kind::Other(methods) => methods.acquire_restore(&Saved::Object(Obj::from(saved))),
        }
    }

    /// `_at_fork_reinit()`.
    pub(crate) unsafe fn at_fork_reinit(&self) -> Res<()> {
        call_method(&known().at_fork_reinit, &[self.object.ptr()]).map(|_| ())
    }

    /// Visits what it holds, for the garbage collector.
    pub(crate) unsafe fn visit(&self, visitor: ffi::visitproc, arg: *mut std::ffi::c_void) -> c_int {
        let status = visitor(self.object.ptr(), arg);
        let Kind::Other(methods) = &self.kind else { return status };
        methods.all().into_iter().fold(status, |status, method| match status {
            0 => visit(method, visitor, arg),
            _ => status,
        })
    }
}

impl Methods {
    unsafe fn of(lock: *mut PyObject) -> Res<Methods> {
        Ok(Methods {
            acquire: Some(attr(lock, &known().acquire)?),
            release: Some(attr(lock, &known().release)?),
            release_save: attr_opt(lock, &known().release_save)?,
            acquire_restore: attr_opt(lock, &known().acquire_restore)?,
            is_owned: attr_opt(lock, &known().is_owned)?,
        })
    }

    fn all(&self) -> [&Option<Obj>; 5] {
        [&self.acquire, &self.release, &self.release_save, &self.acquire_restore, &self.is_owned]
    }

    unsafe fn again(&self) -> Methods {
        let again = |method: &Option<Obj>| method.as_ref().map(|m| m.again());
        Methods {
            acquire: again(&self.acquire),
            release: again(&self.release),
            release_save: again(&self.release_save),
            acquire_restore: again(&self.acquire_restore),
            is_owned: again(&self.is_owned),
        }
    }

    unsafe fn is_owned(&self) -> Res<bool> {
        if let Some(is_owned) = &self.is_owned {
            return head::truth(&call(is_owned.ptr(), &[])?);
        }
        let free = head::truth(&call(ptr_or_null(&self.acquire), &[ffi::Py_False()])?)?;
        if free {
            call(ptr_or_null(&self.release), &[])?;
        }
        Ok(!free)
    }

    unsafe fn acquire_restore(&self, saved: &Saved) -> Res<()> {
        match (&self.acquire_restore, saved) {
            (Some(restore), Saved::Object(object)) => call(restore.ptr(), &[object.ptr()]),
            (Some(restore), _) => call(restore.ptr(), &[ffi::Py_None()]),
            (None, _) => call(ptr_or_null(&self.acquire), &[]),
        }
        .map(|_| ())
    }
}

/// `callable(*args)`, as we were called.
unsafe fn call_with(callable: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    let names = args.names().unwrap_or(std::ptr::null_mut());
    Obj::new(ffi::PyObject_Vectorcall(callable, args.values().as_ptr(), args.positional().len(), names))
}

/// The outcome of what was done after `error`, which is raised now; or shown as what went before, if that failed as well.
pub(crate) unsafe fn raise_after(outcome: Res<()>, error: Option<Obj>) -> Res<()> {
    let Some(error) = error else { return outcome };
    if outcome.is_ok() {
        errors::restore(error);
        return Err(Raised);
    }
    let raised = errors::take();
    let before = Obj::steal_opt(ffi::PyException_GetContext(raised.ptr()));
    if before.is_none() && raised.ptr() != error.ptr() {
        ffi::PyException_SetContext(raised.ptr(), error.into_ptr());
    }
    errors::restore(raised);
    Err(Raised)
}

/// Whether an error says that the wait could never have ended.
unsafe fn is_deadlock(error: &Obj) -> bool {
    let class = super::known::import(c"fenshen.deadlock").and_then(|m| super::known::find(&m, c"DeadlockError"));
    match class {
        Ok(class) => errors::is(error, class.ptr()),
        Err(Raised) => {
            ffi::PyErr_Clear();
            false
        }
    }
}
