//! Tasks of a loop and threads in one line.
#![cfg(not(any(loom, shuttle)))]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use fenshen_sync::{Grant, Mutex, Scope, Semaphore, Waiter, Wake};

#[allow(clippy::duplicate_mod)]
#[path = "../examples/one_queue.rs"]
mod one_queue;

#[test]
fn are_served_in_order() {
    one_queue::main().expect("an epoll instance can be had");
}

unsafe fn count(calls: *const ()) {
    // SAFETY: the tests keep the count alive.
    unsafe { (*calls.cast::<AtomicU32>()).fetch_add(1, Ordering::AcqRel) };
}

fn called(owner: u32, calls: &AtomicU32) -> Waiter {
    Waiter::new(owner, Wake::Call { call: count, data: std::ptr::from_ref(calls).cast() })
}

#[test]
fn a_task_takes_a_mutex_after_a_thread() {
    let (mutex, calls) = (Mutex::new(Scope::Process), AtomicU32::new(0));
    let waiter = called(7, &calls);
    // SAFETY: the waiter stays here until it has the mutex.
    unsafe {
        assert!(mutex.try_lock(1));
        assert!(!mutex.enlist(&waiter) && !mutex.resume(&waiter));
        mutex.unlock();
        assert_eq!(calls.load(Ordering::Acquire), 1);
        // A barger was quicker: it is in line again.
        if waiter.granted() == Some(Grant::RETRY) {
            assert!(mutex.try_lock(1));
            assert!(!mutex.resume(&waiter));
            mutex.unlock();
            assert_eq!(calls.load(Ordering::Acquire), 2);
        }
        assert!(mutex.resume(&waiter));
    }
    assert_eq!(mutex.owner(), 7);
    assert!(mutex.unlock());
}

#[test]
fn whoever_withdraws_leaves_what_it_was_given_to_the_next() {
    let (semaphore, calls) = (Semaphore::new(0, Scope::Process), [AtomicU32::new(0), AtomicU32::new(0)]);
    let waiters = [called(1, &calls[0]), called(2, &calls[1])];
    // SAFETY: the waiters stay here until they are out of the line.
    unsafe {
        assert!(!semaphore.enlist(&waiters[0]) && !semaphore.enlist(&waiters[1]));
        semaphore.release(1);
        assert_eq!((calls[0].load(Ordering::Acquire), calls[1].load(Ordering::Acquire)), (1, 0));
        // Too late: it has been called.
        assert!(!semaphore.withdraw(&waiters[0]));
        assert_eq!(calls[1].load(Ordering::Acquire), 1);
        assert!(semaphore.resume(&waiters[1]));
        assert!(!semaphore.enlist(&waiters[0]));
        assert!(semaphore.withdraw(&waiters[0]));
    }
    assert_eq!((semaphore.count(), semaphore.waiting()), (0, 0));
}

#[test]
fn a_task_and_a_thread_change_places_for_long() {
    const TURNS: u32 = 2_000;
    let semaphores = Arc::new([Semaphore::new(0, Scope::Process), Semaphore::new(0, Scope::Process)]);
    let other = Arc::clone(&semaphores);
    let thread = thread::spawn(move || {
        for _ in 0..TURNS {
            other[0].acquire();
            other[1].release(1);
        }
    });
    for turn in 1..=TURNS {
        let calls = AtomicU32::new(0);
        let waiter = called(turn, &calls);
        // SAFETY: the waiter stays here until it has its unit.
        unsafe {
            let at_once = semaphores[1].enlist(&waiter);
            assert!(!at_once);
            semaphores[0].release(1);
            while calls.load(Ordering::Acquire) == 0 {
                thread::yield_now();
            }
            assert!(semaphores[1].resume(&waiter));
        }
    }
    thread.join().expect("it does not panic");
}
