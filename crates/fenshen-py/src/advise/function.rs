//! What is counted of one function that is handed to threads, a pool or tasks: a row of the report.

use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use pyo3::prelude::*;

use super::crowd::Crowd;
use super::look::{KINDS, Kind};
use super::remote::{self, Row as Remote};
use super::{steps, worker};

/// So many calls of a function that compute have their arguments and results weighed.
const WEIGHED: i32 = 5;
/// So many tasks of a function have their arguments kept for that.
const TRIED: i32 = 8;

/// The counters of one row. Rows live for ever: threads and the sampling thread point at them.
pub(super) struct Function {
    /// The address of a coroutine's code, or of its type; zero for a row that Python has made. It is kept alive.
    source: usize,
    /// Calls that have ended.
    calls: AtomicU64,
    /// Their time from beginning to end, in nanoseconds, as all times here.
    wall: AtomicU64,
    /// The time that threads were at it, without the calls within it that have a row of their own.
    busy: AtomicU64,
    /// The CPU time of that.
    cpu: AtomicU64,
    longest: AtomicU64,
    steps: AtomicU64,
    longest_step: AtomicU64,
    /// The CPU time of the call that had most of it.
    longest_cpu: AtomicU64,
    weighings: AtomicI32,
    tries: AtomicI32,
    crowd: Crowd,
    /// The time between successive looks at one call, and how much of it the thread was ready and had no processor.
    followed: AtomicU64,
    starved: AtomicU64,
    looks: [AtomicU64; KINDS],
    /// Successive looks at one call, by whether the first (2) and the second (1) saw a wait for the lock.
    pairs: [AtomicU64; 4],
    /// What is counted of calls that other processes make.
    remote: OnceLock<Remote>,
}

pub(super) type Counts = [u64; 13];

impl Function {
    fn new(source: usize) -> Function {
        Function {
            source,
            calls: AtomicU64::new(0),
            wall: AtomicU64::new(0),
            busy: AtomicU64::new(0),
            cpu: AtomicU64::new(0),
            longest: AtomicU64::new(0),
            steps: AtomicU64::new(0),
            longest_step: AtomicU64::new(0),
            longest_cpu: AtomicU64::new(0),
            weighings: AtomicI32::new(WEIGHED),
            tries: AtomicI32::new(TRIED),
            crowd: Crowd::default(),
            followed: AtomicU64::new(0),
            starved: AtomicU64::new(0),
            looks: [const { AtomicU64::new(0) }; KINDS],
            pairs: [const { AtomicU64::new(0) }; 4],
            remote: OnceLock::new(),
        }
    }

    /// A call begins, at `now`.
    pub(super) fn enter(&self, now: u64) {
        self.crowd.enter(now);
    }

