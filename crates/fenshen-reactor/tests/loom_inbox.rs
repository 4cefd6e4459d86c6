//! Every interleaving (up to three preemptions) of producers that push and wake with a consumer that looks and sleeps.
//!
//! Run: `RUSTFLAGS="--cfg loom" cargo test -p fenshen-reactor --release --test loom_inbox`
#![cfg(loom)]
#![allow(clippy::unwrap_used)]

use fenshen_reactor::{Inbox, SleepState};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// An eventfd: a counter that the consumer can block on.
struct Descriptor {
    count: Mutex<u64>,
    readable: Condvar,
}

impl Descriptor {
    fn new() -> Self {
        Self { count: Mutex::new(0), readable: Condvar::new() }
    }

    fn write(&self) {
        *self.count.lock().unwrap() += 1;
        self.readable.notify_one();
    }

    /// What `epoll_wait` does without a timeout: a lost wake-up is a deadlock here, which loom reports.
    fn wait(&self) {
        let mut count = self.count.lock().unwrap();
        while *count == 0 {
            count = self.readable.wait(count).unwrap();
        }
    }

    /// A non-blocking read.
    fn read(&self) -> u64 {
        std::mem::take(&mut *self.count.lock().unwrap())
    }
}

struct Shared {
    inbox: Inbox<Item>,
    state: SleepState,
    descriptor: Descriptor,
}

/// loom's Arc makes a lost item a leak, which loom reports.
type Item = Arc<(usize, usize)>;

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self { inbox: Inbox::new(), state: SleepState::new(), descriptor: Descriptor::new() })
    }

    fn wake(&self) {
        if self.state.wake() {
            self.descriptor.write();
        }
    }

    /// What `Waker::woken` does.
    fn woken(&self) {
        self.state.woken();
        if self.state.owed() > 0 {
            self.state.repaid(self.descriptor.read());
        }
    }

    /// One turn of a loop: sleeps unless there is work, then takes it.
    fn turn(&self, seen: &mut Vec<(usize, usize)>) {
        self.state.prepare_sleep();
        if self.inbox.is_empty() {
            self.descriptor.wait();
            self.woken();
        } else {
            self.state.woken();
        }
        seen.extend(self.inbox.drain().map(|item| *item));
    }
}

fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(3);
    builder.check(f);
}

/// `producers` threads push `each` items; `wake_always` or only after a push into an empty inbox.
fn no_wakeup_is_lost(producers: usize, each: usize, wake_always: bool) {
    model(move || {
        let shared = Shared::new();
        let threads: Vec<_> = (0..producers)
            .map(|producer| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    for n in 0..each {
                        let was_empty = shared.inbox.push(Arc::new((producer, n)));
                        if was_empty || wake_always {
                            shared.wake();
                        }
                    }
                })
            })
            .collect();
        let mut seen = Vec::new();
        while seen.len() < producers * each {
            shared.turn(&mut seen);
        }
        for producer in 0..producers {
            let order: Vec<_> = seen.iter().filter(|item| item.0 == producer).map(|item| item.1).collect();
            assert!(order.into_iter().eq(0..each), "FIFO for each producer");
        }
        for thread in threads {
            thread.join().unwrap();
        }
        // Every promised write has been made by now: one more turn reads what is left, and nothing stays readable.
        shared.woken();
        assert_eq!((shared.descriptor.read(), shared.state.owed()), (0, 0));
    });
}

#[test]
fn one_producer_of_two() {
    no_wakeup_is_lost(1, 2, true);
}

#[test]
fn two_producers_that_always_wake() {
    no_wakeup_is_lost(2, 1, true);
}

#[test]
fn one_producer_that_wakes_after_an_empty_inbox() {
    no_wakeup_is_lost(1, 3, false);
}

#[test]
fn two_producers_that_wake_after_an_empty_inbox() {
    no_wakeup_is_lost(2, 1, false);
}

#[test]
fn a_consumer_that_wakes_for_another_reason() {
    model(|| {
        let shared = Shared::new();
        let theirs = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for n in 0..2 {
                theirs.inbox.push(Arc::new((0, n)));
                theirs.wake();
            }
        });
        let mut seen = Vec::new();
        // A timer ends this sleep, perhaps between a producer's promise and its write.
        shared.state.prepare_sleep();
        shared.woken();
        seen.extend(shared.inbox.drain().map(|item| *item));
        while seen.len() < 2 {
            shared.turn(&mut seen);
        }
        assert_eq!(seen, [(0, 0), (0, 1)]);
        thread.join().unwrap();
        shared.woken();
        assert_eq!((shared.descriptor.read(), shared.state.owed()), (0, 0));
    });
}

#[test]
fn an_inbox_dropped_full_drops_its_items() {
    model(|| {
        let inbox = Arc::new(Inbox::<Item>::new());
        let theirs = Arc::clone(&inbox);
        let thread = thread::spawn(move || {
            theirs.push(Arc::new((0, 0)));
            theirs.push(Arc::new((0, 1)));
        });
        drop(inbox.drain());
        thread.join().unwrap();
    });
}

#[test]
fn a_wake_without_an_item_ends_the_sleep() {
    model(|| {
        let shared = Shared::new();
        let theirs = Arc::clone(&shared);
        let thread = thread::spawn(move || theirs.wake());
        shared.state.prepare_sleep();
        thread.join().unwrap();
        // The producer came before the consumer's announcement, or it wrote.
        let wrote = shared.descriptor.read();
        shared.state.woken();
        assert_eq!(wrote, shared.state.owed());
    });
}
