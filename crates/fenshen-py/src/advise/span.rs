//! The time between two instants of one thread, on the wall and on a processor.

use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::function::Function;
use super::worker::{self, Frame, Worker};

fn clock(which: libc::clockid_t) -> Option<u64> {
    let mut now = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the call fills `now` in, or fails.
    let now = unsafe {
        if libc::clock_gettime(which, now.as_mut_ptr()) != 0 {
            return None;
        }
        now.assume_init()
    };
    Some(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
}

/// The monotonic clock, in nanoseconds.
pub(super) fn wall() -> u64 {
    clock(libc::CLOCK_MONOTONIC).unwrap_or(0)
}

/// This thread's CPU time.
pub(super) fn cpu() -> u64 {
    clock(libc::CLOCK_THREAD_CPUTIME_ID).unwrap_or(0)
}

/// The CPU time of all threads of this process.
pub(super) fn process_cpu() -> u64 {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID).unwrap_or(0)
}

/// Another thread's CPU time, by the kernel's number of it; None once it has ended.
pub(super) fn cpu_of(tid: i32) -> Option<u64> {
    const PER_THREAD: i32 = 4;
    const SCHEDULER: i32 = 2;
    clock((!tid) << 3 | PER_THREAD | SCHEDULER)
}

/// One stretch of a thread's work for a function.
pub(super) struct Span {
    worker: Arc<Worker>,
    before: Frame,
}

/// How long a span was, and how much of it this function's own: without the spans within it.
pub(super) struct Length {
    pub(super) began: u64,
    pub(super) ended: u64,
    pub(super) busy: u64,
    pub(super) cpu: u64,
}

impl Length {
    pub(super) fn wall(&self) -> u64 {
        self.ended.saturating_sub(self.began)
    }

    /// Whether it computed enough that another process might have done it: over a millisecond, and not in passing.
    pub(super) fn computed(&self) -> bool {
        self.cpu > 1_000_000 && self.cpu > self.busy / 20
    }
}

impl Span {
    /// The calling thread begins to work for `function`.
    pub(super) fn begin(function: &'static Function) -> Span {
        let worker = worker::this();
        let before = worker.push(Some(function), wall(), cpu());
        super::sampler::stir();
        Span { worker, before }
    }

    /// It does something that is no part of what is measured.
    pub(super) fn outside() -> Span {
        let worker = worker::this();
        let before = worker.push(None, wall(), cpu());
        Span { worker, before }
    }

    /// When it began.
    pub(super) fn began(&self) -> u64 {
        self.worker.began_wall.load(Ordering::Relaxed)
    }

    /// It ends.
    pub(super) fn end(self) -> Length {
        let cpu = cpu();
        self.worker.pop(self.before, wall(), cpu)
    }
}
