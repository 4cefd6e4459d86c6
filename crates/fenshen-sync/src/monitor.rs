//! Data that one thread at a time may touch, and lists of those who wait for it to change: a monitor (C. A. R. Hoare,
//! "Monitors: An Operating System Structuring Concept", CACM 17(10), 1974), whose signals are granted after it is left.

use std::cell::UnsafeCell;
use std::fmt;
use std::ops::{Deref, DerefMut};

use crate::deadline::Deadline;
use crate::latch::{Held, Latch};
use crate::list::WaitList;
use crate::park::{Failed, Park, wait};
use crate::waiter::{Grant, Late, Waiter};
use crate::word::Scope;

/// Data under a latch, for the threads of one process.
///
/// ```
/// use fenshen_sync::Monitor;
///
/// let count = Monitor::new(1);
/// *count.enter() += 1;
/// assert_eq!(*count.enter(), 2);
/// ```
pub struct Monitor<T> {
    latch: Latch,
    data: UnsafeCell<T>,
}

// SAFETY: the data is only reached by whoever holds the latch.
unsafe impl<T: Send> Send for Monitor<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Monitor<T> {}

/// Inside a monitor: nobody else is, until this is dropped. That should be soon; a wait outside is what others can bear.
pub struct Inside<'a, T> {
    monitor: &'a Monitor<T>,
    _held: Held<'a>,
}

impl<T> Monitor<T> {
    /// A monitor of that data.
    #[must_use]
    pub fn new(data: T) -> Monitor<T> {
        Monitor { latch: Latch::new(), data: UnsafeCell::new(data) }
    }

    /// Enters it.
    #[inline]
    pub fn enter(&self) -> Inside<'_, T> {
        Inside { monitor: self, _held: self.latch.lock(Scope::Process) }
    }

    /// The data, to whoever knows that nobody else can be inside: the owner that takes it down, or a garbage collector
    /// while the world stands still.
    pub fn data(&self) -> *mut T {
        self.data.get()
    }

    /// Blocks a waiter that was put in a list of this monitor, outside of it; when that fails, the waiter is taken out. A
    /// grant that comes at the last moment is returned beside the failure.
    ///
    /// # Errors
    /// As [`Park::park`].
    ///
    /// # Safety
    /// `list` is guarded by this monitor and lives as long as the call; the waiter is in it, or has been taken out to be
    /// granted something.
    pub unsafe fn wait(
        &self,
        list: *const WaitList,
        waiter: &Waiter,
        park: &mut impl Park,
        deadline: Option<Deadline>,
    ) -> Result<Grant, (Failed, Option<Grant>)> {
        // SAFETY: the caller's promise.
        unsafe { wait(park, &self.latch, Scope::Process, &*list, waiter, deadline) }
    }

    /// Frees it whoever is inside: for a forked child, where they may not exist.
    pub fn reset(&self) {
        self.latch.reset();
    }
}

impl<T> Inside<'_, T> {
    /// Leaves, and then grants the same to all who wait in a list of the monitor.
    pub fn grant_all(self, list: impl FnOnce(&T) -> &WaitList, grant: Grant) {
        self.grant_all_late(list, grant).wake();
    }

    /// The same, but the last of them is only woken when what is returned is told to: by a caller that holds something
    /// else that a woken thread needs at once.
    pub fn grant_all_late(self, list: impl FnOnce(&T) -> &WaitList, grant: Grant) -> Late {
        // SAFETY: the latch is held; the reference is only used for its address once it is not.
        let list = unsafe { &*std::ptr::from_ref(list(&*self.monitor.data.get())) };
        // SAFETY: the latch is held, and all are granted something below.
        let all = unsafe { list.take_all() };
        drop(self);
        let mut late = Late::default();
        for waiter in all {
            // SAFETY: it was in the list until now.
            std::mem::replace(&mut late, unsafe { Waiter::grant_late(waiter, grant) }).wake();
        }
        late
    }

    /// Leaves, and then grants something to the one who has waited longest in a list of the monitor, if anyone does.
    pub fn grant_one(self, list: impl FnOnce(&T) -> &WaitList, grant: Grant) {
        // SAFETY: the latch is held.
        let first = unsafe { list(&*self.monitor.data.get()).pop() };
        drop(self);
        if !first.is_null() {
            // SAFETY: it was in the list until now.
            unsafe { Waiter::grant(first, grant) };
        }
    }
}

impl<T> Deref for Inside<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the latch is held.
        unsafe { &*self.monitor.data.get() }
    }
}

impl<T> DerefMut for Inside<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the latch is held, and `self` is borrowed for writing.
        unsafe { &mut *self.monitor.data.get() }
    }
}

impl<T> fmt::Debug for Monitor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Monitor")
    }
}
