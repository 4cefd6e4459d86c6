//! The lock of a condition or of a wrapper: one of ours, which is called directly, or any object with a lock's methods.

use crate::args::Args;
use crate::errors::{self, raise};
use crate::object::{Obj, Raised, Res, attr, boolean, call_method, clear, none, set};
use pyo3::ffi;

use super::kinds;
use super::lock_names::names;
use super::own_methods::is_same;
use super::semlock::{self, SemLock};
use super::waiting::Patience;

/// The lock. All zero is none.
#[repr(C)]
pub(super) struct SharedLock {
    object: Option<Obj>,
    /// Whether it is one of ours and nobody has changed what its methods do.
    plain: bool,
}

impl SharedLock {
    /// Whose it is from now on.
    pub(super) unsafe fn put(&mut self, lock: Obj) -> Res<()> {
        let plain = is_plain(&lock)?;
        set(&mut self.object, Some(lock));
        self.plain = plain;
        Ok(())
    }

    /// The lock itself.
    pub(super) unsafe fn object(&self) -> Res<Obj> {
        match &self.object {
            Some(lock) => Ok(lock.again()),
            None => raise(ffi::PyExc_AttributeError, "_lock"),
        }
    }

    /// What the collector sees.
    pub(super) fn held(&self) -> &Option<Obj> {
        &self.object
    }

    /// Lets go of the object.
    pub(super) fn clear(&mut self) {
        self.plain = false;
        clear(&mut self.object);
    }

    /// The lock if it is ours.
    #[inline]
    fn plain(&self) -> Option<*mut SemLock> {
        self.object.as_ref().filter(|_| self.plain).map(|lock| lock.ptr().cast())
    }

    pub(super) unsafe fn enter(&self) -> Res<Obj> {
        match self.plain() {
            Some(lock) => Ok(boolean(semlock::acquire(lock, &Patience::Endless)?)),
            None => call_method(&names().enter, &[self.object()?.ptr()]),
        }
    }

    pub(super) unsafe fn exit(&self, args: &Args<'_>) -> Res<Obj> {
        if let Some(lock) = self.plain() {
            semlock::release(lock)?;
            return Ok(none());
        }
        let lock = self.object()?;
        let mut all = vec![lock.ptr()];
        all.extend_from_slice(args.positional());
        call_method(&names().exit, &all)
    }

    /// Does something while it is held.
    #[inline]
    pub(super) unsafe fn with<T>(&self, action: impl FnOnce() -> Res<T>) -> Res<T> {
        let alive = self.object()?;
        let plain = self.plain();
        match plain {
            Some(lock) => drop(semlock::acquire(lock, &Patience::Endless)?),
            None => drop(call_method(&names().acquire, &[alive.ptr()])?),
        }
        let outcome = action();
        let error = outcome.is_err().then(|| errors::take());
        match plain {
            Some(lock) => semlock::release(lock)?,
            None => drop(call_method(&names().release, &[alive.ptr()])?),
        }
        if let Some(error) = error {
            errors::restore(error);
        }
        outcome
    }

    /// Whether this thread holds it.
    pub(super) unsafe fn is_mine(&self) -> Res<bool> {
        if let Some(lock) = self.plain() {
            return semlock::is_held(lock);
        }
        let inner = attr(self.object()?.ptr(), &names().semlock)?;
        let mine = call_method(&names().is_mine, &[inner.ptr()])?;
        let truth = ffi::PyObject_IsTrue(mine.ptr());
        crate::object::done(truth)?;
        Ok(truth != 0)
    }

    /// Releases it as often as this process has acquired it; returns how often that was.
    pub(super) unsafe fn release_all(&self) -> Res<i32> {
        let alive = self.object()?;
        if let Some(lock) = self.plain() {
            let count = semlock::count(lock)?;
            for _ in 0..count {
                semlock::release(lock)?;
            }
            return Ok(count);
        }
        let inner = attr(alive.ptr(), &names().semlock)?;
        let count = call_method(&names().count, &[inner.ptr()])?;
        let count = ffi::PyLong_AsLong(count.ptr());
        if count == -1 && !ffi::PyErr_Occurred().is_null() {
            return Err(Raised);
        }
        for _ in 0..count {
            call_method(&names().release, &[alive.ptr()])?;
        }
        Ok(count as i32)
    }

    /// Acquires it so often.
    pub(super) unsafe fn acquire_again(&self, count: i32) -> Res<()> {
        let alive = self.object()?;
        for _ in 0..count {
            match self.plain() {
                Some(lock) => drop(semlock::acquire(lock, &Patience::Endless)?),
                None => drop(call_method(&names().acquire, &[alive.ptr()])?),
            }
        }
        Ok(())
    }
}

/// Whether the lock is ours, with our methods.
unsafe fn is_plain(lock: &Obj) -> Res<bool> {
    let (ty, ours) = (ffi::Py_TYPE(lock.ptr()), kinds::semlock());
    if ffi::PyType_IsSubtype(ty, ours) == 0 {
        return Ok(false);
    }
    for name in [&names().acquire, &names().release, &names().enter, &names().exit] {
        if !is_same(&attr(ty.cast(), name)?, &attr(ours.cast(), name)?) {
            return Ok(false);
        }
    }
    Ok(true)
}
