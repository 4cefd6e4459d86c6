//! A barrier: where a fixed number of threads meet, again and again (the centralized barrier of J. Mellor-Crummey,
//! M. L. Scott, "Algorithms for Scalable Synchronization on Shared-Memory Multiprocessors", ACM TOCS 9(1), 1991, with
//! waiters that sleep). A round needs no draining: its waiters are taken out of the list together when the last one
//! arrives, and the next round begins with an empty one.
//!
//! It breaks when somebody loses patience or the action between the rounds fails: then all who wait, and all who come until
//! it is reset, are told so.

use std::fmt;

use crate::deadline::Deadline;
use crate::latch::{Held, Latch};
use crate::list::{Chain, WaitList};
use crate::park::{Failed, Park, Sleep};
use crate::sync::{Cell, Ordering};
use crate::waiter::{Grant, Waiter, Wake};
use crate::word::{Scope, Word};

/// Some have arrived, others not yet.
const FILLING: u32 = 0;
/// All have arrived, and the last one runs the action.
const ACTING: u32 = 1;
const BROKEN: u32 = 2;

/// Why a round was missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// The barrier is broken, or was reset: by somebody else, or as the deadline passed.
    Broken,
    /// This thread's action failed, and has broken the barrier.
    Action,
    /// The [`Park`] gave up. The round goes on without this thread.
    Interrupted,
}

/// Where a number of parties meet.
///
/// It may lie in shared memory, as long as its waiters do.
///
/// ```
/// use fenshen_sync::{Barrier, Scope};
///
/// let barrier = Barrier::new(2, Scope::Process);
/// std::thread::scope(|scope| {
///     let other = scope.spawn(|| barrier.wait());
///     let mine = barrier.wait();
///     assert_ne!(mine, other.join().expect("it does not panic"));
/// });
/// barrier.abort();
/// assert!(barrier.wait().is_err());
/// ```
#[repr(C)]
pub struct Barrier {
    /// `FILLING`, `ACTING` or `BROKEN`; changed under the latch.
    state: Word,
    /// Guards what follows.
    latch: Latch,
    scope: u32,
    parties: Cell<u64>,
    /// How many have arrived in this round.
    arrived: Cell<u64>,
    /// Those who have, but for the last one.
    waiters: WaitList,
    /// Those who came while the action ran: the next round's.
    early: WaitList,
}

// SAFETY: the word is atomic, the rest is guarded by the latch, and the scope is never changed while it is shared.
unsafe impl Send for Barrier {}
// SAFETY: as above.
unsafe impl Sync for Barrier {}

impl Barrier {
    /// One for `parties` to meet; with none, nobody ever passes.
    #[must_use]
    pub fn new(parties: u64, scope: Scope) -> Barrier {
        Barrier {
            state: Word::new(FILLING),
            latch: Latch::new(),
            scope: scope as u32,
            parties: Cell::new(parties),
            arrived: Cell::new(0),
            waiters: WaitList::new(scope),
            early: WaitList::new(scope),
        }
    }

    fn scope(&self) -> Scope {
        if self.scope == Scope::Process as u32 { Scope::Process } else { Scope::Shared }
    }

