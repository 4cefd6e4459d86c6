//! One look at a thread: what it is doing.

use std::sync::atomic::Ordering;

use super::function::Function;
use super::lock::{self, InterpreterLock};
use super::span::{cpu_of, wall};
use super::worker::Worker;
use crate::proc;
use crate::watchdog::starved;

/// What a look saw.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// It computes and holds the interpreter lock.
    UnderLock,
    /// It computes and doesn't.
    OutsideLock,
    /// It computes; who holds the lock is not known.
    Computes,
    /// It has computed most of the time since the last look and has no processor now: this look took it away, most
    /// likely. It holds the interpreter lock.
    DisplacedUnderLock,
    /// The same without the lock.
    DisplacedOutsideLock,
    /// It waits for the interpreter lock.
    LockWait,
    /// It could run and has no processor.
    Starved,
    /// It sleeps in a system call that waits for something outside of the process, or for a time.
    Sleeps,
    /// It sleeps in a futex: another thread is to wake it.
    WaitsForThread,
    /// It sleeps and holds the interpreter lock.
    SleepsWithLock,
    /// It changed while it was looked at, or can't be seen.
    Unclear,
}

/// How many kinds there are.
pub(super) const KINDS: usize = Kind::Unclear as usize + 1;

/// Looks at a thread that works for something, and counts what it saw.
pub(super) fn look(worker: &Worker) {
    let Some((function, turn)) = worker.at() else {
        return;
    };
    let (kind, cpu) = see(worker, turn);
    if worker.at().is_none_or(|(_, now)| now != turn) {
        return; // the call that it saw is over
    }
    note(worker, function, turn, kind, cpu);
}

fn note(worker: &Worker, function: &Function, turn: u64, kind: Kind, cpu: u64) {
    let same = worker.seen_turn.load(Ordering::Relaxed) == turn;
    let (now, starved) = (wall(), starved(worker.tid).map_or(u64::MAX, |time| time.as_nanos() as u64));
    let before = worker.seen_starved.swap(starved, Ordering::Relaxed);
    if same && before != u64::MAX && starved != u64::MAX {
        function.followed(now.saturating_sub(worker.seen_wall.load(Ordering::Relaxed)), starved.saturating_sub(before));
    }
    function.seen(kind, same.then(|| worker.seen.load(Ordering::Relaxed)));
    worker.seen.store(kind as u8, Ordering::Relaxed);
    worker.seen_turn.store(turn, Ordering::Relaxed);
    worker.seen_wall.store(now, Ordering::Relaxed);
    worker.seen_cpu.store(cpu, Ordering::Relaxed);
}

/// What it does, and its CPU time now.
fn see(worker: &Worker, turn: u64) -> (Kind, u64) {
    let lock = lock::known();
    let holder = || lock.and_then(|lock| lock.holder()).map(|holder| holder == worker.state.load(Ordering::Relaxed));
    let Some(before) = cpu_of(worker.tid) else {
        return (Kind::Unclear, 0);
    };
    let holds = holder();
    let mut text = [0; 256];
    let Some(text) = proc::read(worker.tid, "syscall", &mut text) else {
        return (Kind::Unclear, before);
    };
    let still = holder();
    let Some(cpu) = cpu_of(worker.tid) else {
        return (Kind::Unclear, before);
    };
    if holds != still {
        return (Kind::Unclear, cpu);
    }
    let kind = if !text.starts_with("running") {
        sleeping(text, holds, lock)
    } else if cpu > before {
        computing(holds)
    } else if computed_lately(worker, turn, cpu) {
        match computing(holds) {
            Kind::UnderLock => Kind::DisplacedUnderLock,
            Kind::OutsideLock => Kind::DisplacedOutsideLock,
            other => other,
        }
    } else {
        Kind::Starved
    };
    (kind, cpu)
}

fn computing(holds: Option<bool>) -> Kind {
    match holds {
        Some(true) => Kind::UnderLock,
        Some(false) => Kind::OutsideLock,
        None if cfg!(Py_GIL_DISABLED) => Kind::OutsideLock,
        None => Kind::Computes,
    }
}

fn sleeping(text: &str, holds: Option<bool>, lock: Option<InterpreterLock>) -> Kind {
    let futex = lock::futex(text);
    match (futex, lock) {
        (Some(futex), Some(lock)) if lock.is_waited_for(futex) => Kind::LockWait,
        _ if holds == Some(true) => Kind::SleepsWithLock,
        // Where the lock's place is not known, a futex may be it.
        (Some(_), None) if cfg!(not(Py_GIL_DISABLED)) => Kind::Unclear,
        (Some(_), _) => Kind::WaitsForThread,
        (None, _) => Kind::Sleeps,
    }
}

/// Whether a thread that has no processor at this moment had one most of the time since the last look at this call:
/// then it is this look that took it away.
fn computed_lately(worker: &Worker, turn: u64, cpu: u64) -> bool {
    let passed = wall().saturating_sub(worker.seen_wall.load(Ordering::Relaxed));
    let computed = cpu.saturating_sub(worker.seen_cpu.load(Ordering::Relaxed));
    worker.seen_turn.load(Ordering::Relaxed) == turn && computed * 2 > passed
}
