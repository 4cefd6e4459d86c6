//! When must a producer wake the consumer? A three-state word, without a descriptor, so that it can be model-checked.
//!
//! ```text
//!            prepare_sleep                wake (one producer wins)
//!   AWAKE ------------------> SLEEPING -----------------------------> NOTIFIED
//!     ^                           |                                       |
//!     +------ woken / cancel -----+------------- woken / cancel ----------+
//! ```
//! **The consumer** publishes SLEEPING, *then* looks for work once more, and only then blocks; afterwards it returns to
//! AWAKE, *then* takes the work. **A producer** publishes its work, *then* looks at the word; if it reads SLEEPING it
//! tries to make that NOTIFIED, and the one that succeeds writes the descriptor. So a burst of producers makes one write,
//! and none at all while the consumer runs.
//!
//! No wake-up is lost: this is Dekker's pattern (each side writes its own flag, then reads the other's), with a
//! sequentially consistent fence between the write and the read on both sides, so at least one side sees the other's
//! write. Either the producer sees SLEEPING, or the consumer's second look sees the work.
//!
//! The descriptor is written *after* the word says NOTIFIED, so a consumer that wakes for another reason may find NOTIFIED
//! and nothing to read yet. [`SleepState`] therefore counts the writes that were promised and not yet read.

use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};

const AWAKE: u32 = 0;
const SLEEPING: u32 = 1;
const NOTIFIED: u32 = 2;

/// The word between one consumer that sleeps and many producers that wake it. See the [module](self) for the protocol.
///
/// ```
/// use fenshen_reactor::SleepState;
///
/// let state = SleepState::new();
/// assert!(!state.wake()); // awake: nothing to do
/// state.prepare_sleep();
/// assert!(state.wake()); // asleep: this producer writes the descriptor
/// assert!(!state.wake()); // and this one need not
/// state.woken();
/// assert_eq!(state.owed(), 1); // one write to read back
/// state.repaid(1);
/// ```
#[derive(Debug)]
pub struct SleepState {
    /// AWAKE, SLEEPING or NOTIFIED.
    word: AtomicU32,
    /// Writes of the descriptor that producers have claimed and the consumer has not read. Only the consumer touches it.
    owed: AtomicU64,
}

impl SleepState {
    /// An awake consumer.
    #[must_use]
    pub fn new() -> Self {
        Self { word: AtomicU32::new(AWAKE), owed: AtomicU64::new(0) }
    }

    /// Consumer: "I am about to block". It must look for work once more after this, before it blocks.
    #[inline]
    pub fn prepare_sleep(&self) {
        self.word.store(SLEEPING, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Consumer: "I am awake", whether it slept or not. It takes its work after this. Idempotent.
    #[inline]
    pub fn woken(&self) {
        if self.word.swap(AWAKE, Ordering::SeqCst) == NOTIFIED {
            self.owed.store(self.owed.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    /// Producer: "there is work", after it has published it. `true` means: you write the descriptor.
    #[inline]
    #[must_use = "the caller that gets `true` has to write the descriptor"]
    pub fn wake(&self) -> bool {
        fence(Ordering::SeqCst);
        self.word.load(Ordering::Relaxed) == SLEEPING
            && self.word.compare_exchange(SLEEPING, NOTIFIED, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// Consumer: how many writes of the descriptor have been promised, and not yet read.
    #[inline]
    #[must_use]
    pub fn owed(&self) -> u64 {
        self.owed.load(Ordering::Relaxed)
    }

    /// Consumer: `count` writes have been read.
    #[inline]
    pub fn repaid(&self, count: u64) {
        self.owed.store(self.owed.load(Ordering::Relaxed).saturating_sub(count), Ordering::Relaxed);
    }

    /// Back to the beginning, in a process where no other thread is left.
    pub fn reset(&self) {
        self.word.store(AWAKE, Ordering::SeqCst);
        self.owed.store(0, Ordering::Relaxed);
    }
}

impl Default for SleepState {
    fn default() -> Self {
        Self::new()
    }
}
