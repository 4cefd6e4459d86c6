//! One who waits: a record with one of three wake-ups, so that a thread, a task and a process can stand in one queue.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::sync::{Cell, Ordering, spin_loop, yield_now};
use crate::threads::generation;
use crate::tid::{is_alive, tid};
use crate::word::{Scope, Slept, Word};

/// The waiter waits.
const WAITING: u32 = 0;
/// It waits, and is to look up from its sleep.
const POKED: u32 = 1;
/// Somebody has taken it out of its list, and is about to grant it something.
const CLAIMED: u32 = 2;
/// It stands in its list, but its thread does something else.
const AWAY: u32 = 3;
/// The same, and something was given to others that would have been its own.
const MISSED: u32 = 4;
/// What is granted is above this.
const GRANT: u32 = 5;

/// How long to sleep in shared memory before looking whether whoever is to grant something is still alive.
const NAP: Duration = Duration::from_millis(250);
/// It is in a list.
const LINKED: u32 = 1 << 31;
/// How often to look for a grant that is on its way before sleeping.
const SPINS: u32 = if cfg!(any(loom, shuttle)) { 1 } else { 100 };

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
    /// A call, made on the waker's thread: it posts to a loop's inbox, say. It must not block, nor wait for whoever waits.
    /// The record may be gone when it is made: all that it gets is `data`, which must be there until the call has been
    /// made. There is one for each grant, so one for each time that the waiter is put in line and does not withdraw, and
    /// one for each poke.
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

/// A wake-up that is yet to be made, if it is any: of a thread that will find what it was granted. It is made when this
/// is dropped, at the latest.
#[derive(Debug)]
#[must_use = "it is meant to be kept for a while"]
pub struct Late(*const Word);

impl Default for Late {
    fn default() -> Late {
        Late(std::ptr::null())
    }
}

impl Late {
    /// Makes it now.
    pub fn wake(self) {
        drop(self);
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: it was a waiter's word.
            unsafe { Word::wake_at(self.0, 1, Scope::Process) };
        }
    }
}

/// A place in a [`WaitList`](crate::WaitList).
///
/// It lies on its thread's stack, in a task's object or in a shared segment, and must stay where it is while it is in a
/// list.
#[derive(Debug)]
#[repr(C)]
pub struct Waiter {
    /// How it stands, or, from `GRANT` on, what it was granted.
    word: Word,
    /// Who waits: the number that owner-aware primitives note as the holder.
    owner: u32,
    /// Where the next and the previous one are, relative to the list's own address; zero for none. Guarded by the list's
    /// owner, as are the following.
    pub(crate) next: Cell<isize>,
    pub(crate) previous: Cell<isize>,
    /// Zero, or `LINKED` and in which generation of forks it was put into its list.
    linked: AtomicU32,
    /// In shared memory, who has taken it out of its list, and so is to grant it something: the kernel's number.
    claimant: AtomicU32,
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
            linked: AtomicU32::new(0),
            claimant: AtomicU32::new(0),
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

    /// Sleeps until it is granted something, is poked, the deadline passes or a signal handler runs. It may also return
    /// for no reason.
    pub fn sleep(&self, deadline: Option<Deadline>) -> Slept {
        match self.word.load(Ordering::Acquire) {
            WAITING => self.sleep_while(WAITING, deadline),
            // Whoever has claimed it is a few instructions from granting it something.
            CLAIMED => self.sleep_while(CLAIMED, None),
            _ => Slept::Woken,
        }
    }

    fn sleep_while(&self, state: u32, deadline: Option<Deadline>) -> Slept {
        match self.wake {
            Wake::Shared => self.sleep_shared(state, deadline),
            _ => self.word.sleep(state, deadline, Scope::Process),
        }
    }

    /// Whoever took it out may have been killed before granting it anything: then it grants itself another try.
    fn sleep_shared(&self, state: u32, deadline: Option<Deadline>) -> Slept {
        let look = Deadline::after(NAP);
        let first = deadline.map_or(look, |deadline| deadline.min(look));
        let slept = self.word.sleep(state, Some(first), Scope::Shared);
        if slept != Slept::TimedOut || deadline == Some(first) {
            return slept;
        }
        let claimant = self.claimant.load(Relaxed);
        if !self.is_linked() && claimant != 0 && !is_alive(claimant) {
            self.word.change(state, GRANT + Grant::RETRY.0);
        }
        Slept::Woken
    }

