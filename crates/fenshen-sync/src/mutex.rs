//! A lock that barges, with bounded bypass.
//!
//! Whoever comes by takes a free lock, even before those that wait: a hand-over to a sleeper costs a wake-up each time. A
//! waiter that has been passed over for a millisecond is handed the lock at the next release, so that nobody starves.
//! (The rule is that of eventual fairness in WebKit's `WTF::Lock`, F. Pizlo, "Locking in WebKit", 2016, and of starvation
//! mode in Go's `sync.Mutex`, D. Vyukov, 2016.)

use std::cell::Cell;
use std::fmt;

use crate::deadline::Deadline;
use crate::latch::Latch;
use crate::list::WaitList;
use crate::park::{Failed, Park, Sleep, wait};
use crate::sync::{AtomicU32, Ordering};
use crate::waiter::{Grant, Waiter, Wake};
use crate::word::{Scope, Word};

const LOCKED: u32 = 1;
/// Somebody is in the list.
const QUEUED: u32 = 2;
/// Nanoseconds that a waiter may be passed over for.
const BYPASS: u64 = 1_000_000;

/// A lock without data, which anyone may release. It knows who took it.
///
/// It may lie in shared memory, as long as its waiters do; all zero is a free lock of one process.
///
/// ```
/// use fenshen_sync::{Mutex, Scope, current};
///
/// let mutex = Mutex::new(Scope::Process);
/// mutex.lock(current());
/// assert_eq!(mutex.owner(), current());
/// assert!(!mutex.try_lock(current()));
/// mutex.unlock();
/// assert!(!mutex.is_locked());
/// ```
#[repr(C)]
pub struct Mutex {
    /// `LOCKED` and `QUEUED`.
    state: Word,
    /// Who took it; zero while it is free, and for the moment between taking it and saying so.
    owner: AtomicU32,
    /// Guards the list, and every change of `QUEUED`.
    latch: Latch,
    scope: Cell<u32>,
    waiters: WaitList,
}

// SAFETY: the atomics are atomic, the list is guarded by the latch, and the scope is never changed while it is shared.
unsafe impl Send for Mutex {}
// SAFETY: as above.
unsafe impl Sync for Mutex {}

impl Mutex {
    /// A free lock.
    #[must_use]
    pub fn new(scope: Scope) -> Mutex {
        Mutex {
            state: Word::new(0),
            owner: AtomicU32::new(0),
            latch: Latch::new(),
            scope: Cell::new(scope as u32),
            waiters: WaitList::new(scope),
        }
    }

    fn scope(&self) -> Scope {
        if self.scope.get() == Scope::Process as u32 { Scope::Process } else { Scope::Shared }
    }

    /// Takes it if it is free; returns whether it was.
    #[inline]
    pub fn try_lock(&self, me: u32) -> bool {
        if self.state.change(0, LOCKED) || self.try_lock_queued() {
            self.owner.store(me, Ordering::Relaxed);
            return true;
        }
        false
    }

    #[cold]
    fn try_lock_queued(&self) -> bool {
        loop {
            let state = self.state.load(Ordering::Relaxed);
            if state & LOCKED != 0 {
                return false;
            }
            if self.state.change(state, state | LOCKED) {
                return true;
            }
        }
    }

    /// Takes it, and sleeps for that as long as it must.
    pub fn lock(&self, me: u32) {
        // A plain sleep without a deadline does not fail.
        while !self.try_lock(me) && self.lock_slowly(me, Wake::Thread, &mut Sleep, None).is_err() {}
    }

    /// Takes it, and blocks for that by `park`, until the deadline. The waiter lies on the stack, so it is for one
    /// process; [`lock_with`](Mutex::lock_with) is for all.
    ///
    /// # Errors
    /// As [`Park::park`]; it has not been taken then.
    #[cold]
    pub fn lock_slowly(
        &self,
        me: u32,
        wake: Wake,
        park: &mut impl Park,
        deadline: Option<Deadline>,
    ) -> Result<(), Failed> {
        let waiter = Waiter::new(me, wake);
        // SAFETY: `lock_with` takes the waiter out before it returns.
        unsafe { self.lock_with(&waiter, park, deadline) }
    }

