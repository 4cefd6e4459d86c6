//! A lock that barges, with bounded bypass.
//!
//! Whoever comes by takes a free lock, even before those that wait: a hand-over to a sleeper costs a wake-up each time. A
//! waiter that has been passed over for a millisecond is handed the lock at the next release, so that nobody starves.
//! (The rule is that of eventual fairness in WebKit's `WTF::Lock`, F. Pizlo, "Locking in WebKit", 2016, and of starvation
//! mode in Go's `sync.Mutex`, D. Vyukov, 2016.)

use std::fmt;

use crate::deadline::Deadline;
use crate::latch::{Held, Latch};
use crate::list::WaitList;
use crate::park::{Failed, Park, Sleep, wait};
use crate::sync::Ordering;
use crate::waiter::{Grant, Waiter, Wake};
use crate::word::{Scope, Word};

const LOCKED: u32 = 1;
/// Somebody is in the list.
const QUEUED: u32 = 2;
/// Who took it stands above these.
const SHIFT: u32 = 2;
const OWNER: u32 = !0 << SHIFT;
#[cfg(not(any(loom, shuttle)))]
/// Nanoseconds that a waiter may be passed over for.
const BYPASS: u64 = 1_000_000;

/// Who holds a mutex that is in this state; zero for nobody, or nobody that is known.
pub(crate) fn owner_in(state: u32) -> u32 {
    state >> SHIFT
}

/// A lock without data, which anyone may release. It knows who took it.
///
/// Holders are known by numbers below 2^30: [`current`](crate::current) in one process, [`tid`](crate::tid) where
/// several meet. In shared memory its waiters lie in the same mapping ([`SharedWaiters`](crate::SharedWaiters)), and what
/// a killed holder leaves locked is [recovered](Mutex::recover). All zero is a free lock of one process.
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
    /// `LOCKED`, `QUEUED`, and the owner: one word, so that a holder that dies is known whenever it dies.
    state: Word,
    /// Guards the list, and every change of `QUEUED`.
    latch: Latch,
    scope: u32,
    waiters: WaitList,
}

// SAFETY: the words are atomic, the list is guarded by the latch, and the scope is never changed.
unsafe impl Send for Mutex {}
// SAFETY: as above.
unsafe impl Sync for Mutex {}

impl Mutex {
    /// A free lock.
    #[must_use]
    pub fn new(scope: Scope) -> Mutex {
        Mutex { state: Word::new(0), latch: Latch::new(), scope: scope as u32, waiters: WaitList::new(scope) }
    }

    fn scope(&self) -> Scope {
        if self.scope == Scope::Process as u32 { Scope::Process } else { Scope::Shared }
    }

