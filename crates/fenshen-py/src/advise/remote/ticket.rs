//! One task that is measured, in the process that submits it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::super::function::{self, Function};
use super::super::span::{cpu, wall};
use super::row::Counter;
use super::{Late, MEASURED, Measures};

/// It is made before the task is pickled; what it knows is counted when the task has come back.
pub(crate) struct Ticket {
    function: &'static Function,
    number: usize,
    /// How many calls the task makes.
    calls: u64,
    began: u64,
    /// The CPU time of pickling and copying, and the bytes.
    dump: AtomicU64,
    sent: AtomicU64,
    /// It is on its way.
    open: AtomicBool,
}

impl Ticket {
    /// For a task of that function; None if no function has this number.
    pub(crate) fn new(number: usize, calls: u64) -> Option<Box<Ticket>> {
        let function = function::get(number)?;
        function.remote();
        function.enter(wall());
        let (dump, sent, open) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(true));
        Some(Box::new(Ticket { function, number, calls, began: cpu(), dump, sent, open }))
    }

    /// For the same task, pickled in another way.
    pub(crate) fn again(&self) -> Option<Box<Ticket>> {
        Ticket::new(self.number, self.calls)
    }

    /// The thread that made the ticket has pickled the task, into so many bytes.
    pub(crate) fn pickled(&self, bytes: u64) {
        self.dump.fetch_add(cpu().saturating_sub(self.began), Ordering::Relaxed);
        self.sent.store(bytes, Ordering::Relaxed);
    }

    /// Copies the task to a worker.
    pub(crate) fn copying<T>(&self, copy: impl FnOnce() -> T) -> T {
        let began = cpu();
        let copied = copy();
        self.dump.fetch_add(cpu().saturating_sub(began), Ordering::Relaxed);
        copied
    }

    /// The head of the task's message, for a function of that name.
    pub(crate) fn head(&self, name: u64) -> [u8; 16] {
        let mut head = [0; 16];
        head[..8].copy_from_slice(&(name | MEASURED).to_ne_bytes());
        head[8..].copy_from_slice(&(self.number as u64).to_ne_bytes());
        head
    }

    /// Loads the result, of so many bytes, that came back with these measures.
    pub(crate) fn loading<T>(&self, measures: &Measures, bytes: u64, raised: bool, load: impl FnOnce() -> T) -> T {
        let began = cpu();
        let loaded = load();
        let row = self.function.remote();
        row.add(Counter::ResultLoad, cpu().saturating_sub(began));
        row.add(Counter::Tasks, 1);
        row.add(Counter::Calls, self.calls);
        row.add(Counter::Raised, raised.into());
        row.add(Counter::Sent, self.sent.load(Ordering::Relaxed));
        row.add(Counter::Dump, self.dump.load(Ordering::Relaxed));
        row.add(Counter::Returned, bytes);
        row.add_measures(measures);
        self.end();
        loaded
    }

    fn end(&self) {
        if self.open.swap(false, Ordering::Relaxed) {
            self.function.part(wall());
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.end();
    }
}

impl Late {
    /// Counts it.
    pub(crate) fn count(&self) {
        let number = usize::try_from(self.row).unwrap_or(usize::MAX);
        if let Some(function) = function::get(number) {
            function.remote().add(Counter::ResultDump, self.send);
        }
    }
}
