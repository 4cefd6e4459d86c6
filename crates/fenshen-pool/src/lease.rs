//! Leases: which task a worker runs, written where it can be read after the worker's death.
//!
//! A task that was sent to a worker has a lease there until its result has come back. Sent, it is *offered*; the worker
//! *claims* it before it runs it, and the pool may *revoke* it before that: whoever changes the word first has it. So a
//! task runs once, and a death takes along the one that was claimed.

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// How many tasks a worker has been sent at most.
pub(crate) const LEASES: usize = 64;

/// What a task's number has room for beside its status.
pub(crate) const NUMBERS: u32 = u32::MAX >> 2;

const OFFERED: u32 = 1;
const CLAIMED: u32 = 2;
const REVOKED: u32 = 3;
const STATUS: u32 = 3;

/// One task's. All zero is nobody's.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Lease {
    /// The task's number in the upper bits, and what became of it.
    word: AtomicU32,
    /// The task's [window](crate::window), where it sends items.
    window: AtomicU32,
    /// When it was claimed, in nanoseconds of the monotonic clock.
    claimed: AtomicU64,
}

/// The table of a worker, in shared memory.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Leases([Lease; LEASES]);

fn word(seq: u32, status: u32) -> u32 {
    seq << 2 | status
}

impl Leases {
    /// An empty table.
    #[cfg(loom)]
    pub(crate) fn new() -> Leases {
        Leases(std::array::from_fn(|_| Lease::default()))
    }

    fn at(&self, seq: u32) -> &Lease {
        &self.0[seq as usize % LEASES]
    }

    fn change(&self, seq: u32, to: u32) -> bool {
        let (from, to) = (word(seq, OFFERED), word(seq, to));
        self.at(seq).word.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The pool's: a task is about to be sent.
    pub(crate) fn offer(&self, seq: u32) {
        self.at(seq).word.store(word(seq, OFFERED), Ordering::Release);
    }

    /// The pool's: how many items the task may send.
    pub(crate) fn set_window(&self, seq: u32, word: u32) {
        self.at(seq).window.store(word, Ordering::Release);
    }

    /// The worker's: the same.
    pub(crate) fn window(&self, seq: u32) -> u32 {
        self.at(seq).window.load(Ordering::Acquire)
    }

    /// The pool's: takes it back; false if the worker has claimed it.
    pub(crate) fn revoke(&self, seq: u32) -> bool {
        self.change(seq, REVOKED)
    }

    /// The worker's: takes it to run it; false if it was revoked.
    pub(crate) fn claim(&self, seq: u32, now: u64) -> bool {
        self.at(seq).claimed.store(now, Ordering::Relaxed);
        self.change(seq, CLAIMED)
    }

    /// When the worker claimed it, if it has.
    pub(crate) fn claimed(&self, seq: u32) -> Option<u64> {
        let lease = self.at(seq);
        let claimed = lease.word.load(Ordering::Acquire) == word(seq, CLAIMED);
        claimed.then(|| lease.claimed.load(Ordering::Relaxed))
    }

    /// Whether anybody has dealt with it: it is neither offered nor claimed.
    pub(crate) fn is_offered(&self, seq: u32) -> bool {
        self.at(seq).word.load(Ordering::Acquire) & STATUS == OFFERED
    }
}
