//! The short lock around a primitive's list of waiters: the third mutex of U. Drepper, "Futexes Are Tricky" (2011), with
//! the holder noted in the word.
//!
//! It is held for a few instructions, never across a wait, and takes no account of fairness. One whose holder a fork left
//! behind, or whose holder's process was killed, is taken over by the next to come.

use std::time::Duration;

use crate::deadline::Deadline;
use crate::list::WaitList;
use crate::sync::{Ordering, spin_loop};
use crate::threads::generation;
use crate::tid::{is_alive, tid};
use crate::word::{Scope, Slept, Word};

const FREE: u32 = 0;
const HELD: u32 = 1;
/// Held, and somebody may sleep.
const WANTED: u32 = 2;
/// Above these: among processes the holder's kernel number, else in which generation of forks it was taken.
const SHIFT: u32 = 2;
/// How often to look again before sleeping: a wake-up costs far more than the few instructions that it is held for.
const SPINS: u32 = if cfg!(any(loom, shuttle)) { 1 } else { 100 };
/// How long to sleep before looking whether the holder is still alive, where it may have been killed.
const PATIENCE: Duration = Duration::from_millis(20);

/// A word that one holds at a time. All zero is a free one.
#[derive(Debug, Default)]
#[repr(transparent)]
pub(crate) struct Latch(Word);

impl Latch {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Latch {
        Latch(Word::new(FREE))
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Latch {
        Latch(Word::new(FREE))
    }

    /// Takes it, to guard `lists`, and mends those if its last holder died with it.
    #[inline]
    pub(crate) fn over(&self, scope: Scope, lists: &[&WaitList]) -> Held<'_> {
        let (held, abandoned) = self.take(scope);
        if abandoned {
            // SAFETY: the latch is held, and guards the lists.
            lists.iter().for_each(|list| unsafe { list.mend() });
        }
        held
    }

    #[inline]
    pub(crate) fn lock(&self, scope: Scope) -> Held<'_> {
        self.take(scope).0
    }

    #[inline]
    fn take(&self, scope: Scope) -> (Held<'_>, bool) {
        let mine = mine(scope);
        let abandoned = !self.0.change(FREE, mine) && self.take_slowly(scope, mine);
        (Held { latch: self, scope }, abandoned)
    }

    /// Returns whether it was taken over from one who is not there any more.
    #[cold]
    fn take_slowly(&self, scope: Scope, mine: u32) -> bool {
        for _ in 0..SPINS {
            spin_loop();
            if self.0.load(Ordering::Relaxed) == FREE && self.0.change(FREE, mine) {
                return false;
            }
        }
        let mut slept = Slept::Woken;
        loop {
            let seen = self.0.load(Ordering::Relaxed);
            let abandoned = seen != FREE && is_abandoned(seen, scope, slept);
            if seen == FREE || abandoned {
                // Whoever came by here may have slept, and others may still.
                if self.0.change(seen, mine | WANTED) {
                    return abandoned;
                }
            } else if seen & WANTED != 0 || self.0.change(seen, seen | WANTED) {
                let look_again = (scope == Scope::Shared).then(|| Deadline::after(PATIENCE));
                slept = self.0.sleep(seen | WANTED, look_again, scope);
            }
        }
    }

    pub(crate) fn unlock(&self, scope: Scope) {
        if self.0.swap(FREE, Ordering::AcqRel) & WANTED != 0 {
            self.0.wake(1, scope);
        }
    }

    /// Frees it whoever holds it: for a forked child, where its holder may not exist.
    pub(crate) fn reset(&self) {
        self.0.store(FREE, Ordering::Release);
    }
}

#[inline]
fn mine(scope: Scope) -> u32 {
    let holder = match scope {
        Scope::Process => generation(),
        Scope::Shared => tid(),
    };
    holder << SHIFT | HELD
}

fn is_abandoned(seen: u32, scope: Scope, slept: Slept) -> bool {
    match scope {
        Scope::Process => seen >> SHIFT != generation() << SHIFT >> SHIFT,
        Scope::Shared => slept == Slept::TimedOut && !is_alive(seen >> SHIFT),
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
