//! A flag that can be waited for: set, it lets everybody pass, those who waited and those who come, until it is cleared.
//!
//! The flag and the sign that somebody waits are one word: asking, setting and clearing without waiters is one access.
//! Whoever waited when it was set passes, even if it is cleared before he has woken.

use std::fmt;

use crate::deadline::Deadline;
use crate::latch::{Held, Latch};
use crate::list::WaitList;
use crate::park::{Failed, Park, Sleep, wait};
use crate::sync::Ordering;
use crate::waiter::{Grant, Waiter, Wake};
use crate::word::{Scope, Word};

const SET: u32 = 1;
/// Somebody is in the list.
const QUEUED: u32 = 2;

/// A flag to wait for.
///
/// It may lie in shared memory, as long as its waiters do; all zero is one of one process that is not set.
///
/// ```
/// use fenshen_sync::{Event, Scope};
///
/// let event = Event::new(Scope::Process);
/// assert!(!event.is_set());
/// event.set();
/// event.wait();
/// event.clear();
/// assert!(!event.is_set());
/// ```
#[repr(C)]
pub struct Event {
    /// `SET` and `QUEUED`.
    state: Word,
    /// Guards the list, and every change of `QUEUED`.
    latch: Latch,
    scope: u32,
    waiters: WaitList,
}

// SAFETY: the word is atomic, the list is guarded by the latch, and the scope is never changed while it is shared.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    /// One that is not set.
    #[must_use]
    pub fn new(scope: Scope) -> Event {
        Event { state: Word::new(0), latch: Latch::new(), scope: scope as u32, waiters: WaitList::new(scope) }
    }

    fn scope(&self) -> Scope {
        if self.scope == Scope::Process as u32 { Scope::Process } else { Scope::Shared }
    }

    fn guard(&self) -> Held<'_> {
        self.latch.over(self.scope(), &[&self.waiters])
    }

    /// Whether it is set.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.state.load(Ordering::Acquire) & SET != 0
    }

    /// Sets it, and lets those who wait pass.
    #[inline]
    pub fn set(&self) {
        let state = self.state.load(Ordering::Relaxed);
        if state & QUEUED != 0 || !self.state.change(state, SET) {
            self.let_pass();
        }
    }

    /// Under the latch, as one who clears it and then waits must not be let pass by this.
    #[cold]
    fn let_pass(&self) {
        let held = self.guard();
        self.state.set_bits(SET);
        // SAFETY: the latch is held, and each is granted its passage below.
        let passing = unsafe { self.waiters.take_all() };
        self.state.clear_bits(QUEUED);
        drop(held);
        passing.grant(Grant::GIVEN);
    }

    /// Clears it.
    #[inline]
    pub fn clear(&self) {
        self.state.clear_bits(SET);
    }

    /// Sleeps until it is set.
    pub fn wait(&self) {
        // A plain sleep without a deadline does not fail.
        while !self.is_set() && self.wait_slowly(0, Wake::Thread, &mut Sleep, None).is_err() {}
    }

    /// Blocks by `park` until it is set, or until the deadline. The waiter lies on the stack, so it is for one process;
    /// [`wait_with`](Event::wait_with) is for all.
    ///
    /// # Errors
    /// As [`Park::park`].
    #[cold]
    pub fn wait_slowly(
        &self,
        me: u32,
        wake: Wake,
        park: &mut impl Park,
        deadline: Option<Deadline>,
    ) -> Result<(), Failed> {
        let waiter = Waiter::new(me, wake);
        // SAFETY: `wait_with` takes the waiter out before it returns.
        unsafe { self.wait_with(&waiter, park, deadline) }
    }

    /// The same with a waiter of the caller's.
    ///
    /// # Errors
    /// As [`Park::park`].
    ///
    /// # Safety
    /// The waiter is in no list, and stays where it is during the call. If the event is shared, it lies in the same mapping
    /// of the same memory.
    pub unsafe fn wait_with(
        &self,
        waiter: &Waiter,
        park: &mut impl Park,
        deadline: Option<Deadline>,
    ) -> Result<(), Failed> {
        loop {
            {
                let _held = self.guard();
                if self.state.set_bits(QUEUED) & SET != 0 {
                    self.settle_queued();
                    return Ok(());
                }
                // SAFETY: the latch is held; the waiter is the caller's promise.
                unsafe { self.waiters.push_back(waiter) };
            }
            // SAFETY: the latch guards the list, and the waiter has just been put in.
            match unsafe { wait(park, &self.latch, self.scope(), &self.waiters, waiter, deadline) } {
                Ok(Grant::GIVEN) => return Ok(()),
                // The process was forked meanwhile.
                Ok(_) => {}
                Err((failed, granted)) => {
                    if granted.is_none() {
                        let _held = self.guard();
                        self.settle_queued();
                    }
                    return Err(failed);
                }
            }
        }
    }

    /// Puts the waiter in line for one that does not block: its wake-up is a call. Returns whether the event is set
    /// already.
    ///
    /// # Safety
    /// As for [`wait_with`](Event::wait_with), but the waiter stays where it is until it was granted something, or
    /// [`withdraw`](Event::withdraw) is called.
    pub unsafe fn enlist(&self, waiter: &Waiter) -> bool {
        let _held = self.guard();
        if self.state.set_bits(QUEUED) & SET != 0 {
            self.settle_queued();
            return true;
        }
        // SAFETY: the latch is held; the waiter is the caller's promise.
        unsafe { self.waiters.push_back(waiter) };
        false
    }

    /// Gives up: takes the waiter out of the line. Returns whether it was let pass before.
    ///
    /// # Safety
    /// The waiter was put in line here.
    pub unsafe fn withdraw(&self, waiter: &Waiter) -> bool {
        let held = self.guard();
        // SAFETY: the latch is held.
        let alone = unsafe { self.waiters.remove(waiter) };
        if alone {
            self.settle_queued();
        }
        drop(held);
        !alone && waiter.settled() == Grant::GIVEN
    }

    /// Clears `QUEUED` if nobody waits. The latch is held.
    fn settle_queued(&self) {
        if self.waiters.is_empty() {
            self.state.clear_bits(QUEUED);
        }
    }

    /// Forgets those who wait, in a forked child where nobody else knows it. Whether it is set stays as it is.
    pub fn reset(&self) {
        self.latch.reset();
        self.waiters.forget();
        self.state.clear_bits(QUEUED);
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("set", &self.is_set()).finish()
    }
}