    fn guard(&self) -> Held<'_> {
        self.latch.over(self.scope(), &[&self.waiters])
    }

    /// Takes it if it is free; returns whether it was.
    #[inline]
    pub fn try_lock(&self, me: u32) -> bool {
        self.state.change(0, me << SHIFT | LOCKED) || self.try_lock_queued(me)
    }

    #[cold]
    fn try_lock_queued(&self, me: u32) -> bool {
        loop {
            let state = self.state.load(Ordering::Relaxed);
            if state & LOCKED != 0 {
                return false;
            }
            if self.state.change(state, state | me << SHIFT | LOCKED) {
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
    /// The waiter is in no list, and stays where it is during the call. If the mutex is shared, the waiter's wake-up is
    /// `Shared`, its owner the thread's [`tid`](crate::tid), and it lies in the same mapping of the same memory.
    pub unsafe fn lock_with(
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

    /// Takes it, or puts the waiter in line, for one that does not block: its wake-up is a call, which is made when there
    /// is something to be had, and after which it [resumes](Mutex::resume). Returns whether it has taken it.
    ///
    /// # Safety
    /// As for [`lock_with`](Mutex::lock_with), but the waiter stays where it is until `resume` returns true, or
    /// [`withdraw`](Mutex::withdraw) is called.
    pub unsafe fn enlist(&self, waiter: &Waiter) -> bool {
        waiter.since.set(0);
        // SAFETY: the caller's promise.
        unsafe { self.line_up(waiter) }
    }

    /// Goes on after the call; returns whether it has taken it. If not, it is in line again, or still.
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

    unsafe fn line_up(&self, waiter: &Waiter) -> bool {
        let _held = self.guard();
        // If it became free meanwhile, only a barger can be quicker with the latch held.
        if self.state.set_bits(QUEUED) & LOCKED == 0 && self.try_lock(waiter.owner()) {
            self.settle_queued();
            return true;
        }
        let again = waiter.since.get() != 0;
        if !again {
            waiter.since.set(Deadline::now().nanos());
        }
        // SAFETY: the latch is held; the waiter is the caller's promise.
        unsafe { self.waiters.push(waiter, again) };
        false
    }

    /// Makes use of a grant; if there is nothing to be had any more, waits on.
    unsafe fn accept(&self, waiter: &Waiter, grant: Grant) -> bool {
        let me = waiter.owner();
        if grant == Grant::GIVEN {
            self.note_owner(me);
            return true;
        }
        // The last holder may have been killed after handing it over and before saying so.
        let handed = self.scope() == Scope::Shared && self.owner() == me;
        // SAFETY: the caller's promise.
        handed || self.try_lock(me) || unsafe { self.line_up(waiter) }
    }

    /// Has no use for a grant, if there was one.
    fn decline(&self, grant: Option<Grant>) {
        match grant {
            Some(Grant::GIVEN) => _ = self.unlock(),
            Some(_) => self.pass_on(),
            None => {
                let _held = self.guard();
                self.settle_queued();
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
        let held = self.guard();
        if self.state.load(Ordering::Acquire) & LOCKED == 0 {
            self.wake_one(held);
        }
    }

    /// Has the first in line try again. The lock is free.
    fn wake_one(&self, held: Held<'_>) {
        // SAFETY: the latch is held.
        let next = unsafe { self.waiters.claim() };
        self.settle_queued();
        drop(held);
        if !next.is_null() {
            // SAFETY: it was in the list.
            unsafe { Waiter::grant(next, Grant::RETRY) };
        }
    }

    /// Frees it, whoever took it, and sees to those who wait. Returns whether it was locked.
    #[inline]
    pub fn unlock(&self) -> bool {
        let state = self.state.load(Ordering::Relaxed);
        (state & (LOCKED | QUEUED) == LOCKED && self.state.change(state, 0)) || self.unlock_slowly()
    }

    #[cold]
    fn unlock_slowly(&self) -> bool {
        let held = self.guard();
        if self.state.load(Ordering::Acquire) & LOCKED == 0 {
            return false;
        }
        // SAFETY: the latch is held, and whoever is claimed waits for what it is granted below.
        unsafe {
            let first = self.waiters.claim();
            if first.is_null() || !long_ago((*first).since.get()) {
                self.state.clear_bits(LOCKED | OWNER);
                self.settle_queued();
                drop(held);
                if !first.is_null() {
                    Waiter::grant(first, Grant::RETRY);
                }
            } else {
                // Among threads nobody is to think that it holds the lock before it knows.
                self.set_owner(if self.scope() == Scope::Shared { (*first).owner() } else { 0 });
                self.settle_queued();
                drop(held);
                Waiter::grant(first, Grant::GIVEN);
            }
        }
        true
    }

    /// Says who holds what was handed over, unless it was released meanwhile, or is said already.
    fn note_owner(&self, me: u32) {
        loop {
            let state = self.state.load(Ordering::Relaxed);
            if state & LOCKED == 0 || state & OWNER != 0 || self.state.change(state, state | me << SHIFT) {
                return;
            }
        }
    }

    fn set_owner(&self, owner: u32) {
        loop {
            let state = self.state.load(Ordering::Relaxed);
            if self.state.change(state, state & !OWNER | owner << SHIFT) {
                return;
            }
        }
    }

    /// Sees to what a thread that died has left: takes it out of the queue, and if it held the lock, makes that the
    /// caller's, who finds what it guards perhaps half changed, repairs that and unlocks. Returns whether it did so.
    ///
    /// For whoever learns of deaths: a supervisor, or a waiter whose deadline passed, by
    /// [`is_alive`](crate::is_alive)`(mutex.owner())`.
    pub fn recover(&self, dead: u32, me: u32) -> bool {
        let held = self.guard();
        // SAFETY: the latch is held.
        unsafe { self.waiters.strike(dead) };
        loop {
            let state = self.state.load(Ordering::Acquire);
            if state & LOCKED == 0 {
                // It may have died with a wake-up in its hands.
                self.wake_one(held);
                return false;
            }
            if owner_in(state) != dead {
                self.settle_queued();
                return false;
            }
            if self.state.change(state, state & !OWNER | me << SHIFT) {
                self.settle_queued();
                return true;
            }
        }
    }

    /// Whether it is taken.
    #[inline]
    pub fn is_locked(&self) -> bool {
        self.state.load(Ordering::Acquire) & LOCKED != 0
    }

    /// Who took it: zero if it is free, or its taker is not known any more.
    #[inline]
    pub fn owner(&self) -> u32 {
        owner_in(self.state.load(Ordering::Relaxed))
    }

    /// Where the owner is noted, for the wait-for graph.
    #[must_use]
    pub fn owner_cell(&self) -> &Word {
        &self.state
    }

    /// Forgets who took it: from here on, whoever likes may be the one to release it.
    pub fn disown(&self) {
        self.state.clear_bits(OWNER);
    }

    /// Makes it new, in a forked child where nobody else knows it: free, and without waiters.
    pub fn reset(&self) {
        self.latch.reset();
        self.state.store(0, Ordering::Release);
        self.waiters.forget();
    }
}

fn long_ago(since: u64) -> bool {
    #[cfg(any(loom, shuttle))]
    return since > 0 && crate::model::hands_over();
    #[cfg(not(any(loom, shuttle)))]
    return Deadline::now().nanos().saturating_sub(since) > BYPASS;
}

impl fmt::Debug for Mutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").field("locked", &self.is_locked()).field("owner", &self.owner()).finish()
    }
}
