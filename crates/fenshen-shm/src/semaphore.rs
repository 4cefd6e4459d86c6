//! A counting semaphore in shared memory that knows which process acquired it last.
//!
//! Units are taken by whoever comes first (barging), and one word tells a releaser whether anyone may sleep, as in the
//! third mutex of U. Drepper, "Futexes Are Tricky" (2011). The count, that mark and the last acquirer change in one
//! compare-and-swap, so a process can be killed between any two instructions and is still known as the one that had it.
//!
//! A process that is killed between its wake-up and its next look takes the wake-up along: whoever sleeps should look for
//! itself now and then, as it must for owners that died.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use fenshen_sync::{Deadline, Scope, Slept, Word};

use crate::process::{Fate, Process};

/// Set while somebody may sleep.
const SLEEPERS: u64 = 1 << 31;
const COUNT: u64 = SLEEPERS - 1;
const HOLDER: u32 = 32;

/// Where 32 of the 64 bits lie that are slept on.
const LOW: usize = if cfg!(target_endian = "little") { 0 } else { 1 };

/// The semaphore. All zero is one without units whose acquirers hold nothing.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Semaphore {
    /// From the lowest: 31 bits of units, one for sleepers, 32 for the process that acquired it last.
    state: AtomicU64,
    /// The most units there may be.
    most: AtomicU32,
    /// Whether who acquires a unit is noted: they hold something, and are not just told of an event.
    held: AtomicU32,
}

/// What an attempt to acquire it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It has a unit.
    Acquired,
    /// It may [`sleep`](Semaphore::sleep).
    None,
}

/// There are as many units as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Who had the last unit when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The process.
    pub process: Process,
    /// How it ended.
    pub fate: Fate,
    state: u64,
}

impl Semaphore {
    /// The largest number of units.
    pub const MOST: u32 = i32::MAX as u32;

    /// Makes it new, of `value` units, at most `most`. With `held`, acquirers are noted: right for a lock and for units of
    /// something, wrong where a unit tells of an event.
    pub fn reset(&self, value: u32, most: u32, held: bool) {
        self.most.store(most, Ordering::Relaxed);
        self.held.store(held.into(), Ordering::Relaxed);
        self.state.store(u64::from(value) & COUNT, Ordering::Release);
    }

    /// How many units there are.
    #[inline]
    #[must_use]
    pub fn value(&self) -> u32 {
        (self.state.load(Ordering::Acquire) & COUNT) as u32
    }

    /// The most there may be.
    #[must_use]
    pub fn most(&self) -> u32 {
        self.most.load(Ordering::Relaxed)
    }

    /// Takes a unit if there is one.
    #[inline]
    pub fn try_acquire(&self) -> bool {
        self.take(0)
    }

