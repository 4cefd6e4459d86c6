//! The semaphore between threads.

mod parks;

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fenshen_sync::{Deadline, Failed, Scope, Semaphore, Sleep, Wake, current};
use parks::{Never, Noting, TooLate, until};

fn take(semaphore: &Semaphore, arrived: &AtomicU32) -> Result<(), Failed> {
    semaphore.acquire_slowly(current(), Wake::Thread, &mut Noting(arrived), None)
}

#[test]
fn units_are_counted() {
    let semaphore = Semaphore::new(2, Scope::Process);
    assert!(semaphore.try_acquire() && semaphore.try_acquire() && !semaphore.try_acquire());
    assert!(semaphore.release(3));
    assert_eq!(semaphore.count(), 3);
    assert!(!semaphore.release_within(1, 3));
    assert!(semaphore.release_within(1, 4));
    assert!(!semaphore.release(Semaphore::MAX));
    assert_eq!(semaphore.count(), 4);
    semaphore.reset(1);
    assert_eq!(semaphore.count(), 1);
}

#[test]
fn who_came_first_is_served_first_and_nobody_comes_between() {
    let semaphore = Semaphore::new(0, Scope::Process);
    // Who was served, a digit each: the sanitizer sees no order through the standard library's own `Mutex`.
    let (arrived, served) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for n in 0..5 {
            let (semaphore, arrived, served) = (&semaphore, &arrived, &served);
            scope.spawn(move || {
                take(semaphore, arrived).expect("nothing interrupts it");
                let later = |before| Some(before * 10 + n + 1);
                served.fetch_update(Ordering::AcqRel, Ordering::Acquire, later).expect("it always has a next");
            });
            until(|| arrived.load(Ordering::Acquire) == n + 1);
        }
        for n in 0..5 {
            assert!(semaphore.release(1));
            assert!(!semaphore.try_acquire());
            until(|| served.load(Ordering::Acquire) % 10 == n + 1);
        }
    });
    assert_eq!(served.into_inner(), 12345);
}

#[test]
fn many_units_serve_many_and_the_rest_is_kept() {
    let semaphore = Semaphore::new(0, Scope::Process);
    let arrived = AtomicU32::new(0);
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..3).map(|_| scope.spawn(|| take(&semaphore, &arrived))).collect();
        until(|| arrived.load(Ordering::Acquire) == 3);
        assert!(!semaphore.release_within(5, 4));
        assert!(semaphore.release_within(4, 4));
        for waiter in waiters {
            assert_eq!(waiter.join().expect("it does not panic"), Ok(()));
        }
    });
    assert_eq!(semaphore.count(), 1);
}

#[test]
fn a_count_that_is_set_is_handed_out() {
    let semaphore = Semaphore::new(0, Scope::Process);
    let arrived = AtomicU32::new(0);
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..2).map(|_| scope.spawn(|| take(&semaphore, &arrived))).collect();
        until(|| arrived.load(Ordering::Acquire) == 2);
        semaphore.set_count(5);
        for waiter in waiters {
            assert_eq!(waiter.join().expect("it does not panic"), Ok(()));
        }
    });
    assert_eq!(semaphore.count(), 3);
    semaphore.set_count(0);
    assert!(!semaphore.try_acquire());
}

#[test]
fn a_timeout_is_not_early_and_leaves_nothing() {
    let semaphore = Semaphore::new(0, Scope::Process);
    let (began, wait) = (Instant::now(), Duration::from_millis(5));
    let taken = semaphore.acquire_slowly(current(), Wake::Thread, &mut Sleep, Some(Deadline::after(wait)));
    assert_eq!(taken, Err(Failed::TimedOut));
    assert!(began.elapsed() >= wait);
    assert!(semaphore.release(1) && semaphore.try_acquire());
}

#[test]
fn a_unit_for_one_who_gives_up_goes_to_the_next() {
    let semaphore = Semaphore::new(0, Scope::Process);
    let arrived = AtomicU32::new(0);
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            let mut park = TooLate(&arrived);
            semaphore.acquire_slowly(current(), Wake::Thread, &mut park, None)
        });
        until(|| arrived.load(Ordering::Acquire) == 1);
        let second = scope.spawn(|| take(&semaphore, &arrived));
        until(|| arrived.load(Ordering::Acquire) == 2);
        assert!(semaphore.release(1));
        assert_eq!(first.join().expect("it does not panic"), Err(Failed::Interrupted));
        assert_eq!(second.join().expect("it does not panic"), Ok(()));
    });
    assert_eq!(semaphore.count(), 0);
    assert_eq!(semaphore.acquire_slowly(current(), Wake::Thread, &mut Never, None), Err(Failed::Interrupted));
    assert!(semaphore.release(1));
    assert_eq!(semaphore.count(), 1);
}

#[test]
fn never_more_inside_than_there_are_units() {
    let semaphore = Semaphore::new(3, Scope::Process);
    let inside = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    semaphore.acquire();
                    assert!(inside.fetch_add(1, Ordering::AcqRel) < 3);
                    inside.fetch_sub(1, Ordering::AcqRel);
                    assert!(semaphore.release(1));
                }
            });
        }
    });
    assert_eq!(semaphore.count(), 3);
}
