//! `Inbox`, from one thread.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used)]

use fenshen_reactor::Inbox;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn values_need_not_be_sync() {
    fn shared_by_threads<T: Send + Sync>(_: &T) {}
    shared_by_threads(&Inbox::<std::cell::Cell<u8>>::new());
    shared_by_threads(&Inbox::<std::cell::Cell<u8>>::new().drain());
}

#[test]
fn first_in_first_out() {
    let inbox = Inbox::new();
    for n in 0..1000 {
        assert_eq!(inbox.push(n), n == 0);
    }
    let drain = inbox.drain();
    assert_eq!(drain.len(), 1000);
    assert!(drain.eq(0..1000));
    assert!(inbox.push(0), "empty again");
}

#[test]
fn an_empty_drain_yields_nothing() {
    let inbox = Inbox::<String>::default();
    let mut drain = inbox.drain();
    assert_eq!((drain.len(), drain.next(), drain.next()), (0, None, None));
}

#[test]
fn what_is_pushed_while_draining_stays() {
    let inbox = Inbox::new();
    inbox.push(1);
    inbox.push(2);
    for n in inbox.drain() {
        inbox.push(n * 10);
    }
    assert!(inbox.drain().eq([10, 20]));
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn everything_is_dropped_once() {
    let drops = Arc::new(AtomicUsize::new(0));
    let inbox = Inbox::new();
    for _ in 0..10 {
        inbox.push(Counted(Arc::clone(&drops)));
    }
    let mut drain = inbox.drain();
    drop(drain.next());
    assert_eq!(drops.load(Ordering::Relaxed), 1);
    drop(drain);
    assert_eq!(drops.load(Ordering::Relaxed), 10);
    inbox.push(Counted(Arc::clone(&drops)));
    drop(inbox);
    assert_eq!(drops.load(Ordering::Relaxed), 11);
}

/// Panics when dropped, if it is told to.
struct Bomb(bool, #[expect(dead_code, reason = "only dropped")] Counted);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!self.0, "bomb");
    }
}

#[test]
fn a_panic_in_a_drop_loses_nothing_else() {
    let drops = Arc::new(AtomicUsize::new(0));
    let inbox = Inbox::new();
    for n in 0..10 {
        inbox.push(Bomb(n == 3, Counted(Arc::clone(&drops))));
    }
    assert!(catch_unwind(AssertUnwindSafe(|| drop(inbox.drain()))).is_err());
    assert_eq!(drops.load(Ordering::Relaxed), 10);
}

#[test]
fn a_long_chain_does_not_recurse() {
    let inbox = Inbox::new();
    for n in 0..1_000_000 {
        inbox.push(n);
    }
    drop(inbox);
}
