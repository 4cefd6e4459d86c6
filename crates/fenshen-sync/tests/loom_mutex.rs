//! Every interleaving of two or three threads at one lock: `RUSTFLAGS="--cfg loom" cargo test --release`.
#![cfg(loom)]
#![allow(clippy::unwrap_used)]

use fenshen_sync::{Deadline, Failed, Grant, Mutex, Park, ReentrantMutex, Scope, Sleep, Waiter, Wake, model};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

/// A number that only the lock guards: loom tells when two are in.
struct Guarded {
    lock: Mutex,
    value: UnsafeCell<u32>,
}

// SAFETY: the lock guards the value; that it does is what is tested.
unsafe impl Sync for Guarded {}

impl Guarded {
    fn new() -> Arc<Guarded> {
        Arc::new(Guarded { lock: Mutex::new(Scope::Process), value: UnsafeCell::new(0) })
    }

    /// The lock is held.
    fn step(&self) {
        // SAFETY: the lock is held.
        self.value.with_mut(|v| unsafe { *v += 1 });
    }

    fn turn(&self, me: u32) {
        self.lock.lock(me);
        self.step();
        assert!(self.lock.unlock());
    }

    fn value(&self) -> u32 {
        // SAFETY: every thread has been joined.
        self.value.with(|v| unsafe { *v })
    }
}

/// With and without a waiter that has been passed over for long.
fn both_ways(preemptions: usize, body: fn()) {
    for hand_over in [false, true] {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(preemptions);
        model::hand_over(hand_over);
        builder.check(body);
    }
}

#[test]
fn two_take_turns() {
    both_ways(3, || {
        let shared = Guarded::new();
        let other = Arc::clone(&shared);
        let thread = thread::spawn(move || other.turn(2));
        shared.turn(1);
        thread.join().unwrap();
        assert_eq!(shared.value(), 2);
        assert!(!shared.lock.is_locked());
    });
}

#[test]
fn three_take_turns() {
    both_ways(2, || {
        let shared = Guarded::new();
        let threads = [2, 3].map(|me| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.turn(me))
        });
        shared.turn(1);
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(shared.value(), 3);
    });
}

#[test]
fn whoever_gives_up_takes_no_wake_up_along() {
    both_ways(2, || {
        let shared = Guarded::new();
        let patient = Arc::clone(&shared);
        let hasty = Arc::clone(&shared);
        shared.lock.lock(1);
        let threads = [
            thread::spawn(move || patient.turn(2)),
            thread::spawn(move || {
                let now = Some(Deadline::now());
                if hasty.lock.try_lock(3) || hasty.lock.lock_slowly(3, Wake::Thread, &mut Sleep, now).is_ok() {
                    hasty.step();
                    hasty.lock.unlock();
                }
            }),
        ];
        shared.lock.unlock();
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert!((1..3).contains(&shared.value()));
        assert!(!shared.lock.is_locked());
    });
}

/// Looks once, does something else with its place left empty, and sleeps.
struct Busy<'a> {
    lock: &'a Mutex,
    done: bool,
}

impl Park for Busy<'_> {
    fn park(&mut self, waiter: &Waiter, deadline: Option<Deadline>) -> Result<Grant, Failed> {
        if !self.done && waiter.away() {
            self.done = true;
            // What a signal handler does: it takes the very lock.
            self.lock.lock(waiter.owner());
            self.lock.unlock();
            if !waiter.back() {
                return Ok(Grant::RETRY);
            }
        }
        Sleep.park(waiter, deadline)
    }
}

#[test]
fn a_handler_may_take_what_its_thread_waits_for() {
    both_ways(3, || {
        let shared = Guarded::new();
        let other = Arc::clone(&shared);
        shared.lock.lock(1);
        let thread = thread::spawn(move || {
            let mut park = Busy { lock: &other.lock, done: false };
            if !other.lock.try_lock(2) {
                other.lock.lock_slowly(2, Wake::Thread, &mut park, None).unwrap();
            }
            other.step();
            other.lock.unlock();
        });
        shared.step();
        shared.lock.unlock();
        thread.join().unwrap();
        assert_eq!(shared.value(), 2);
    });
}

/// Gives up after one look, as an interpreter does whose signal handler raises.
struct Raising;

impl Park for Raising {
    fn park(&mut self, _: &Waiter, _: Option<Deadline>) -> Result<Grant, Failed> {
        thread::yield_now();
        Err(Failed::Interrupted)
    }
}

#[test]
fn what_comes_at_the_last_moment_is_passed_on() {
    both_ways(2, || {
        let shared = Guarded::new();
        let patient = Arc::clone(&shared);
        let raising = Arc::clone(&shared);
        shared.lock.lock(1);
        let threads = [
            thread::spawn(move || {
                if raising.lock.lock_slowly(2, Wake::Thread, &mut Raising, None).is_ok() {
                    raising.lock.unlock();
                }
            }),
            thread::spawn(move || patient.turn(3)),
        ];
        shared.lock.unlock();
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(shared.value(), 1);
        assert!(!shared.lock.is_locked());
    });
}

#[test]
fn the_owner_alone_enters_again() {
    both_ways(3, || {
        let lock = Arc::new(ReentrantMutex::new(Scope::Process));
        let other = Arc::clone(&lock);
        let turn = |lock: &ReentrantMutex, me| {
            lock.lock(me);
            assert_eq!(lock.count(), 1);
            assert!(lock.try_lock(me));
            assert_eq!(lock.count(), 2);
            assert!(lock.unlock(me) && lock.is_owned(me) && lock.unlock(me));
        };
        let thread = thread::spawn(move || turn(&other, 2));
        turn(&lock, 1);
        thread.join().unwrap();
        assert!(!lock.is_locked());
    });
}
