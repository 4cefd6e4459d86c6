//! A flag in shared memory that processes wait for.
//!
//! One word holds the flag, a mark for sleepers and how often it was set, so that who sleeps is told even if the flag is
//! cleared again at once. A process can be killed at any point and leaves it whole; if that is between setting it and
//! waking the sleepers, they find out when they look for themselves, as they should now and then.

use std::sync::atomic::{AtomicU32, Ordering};

use fenshen_sync::{Deadline, Scope, Slept, Word};

const SET: u32 = 1;
/// Set while somebody may sleep.
const SLEEPERS: u32 = 2;
/// What setting it adds.
const TIME: u32 = 4;

/// The flag. All zero is one that is not set.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Event(AtomicU32);

/// A moment: what an event was like when a wait for it began.
#[derive(Clone, Copy, Debug)]
pub struct Since(u32);

impl Event {
    /// Whether it is set.
    #[inline]
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire) & SET != 0
    }

    /// Sets it and wakes those who sleep.
    pub fn set(&self) {
        let change = |now: u32| (now & SET == 0).then(|| (now & !SLEEPERS).wrapping_add(TIME) | SET);
        if let Ok(before) = self.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, change)
            && before & SLEEPERS != 0
        {
            self.word().wake(u32::MAX, Scope::Shared);
        }
    }

    /// Clears it.
    pub fn clear(&self) {
        self.0.fetch_and(!SET, Ordering::AcqRel);
    }

    /// Begins a wait.
    #[must_use]
    pub fn since(&self) -> Since {
        Since(self.0.load(Ordering::Acquire))
    }

    /// Whether it is set, or was since then.
    #[must_use]
    pub fn was_set(&self, since: Since) -> bool {
        let now = self.0.load(Ordering::Acquire);
        now & SET != 0 || now / TIME != since.0 / TIME
    }

    /// Sleeps until it may have been set since then, or for no reason.
    pub fn sleep(&self, since: Since, deadline: Option<Deadline>) -> Slept {
        let before = self.0.fetch_or(SLEEPERS, Ordering::AcqRel);
        if before & SET != 0 || before / TIME != since.0 / TIME {
            return Slept::Woken;
        }
        self.word().sleep(before | SLEEPERS, deadline, Scope::Shared)
    }

    fn word(&self) -> &Word {
        // SAFETY: a word is an `AtomicU32`, and so is this.
        unsafe { &*std::ptr::from_ref(self).cast() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_and_cleared() {
        let event = Event::default();
        let since = event.since();
        assert!(!event.is_set() && !event.was_set(since));
        event.set();
        event.set();
        assert!(event.is_set() && event.was_set(since) && event.was_set(event.since()));
        event.clear();
        assert!(!event.is_set());
        assert!(event.was_set(since), "it was, meanwhile");
        assert!(!event.was_set(event.since()));
    }

    #[test]
    fn all_are_woken() {
        let event = Event::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let since = event.since();
                    while !event.was_set(since) {
                        event.sleep(since, None);
                    }
                });
            }
            event.set();
        });
    }
}
