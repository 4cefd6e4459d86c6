//! A lock between processes that does not die with its holder: a futex whose word is the holder's number.
//!
//! Whoever waits looks now and then whether the holder still lives, and takes a dead one's place. What the lock guards is
//! changed by one store each time, so it is whole whenever its guard may have died.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fenshen_sync::{Deadline, Scope, Slept, Word, is_alive, tid};

/// Somebody sleeps for the lock.
const WAITED: u32 = 1 << 31;
/// How long a waiter spins: a wake-up on another core costs three times as much.
const SPIN: Duration = Duration::from_micros(20);
/// How long it sleeps before it looks after the holder, and after one who was woken and died of that.
const LOOK: Duration = Duration::from_millis(20);

/// The lock. All zero is a free one.
#[repr(C)]
pub(crate) struct Lock(Word);

/// The lock is held as long as this lives.
pub(crate) struct Held<'a> {
    lock: &'a Lock,
    /// The holder before has died while it held the lock.
    pub(super) inherited: bool,
}

impl Lock {
    /// Takes it if that takes no longer than to spin a little.
    #[inline]
    pub(crate) fn try_lock(&self) -> Option<Held<'_>> {
        if self.0.change(0, tid()) { Some(self.held(false)) } else { self.spin() }
    }

    /// Takes it, and sleeps for that if need be.
    #[inline]
    pub(crate) fn lock(&self) -> Held<'_> {
        match self.try_lock() {
            Some(held) => held,
            None => self.lock_slowly(),
        }
    }

    fn held(&self, inherited: bool) -> Held<'_> {
        Held { lock: self, inherited }
    }

    #[cold]
    fn spin(&self) -> Option<Held<'_>> {
        let start = Instant::now();
        while start.elapsed() < SPIN {
            for _ in 0..16 {
                if self.0.load(Ordering::Relaxed) == 0 && self.0.change(0, tid()) {
                    return Some(self.held(false));
                }
                std::hint::spin_loop();
            }
        }
        None
    }

    #[cold]
    fn lock_slowly(&self) -> Held<'_> {
        let me = tid();
        loop {
            let now = self.0.load(Ordering::Relaxed);
            let holder = now & !WAITED;
            // This thread holds nothing: a dead one had its number.
            if holder == 0 || holder == me {
                if self.0.change(now, me | WAITED) {
                    return self.held(holder == me);
                }
                continue;
            }
            let awaited = now | WAITED;
            if now != awaited && !self.0.change(now, awaited) {
                continue;
            }
            let slept = self.0.sleep(awaited, Some(Deadline::after(LOOK)), Scope::Shared);
            if slept == Slept::TimedOut && !is_alive(holder) && self.0.change(awaited, me | WAITED) {
                return self.held(true);
            }
        }
    }
}

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.lock.0.swap(0, Ordering::AcqRel) & WAITED != 0 {
            self.lock.0.wake(1, Scope::Shared);
        }
    }
}
