//! A barrier of processes: one word of 64 bits, changed as one.
//!
//! Its upper half, which is slept on, is how often the barrier has let somebody go (24 bits) and whether that was, the
//! last eight times, because it broke. Its lower half is how many have arrived, and whether it is broken now.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use fenshen_sync::{Deadline, Scope, Slept, Word};

const BROKEN: u64 = 1;
const ONE: u64 = 2;
const ARRIVED: u64 = (1 << 32) - 1;

/// A barrier at a place in a segment. A process that dies at it counts as one that has arrived.
#[derive(Debug)]
pub struct Gate(NonNull<AtomicU64>);

// SAFETY: it is one atomic word.
unsafe impl Send for Gate {}
// SAFETY: as above.
unsafe impl Sync for Gate {}

/// What a waiter waits for.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// How many were there before.
    pub index: u64,
    /// The upper half of the word.
    seen: u32,
    last: bool,
}

impl Gate {
    /// How many bytes it takes.
    pub const SIZE: usize = size_of::<AtomicU64>();

    /// The one at a place: all zero is a barrier at which nobody has arrived.
    ///
    /// # Safety
    /// There are [`SIZE`](Gate::SIZE) bytes, aligned to them, that outlive it and serve nothing else.
    #[must_use]
    pub unsafe fn at(place: NonNull<u8>) -> Gate {
        Gate(place.cast())
    }

    fn word(&self) -> &AtomicU64 {
        // SAFETY: the memory outlives it.
        unsafe { self.0.as_ref() }
    }

    /// The upper half, which is slept on.
    fn upper(&self) -> &Word {
        let half = if cfg!(target_endian = "little") { 4 } else { 0 };
        // SAFETY: a half of the word, which is only ever used as an atomic.
        unsafe { self.0.cast::<u8>().add(half).cast::<Word>().as_ref() }
    }

    fn change(&self, change: impl Fn(u64) -> Option<u64>) -> Result<u64, u64> {
        self.word().fetch_update(Ordering::AcqRel, Ordering::Acquire, change)
    }

    /// The word after those who wait were let go, because it broke or not.
    fn released(word: u64, broke: bool) -> u64 {
        let (times, history) = (word >> 40, (word >> 32) & 0xff);
        let history = ((history << 1) | u64::from(broke)) & 0xff;
        ((times.wrapping_add(1) & 0xff_ffff) << 40) | (history << 32)
    }

    /// Arrives; none if it is broken. The last of `parties` lets the others go.
    #[must_use]
    pub fn arrive(&self, parties: u64) -> Option<Arrival> {
        let old = self.change(|word| match word & BROKEN {
            0 if (word & ARRIVED) / ONE + 1 >= parties => Some(Gate::released(word, false)),
            0 => Some(word + ONE),
            _ => None,
        });
        let old = old.ok()?;
        let index = (old & ARRIVED) / ONE;
        let last = index + 1 >= parties;
        if last {
            self.upper().wake(u32::MAX, Scope::Shared);
        }
        Some(Arrival { index, seen: (old >> 32) as u32, last })
    }

    /// Whether the wait is over, and then whether the barrier did not break.
    #[must_use]
    pub fn outcome(&self, arrival: Arrival) -> Option<bool> {
        if arrival.last {
            return Some(true);
        }
        let now = self.upper().load(Ordering::Acquire);
        let passed = ((now >> 8).wrapping_sub(arrival.seen >> 8)) & 0xff_ffff;
        match passed {
            0 => None,
            // The history ends there; only a barrier that others use too gets so far ahead.
            9.. => Some(true),
            n => Some((now >> (n - 1)) & 1 == 0),
        }
    }

    /// Sleeps until the wait is over; [`outcome`](Gate::outcome) tells.
    #[must_use]
    pub fn sleep(&self, arrival: Arrival, deadline: Option<Deadline>) -> Slept {
        self.upper().sleep(arrival.seen, deadline, Scope::Shared)
    }

    /// Breaks it, for all who wait and all who come.
    pub fn abort(&self) {
        self.let_go(|word| Gate::released(word, true) | BROKEN);
    }

    /// Breaks it for a waiter that waits no longer; not if the wait is over.
    #[must_use]
    pub fn give_up(&self, arrival: Arrival) -> bool {
        let gave_up = self.change(|word| {
            ((word >> 32) as u32 == arrival.seen && !arrival.last).then(|| Gate::released(word, true) | BROKEN)
        });
        if gave_up.is_ok() {
            self.upper().wake(u32::MAX, Scope::Shared);
        }
        gave_up.is_ok()
    }

    /// Makes it as new; it breaks for those who wait.
    pub fn reset(&self) {
        self.let_go(|word| match word & ARRIVED {
            0 => word,
            1 => word & !BROKEN,
            _ => Gate::released(word, true),
        });
    }

    fn let_go(&self, change: impl Fn(u64) -> u64) {
        if self.change(|word| Some(change(word))).is_ok() {
            self.upper().wake(u32::MAX, Scope::Shared);
        }
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        (self.word().load(Ordering::Acquire) & ARRIVED) / ONE
    }

    /// Whether it is broken.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.word().load(Ordering::Acquire) & BROKEN != 0
    }
}

#[cfg(test)]
mod tests {
    use super::Gate;
    use crate::Segment;

    fn gate(segment: &Segment) -> Gate {
        // SAFETY: the segment outlives it.
        unsafe { Gate::at(segment.place::<u64>(0).expect("it is large enough").cast()) }
    }

    #[test]
    fn the_last_lets_the_others_go() {
        let segment = Segment::create(c"gate", Gate::SIZE).expect("there is memory");
        let gate = gate(&segment);
        for round in 0..20 {
            let first = gate.arrive(2).expect("it is whole");
            assert_eq!((first.index, gate.waiting(), gate.outcome(first)), (0, 1, None), "round {round}");
            let second = gate.arrive(2).expect("it is whole");
            assert_eq!((second.index, gate.waiting()), (1, 0));
            assert_eq!((gate.outcome(first), gate.outcome(second)), (Some(true), Some(true)));
        }
    }

    #[test]
    fn it_breaks_for_those_who_wait_and_not_for_those_let_go_before() {
        let segment = Segment::create(c"gate", Gate::SIZE).expect("there is memory");
        let gate = gate(&segment);
        let (passed, _) = (gate.arrive(2).expect("it is whole"), gate.arrive(2).expect("it is whole"));
        let waits = gate.arrive(2).expect("it is whole");
        gate.reset();
        assert_eq!((gate.outcome(passed), gate.outcome(waits), gate.is_broken()), (Some(true), Some(false), false));
        let waits = gate.arrive(2).expect("it is as new");
        assert!(gate.give_up(waits));
        assert!(gate.is_broken() && gate.arrive(2).is_none());
        assert_eq!((gate.outcome(passed), gate.outcome(waits)), (Some(true), Some(false)));
        gate.reset();
        assert!(!gate.is_broken() && !gate.give_up(waits));
    }
}
