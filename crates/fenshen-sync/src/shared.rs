//! Places for those who wait in shared memory: a table of waiters, since a waiter there cannot lie on a stack.

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::hand::Hand;
use crate::tid::{is_alive, tid};
use crate::waiter::{Waiter, Wake};

/// Up to `N` waiters of any process, or a queue's hands, in the segment that the primitives lie in.
///
/// A wait at a primitive of [`Scope::Shared`](crate::Scope) needs a waiter in the same mapping of the same memory, as the
/// links of a list are offsets within it. So a segment holds the primitives and one such table, as many places long as
/// threads may wait in it at a time, and every wait takes a place:
///
/// ```
/// use fenshen_sync::{Mutex, Scope, SharedWaiters, Sleep, tid};
///
/// #[repr(C)]
/// struct Segment {
///     lock: Mutex,
///     waiters: SharedWaiters<64>,
/// }
///
/// // In a mapping of shared memory, of course.
/// let segment = Segment { lock: Mutex::new(Scope::Shared), waiters: SharedWaiters::new() };
/// if !segment.lock.try_lock(tid()) {
///     let waiter = segment.waiters.take().expect("fewer than 64 threads wait");
///     // SAFETY: the waiter lies in the same segment as the lock, and is in no list.
///     unsafe { segment.lock.lock_with(&waiter, &mut Sleep, None) }.expect("there is no deadline");
/// }
/// segment.lock.unlock();
/// ```
///
/// What a process that is killed leaves behind: its places, which are free again once the lists that they are in have
/// been told ([`Mutex::recover`](crate::Mutex::recover)) or came across them; what it held; and what it had been given and
/// not used, such as a semaphore's unit, which nobody can tell. A process that is killed while it guards a list or hands
/// something over holds the others up for a moment, not for ever.
#[repr(C)]
pub struct SharedWaiters<const N: usize, W: Waits = Waiter> {
    places: [Place<W>; N],
}

/// What can have a place in shared memory: a [`Waiter`], or a queue's [`Hand`] with one.
pub trait Waits {
    /// One who does not wait yet.
    fn new(owner: u32, wake: Wake) -> Self;

    /// Its waiter.
    fn waiter(&self) -> &Waiter;
}

impl Waits for Waiter {
    fn new(owner: u32, wake: Wake) -> Waiter {
        Waiter::new(owner, wake)
    }

    fn waiter(&self) -> &Waiter {
        self
    }
}

impl<T> Waits for Hand<T> {
    fn new(owner: u32, wake: Wake) -> Hand<T> {
        Hand::new(owner, wake)
    }

    fn waiter(&self) -> &Waiter {
        Hand::waiter(self)
    }
}

#[repr(C)]
struct Place<W> {
    /// Whose it is: the kernel's number of a thread, zero if it is free.
    holder: AtomicU32,
    waiter: UnsafeCell<W>,
}

// SAFETY: only the holder writes the waiter anew; otherwise it is shared as any waiter.
unsafe impl<const N: usize, W: Waits + Send> Sync for SharedWaiters<N, W> {}

impl<const N: usize, W: Waits> SharedWaiters<N, W> {
    /// An empty table.
    #[must_use]
    pub fn new() -> SharedWaiters<N, W> {
        let place = |_| Place { holder: AtomicU32::new(0), waiter: UnsafeCell::new(W::new(0, Wake::Shared)) };
        SharedWaiters { places: std::array::from_fn(place) }
    }

    /// A waiter for the calling thread, whose number is its owner; `None` if all places are taken.
    #[must_use]
    pub fn take(&self) -> Option<SharedWaiter<'_, W>> {
        let me = tid();
        // Each begins elsewhere, so that they seldom meet.
        let from = me as usize % N.max(1);
        let around = || self.places[from..].iter().chain(&self.places[..from]);
        let place = around().find(|p| p.passes(0, me)).or_else(|| around().find(|p| p.inherits(me)))?;
        // SAFETY: the place is this thread's alone, and its waiter in no list. What a dead one left is not dropped.
        unsafe { place.waiter.get().write(W::new(me, Wake::Shared)) };
        Some(SharedWaiter { place, _thread: PhantomData })
    }

    /// How many places are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.places.iter().filter(|p| p.holder.load(Ordering::Relaxed) != 0).count()
    }
}

impl<const N: usize, W: Waits> Default for SharedWaiters<N, W> {
    fn default() -> SharedWaiters<N, W> {
        SharedWaiters::new()
    }
}

impl<const N: usize, W: Waits> fmt::Debug for SharedWaiters<N, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedWaiters").field("taken", &self.taken()).field("of", &N).finish()
    }
}

impl<W: Waits> Place<W> {
    fn passes(&self, from: u32, to: u32) -> bool {
        self.holder.load(Ordering::Relaxed) == from
            && self.holder.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Takes it over from a holder who has died, if no list knows it.
    fn inherits(&self, to: u32) -> bool {
        let from = self.holder.load(Ordering::Relaxed);
        // SAFETY: what is asked of the waiter is atomic.
        !unsafe { (*self.waiter.get()).waiter().is_linked() } && !is_alive(from) && self.passes(from, to)
    }
}

/// A thread's place in a [`SharedWaiters`], until it is dropped.
pub struct SharedWaiter<'a, W: Waits = Waiter> {
    place: &'a Place<W>,
    /// Its owner is this thread.
    _thread: PhantomData<*const ()>,
}

impl<W: Waits> Deref for SharedWaiter<'_, W> {
    type Target = W;

    fn deref(&self) -> &W {
        // SAFETY: only `take` writes it, on a free place.
        unsafe { &*self.place.waiter.get() }
    }
}

impl<W: Waits> Drop for SharedWaiter<'_, W> {
    fn drop(&mut self) {
        // A forked child has a copy of its parent's; and one that is in a list still must stay what it is.
        if self.place.holder.load(Ordering::Relaxed) == tid() && !self.waiter().is_linked() {
            self.place.holder.store(0, Ordering::Release);
        }
    }
}

impl<W: Waits> fmt::Debug for SharedWaiter<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.waiter().fmt(f)
    }
}