    /// Has the waiter look up from its sleep without granting anything; [`poked`](Waiter::poked) tells it so.
    pub fn poke(&self) {
        let wake = self.wake;
        if self.word.change(WAITING, POKED) {
            // SAFETY: the call is made once for this poke.
            unsafe { Waiter::wake(self, wake) }
        }
    }

    /// Whether somebody has poked it since the last time that this was asked.
    pub fn poked(&self) -> bool {
        self.word.change(POKED, WAITING)
    }

    /// Leaves the place in the list empty for a while: nothing that only one can have is given to it until it is
    /// [`back`](Waiter::back), since whoever waits has something else to do first, such as a signal handler that may
    /// want the same thing. Returns false if it has been granted something, or is about to be.
    #[must_use]
    pub fn away(&self) -> bool {
        self.word.change(WAITING, AWAY) || self.word.change(POKED, AWAY) || self.word.change(WAITING, AWAY)
    }

    /// Takes its place again. Returns whether it may go on waiting; if not, something was to be had meanwhile, or the
    /// process was forked: [`Park::park`](crate::Park::park) is to return [`Grant::RETRY`].
    #[must_use]
    pub fn back(&self) -> bool {
        if self.is_left_behind() {
            return !self.word.change(AWAY, MISSED) && !self.missed();
        }
        self.word.change(AWAY, WAITING) || !self.missed()
    }

    /// Whether it came back to a place that was passed over.
    pub(crate) fn missed(&self) -> bool {
        self.word.load(Ordering::Acquire) == MISSED
    }

    /// Has it stay in line for what is about to be granted; false if it is away, which it is told when it is back. The
    /// caller guards its list.
    pub(crate) fn claim(&self) -> bool {
        loop {
            match self.word.load(Ordering::Acquire) {
                MISSED => return false,
                AWAY if self.word.change(AWAY, MISSED) => return false,
                AWAY => {}
                state if self.word.change(state, CLAIMED) => return true,
                _ => {}
            }
        }
    }

    /// What it is granted by whoever has taken it out of its list, or is doing so.
    pub(crate) fn settled(&self) -> Grant {
        let mut spins = 0;
        loop {
            let state = self.word.load(Ordering::Acquire);
            if let Some(grant) = state.checked_sub(GRANT) {
                return Grant(grant);
            }
            if spins < SPINS {
                spins += 1;
                spin_loop();
            } else if matches!(self.wake, Wake::Call { .. }) {
                yield_now();
            } else {
                self.sleep_while(state, None);
            }
        }
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

    /// The same, but a thread of this process is only woken when what is returned is told to.
    ///
    /// # Safety
    /// As [`grant`](Waiter::grant).
    pub unsafe fn grant_late(this: *const Waiter, grant: Grant) -> Late {
        // SAFETY: as above.
        unsafe {
            if !matches!((*this).wake, Wake::Thread) {
                Waiter::grant(this, grant);
                return Late::default();
            }
            (*this).word.swap(GRANT + grant.0, Ordering::AcqRel);
        }
        Late(this.cast())
    }

    unsafe fn wake(this: *const Waiter, wake: Wake) {
        let scope = match wake {
            Wake::Thread => Scope::Process,
            Wake::Shared => Scope::Shared,
            // SAFETY: whoever made the waiter says that this may be called.
            Wake::Call { call, data } => return unsafe { call(data) },
        };
        // SAFETY: the caller's promise. The word is the record's first field, and its address the record's.
        unsafe { Word::wake_at(this.cast(), 1, scope) };
    }

    fn scope(&self) -> Scope {
        match self.wake {
            Wake::Shared => Scope::Shared,
            _ => Scope::Process,
        }
    }

    /// Notes that it is in a list, and waits, whatever it was granted before.
    pub(crate) fn link(&self) {
        self.word.store(WAITING, Ordering::Relaxed);
        self.claimant.store(0, Relaxed);
        self.linked.store(LINKED | generation(), Relaxed);
    }

    /// Notes that it is in none, and who has taken it out.
    pub(crate) fn unlink(&self) {
        if self.scope() == Scope::Shared {
            self.claimant.store(tid(), Relaxed);
        }
        self.linked.store(0, Relaxed);
    }

    /// Whether it is in a list, as far as it knows.
    pub(crate) fn is_linked(&self) -> bool {
        self.linked.load(Relaxed) != 0
    }

    /// Whether it is in a list of the process that this one was forked from: the list has forgotten it.
    pub(crate) fn is_left_behind(&self) -> bool {
        let linked = self.linked.load(Relaxed);
        linked != 0 && self.scope() == Scope::Process && linked != LINKED | generation()
    }
}
