//! Ways to block that tests can see and steer.

#![allow(dead_code)]

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fenshen_sync::{Deadline, Failed, Grant, Park, Sleep, Waiter};

/// Returns when that holds.
pub(crate) fn until(what: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !what() {
        assert!(Instant::now() < end, "it never happened");
        thread::yield_now();
    }
}

/// Sleeps, and counts itself before: by then it is in line.
pub(crate) struct Noting<'a>(pub(crate) &'a AtomicU32);

impl Park for Noting<'_> {
    fn park(&mut self, waiter: &Waiter, deadline: Option<Deadline>) -> Result<Grant, Failed> {
        self.0.fetch_add(1, Ordering::AcqRel);
        Sleep.park(waiter, deadline)
    }
}

/// The same, and gives up at the very moment in which it is granted something.
pub(crate) struct TooLate<'a>(pub(crate) &'a AtomicU32);

impl Park for TooLate<'_> {
    fn park(&mut self, waiter: &Waiter, _deadline: Option<Deadline>) -> Result<Grant, Failed> {
        self.0.fetch_add(1, Ordering::AcqRel);
        until(|| waiter.granted().is_some());
        Err(Failed::Interrupted)
    }
}

/// Gives up at once.
pub(crate) struct Never;

impl Park for Never {
    fn park(&mut self, _waiter: &Waiter, _deadline: Option<Deadline>) -> Result<Grant, Failed> {
        Err(Failed::Interrupted)
    }
}
