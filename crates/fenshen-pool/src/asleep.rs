//! Whether one side of a link sleeps, so that the other wakes it, and makes no system call if it does not.
//!
//! Who is about to sleep says so and then looks once more for something to do; who has given the other something to do
//! then looks whether it sleeps. Between saying and looking each has a fence, so at least one of them sees the other.

use fenshen_sync::{Scope, Slept, Word};

use crate::sync::{Ordering, fence};

/// One while somebody sleeps, or is about to. All zero is awake.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Asleep(Word);

impl Asleep {
    /// Sleeps on the word until it is woken, or for no reason; not at all if there is something to do.
    pub(crate) fn sleep_unless(&self, there_is_something: impl FnOnce() -> bool) -> Slept {
        self.listen();
        let slept = if there_is_something() { Slept::Woken } else { self.0.sleep(1, None, Scope::Shared) };
        self.hush();
        slept
    }

    /// Wakes who sleeps on the word, if anybody does. What it is to see was published before.
    pub(crate) fn wake(&self) {
        if self.must_ring() {
            self.0.wake(1, Scope::Shared);
        }
    }

    /// For who sleeps elsewhere, at a bell: asks to be rung. What comes from now on rings, what came before can be seen.
    pub(crate) fn listen(&self) {
        self.0.store(1, Ordering::Relaxed);
        fence();
    }

    /// It is awake.
    pub(crate) fn hush(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Whether the one who asks is to ring: one of those who ask.
    pub(crate) fn must_ring(&self) -> bool {
        fence();
        self.0.load(Ordering::Relaxed) == 1 && self.0.change(1, 0)
    }
}
