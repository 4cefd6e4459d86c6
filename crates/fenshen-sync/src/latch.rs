//! The short lock around a primitive's list of waiters: the third mutex of U. Drepper, "Futexes Are Tricky" (2011).
//!
//! It is held for a few instructions, never across a wait, and takes no account of fairness.

use crate::sync::{Ordering, spin_loop};
use crate::word::{Scope, Word};

const FREE: u32 = 0;
const HELD: u32 = 1;
/// Held, and somebody may sleep.
const WANTED: u32 = 2;
/// How often to look again before sleeping: a wake-up costs far more than the few instructions that it is held for.
const SPINS: u32 = if cfg!(loom) { 1 } else { 100 };

/// A word that one holds at a time. All zero is a free one.
#[derive(Debug, Default)]
#[repr(transparent)]
pub(crate) struct Latch(Word);

impl Latch {
    pub(crate) fn new() -> Latch {
        Latch(Word::new(FREE))
    }

    /// The same for statics.
    pub(crate) const fn free() -> Latch {
        Latch(Word::zero())
    }

    #[inline]
    pub(crate) fn lock(&self, scope: Scope) -> Held<'_> {
        if !self.0.change(FREE, HELD) {
            self.lock_slowly(scope);
        }
        Held { latch: self, scope }
    }

    #[cold]
    fn lock_slowly(&self, scope: Scope) {
        for _ in 0..SPINS {
            spin_loop();
            if self.0.load(Ordering::Relaxed) == FREE && self.0.change(FREE, HELD) {
                return;
            }
        }
        while self.0.swap(WANTED, Ordering::AcqRel) != FREE {
            self.0.sleep(WANTED, None, scope);
        }
    }

    pub(crate) fn unlock(&self, scope: Scope) {
        if self.0.swap(FREE, Ordering::AcqRel) == WANTED {
            self.0.wake(1, scope);
        }
    }

    /// Frees it whoever holds it: for a forked child, where its holder may not exist.
    pub(crate) fn reset(&self) {
        self.0.store(FREE, Ordering::Release);
    }
}

/// The latch is held as long as this lives.
pub(crate) struct Held<'a> {
    latch: &'a Latch,
    scope: Scope,
}

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        self.latch.unlock(self.scope);
    }
}
