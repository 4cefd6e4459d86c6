//! A condition variable (C. A. R. Hoare, "Monitors: an operating system structuring concept", CACM 17(10), 1974), with the
//! signal of Mesa (B. W. Lampson, D. D. Redell, "Experience with processes and monitors in Mesa", CACM 23(2), 1980): whoever
//! is told takes the lock again like anyone else, and looks again at what he waited for.
//!
//! It is of two halves, so that it serves any kind of lock: one [enlists](Condition::enlist) while the lock is held,
//! releases it, [blocks](Condition::block), and takes it again.

use std::fmt;

use crate::deadline::Deadline;
use crate::latch::{Held, Latch};
use crate::list::WaitList;
use crate::mutex::Mutex;
use crate::park::{Failed, Park, Sleep, wait};
use crate::sync::Ordering;
use crate::waiter::{Grant, Waiter, Wake};
use crate::word::{Scope, Word};

/// Those who wait to be told, oldest first.
///
/// It may lie in shared memory, as long as its waiters do; all zero is one of one process.
///
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use fenshen_sync::{Condition, Mutex, Scope, current};
///
/// let (mutex, condition) = (Mutex::new(Scope::Process), Condition::new(Scope::Process));
/// let ready = AtomicBool::new(false);
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         mutex.lock(current());
///         ready.store(true, Ordering::Relaxed);
///         condition.notify(1);
///         mutex.unlock();
///     });
///     mutex.lock(current());
///     while !ready.load(Ordering::Relaxed) {
///         condition.wait(&mutex, current());
///     }
///     mutex.unlock();
/// });
/// ```
#[repr(C)]
pub struct Condition {
    /// Not zero if somebody may be in the list.
    waited: Word,
    /// Guards the list.
    latch: Latch,
    scope: u32,
    waiters: WaitList,
}

// SAFETY: the word is atomic, the list is guarded by the latch, and the scope is never changed while it is shared.
unsafe impl Send for Condition {}
// SAFETY: as above.
unsafe impl Sync for Condition {}

impl Condition {
    /// One that nobody waits for.
    #[must_use]
    pub fn new(scope: Scope) -> Condition {
        Condition { waited: Word::new(0), latch: Latch::new(), scope: scope as u32, waiters: WaitList::new(scope) }
    }

    fn scope(&self) -> Scope {
        if self.scope == Scope::Process as u32 { Scope::Process } else { Scope::Shared }
    }

    fn guard(&self) -> Held<'_> {
        self.latch.over(self.scope(), &[&self.waiters])
    }

    /// The first half of a wait, while the lock is held: from here on the waiter may be told.
    ///
    /// # Safety
    /// The waiter is in no list, and stays where it is until [`block`](Condition::block) or
    /// [`withdraw`](Condition::withdraw) has returned, one of which must follow. If the condition is shared, it lies in the
    /// same mapping of the same memory.
    pub unsafe fn enlist(&self, waiter: &Waiter) {
        let _held = self.guard();
        self.waited.store(1, Ordering::Relaxed);
        // SAFETY: the latch is held; the waiter is the caller's promise.
        unsafe { self.waiters.push_back(waiter) };
    }

    /// The second half, when the lock has been released: blocks by `park` until the waiter is told, or the deadline.
    ///
    /// # Errors
    /// As [`Park::park`]. Being told at the moment of an interruption is passed on to the next one.
    ///
    /// # Safety
    /// The waiter was given to [`enlist`](Condition::enlist) of this condition.
    pub unsafe fn block(
        &self,
        waiter: &Waiter,
        park: &mut impl Park,
        deadline: Option<Deadline>,
    ) -> Result<(), Failed> {
        // SAFETY: the latch guards the list; the waiter is in it unless it was told already.
        match unsafe { wait(park, &self.latch, self.scope(), &self.waiters, waiter, deadline) } {
            Ok(_) => Ok(()),
            Err((failed, granted)) => {
                if granted.is_some() {
                    self.notify(1);
                }
                Err(failed)
            }
        }
    }

    /// Instead of the second half, when there is no time to block or the lock could not be released; returns whether the
    /// waiter was told meanwhile.
    ///
    /// # Safety
    /// The waiter was given to [`enlist`](Condition::enlist) of this condition.
    pub unsafe fn withdraw(&self, waiter: &Waiter) -> bool {
        let held = self.guard();
        // SAFETY: the latch is held.
        let alone = unsafe { self.waiters.remove(waiter) };
        drop(held);
        if !alone {
            waiter.settled();
        }
        !alone
    }

    /// Tells the `count` oldest waiters, or all if there are fewer; returns how many that were. The lock is held, or else
    /// somebody may be about to wait who is not told.
    #[inline]
    pub fn notify(&self, count: u64) -> u64 {
        if self.waited.load(Ordering::Relaxed) == 0 || count == 0 { 0 } else { self.tell(count) }
    }

    #[cold]
    fn tell(&self, count: u64) -> u64 {
        let held = self.guard();
        // SAFETY: the latch is held, and each is told below.
        let told = unsafe { self.waiters.take(count) };
        if self.waiters.is_empty() {
            self.waited.store(0, Ordering::Relaxed);
        }
        drop(held);
        let count = told.len();
        told.grant(Grant::GIVEN);
        count
    }

    /// Tells all waiters.
    #[inline]
    pub fn notify_all(&self) -> u64 {
        self.notify(u64::MAX)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        let _held = self.guard();
        self.waiters.len()
    }

    /// Who waits, oldest first.
    #[must_use]
    pub fn owners(&self) -> Vec<u32> {
        let _held = self.guard();
        self.waiters.owners()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waited.load(Ordering::Relaxed) == 0 || self.len() == 0
    }

    /// Releases the mutex, sleeps until told, and takes the mutex again.
    pub fn wait(&self, mutex: &Mutex, me: u32) {
        self.wait_until(mutex, me, None);
    }

    /// The same until the deadline at most; returns whether it was told.
    pub fn wait_until(&self, mutex: &Mutex, me: u32, deadline: Option<Deadline>) -> bool {
        let waiter = Waiter::new(me, Wake::Thread);
        // SAFETY: the waiter is on the stack, and `block` takes it out before it returns.
        let told = unsafe {
            self.enlist(&waiter);
            mutex.unlock();
            self.block(&waiter, &mut Sleep, deadline).is_ok()
        };
        mutex.lock(me);
        told
    }

    /// Forgets those who wait, in a forked child where nobody else knows it.
    pub fn reset(&self) {
        self.latch.reset();
        self.waiters.forget();
        self.waited.store(0, Ordering::Relaxed);
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition").field("waiters", &self.len()).finish()
    }
}
