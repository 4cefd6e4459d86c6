//! Threads on the real thing: `Inbox`, `Waker` and `Epoll`, short enough for every run and for ThreadSanitizer.
//!
//! Under ThreadSanitizer, with a nightly: `RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer"
//! cargo +nightly test -p fenshen-reactor --target x86_64-unknown-linux-gnu --test stress_inbox`
#![cfg(not(loom))]
#![allow(clippy::unwrap_used)]

use fenshen_reactor::{Epoll, Events, Inbox, Interest, Waker};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

const PRODUCERS: usize = 4;
/// A lost wake-up would wait for ever: this is long enough to be sure of it.
const LOST: Duration = Duration::from_secs(30);

struct Consumer {
    epoll: Epoll,
    events: Events,
    /// The next number expected of each producer.
    expected: [usize; PRODUCERS],
}

impl Consumer {
    fn new(waker: &Waker) -> Self {
        let epoll = Epoll::new().unwrap();
        epoll.add(waker.fd(), Interest::READABLE, 0).unwrap();
        Self { epoll, events: Events::with_capacity(1), expected: [0; PRODUCERS] }
    }

    /// One turn: sleeps if there is nothing, then takes all. A boxed item makes a double free or a race visible.
    fn turn(&mut self, inbox: &Inbox<Box<(usize, usize)>>, waker: &Waker) {
        waker.prepare_sleep();
        if inbox.is_empty() {
            let ready = self.epoll.wait(&mut self.events, Some(LOST)).unwrap();
            assert_eq!(ready, 1, "a wake-up was lost");
            waker.woken().unwrap();
        } else {
            waker.cancel_sleep();
        }
        for item in inbox.drain() {
            let (producer, n) = *item;
            assert_eq!(n, self.expected[producer], "producer {producer}");
            self.expected[producer] += 1;
        }
    }
}

/// `pause` slows the producers down so that the consumer sleeps between their items.
fn stress(each: usize, wake_always: bool, pause: impl Fn(usize) + Sync) {
    let (inbox, waker) = (Inbox::new(), Waker::new().unwrap());
    let start = Barrier::new(PRODUCERS + 1);
    thread::scope(|scope| {
        let producers = (0..PRODUCERS).map(|producer| {
            let (inbox, waker, start, pause) = (&inbox, &waker, &start, &pause);
            scope.spawn(move || {
                start.wait();
                for n in 0..each {
                    if inbox.push(Box::new((producer, n))) || wake_always {
                        waker.wake().unwrap();
                    }
                    pause(n);
                }
            })
        });
        let producers: Vec<_> = producers.collect();
        let mut consumer = Consumer::new(&waker);
        start.wait();
        while consumer.expected != [each; PRODUCERS] {
            consumer.turn(&inbox, &waker);
        }
        // ThreadSanitizer sees a join, and not the scope's own way of waiting.
        producers.into_iter().for_each(|p| p.join().unwrap());
    });
    assert!(inbox.is_empty());
}

#[test]
fn a_flood() {
    stress(20_000, true, |_| {});
}

#[test]
fn a_flood_that_wakes_only_an_empty_inbox() {
    stress(20_000, false, |_| {});
}

#[test]
fn a_trickle() {
    stress(500, true, |_| thread::sleep(Duration::from_micros(50)));
}

#[test]
fn bursts_that_wake_only_an_empty_inbox() {
    stress(2_000, false, |n| {
        if n % 16 == 0 {
            thread::sleep(Duration::from_micros(50));
        }
    });
}

#[test]
fn two_threads_play_ping_pong() {
    let sides = [0, 1].map(|_| (Inbox::new(), Waker::new().unwrap()));
    let play = |mine: usize, rounds: usize| {
        let ((inbox, waker), (their_inbox, their_waker)) = (&sides[mine], &sides[1 - mine]);
        let mut consumer = Consumer::new(waker);
        for n in 0..rounds {
            if mine == 0 {
                their_inbox.push(Box::new((0, n)));
                their_waker.wake().unwrap();
            }
            while consumer.expected[mine ^ 1] + consumer.expected[mine] <= n {
                consumer.turn(inbox, waker);
            }
            if mine == 1 {
                their_inbox.push(Box::new((1, n)));
                their_waker.wake().unwrap();
            }
        }
    };
    thread::scope(|scope| {
        let other = scope.spawn(|| play(1, 1_000));
        play(0, 1_000);
        other.join().unwrap();
    });
}