    fn lock(&self) -> Held<'_> {
        self.latch.over(self.scope(), &[&self.waiters, &self.early])
    }

    /// Sleeps until all parties have come; returns how many had come before this one.
    ///
    /// # Errors
    /// `Broken`.
    pub fn wait(&self) -> Result<u64, Missed> {
        self.wait_until(0, Wake::Thread, &mut Sleep, None, || true)
    }

    /// Blocks by `park` until all parties have come; the last one calls its `action` before anyone goes on, and if that
    /// returns false the barrier is broken. The deadline's passing breaks it too. The waiter lies on the stack, so it is
    /// for one process; [`wait_with`](Barrier::wait_with) is for all.
    ///
    /// # Errors
    /// All of [`Missed`].
    pub fn wait_until(
        &self,
        me: u32,
        wake: Wake,
        park: &mut impl Park,
        deadline: Option<Deadline>,
        action: impl FnOnce() -> bool,
    ) -> Result<u64, Missed> {
        let waiter = Waiter::new(me, wake);
        // SAFETY: `wait_with` takes the waiter out before it returns.
        unsafe { self.wait_with(&waiter, park, deadline, action) }
    }

    /// The same with a waiter of the caller's.
    ///
    /// # Errors
    /// All of [`Missed`].
    ///
    /// # Safety
    /// The waiter is in no list, and stays where it is during the call. If the barrier is shared, it lies in the same
    /// mapping of the same memory.
    pub unsafe fn wait_with(
        &self,
        waiter: &Waiter,
        park: &mut impl Park,
        deadline: Option<Deadline>,
        action: impl FnOnce() -> bool,
    ) -> Result<u64, Missed> {
        loop {
            let held = self.lock();
            let (state, index) = (self.state.load(Ordering::Relaxed), self.arrived.get());
            if state == BROKEN {
                return Err(Missed::Broken);
            }
            let early = state == ACTING;
            if !early {
                self.arrived.set(index + 1);
                if index + 1 == self.parties.get() {
                    self.state.store(ACTING, Ordering::Relaxed);
                    drop(held);
                    return self.act(park, action).map(|()| index);
                }
            }
            let list = if early { &self.early } else { &self.waiters };
            // SAFETY: the latch is held; the waiter is the caller's promise.
            unsafe { list.push_back(waiter) };
            drop(held);
            // SAFETY: it has just been put in.
            match unsafe { self.block(waiter, park, if early { None } else { deadline }, list) }? {
                Grant::GIVEN => return Ok(index),
                Grant::RETRY => {}
                _ => return Err(Missed::Broken),
            }
        }
    }

    unsafe fn block(
        &self,
        waiter: &Waiter,
        park: &mut impl Park,
        mut deadline: Option<Deadline>,
        list: &WaitList,
    ) -> Result<Grant, Missed> {
        loop {
            let failed = match park.park(waiter, deadline) {
                Ok(grant) => return Ok(grant),
                Err(failed) => failed,
            };
            let held = self.lock();
            let state = self.state.load(Ordering::Relaxed);
            if failed == Failed::TimedOut && state == ACTING && waiter.is_linked() {
                // All are there: nobody is late any more.
                deadline = None;
                continue;
            }
            // SAFETY: the latch is held.
            let alone = unsafe { list.remove(waiter) };
            if alone && failed == Failed::TimedOut {
                self.fail(held, BROKEN);
                return Err(Missed::Broken);
            }
            if alone && state == FILLING {
                self.arrived.set(self.arrived.get() - 1);
            }
            drop(held);
            return match (alone, failed) {
                (true, _) => Err(Missed::Interrupted),
                (false, Failed::TimedOut) => Ok(waiter.settled()),
                (false, Failed::Interrupted) => {
                    waiter.settled();
                    Err(Missed::Interrupted)
                }
            };
        }
    }

    fn act(&self, park: &mut impl Park, action: impl FnOnce() -> bool) -> Result<(), Missed> {
        /// Breaks the barrier if the action panics.
        struct Guard<'a>(&'a Barrier);
        impl Drop for Guard<'_> {
            fn drop(&mut self) {
                self.0.abort();
            }
        }
        let guard = Guard(self);
        let done = action();
        if !done {
            return Err(Missed::Action);
        }
        std::mem::forget(guard);
        let held = self.lock();
        if self.state.load(Ordering::Relaxed) != ACTING {
            return Err(Missed::Broken);
        }
        let (waiters, early) = self.end(held, FILLING);
        park.let_go(|| {
            waiters.grant(Grant::GIVEN);
            early.grant(Grant::RETRY);
        });
        Ok(())
    }

    /// Ends the round; returns those who are to be told: its waiters, and those of the next one.
    fn end(&self, held: Held<'_>, state: u32) -> (Chain<'_>, Chain<'_>) {
        self.state.store(state, Ordering::Release);
        self.arrived.set(0);
        // SAFETY: the latch is held, and the caller grants each something.
        let told = unsafe { (self.waiters.take_all(), self.early.take_all()) };
        drop(held);
        told
    }

    /// Ends the round without success.
    fn fail(&self, held: Held<'_>, state: u32) {
        let (waiters, early) = self.end(held, state);
        waiters.grant(Grant::REFUSED);
        early.grant(Grant::REFUSED);
    }

    /// Breaks it.
    pub fn abort(&self) {
        self.fail(self.lock(), BROKEN);
    }

    /// Begins a new round, whole again; those who wait are told that theirs is broken. A round that all have come to is
    /// not stopped.
    pub fn reset(&self) {
        let held = self.lock();
        if self.state.load(Ordering::Relaxed) != ACTING {
            self.fail(held, FILLING);
        }
    }

    /// How many must come.
    #[must_use]
    pub fn parties(&self) -> u64 {
        let _held = self.lock();
        self.parties.get()
    }

    /// Changes how many must come, and begins a new round as [`reset`](Barrier::reset) does.
    pub fn set_parties(&self, parties: u64) {
        let held = self.lock();
        self.parties.set(parties);
        if self.state.load(Ordering::Relaxed) != ACTING {
            self.fail(held, FILLING);
        }
    }

    /// How many wait for others to come.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        let _held = self.lock();
        if self.state.load(Ordering::Relaxed) == FILLING { self.arrived.get() } else { 0 }
    }

    /// Whether it is broken.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.state.load(Ordering::Acquire) == BROKEN
    }

    /// Makes it new, in a forked child where nobody else knows it.
    pub fn renew(&self) {
        self.latch.reset();
        self.waiters.forget();
        self.early.forget();
        self.arrived.set(0);
        self.state.store(FILLING, Ordering::Release);
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.is_broken() { "broken" } else { "whole" };
        f.debug_struct("Barrier").field("parties", &self.parties()).field("state", &state).finish()
    }
}
