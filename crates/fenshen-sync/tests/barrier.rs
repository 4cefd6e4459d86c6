//! The barrier between threads.

mod parks;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fenshen_sync::{Barrier, Deadline, Missed, Scope, Sleep, Wake, current};
use parks::{Never, until};

fn wait(barrier: &Barrier, action: impl FnOnce() -> bool) -> Result<u64, Missed> {
    barrier.wait_until(current(), Wake::Thread, &mut Sleep, None, action)
}

#[test]
fn nobody_goes_on_before_all_have_come() {
    let barrier = Barrier::new(4, Scope::Process);
    let (came, acted) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 1..=500 {
                    came.fetch_add(1, Ordering::AcqRel);
                    let index = wait(&barrier, || acted.fetch_add(1, Ordering::AcqRel) < 1000).expect("it is whole");
                    assert!(index < 4);
                    assert!(came.load(Ordering::Acquire) >= 4 * round);
                    assert!(acted.load(Ordering::Acquire) >= 2 * round - 1);
                    wait(&barrier, || acted.fetch_add(1, Ordering::AcqRel) < 1000).expect("it is whole");
                }
            });
        }
    });
    assert_eq!((came.load(Ordering::Acquire), acted.load(Ordering::Acquire)), (2000, 1000));
    assert_eq!(barrier.waiting(), 0);
}

#[test]
fn a_deadline_breaks_it_for_all() {
    let barrier = Barrier::new(3, Scope::Process);
    thread::scope(|scope| {
        let other = scope.spawn(|| barrier.wait());
        until(|| barrier.waiting() == 1);
        let (began, time) = (Instant::now(), Duration::from_millis(5));
        let deadline = Some(Deadline::after(time));
        let missed = barrier.wait_until(current(), Wake::Thread, &mut Sleep, deadline, || true);
        assert_eq!(missed, Err(Missed::Broken));
        assert!(began.elapsed() >= time);
        assert_eq!(other.join().expect("it does not panic"), Err(Missed::Broken));
    });
    assert!(barrier.is_broken());
    assert_eq!(barrier.wait(), Err(Missed::Broken));
    barrier.reset();
    assert!(!barrier.is_broken());
}

#[test]
fn an_action_that_fails_or_panics_breaks_it() {
    let barrier = Barrier::new(1, Scope::Process);
    assert_eq!(wait(&barrier, || false), Err(Missed::Action));
    assert!(barrier.is_broken());
    barrier.renew();
    assert_eq!(barrier.wait(), Ok(0));
    let panics = catch_unwind(AssertUnwindSafe(|| wait(&barrier, || std::panic::resume_unwind(Box::new(())))));
    assert!(panics.is_err());
    assert!(barrier.is_broken());
}

#[test]
fn who_comes_during_the_action_is_of_the_next_round() {
    let barrier = Barrier::new(2, Scope::Process);
    let (acting, go_on) = (AtomicBool::new(false), AtomicBool::new(false));
    let action = || {
        acting.store(true, Ordering::Release);
        until(|| go_on.load(Ordering::Acquire));
        true
    };
    thread::scope(|scope| {
        let first: Vec<_> = (0..2).map(|_| scope.spawn(|| wait(&barrier, action))).collect();
        until(|| acting.load(Ordering::Acquire));
        let early = scope.spawn(|| barrier.wait());
        barrier.reset();
        go_on.store(true, Ordering::Release);
        let mut indices: Vec<_> = first.into_iter().map(|t| t.join().expect("it does not panic")).collect();
        indices.sort_by_key(|index| index.unwrap_or(u64::MAX));
        assert_eq!(indices, [Ok(0), Ok(1)]);
        until(|| barrier.waiting() == 1);
        assert_eq!(barrier.wait(), Ok(1));
        assert_eq!(early.join().expect("it does not panic"), Ok(0));
    });
}

#[test]
fn one_who_is_interrupted_has_not_come() {
    let barrier = Barrier::new(2, Scope::Process);
    let missed = barrier.wait_until(current(), Wake::Thread, &mut Never, None, || true);
    assert_eq!(missed, Err(Missed::Interrupted));
    assert_eq!(barrier.waiting(), 0);
    thread::scope(|scope| {
        let other = scope.spawn(|| barrier.wait());
        until(|| barrier.waiting() == 1);
        assert_eq!(barrier.wait(), Ok(1));
        assert_eq!(other.join().expect("it does not panic"), Ok(0));
    });
}

#[test]
fn another_number_of_parties_is_another_round() {
    let barrier = Barrier::new(0, Scope::Process);
    assert_eq!(barrier.parties(), 0);
    thread::scope(|scope| {
        let waiter = scope.spawn(|| barrier.wait());
        until(|| barrier.waiting() == 1);
        barrier.set_parties(1);
        assert_eq!(waiter.join().expect("it does not panic"), Err(Missed::Broken));
    });
    assert_eq!(barrier.wait(), Ok(0));
    barrier.abort();
    assert_eq!(barrier.wait(), Err(Missed::Broken));
}
