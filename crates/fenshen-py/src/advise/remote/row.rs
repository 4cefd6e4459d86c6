//! What is counted of one function whose calls other processes make.

use std::sync::atomic::{AtomicU64, Ordering};

use super::measures::Measures;

/// How much there is to count.
const COUNTERS: usize = Counter::ResultLoad as usize + 1;

/// The counters; times in nanoseconds.
#[derive(Clone, Copy)]
pub(super) enum Counter {
    /// Tasks that came back.
    Tasks,
    /// The calls that they made.
    Calls,
    /// Tasks that raised.
    Raised,
    Wall,
    Cpu,
    Starved,
    /// Bytes of the tasks' pickles.
    Sent,
    /// Pickling and copying them.
    Dump,
    Load,
    /// Bytes of the results' pickles.
    Returned,
    /// Pickling and copying them.
    ResultDump,
    ResultLoad,
}

pub(in super::super) type Counts = [u64; COUNTERS];

/// The counters of one function.
#[derive(Default)]
pub(in super::super) struct Row([AtomicU64; COUNTERS]);

impl Row {
    pub(super) fn add(&self, counter: Counter, what: u64) {
        self.0[counter as usize].fetch_add(what, Ordering::Relaxed);
    }

    /// What a worker measured of a task.
    pub(super) fn add_measures(&self, measures: &Measures) {
        self.add(Counter::Load, measures.load);
        self.add(Counter::Wall, measures.wall);
        self.add(Counter::Cpu, measures.cpu);
        self.add(Counter::Starved, measures.starved);
        self.add(Counter::ResultDump, measures.dump);
    }

    /// All of them, in the order of [`Counter`].
    pub(in super::super) fn counts(&self) -> Counts {
        std::array::from_fn(|at| self.0[at].load(Ordering::Relaxed))
    }
}
