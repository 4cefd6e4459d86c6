//! The event between threads.

mod parks;

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fenshen_sync::{Deadline, Event, Failed, Scope, Sleep, Wake, current};
use parks::{Never, Noting, TooLate, until};

#[test]
fn all_who_wait_pass_even_if_it_is_cleared_at_once() {
    let event = Event::new(Scope::Process);
    let arrived = AtomicU32::new(0);
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..5)
            .map(|_| scope.spawn(|| event.wait_slowly(current(), Wake::Thread, &mut Noting(&arrived), None)))
            .collect();
        until(|| arrived.load(Ordering::Acquire) == 5);
        event.set();
        event.clear();
        for waiter in waiters {
            assert_eq!(waiter.join().expect("it does not panic"), Ok(()));
        }
    });
    assert!(!event.is_set());
}

#[test]
fn a_timeout_is_not_early() {
    let event = Event::new(Scope::Process);
    let (began, wait) = (Instant::now(), Duration::from_millis(5));
    let passed = event.wait_slowly(current(), Wake::Thread, &mut Sleep, Some(Deadline::after(wait)));
    assert_eq!(passed, Err(Failed::TimedOut));
    assert!(began.elapsed() >= wait);
    event.set();
    event.wait();
}

#[test]
fn those_who_give_up_leave_nothing() {
    let event = Event::new(Scope::Process);
    let arrived = AtomicU32::new(0);
    assert_eq!(event.wait_slowly(current(), Wake::Thread, &mut Never, None), Err(Failed::Interrupted));
    thread::scope(|scope| {
        let late = scope.spawn(|| event.wait_slowly(current(), Wake::Thread, &mut TooLate(&arrived), None));
        until(|| arrived.load(Ordering::Acquire) == 1);
        event.set();
        assert_eq!(late.join().expect("it does not panic"), Err(Failed::Interrupted));
    });
    assert!(event.is_set());
    event.reset();
    assert!(event.is_set());
}

/// Each clears its own before it wakes the other: a wake-up that is lost, or one too many, would end it.
#[test]
fn two_threads_wake_each_other() {
    let (ping, pong, turns) = (Event::new(Scope::Process), Event::new(Scope::Process), AtomicU32::new(0));
    let play = |mine: &Event, other: &Event, me: u32| {
        for _ in 0..5000 {
            mine.wait();
            mine.clear();
            assert_eq!(turns.fetch_add(1, Ordering::AcqRel) % 2, me);
            other.set();
        }
    };
    ping.set();
    thread::scope(|scope| {
        scope.spawn(|| play(&ping, &pong, 0));
        scope.spawn(|| play(&pong, &ping, 1));
    });
    assert_eq!(turns.load(Ordering::Acquire), 10_000);
}