    /// A call that took `wall` ends, at `now`.
    pub(super) fn leave(&self, now: u64, wall: u64) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.wall.fetch_add(wall, Ordering::Relaxed);
        self.longest.fetch_max(wall, Ordering::Relaxed);
        self.crowd.leave(now);
    }

    /// A call that another process made ends, at `now`.
    pub(super) fn part(&self, now: u64) {
        self.crowd.leave(now);
    }

    /// What is counted of calls that other processes make.
    pub(super) fn remote(&self) -> &Remote {
        self.remote.get_or_init(Remote::default)
    }

    /// A thread was at it for `busy`, and on a processor for `cpu` of that.
    pub(super) fn worked(&self, busy: u64, cpu: u64) {
        self.busy.fetch_add(busy, Ordering::Relaxed);
        self.cpu.fetch_add(cpu, Ordering::Relaxed);
    }

    /// A whole call took so much CPU time.
    pub(super) fn most(&self, cpu: u64) {
        self.longest_cpu.fetch_max(cpu, Ordering::Relaxed);
    }

    /// A task has taken a step.
    pub(super) fn stepped(&self, wall: u64) {
        self.steps.fetch_add(1, Ordering::Relaxed);
        self.longest_step.fetch_max(wall, Ordering::Relaxed);
    }

    /// Whether one more call is to be weighed; it is counted then.
    pub(super) fn take_weighing(&self) -> bool {
        self.weighings.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n > 0).then(|| n - 1)).is_ok()
    }

    /// Whether some calls are still to be weighed.
    pub(super) fn weighs(&self) -> bool {
        self.weighings.load(Ordering::Relaxed) > 0
    }

    /// Whether one more task is to be asked; it is counted then.
    pub(super) fn take_try(&self) -> bool {
        self.tries.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n > 0).then(|| n - 1)).is_ok()
    }

    /// What a look saw, after the number of what the look before it saw of the same call.
    pub(super) fn seen(&self, kind: Kind, before: Option<u8>) {
        self.looks[kind as usize].fetch_add(1, Ordering::Relaxed);
        if let Some(before) = before.filter(|&before| before != Kind::Unclear as u8 && kind != Kind::Unclear) {
            let pair = 2 * usize::from(before == Kind::LockWait as u8) + usize::from(kind == Kind::LockWait);
            self.pairs[pair].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Between two looks at one call `time` has passed, in which its thread was ready and had no processor for
    /// `starved`.
    pub(super) fn followed(&self, time: u64, starved: u64) {
        self.followed.fetch_add(time, Ordering::Relaxed);
        // It may be more than the time: the scheduler counts a wait when it has ended.
        self.starved.fetch_add(starved, Ordering::Relaxed);
    }

    /// The counters as they are now, calls that still run included; `now` is the time.
    fn counts(&'static self, number: usize, now: u64) -> Counts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let unfinished = worker::unfinished(self, now);
        let whole =
            if self.source == 0 { (unfinished.wall, unfinished.longest) } else { steps::unfinished(number, now) };
        let crowd = self.crowd.counted(now);
        [
            get(&self.calls) + crowd.now,
            crowd.now,
            crowd.peak,
            get(&self.steps),
            get(&self.wall) + whole.0,
            get(&self.busy) + unfinished.busy,
            get(&self.cpu) + unfinished.cpu,
            get(&self.longest).max(whole.1),
            get(&self.longest_step),
            crowd.span,
            get(&self.longest_cpu).max(unfinished.longest_cpu),
            get(&self.followed),
            get(&self.starved),
        ]
    }
}

static ROWS: Mutex<Vec<&'static Function>> = Mutex::new(Vec::new());

fn rows() -> MutexGuard<'static, Vec<&'static Function>> {
    ROWS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds a row and returns its number.
pub(super) fn add(source: usize) -> usize {
    let mut rows = rows();
    rows.push(Box::leak(Box::new(Function::new(source))));
    rows.len() - 1
}

/// The row of that number.
pub(super) fn get(number: usize) -> Option<&'static Function> {
    rows().get(number).copied()
}

/// After a fork, in the child: the same numbers, nothing counted.
pub(super) fn forget() {
    for row in rows().iter_mut() {
        *row = Box::leak(Box::new(Function::new(row.source)));
    }
}

type Row<'py> = (Option<Bound<'py, PyAny>>, Counts, [u64; KINDS], [u64; 4]);

/// Every row.
pub(super) fn counts(py: Python<'_>) -> Vec<Row<'_>> {
    let now = super::span::wall();
    let rows = rows().clone();
    let read = |all: &[AtomicU64], at: usize| all[at].load(Ordering::Relaxed);
    rows.into_iter()
        .enumerate()
        .map(|(number, row)| {
            // SAFETY: a source is kept alive for ever by whoever made the row.
            let source = (row.source != 0).then(|| unsafe { Bound::from_borrowed_ptr(py, row.source as *mut _) });
            let looks = std::array::from_fn(|at| read(&row.looks, at));
            (source, row.counts(number, now), looks, std::array::from_fn(|at| read(&row.pairs, at)))
        })
        .collect()
}

/// The rows of functions whose calls other processes make: their numbers, how many tasks are on their way, the largest
/// number of them at once, how long there was at least one, and the counters.
pub(super) fn remote_counts() -> Vec<(usize, u64, u64, u64, remote::Counts)> {
    let now = super::span::wall();
    let rows = rows().clone();
    let counted = rows.into_iter().enumerate().filter_map(|(number, row)| {
        let remote = row.remote.get()?;
        let crowd = row.crowd.counted(now);
        Some((number, crowd.now, crowd.peak, crowd.span, remote.counts()))
    });
    counted.collect()
}
