//! One who waits: a record with one of three wake-ups, so that a thread, a task and a process can stand in one queue.

use std::cell::Cell;
use std::fmt;

use crate::deadline::Deadline;
use crate::sync::Ordering;
use crate::word::{Scope, Slept, Word};

/// The waiter waits.
const WAITING: u32 = 0;
/// It waits, and is to look up from its sleep.
const POKED: u32 = 1;
/// What is granted is above this.
const GRANT: u32 = 2;

/// What a waiter is told: a small number whose meaning is its primitive's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant(pub u32);

impl Grant {
    /// What the waiter wants may be had now: it is to try again.
    pub const RETRY: Grant = Grant(0);
    /// What the waiter wants is its own now.
    pub const GIVEN: Grant = Grant(1);
    /// It will never be had: the primitive was shut down, broken or reset.
    pub const REFUSED: Grant = Grant(2);
}

/// How a waiter is woken.
#[derive(Clone, Copy)]
#[repr(C)]
pub enum Wake {
    /// A thread of this process sleeps on the record's word.
    Thread,
    /// A thread of any process that has mapped the record sleeps on its word.
    Shared,
    /// A call, made on the waker's thread while no lock is held: it posts to a loop's inbox, say. The record may be gone
    /// when it is made: all that it gets is `data`.
    Call {
        /// What to call.
        call: unsafe fn(data: *const ()),
        /// What it gets.
        data: *const (),
    },
}

impl fmt::Debug for Wake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wake::Thread => "Thread",
            Wake::Shared => "Shared",
            Wake::Call { .. } => "Call",
        })
    }
}

/// A place in a [`WaitList`](crate::WaitList).
///
/// It lies on its thread's stack, in a task's object or in a shared segment, and must stay where it is while it is in a
/// list.
#[derive(Debug)]
#[repr(C)]
pub struct Waiter {
    /// `WAITING`, `POKED`, or `GRANT` and above: what it was granted.
    word: Word,
    /// Who waits: the number that owner-aware primitives note as the holder.
    owner: u32,
    /// Where the next and the previous one are, relative to the list's own address; zero for none. Guarded by the list's
    /// owner, as are the following.
    pub(crate) next: Cell<isize>,
    pub(crate) previous: Cell<isize>,
    pub(crate) linked: Cell<bool>,
    /// When it began to wait: nanoseconds of the monotonic clock, zero where nobody asks.
    pub(crate) since: Cell<u64>,
    wake: Wake,
}

// SAFETY: the word is atomic, the rest is only touched by whoever holds the latch of the list that it is in.
unsafe impl Send for Waiter {}
// SAFETY: as above.
unsafe impl Sync for Waiter {}

impl Waiter {
    /// One who does not wait yet. `owner` is noted by owner-aware primitives: [`current`](crate::current) for threads.
    #[inline]
    #[must_use]
    pub fn new(owner: u32, wake: Wake) -> Waiter {
        Waiter {
            word: Word::new(WAITING),
            owner,
            next: Cell::new(0),
            previous: Cell::new(0),
            linked: Cell::new(false),
            since: Cell::new(0),
            wake,
        }
    }

    /// Who waits.
    #[must_use]
    pub fn owner(&self) -> u32 {
        self.owner
    }

    /// What it has been granted; `None` while it waits.
    #[inline]
    #[must_use]
    pub fn granted(&self) -> Option<Grant> {
        self.word.load(Ordering::Acquire).checked_sub(GRANT).map(Grant)
    }

    /// Makes it ready to wait once more, after a grant.
    pub(crate) fn again(&self) {
        self.word.store(WAITING, Ordering::Relaxed);
    }

    /// Sleeps until it is granted something, is poked, the deadline passes or a signal handler runs. It may also return
    /// for no reason.
    pub fn sleep(&self, deadline: Option<Deadline>) -> Slept {
        if self.word.load(Ordering::Acquire) != WAITING {
            return Slept::Woken;
        }
        self.word.sleep(WAITING, deadline, self.scope())
    }

    /// Has the waiter look up from its sleep without granting anything; [`poked`](Waiter::poked) tells it so.
    pub fn poke(&self) {
        if self.word.change(WAITING, POKED) {
            // SAFETY: `self` is alive.
            unsafe { Waiter::wake(self, self.wake) }
        }
    }

    /// Whether somebody has poked it since the last time that this was asked.
    pub fn poked(&self) -> bool {
        self.word.change(POKED, WAITING)
    }

    /// Tells the waiter what it is granted, and wakes it. It is in no list any more.
    ///
    /// # Safety
    /// `this` is a live waiter that has not been granted anything. It may be gone when this returns.
    pub unsafe fn grant(this: *const Waiter, grant: Grant) {
        // SAFETY: it waits, so it is alive up to the swap; the wake-up only uses its address.
        unsafe {
            let wake = (*this).wake;
            (*this).word.swap(GRANT + grant.0, Ordering::AcqRel);
            Waiter::wake(this, wake);
        }
    }

    unsafe fn wake(this: *const Waiter, wake: Wake) {
        // The word is the record's first field, and its address the record's.
        match wake {
            // SAFETY: the caller's promise.
            Wake::Thread => unsafe { Word::wake_at(this.cast(), 1, Scope::Process) },
            // SAFETY: the caller's promise.
            Wake::Shared => unsafe { Word::wake_at(this.cast(), 1, Scope::Shared) },
            // SAFETY: whoever made the waiter says that this may be called.
            Wake::Call { call, data } => unsafe { call(data) },
        }
    }

    fn scope(&self) -> Scope {
        match self.wake {
            Wake::Shared => Scope::Shared,
            _ => Scope::Process,
        }
    }
}
