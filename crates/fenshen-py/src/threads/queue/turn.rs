//! The mutex and the conditions of an exposed queue. They are ours unless the program has put others in their place, and
//! whoever holds the mutex has the queue to himself.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use fenshen_sync::{Deadline, current};
use pyo3::ffi::{self, PyObject};

use super::exposed;
use super::layout::Queue;
use super::words::words;
use crate::errors::{self, runtime_error};
use crate::object::{Obj, Res, call_method, clear, set};
use crate::threads::lock::{self, Lock};
use crate::threads::patience::Patience;
use crate::threads::{condition, kinds};

/// A condition of a queue.
#[derive(Clone, Copy)]
pub(super) enum Which {
    NotEmpty = 0,
    NotFull = 1,
    AllTasksDone = 2,
}

/// The mutex and the conditions over it; none before the queue is exposed.
#[derive(Default)]
pub(super) struct Turn {
    pub(super) mutex: Option<Obj>,
    /// By [`Which`].
    pub(super) conditions: [Option<Obj>; 3],
}

/// A thread's operation on an exposed queue, from taking the mutex to releasing it.
pub(super) struct Operation {
    mutex: Obj,
    /// A wait may end without the mutex, where nothing could give it back.
    held: Cell<bool>,
}

/// What [`Operation::begin`] finds.
pub(super) enum Begun {
    /// The mutex is this operation's now.
    Mine(Operation),
    /// This thread is in another operation on the same queue, which this one has interrupted.
    Nested,
}

impl Turn {
    /// New ones.
    pub(super) unsafe fn new() -> Res<Turn> {
        let mutex = lock::make(kinds::lock())?;
        let condition = || condition::make(mutex.ptr());
        let conditions = [Some(condition()?), Some(condition()?), Some(condition()?)];
        Ok(Turn { mutex: Some(mutex), conditions })
    }

    /// Whether there are any.
    #[inline]
    pub(super) fn is_made(&self) -> bool {
        self.mutex.is_some()
    }

    /// Lets go of them.
    pub(super) fn clear(&mut self) {
        self.conditions.iter_mut().for_each(clear);
        clear(&mut self.mutex);
    }

    /// Puts another object in the place of a condition.
    pub(super) unsafe fn replace(&mut self, which: Which, condition: *mut PyObject) {
        set(&mut self.conditions[which as usize], Some(Obj::from(condition)));
    }

    unsafe fn condition(&self, which: Which) -> Res<Obj> {
        match &self.conditions[which as usize] {
            Some(condition) => Ok(condition.again()),
            None => runtime_error("the queue was cleared by garbage collection"),
        }
    }
}

unsafe fn is_ours(o: &Obj, ty: *mut ffi::PyTypeObject) -> bool {
    ffi::Py_TYPE(o.ptr()) == ty
}

/// Whether a condition is ours, and none of its methods was put in another's place.
unsafe fn is_plain(condition: &Obj) -> bool {
    is_ours(condition, kinds::condition()) && condition::is_plain(condition.ptr().cast())
}

impl Operation {
    /// Takes the mutex, unless this thread is in an operation already.
    ///
    /// Raises RuntimeError if this thread holds the mutex otherwise: it would wait for itself.
    #[inline]
    pub(super) unsafe fn begin(q: *mut Queue) -> Res<Begun> {
        let me = current();
        if (*q).busy.load(Ordering::Relaxed) == me {
            return Ok(Begun::Nested);
        }
        let mutex = match &(*q).turn.mutex {
            Some(mutex) => mutex.again(),
            None => {
                exposed::expose(q)?;
                return Operation::begin(q);
            }
        };
        if is_ours(&mutex, kinds::lock()) {
            let l: *mut Lock = mutex.ptr().cast();
            if (*l).mutex.owner() == me {
                return runtime_error("this thread holds the queue's mutex, and would wait for itself");
            }
            if !(*l).mutex.try_lock(me) {
                free_from_the_dead(q, l);
                lock::acquire(l, Patience::Endless)?;
            }
        } else {
            call_method(&words().acquire, &[mutex.ptr()])?;
        }
        (*q).busy.store(me, Ordering::Relaxed);
        Ok(Begun::Mine(Operation { mutex, held: Cell::new(true) }))
    }

    /// Whether it has the mutex.
    #[inline]
    pub(super) fn is_held(&self) -> bool {
        self.held.get()
    }

    /// Releases the mutex.
    #[inline]
    pub(super) unsafe fn end(self, q: *mut Queue) -> Res<()> {
        if !self.held.get() {
            return Ok(());
        }
        (*q).busy.store(0, Ordering::Relaxed);
        if is_ours(&self.mutex, kinds::lock()) {
            return lock::release(self.mutex.ptr().cast());
        }
        call_method(&words().release, &[self.mutex.ptr()]).map(drop)
    }

    /// Waits for a condition, without the mutex, until the deadline.
    pub(super) unsafe fn wait(&self, q: *mut Queue, which: Which, deadline: Option<Deadline>) -> Res<()> {
        let condition = (*q).turn.condition(which)?;
        let patience = deadline.map_or(Patience::Endless, |deadline| Patience::For(deadline.remaining()));
        (*q).busy.store(0, Ordering::Relaxed);
        let waited = if is_plain(&condition) {
            condition::wait(condition.ptr().cast(), patience).map(drop)
        } else {
            wait_for_foreign(&condition, patience)
        };
        self.held.set(waited.is_ok() || self.still_holds());
        if self.held.get() {
            (*q).busy.store(current(), Ordering::Relaxed);
            if waited.is_err() {
                pass_on(q, which);
            }
        }
        waited
    }

    /// Whether the mutex is held, after a wait that has failed.
    unsafe fn still_holds(&self) -> bool {
        if !is_ours(&self.mutex, kinds::lock()) {
            return true;
        }
        let mutex = &(*self.mutex.ptr().cast::<Lock>()).mutex;
        mutex.is_locked() && matches!(mutex.owner(), owner if owner == 0 || owner == current())
    }
}

/// In a forked child: frees the mutex if it was taken for an operation of a thread that does not exist here. One that the
/// program took stays taken, as any lock does.
#[cold]
unsafe fn free_from_the_dead(q: *mut Queue, l: *mut Lock) {
    let busy = (*q).busy.load(Ordering::Relaxed);
    if busy != 0 && fenshen_sync::find(busy).is_none() {
        (*q).busy.store(0, Ordering::Relaxed);
        (*l).mutex.reset();
    }
}

/// Tells the next one of what this thread may have been told in vain. An error is set.
unsafe fn pass_on(q: *mut Queue, which: Which) {
    let error = errors::take();
    if notify(q, which, false).is_err() {
        ffi::PyErr_Clear();
    }
    errors::restore(error);
}

unsafe fn wait_for_foreign(condition: &Obj, patience: Patience) -> Res<()> {
    let Patience::For(wait) = patience else {
        return call_method(&words().wait, &[condition.ptr()]).map(drop);
    };
    let seconds = Obj::new(ffi::PyFloat_FromDouble(wait.as_secs_f64()))?;
    call_method(&words().wait, &[condition.ptr(), seconds.ptr()]).map(drop)
}

/// Wakes one who waits for a condition, or all. The mutex is held.
#[inline]
pub(super) unsafe fn notify(q: *mut Queue, which: Which, all: bool) -> Res<()> {
    let condition = (*q).turn.condition(which)?;
    if is_plain(&condition) {
        return condition::notify(condition.ptr().cast(), if all { u64::MAX } else { 1 });
    }
    let name = if all { &words().notify_all } else { &words().notify };
    call_method(name, &[condition.ptr()]).map(drop)
}
