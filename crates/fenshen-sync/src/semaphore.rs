//! A counting semaphore (E. W. Dijkstra, "Cooperating sequential processes", 1965) that serves in order of arrival.
//!
//! The count and the sign that somebody waits are one word, so that taking and giving back without a wait are one
//! compare-and-swap each. A unit that is given back while somebody waits is handed to the oldest waiter and never enters
//! the count, so nobody can come in between: what the count holds, nobody waits for.

use std::fmt;

use crate::deadline::Deadline;
use crate::latch::{Held, Latch};
use crate::list::WaitList;
use crate::park::{Failed, Park, Sleep, wait};
use crate::sync::{AtomicU64, Ordering};
use crate::waiter::{Grant, Waiter, Wake};
use crate::word::Scope;

/// Somebody is in the list; the count is zero then, unless those in it are all away.
const QUEUED: u64 = 1;
/// One unit of the count.
const ONE: u64 = 2;

/// A number of units that are taken and given back, by whomever.
///
/// It may lie in shared memory, as long as its waiters do; all zero is an empty one of one process.
///
/// ```
/// use fenshen_sync::{Scope, Semaphore};
///
/// let semaphore = Semaphore::new(2, Scope::Process);
/// semaphore.acquire();
/// assert!(semaphore.try_acquire());
/// assert!(!semaphore.try_acquire());
/// assert!(semaphore.release(2));
/// assert_eq!(semaphore.count(), 2);
/// assert!(!semaphore.release_within(1, 2));
/// ```
#[repr(C)]
pub struct Semaphore {
    /// The count in the upper 63 bits, and `QUEUED`.
    state: AtomicU64,
    /// Guards the list, and every change of `QUEUED`.
    latch: Latch,
    scope: u32,
    waiters: WaitList,
}

// SAFETY: the word is atomic, the list is guarded by the latch, and the scope is never changed while it is shared.
unsafe impl Send for Semaphore {}
// SAFETY: as above.
unsafe impl Sync for Semaphore {}

impl Semaphore {
    /// The largest count.
    pub const MAX: u64 = u64::MAX / ONE;

    /// One with `count` units; at most [`MAX`](Semaphore::MAX).
    #[must_use]
    pub fn new(count: u64, scope: Scope) -> Semaphore {
        Semaphore {
            state: AtomicU64::new(count.min(Semaphore::MAX) * ONE),
            latch: Latch::new(),
            scope: scope as u32,
            waiters: WaitList::new(scope),
        }
    }

    fn scope(&self) -> Scope {
        if self.scope == Scope::Process as u32 { Scope::Process } else { Scope::Shared }
    }

