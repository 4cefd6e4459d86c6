//! Those who sleep until something changes that no lock guards: an event count (D. Vyukov, 2008).

use std::sync::atomic::{Ordering, fence};

use fenshen_sync::{Deadline, Scope, Slept, Word};

/// Somebody sleeps, as far as is known. The other bits count the changes that were told.
const ASLEEP: u32 = 1;

/// A word to sleep on. All zero is a valid one.
///
/// One wake-up is under way at a time: whoever is woken says, when it has what it wants, whether it is another's turn
/// ([`pass_on`](Sleepers::pass_on)). So a burst of changes costs one wake-up and not one each.
#[repr(C)]
pub(super) struct Sleepers(Word);

impl Sleepers {
    /// Announces a sleep; whether there is still a reason for it is to be looked at between this and [`sleep`](Self::sleep).
    pub(super) fn prepare(&self) -> u32 {
        let ticket = self.0.set_bits(ASLEEP) | ASLEEP;
        fence(Ordering::SeqCst);
        ticket
    }

    /// Sleeps unless somebody was woken since the ticket was made.
    pub(super) fn sleep(&self, ticket: u32, deadline: Option<Deadline>) -> Slept {
        self.0.sleep(ticket, deadline, Scope::Shared)
    }

    /// Whether somebody sleeps, after a change. A fence must lie between the change and this.
    #[inline]
    pub(super) fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) & ASLEEP != 0
    }

    /// Wakes up to `count` of them, if any sleep.
    #[inline]
    pub(super) fn wake(&self, count: u32) {
        if self.any() {
            self.wake_some(count);
        }
    }

    #[cold]
    fn wake_some(&self, count: u32) {
        loop {
            let now = self.0.load(Ordering::Relaxed);
            if now & ASLEEP == 0 {
                return;
            }
            if self.0.change(now, now.wrapping_add(2) & !ASLEEP) {
                self.0.wake(count, Scope::Shared);
                return;
            }
        }
    }

    /// One who has slept is done: others may sleep still. If there is `more` for them, one is woken.
    pub(super) fn pass_on(&self, more: bool) {
        self.0.set_bits(ASLEEP);
        if more {
            self.wake(1);
        }
    }
}