    /// The same with a waiter of the caller's.
    ///
    /// # Errors
    /// As [`Park::park`]; it has not been taken then.
    ///
    /// # Safety
    /// The waiter is in no list, and stays where it is during the call. If the mutex is shared, it lies in the same
    /// mapping of the same memory.
    pub unsafe fn lock_with(
        &self,
        waiter: &Waiter,
        park: &mut impl Park,
        deadline: Option<Deadline>,
    ) -> Result<(), Failed> {
        let (me, scope) = (waiter.owner(), self.scope());
        waiter.since.set(0);
        loop {
            {
                let _held = self.latch.lock(scope);
                if self.state.set_bits(QUEUED) & LOCKED == 0 {
                    // It became free meanwhile, and with the latch held only a barger can be quicker.
                    if self.try_lock(me) {
                        self.settle_queued();
                        return Ok(());
                    }
                }
                // SAFETY: the latch is held; the waiter is the caller's promise.
                unsafe {
                    if waiter.since.get() == 0 {
                        waiter.since.set(Deadline::now().nanos());
                        self.waiters.push_back(waiter);
                    } else {
                        self.waiters.push_front(waiter);
                    }
                }
            }
            // SAFETY: the latch guards the list, and the waiter has just been put in.
            match unsafe { wait(park, &self.latch, scope, &self.waiters, waiter, deadline) } {
                Ok(Grant::GIVEN) => return Ok(()),
                Ok(_) => {
                    if self.try_lock(me) {
                        return Ok(());
                    }
                    waiter.again();
                }
                Err((failed, grant)) => {
                    match grant {
                        Some(Grant::GIVEN) => {
                            self.unlock();
                        }
                        Some(_) => self.pass_on(),
                        None => {
                            let _held = self.latch.lock(scope);
                            self.settle_queued();
                        }
                    }
                    return Err(failed);
                }
            }
        }
    }

    /// Clears `QUEUED` if nobody waits. The latch is held.
    fn settle_queued(&self) {
        if self.waiters.is_empty() {
            self.state.clear_bits(QUEUED);
        }
    }

    /// A wake-up that its receiver has no use for goes to the next one, if the lock is free.
    fn pass_on(&self) {
        let held = self.latch.lock(self.scope());
        if self.state.load(Ordering::Acquire) & LOCKED == 0 {
            // SAFETY: the latch is held.
            let next = unsafe { self.waiters.pop() };
            self.settle_queued();
            drop(held);
            if !next.is_null() {
                // SAFETY: it was in the list.
                unsafe { Waiter::grant(next, Grant::RETRY) };
            }
        }
    }

    /// Frees it, whoever took it, and sees to those who wait. Returns whether it was locked.
    #[inline]
    pub fn unlock(&self) -> bool {
        self.owner.store(0, Ordering::Relaxed);
        self.state.change(LOCKED, 0) || self.unlock_slowly()
    }

    #[cold]
    fn unlock_slowly(&self) -> bool {
        let held = self.latch.lock(self.scope());
        if self.state.load(Ordering::Acquire) & LOCKED == 0 {
            return false;
        }
        let first = self.waiters.first();
        if first.is_null() {
            self.state.clear_bits(LOCKED | QUEUED);
            return true;
        }
        // SAFETY: the latch is held, and the waiter is in the list.
        unsafe {
            self.waiters.remove(&*first);
            let waited = Deadline::now().nanos().saturating_sub((*first).since.get());
            let grant = if waited > BYPASS {
                self.owner.store((*first).owner(), Ordering::Relaxed);
                Grant::GIVEN
            } else {
                self.state.clear_bits(LOCKED);
                Grant::RETRY
            };
            self.settle_queued();
            drop(held);
            Waiter::grant(first, grant);
        }
        true
    }

    /// Whether it is taken.
    #[inline]
    pub fn is_locked(&self) -> bool {
        self.state.load(Ordering::Acquire) & LOCKED != 0
    }

    /// Who took it: zero if it is free, or its taker is not known any more.
    #[inline]
    pub fn owner(&self) -> u32 {
        self.owner.load(Ordering::Relaxed)
    }

    /// Where the owner is noted, for the wait-for graph.
    #[must_use]
    pub fn owner_cell(&self) -> &AtomicU32 {
        &self.owner
    }

    /// Forgets who took it: from here on, whoever likes may be the one to release it.
    pub fn disown(&self) {
        self.owner.store(0, Ordering::Relaxed);
    }

    /// Makes it new, in a forked child where nobody else knows it: free, and without waiters.
    pub fn reset(&self) {
        self.latch.reset();
        self.state.store(0, Ordering::Release);
        self.owner.store(0, Ordering::Relaxed);
        self.waiters.forget();
    }
}

impl fmt::Debug for Mutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").field("locked", &self.is_locked()).field("owner", &self.owner()).finish()
    }
}