    fn guard(&self) -> Held<'_> {
        self.latch.over(self.scope(), &[&self.waiters])
    }

    #[inline]
    fn change(&self, old: u64, new: u64) -> bool {
        self.state.compare_exchange_weak(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Takes a unit if there is one; returns whether there was.
    #[inline]
    pub fn try_acquire(&self) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        while state >= ONE {
            if self.change(state, state - ONE) {
                return true;
            }
            state = self.state.load(Ordering::Relaxed);
        }
        false
    }

    /// Takes a unit, and sleeps until there is one.
    pub fn acquire(&self) {
        // A plain sleep without a deadline does not fail.
        while !self.try_acquire() && self.acquire_slowly(0, Wake::Thread, &mut Sleep, None).is_err() {}
    }

    /// Takes a unit, and blocks for that by `park`, until the deadline. The waiter lies on the stack, so it is for one
    /// process; [`acquire_with`](Semaphore::acquire_with) is for all.
    ///
    /// # Errors
    /// As [`Park::park`]; nothing has been taken then.
    #[cold]
    pub fn acquire_slowly(
        &self,
        me: u32,
        wake: Wake,
        park: &mut impl Park,
        deadline: Option<Deadline>,
    ) -> Result<(), Failed> {
        let waiter = Waiter::new(me, wake);
        // SAFETY: `acquire_with` takes the waiter out before it returns.
        unsafe { self.acquire_with(&waiter, park, deadline) }
    }

    /// The same with a waiter of the caller's.
    ///
    /// # Errors
    /// As [`Park::park`]; nothing has been taken then.
    ///
    /// # Safety
    /// The waiter is in no list, and stays where it is during the call. If the semaphore is shared, it lies in the same
    /// mapping of the same memory.
    pub unsafe fn acquire_with(
        &self,
        waiter: &Waiter,
        park: &mut impl Park,
        deadline: Option<Deadline>,
    ) -> Result<(), Failed> {
        // SAFETY: the caller's promise.
        if unsafe { self.enlist(waiter) } {
            return Ok(());
        }
        loop {
            // SAFETY: the latch guards the list, and the waiter has just been put in.
            match unsafe { wait(park, &self.latch, self.scope(), &self.waiters, waiter, deadline) } {
                // SAFETY: the caller's promise; it has been taken out.
                Ok(grant) if unsafe { self.accept(waiter, grant) } => return Ok(()),
                Ok(_) => {}
                Err((failed, grant)) => {
                    self.decline(grant);
                    return Err(failed);
                }
            }
        }
    }

    /// Takes a unit, or puts the waiter in line, for one that does not block: its wake-up is a call, which is made when it
    /// is its turn, and after which it [resumes](Semaphore::resume). Returns whether it has taken one.
    ///
    /// # Safety
    /// As for [`acquire_with`](Semaphore::acquire_with), but the waiter stays where it is until `resume` returns true, or
    /// [`withdraw`](Semaphore::withdraw) is called.
    pub unsafe fn enlist(&self, waiter: &Waiter) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.line_up(waiter, false) }
    }

    /// Goes on after the call; returns whether it has a unit. If not, it is in line again, or still.
    ///
    /// # Safety
    /// The waiter was put in line here.
    pub unsafe fn resume(&self, waiter: &Waiter) -> bool {
        // SAFETY: the caller's promise; what is granted something is in no list.
        waiter.granted().is_some_and(|grant| unsafe { self.accept(waiter, grant) })
    }

    /// Gives up: takes the waiter out of the line, and passes on what it may have been given. Returns whether it was in
    /// line still; if not, its call has been made or is about to be.
    ///
    /// # Safety
    /// The waiter was put in line here.
    pub unsafe fn withdraw(&self, waiter: &Waiter) -> bool {
        let held = self.guard();
        // SAFETY: the latch is held.
        let alone = unsafe { self.waiters.remove(waiter) };
        drop(held);
        self.decline((!alone).then(|| waiter.settled()));
        alone
    }

    unsafe fn line_up(&self, waiter: &Waiter, again: bool) -> bool {
        let _held = self.guard();
        self.state.fetch_or(QUEUED, Ordering::AcqRel);
        // From here on nothing is given back but under the latch.
        if self.try_acquire() {
            self.settle_queued();
            return true;
        }
        // SAFETY: the latch is held; the waiter is the caller's promise.
        unsafe { self.waiters.push(waiter, again) };
        false
    }

    /// Makes use of a grant; if it was away when a unit came by, tries again and waits on.
    unsafe fn accept(&self, waiter: &Waiter, grant: Grant) -> bool {
        // SAFETY: the caller's promise.
        grant == Grant::GIVEN || unsafe { self.line_up(waiter, true) }
    }

    /// Has no use for a grant, if there was one.
    fn decline(&self, grant: Option<Grant>) {
        match grant {
            Some(Grant::GIVEN) => _ = self.release(1),
            // It was told to try again, and leaves what there is to others.
            Some(_) => {}
            None => {
                let _held = self.guard();
                self.settle_queued();
            }
        }
    }

    /// Clears `QUEUED` if nobody waits. The latch is held.
    fn settle_queued(&self) {
        if self.waiters.is_empty() {
            self.state.fetch_and(!QUEUED, Ordering::AcqRel);
        }
    }

    /// Gives `units` back; returns false, and does nothing, if the count would not hold them.
    #[inline]
    pub fn release(&self, units: u64) -> bool {
        self.release_within(units, Semaphore::MAX)
    }

    /// The same if the count would not be above `limit` then.
    #[inline]
    pub fn release_within(&self, units: u64, limit: u64) -> bool {
        loop {
            let state = self.state.load(Ordering::Relaxed);
            if state & QUEUED != 0 {
                return self.release_queued(units, limit);
            }
            if limit < units || state / ONE > limit - units {
                return false;
            }
            if self.change(state, state + units * ONE) {
                return true;
            }
        }
    }

    #[cold]
    fn release_queued(&self, units: u64, limit: u64) -> bool {
        let held = self.guard();
        let count = self.count();
        if limit < units || count > limit - units {
            return false;
        }
        // SAFETY: the latch is held, and each is granted its unit below.
        let served = unsafe { self.waiters.claim_some(units) };
        self.state.fetch_add((units - served.len()) * ONE, Ordering::AcqRel);
        self.settle_queued();
        drop(held);
        served.grant(Grant::GIVEN);
        true
    }

    /// How many units there are.
    #[inline]
    pub fn count(&self) -> u64 {
        self.state.load(Ordering::Acquire) / ONE
    }

    /// How many wait for one.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let _held = self.guard();
        self.waiters.len()
    }

    /// Has there be `count` units, at most [`MAX`](Semaphore::MAX), whatever there were; those who wait get theirs first.
    pub fn set_count(&self, count: u64) {
        let count = count.min(Semaphore::MAX);
        let held = self.guard();
        self.state.fetch_or(QUEUED, Ordering::AcqRel);
        // SAFETY: the latch is held, and each is granted its unit below.
        let served = unsafe { self.waiters.claim_some(count) };
        let rest = (count - served.len()) * ONE;
        let queued = if self.waiters.is_empty() { 0 } else { QUEUED };
        self.state.store(rest | queued, Ordering::Release);
        drop(held);
        served.grant(Grant::GIVEN);
    }

    /// Makes it new with `count` units, in a forked child where nobody else knows it.
    pub fn reset(&self, count: u64) {
        self.latch.reset();
        self.waiters.forget();
        self.state.store(count.min(Semaphore::MAX) * ONE, Ordering::Release);
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("count", &self.count()).finish()
    }
}
