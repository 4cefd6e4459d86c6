//! The kernel's half of a futex for loom and shuttle, which can't look into the kernel: sleepers in a table by the address
//! of their word. To look at the word and to fall asleep is one step, and whoever wakes an address wakes only those that
//! sleep there by then: a wake-up that comes too early is lost, as with the kernel's.

use std::cell::Cell;
use std::collections::BTreeMap;

#[cfg(loom)]
use loom::{
    lazy_static,
    sync::Mutex,
    thread::{self, Thread},
};
#[cfg(shuttle)]
use shuttle::{
    lazy_static,
    sync::Mutex,
    thread::{self, Thread},
};

use crate::deadline::Deadline;
use crate::sync::{AtomicU32, Ordering};
use crate::word::Slept;

std::thread_local! {
    /// A model's threads are all on one.
    static PATIENCE: Cell<bool> = const { Cell::new(true) };
}

/// Whether in models that run on this thread a waiter counts as one that has been passed over for long: there is no time
/// in a model.
pub fn hand_over(at_once: bool) {
    PATIENCE.set(!at_once);
}

pub(crate) fn hands_over() -> bool {
    !PATIENCE.get()
}

lazy_static! {
    static ref SLEEPERS: Mutex<BTreeMap<usize, Vec<Thread>>> = Mutex::new(BTreeMap::new());
}

const UNPOISONED: &str = "nobody panics with the table locked";

pub(crate) fn sleep(word: &AtomicU32, value: u32, deadline: Option<Deadline>) -> Slept {
    let address = std::ptr::from_ref(word) as usize;
    let mut sleepers = SLEEPERS.lock().expect(UNPOISONED);
    if word.load(Ordering::Relaxed) != value {
        return Slept::Woken;
    }
    if deadline.is_some() {
        // Any moment may be the deadline.
        drop(sleepers);
        thread::yield_now();
        return Slept::TimedOut;
    }
    sleepers.entry(address).or_default().push(thread::current());
    drop(sleepers);
    thread::park();
    // It may have woken for no reason.
    let mut sleepers = SLEEPERS.lock().expect(UNPOISONED);
    if let Some(here) = sleepers.get_mut(&address) {
        here.retain(|t| t.id() != thread::current().id());
    }
    Slept::Woken
}

pub(crate) fn wake(address: usize, count: u32) -> u32 {
    let mut sleepers = SLEEPERS.lock().expect(UNPOISONED);
    let here = sleepers.entry(address).or_default();
    let count = here.len().min(count as usize);
    for sleeper in here.drain(..count).collect::<Vec<_>>() {
        sleeper.unpark();
    }
    count as u32
}