    /// Takes a unit after a sleep: others may sleep still.
    #[inline]
    fn take(&self, mark: u64) -> bool {
        let holder = u64::from(Process::current().bits()) << HOLDER;
        let mut state = self.state.load(Ordering::Relaxed);
        while state & COUNT > 0 {
            let new = holder | mark | ((state & (COUNT | SLEEPERS)) - 1);
            match self.state.compare_exchange_weak(state, new, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    /// Takes a unit, or says that it may sleep; `slept` if it did before.
    pub fn attempt(&self, slept: bool) -> Attempt {
        let mark = if slept { SLEEPERS } else { 0 };
        loop {
            if self.take(mark) {
                return Attempt::Acquired;
            }
            let state = self.state.load(Ordering::Relaxed);
            if state & COUNT > 0 {
                continue;
            }
            let marked = state | SLEEPERS;
            let changed = self.state.compare_exchange(state, marked, Ordering::Relaxed, Ordering::Relaxed);
            if state == marked || changed.is_ok() {
                return Attempt::None;
            }
        }
    }

    /// Sleeps until there may be a unit, or for no reason.
    pub fn sleep(&self, deadline: Option<Deadline>) -> Slept {
        self.word().sleep(SLEEPERS as u32, deadline, Scope::Shared)
    }

    /// Puts a unit back, or a new one in.
    ///
    /// # Errors
    /// [`Full`], and nothing has changed.
    #[inline]
    pub fn release(&self) -> Result<(), Full> {
        let most = u64::from(self.most());
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            if state & COUNT >= most {
                return Err(Full);
            }
            match self.state.compare_exchange_weak(state, state + 1, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => state = now,
            }
        }
        if state & SLEEPERS != 0 {
            self.wake(state + 1);
        }
        Ok(())
    }

    #[cold]
    fn wake(&self, state: u64) {
        if self.word().wake(1, Scope::Shared) == 0 {
            // Nobody slept. Whoever was about to looks at the word again, and sees that it is another.
            let _ = self.state.compare_exchange(state, state & !SLEEPERS, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    fn word(&self) -> &Word {
        // SAFETY: a word is an `AtomicU32`, and this one lies within the state. It is only given to the kernel.
        unsafe { &*self.state.as_ptr().cast::<Word>().add(LOW) }
    }

    /// Who had the last unit and has ended, if acquirers are noted.
    #[must_use]
    pub fn lost(&self) -> Option<Lost> {
        let state = self.state.load(Ordering::Acquire);
        let process = Process::from_bits((state >> HOLDER) as u32)?;
        if state & COUNT > 0 || self.held.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let fate = process.fate();
        // It may have released it, or said that it leaves, before it ended.
        let same = self.state.load(Ordering::Acquire) >> HOLDER == state >> HOLDER && self.value() == 0;
        (fate != Fate::Alive && same).then_some(Lost { process, fate, state })
    }

    /// Puts the lost unit back. Returns whether it was the caller who did.
    pub fn recover(&self, lost: &Lost) -> bool {
        let mut state = lost.state;
        loop {
            // That somebody sleeps is no reason to give up.
            match self.state.compare_exchange(state, (state & SLEEPERS) | 1, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) if now | SLEEPERS == state | SLEEPERS => state = now,
                Err(_) => return false,
            }
        }
        self.word().wake(1, Scope::Shared);
        true
    }

    /// What the calling process acquired last is its affair no longer: it may end, and another will release it.
    pub fn leave(&self) {
        let me = u64::from(Process::current().bits());
        let mut state = self.state.load(Ordering::Relaxed);
        while state >> HOLDER == me {
            let new = state & (COUNT | SLEEPERS);
            match self.state.compare_exchange(state, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => state = now,
            }
        }
    }

    /// Whether the calling process is the last that acquired it, and there is no unit left.
    #[must_use]
    pub fn is_held_here(&self) -> bool {
        let state = self.state.load(Ordering::Relaxed);
        state & COUNT == 0 && (state >> HOLDER) as u32 == Process::current().bits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    fn made(value: u32, most: u32) -> Semaphore {
        let semaphore = Semaphore::default();
        semaphore.reset(value, most, true);
        semaphore
    }

    fn acquire(semaphore: &Semaphore) {
        let mut slept = false;
        while semaphore.attempt(slept) != Attempt::Acquired {
            semaphore.sleep(Some(Deadline::after(Duration::from_secs(60))));
            slept = true;
        }
    }

    #[test]
    fn so_many_and_no_more() {
        let semaphore = made(2, 3);
        assert!(semaphore.try_acquire() && semaphore.try_acquire() && !semaphore.try_acquire());
        assert_eq!((semaphore.release(), semaphore.release(), semaphore.release()), (Ok(()), Ok(()), Ok(())));
        assert_eq!(semaphore.release(), Err(Full));
        assert_eq!(semaphore.value(), 3);
    }

    #[test]
    fn never_too_many_and_none_is_forgotten() {
        let (semaphore, inside) = (made(2, 2), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    for _ in 0..5000 {
                        acquire(&semaphore);
                        assert!(inside.fetch_add(1, Ordering::SeqCst) < 2);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        semaphore.release().expect("there is room for what was taken");
                    }
                });
            }
        });
        assert_eq!(semaphore.value(), 2);
    }

    #[test]
    fn the_mark_goes_when_nobody_sleeps() {
        let semaphore = made(0, 1);
        assert_eq!(semaphore.attempt(false), Attempt::None);
        semaphore.release().expect("it is empty");
        assert_eq!(semaphore.state.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn who_has_ended_is_known_and_who_has_left_is_not() {
        let semaphore = made(1, 1);
        assert!(semaphore.try_acquire());
        assert!(semaphore.is_held_here());
        assert_eq!(semaphore.lost(), None);
        // A process of that number that began at another time.
        semaphore.state.fetch_xor(1 << 63, Ordering::Relaxed);
        let lost = semaphore.lost().expect("its holder is no more");
        assert_eq!((lost.process.number(), lost.fate), (std::process::id(), Fate::Gone));
        assert_eq!(semaphore.attempt(false), Attempt::None);
        assert!(semaphore.recover(&lost) && !semaphore.recover(&lost));
        assert!(semaphore.try_acquire());
        semaphore.leave();
        assert!(!semaphore.is_held_here());
        assert_eq!((semaphore.lost(), semaphore.value()), (None, 0));
    }

    #[test]
    fn nobody_holds_an_event() {
        let semaphore = made(1, 1);
        semaphore.reset(0, 1, false);
        semaphore.state.store((1 << 63) | (5 << HOLDER), Ordering::Relaxed);
        assert_eq!(semaphore.lost(), None);
    }
}
