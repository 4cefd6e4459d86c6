//! One side of a link falls asleep while the other gives it something to do, in every interleaving: nobody sleeps for ever.
//! `RUSTFLAGS="--cfg loom" cargo test --release`; a sleep that nobody ends is a deadlock, which loom tells of.
#![cfg(loom)]

#[path = "../src/asleep.rs"]
mod asleep;
#[path = "../src/sync.rs"]
#[allow(dead_code, unused_imports, reason = "the pool uses the rest")]
mod sync;

use std::ptr::NonNull;
use std::sync::Arc;

use asleep::Asleep;
use fenshen_shm::ring::{Cursors, Place, Reader, Writer};
use fenshen_sync::{Scope, Word};
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

/// Every interleaving in which a thread that could go on is interrupted three times at most: there are too many others.
fn model(sides: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(sides);
}

/// What is published, and whether the side that takes it sleeps: on its word, or at a bell.
struct Shared {
    published: AtomicU32,
    asleep: Asleep,
    bell: Word,
}

impl Shared {
    fn new() -> Arc<Shared> {
        Arc::new(Shared { published: AtomicU32::new(0), asleep: Asleep::default(), bell: Word::new(0) })
    }

    fn is_there(&self, number: u32) -> bool {
        self.published.load(Ordering::Acquire) >= number
    }

    /// As the worker sleeps.
    fn take(&self, number: u32) {
        while !self.is_there(number) {
            self.asleep.sleep_unless(|| self.is_there(number));
        }
    }

    /// As the pool sleeps: the bell is what `epoll` waits for.
    fn take_at_bell(&self, number: u32) {
        loop {
            self.bell.swap(0, Ordering::AcqRel);
            self.asleep.hush();
            if self.is_there(number) {
                return;
            }
            self.asleep.listen();
            if !self.is_there(number) {
                while self.bell.load(Ordering::Acquire) == 0 {
                    self.bell.sleep(0, None, Scope::Shared);
                }
            }
        }
    }

    fn publish(&self, number: u32) {
        self.published.store(number, Ordering::Release);
    }

    fn ring(&self) {
        if self.asleep.must_ring() {
            self.bell.swap(1, Ordering::AcqRel);
            self.bell.wake(1, Scope::Shared);
        }
    }
}

#[test]
fn a_worker_that_sleeps_is_woken_by_each_task() {
    model(|| {
        let shared = Shared::new();
        let other = Arc::clone(&shared);
        let worker = thread::spawn(move || (1..=2).for_each(|number| other.take(number)));
        for number in 1..=2 {
            shared.publish(number);
            shared.asleep.wake();
        }
        worker.join().expect("it ended");
    });
}

#[test]
fn a_pool_that_sleeps_is_rung_by_each_result() {
    model(|| {
        let shared = Shared::new();
        let other = Arc::clone(&shared);
        let pool = thread::spawn(move || (1..=2).for_each(|number| other.take_at_bell(number)));
        for number in 1..=2 {
            shared.publish(number);
            shared.ring();
        }
        pool.join().expect("it ended");
    });
}

/// Another thread of the worker has something to say while the pool has a task: the worker's sleep has two that end it.
#[test]
fn a_sleep_that_two_may_end_is_ended() {
    model(|| {
        let shared = Shared::new();
        let said = Arc::new(AtomicU32::new(0));
        let (of_thread, of_worker) = ((shared.clone(), said.clone()), (shared.clone(), said));
        let thread = thread::spawn(move || {
            let (shared, said) = of_thread;
            said.store(1, Ordering::Release);
            shared.asleep.wake();
        });
        let worker = thread::spawn(move || {
            let (shared, said) = of_worker;
            let both = || shared.is_there(1) && said.load(Ordering::Acquire) == 1;
            while !both() {
                shared.asleep.sleep_unless(both);
            }
        });
        shared.publish(1);
        shared.asleep.wake();
        thread.join().expect("it ended");
        worker.join().expect("it ended");
    });
}

#[repr(align(64))]
#[allow(dead_code, reason = "it is reached by its address")]
struct Data([u8; 64]);

/// A whole direction of a link: the ring, and the sleep of either side. Two messages fill the ring.
struct Link {
    cursors: Cursors,
    data: std::cell::UnsafeCell<Data>,
    asleep: Asleep,
    crowded: Asleep,
}

// SAFETY: the ring orders what its two sides do.
unsafe impl Send for Link {}
// SAFETY: as above.
unsafe impl Sync for Link {}

impl Link {
    fn place(&self) -> Place {
        let data = NonNull::new(self.data.get()).expect("a place").cast();
        // SAFETY: whoever uses the place keeps the link.
        unsafe { Place::new(NonNull::from(&self.cursors), data, 64) }
    }

    fn send(&self, writer: &mut Writer) {
        while writer.reserve(16).expect("whole").is_none() {
            self.crowded.sleep_unless(|| writer.reserve(16).expect("whole").is_some());
        }
        writer.publish(16);
        self.asleep.wake();
    }

    fn receive(&self, reader: &mut Reader) {
        while reader.peek().expect("whole").is_none() {
            self.asleep.sleep_unless(|| !reader.is_empty().expect("whole"));
        }
        reader.consume();
        self.crowded.wake();
    }
}

#[test]
fn a_ring_that_is_full_and_empty_in_turn_has_nobody_sleep_for_ever() {
    const MESSAGES: usize = 3;
    model(|| {
        let data = std::cell::UnsafeCell::new(Data([0; 64]));
        let link =
            Arc::new(Link { cursors: Cursors::default(), data, asleep: Asleep::default(), crowded: Asleep::default() });
        let other = Arc::clone(&link);
        let writing = thread::spawn(move || {
            // SAFETY: the only writer.
            let mut writer = unsafe { Writer::new(other.place()) };
            (0..MESSAGES).for_each(|_| other.send(&mut writer));
        });
        // SAFETY: the only reader.
        let mut reader = unsafe { Reader::new(link.place()) };
        (0..MESSAGES).for_each(|_| link.receive(&mut reader));
        writing.join().expect("it ended");
    });
}
