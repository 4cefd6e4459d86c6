//! Every interleaving at the primitives that guard their lists by the latch: `RUSTFLAGS="--cfg loom" cargo test
//! --release`. loom also tells when two touch a list at once.
#![cfg(loom)]
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use fenshen_sync::{Barrier, Condition, Deadline, Event, Fifo, Mutex, Queue, Scope, Semaphore, Sleep, Wake};
use loom::thread;

fn check(preemptions: usize, body: fn()) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(body);
}

fn spawn<T: Send + Sync + 'static>(shared: &Arc<T>, body: impl FnOnce(&T) + Send + 'static) -> thread::JoinHandle<()> {
    let shared = Arc::clone(shared);
    thread::spawn(move || body(&shared))
}

#[test]
fn units_are_handed_over_or_counted() {
    check(2, || {
        let semaphore = Arc::new(Semaphore::new(0, Scope::Process));
        let takers = [spawn(&semaphore, |s| s.acquire()), spawn(&semaphore, |s| s.acquire())];
        assert!(semaphore.release(1) && semaphore.release(1));
        takers.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(semaphore.count(), 0);
    });
}

#[test]
fn a_unit_outlives_one_who_lost_patience() {
    check(3, || {
        let semaphore = Arc::new(Semaphore::new(0, Scope::Process));
        let hasty = spawn(&semaphore, |s| {
            if s.acquire_slowly(1, Wake::Thread, &mut Sleep, Some(Deadline::now())).is_ok() {
                s.release(1);
            }
        });
        semaphore.release(1);
        semaphore.acquire();
        hasty.join().unwrap();
        assert_eq!(semaphore.count(), 0);
    });
}

#[test]
fn an_event_lets_pass_who_waits_when_it_is_set() {
    check(3, || {
        let event = Arc::new(Event::new(Scope::Process));
        let waiter = spawn(&event, Event::wait);
        event.set();
        event.set();
        waiter.join().unwrap();
        assert!(event.is_set());
    });
}

struct Flag {
    mutex: Mutex,
    condition: Condition,
    set: loom::cell::Cell<bool>,
}

// SAFETY: the mutex guards the flag.
unsafe impl Sync for Flag {}
// SAFETY: as above.
unsafe impl Send for Flag {}

#[test]
fn who_is_told_has_waited_and_who_waits_is_told() {
    check(2, || {
        let flag = Arc::new(Flag {
            mutex: Mutex::new(Scope::Process),
            condition: Condition::new(Scope::Process),
            set: loom::cell::Cell::new(false),
        });
        let waiter = spawn(&flag, |f| {
            f.mutex.lock(2);
            while !f.set.get() {
                f.condition.wait(&f.mutex, 2);
            }
            f.mutex.unlock();
        });
        flag.mutex.lock(1);
        flag.set.set(true);
        flag.condition.notify(1);
        flag.mutex.unlock();
        waiter.join().unwrap();
        assert!(flag.condition.is_empty());
    });
}

#[test]
fn a_round_needs_all_and_lets_all_go() {
    check(2, || {
        let barrier = Arc::new(Barrier::new(2, Scope::Process));
        let other = spawn(&barrier, |b| {
            b.wait().unwrap();
            b.wait().unwrap();
        });
        barrier.wait().unwrap();
        barrier.wait().unwrap();
        other.join().unwrap();
        assert_eq!(barrier.waiting(), 0);
    });
}

#[test]
fn a_queue_of_one_loses_nothing() {
    check(2, || {
        let queue = Arc::new(Queue::new(Fifo::default(), 1));
        let putter = spawn(&queue, |q| {
            let mut park = Sleep;
            for n in 0..2 {
                q.put_slowly(n, 1, Wake::Thread, &mut park, None).unwrap();
            }
        });
        for n in 0..2 {
            assert_eq!(queue.get_slowly(2, Wake::Thread, &mut Sleep, None), Ok(n));
        }
        putter.join().unwrap();
        assert!(queue.is_empty());
    });
}

#[test]
fn an_item_reaches_the_one_who_stays() {
    check(2, || {
        let queue = Arc::new(Queue::new(Fifo::default(), 1));
        let hasty = spawn(&queue, |q| {
            if let Ok(item) = q.get_slowly(1, Wake::Thread, &mut Sleep, Some(Deadline::now())) {
                q.put_slowly(item, 1, Wake::Thread, &mut Sleep, None).unwrap();
            }
        });
        let putter = spawn(&queue, |q| q.put_slowly(7, 2, Wake::Thread, &mut Sleep, None).unwrap());
        assert_eq!(queue.get_slowly(3, Wake::Thread, &mut Sleep, None), Ok(7));
        hasty.join().unwrap();
        putter.join().unwrap();
        assert!(queue.is_empty());
    });
}
