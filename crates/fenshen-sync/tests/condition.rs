//! The condition between threads.

mod parks;

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fenshen_sync::{Condition, Deadline, Failed, Mutex, Scope, Waiter, Wake, current};
use parks::{Never, Noting, TooLate, until};

fn new() -> (Mutex, Condition) {
    (Mutex::new(Scope::Process), Condition::new(Scope::Process))
}

#[test]
fn those_who_wait_are_told_in_order() {
    let (mutex, condition) = new();
    let told = AtomicU32::new(0);
    thread::scope(|scope| {
        for n in 0..4 {
            let (mutex, condition, told) = (&mutex, &condition, &told);
            scope.spawn(move || {
                mutex.lock(current());
                condition.wait(mutex, current());
                assert_eq!(told.fetch_add(1, Ordering::AcqRel), n);
                mutex.unlock();
            });
            until(|| condition.len() == n as usize + 1);
        }
        assert_eq!(condition.owners().len(), 4);
        for n in 0..4 {
            mutex.lock(current());
            assert_eq!(condition.notify(1), 1);
            mutex.unlock();
            until(|| told.load(Ordering::Acquire) == n + 1);
        }
    });
    assert!(condition.is_empty());
    assert_eq!(condition.notify_all(), 0);
}

#[test]
fn as_many_as_are_asked_for() {
    let (mutex, condition) = new();
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| {
                mutex.lock(current());
                condition.wait(&mutex, current());
                mutex.unlock();
            });
        }
        until(|| condition.len() == 5);
        assert_eq!(condition.notify(0), 0);
        assert_eq!(condition.notify(2), 2);
        assert_eq!(condition.len(), 3);
        assert_eq!(condition.notify_all(), 3);
    });
}

#[test]
fn a_timeout_is_not_early_and_the_lock_is_held_again() {
    let (mutex, condition) = new();
    let (began, wait) = (Instant::now(), Duration::from_millis(5));
    mutex.lock(current());
    assert!(!condition.wait_until(&mutex, current(), Some(Deadline::after(wait))));
    assert!(began.elapsed() >= wait);
    assert_eq!(mutex.owner(), current());
    assert_eq!(condition.len(), 0);
}

#[test]
fn news_for_one_who_gives_up_go_to_the_next() {
    let condition = Condition::new(Scope::Process);
    let arrived = AtomicU32::new(0);
    let block = |park: &mut TooLate<'_>| {
        let waiter = Waiter::new(current(), Wake::Thread);
        // SAFETY: `block` takes the waiter out before it returns.
        unsafe {
            condition.enlist(&waiter);
            condition.block(&waiter, park, None)
        }
    };
    thread::scope(|scope| {
        let first = scope.spawn(|| block(&mut TooLate(&arrived)));
        until(|| arrived.load(Ordering::Acquire) == 1);
        let second = scope.spawn(|| {
            let waiter = Waiter::new(current(), Wake::Thread);
            // SAFETY: as above.
            unsafe {
                condition.enlist(&waiter);
                condition.block(&waiter, &mut Noting(&arrived), None)
            }
        });
        until(|| arrived.load(Ordering::Acquire) == 2);
        assert_eq!(condition.notify(1), 1);
        assert_eq!(first.join().expect("it does not panic"), Err(Failed::Interrupted));
        assert_eq!(second.join().expect("it does not panic"), Ok(()));
    });
    let waiter = Waiter::new(current(), Wake::Thread);
    // SAFETY: both take the waiter out before they return.
    unsafe {
        condition.enlist(&waiter);
        assert_eq!(condition.block(&waiter, &mut Never, None), Err(Failed::Interrupted));
        condition.enlist(&waiter);
        assert!(!condition.withdraw(&waiter));
        condition.enlist(&waiter);
        assert_eq!(condition.notify(1), 1);
        assert!(condition.withdraw(&waiter));
    }
    assert_eq!(condition.len(), 0);
}

#[test]
fn a_bounded_buffer() {
    let (mutex, filled, emptied) = (Mutex::new(Scope::Process), Condition::new(Scope::Process), new().1);
    // Read and written apart: it is the mutex that keeps steps from getting lost.
    let buffer = AtomicU32::new(0);
    let step = |wanted: &Condition, done: &Condition, ready: fn(u32) -> bool, change: fn(u32) -> u32| {
        mutex.lock(current());
        while !ready(buffer.load(Ordering::Relaxed)) {
            wanted.wait(&mutex, current());
        }
        let held = buffer.load(Ordering::Relaxed);
        buffer.store(change(held), Ordering::Relaxed);
        done.notify(1);
        mutex.unlock();
    };
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..2000).for_each(|_| step(&emptied, &filled, |n| n < 2, |n| n + 1)));
            scope.spawn(|| (0..2000).for_each(|_| step(&filled, &emptied, |n| n > 0, |n| n - 1)));
        }
    });
    assert_eq!(buffer.load(Ordering::Acquire), 0);
}
