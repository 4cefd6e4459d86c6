//! A loop's pulse: what it is at, for a watchdog on another thread to read without the interpreter.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering, compiler_fence};

/// Written by the loop's thread at every step, read by anyone. Each field stands alone: a reader that sees the same
/// beat twice, with time between, knows that one step has lasted that long.
#[derive(Default)]
pub(crate) struct Pulse {
    /// One more at every step.
    beat: AtomicU64,
    /// Whether a step runs now: not while the loop waits, nor when it doesn't run.
    busy: AtomicBool,
    /// The address of what runs now, with its kind in the low bits; zero once that may go away. Only the loop's own
    /// thread may follow it.
    at: AtomicUsize,
    /// The kernel's number of the loop's thread, zero while it doesn't run.
    thread: AtomicI32,
    /// `loop.slow_callback_duration`, as the bits of a float.
    slow: AtomicU64,
}

impl Pulse {
    /// The loop begins a step.
    #[inline(always)]
    pub(crate) fn step(&self, word: usize) {
        // Only this thread writes it: a load and a store do, no locked instruction is needed.
        self.beat.store(self.beat.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.at.store(word, Ordering::Relaxed);
    }

    /// What runs is about to be let go of: nobody may follow its address from here on.
    #[inline(always)]
    pub(crate) fn let_go(&self) {
        self.at.store(0, Ordering::Relaxed);
        // A signal handler on this thread is the only reader that follows the address.
        compiler_fence(Ordering::SeqCst);
    }

    /// The loop begins or ends a run of steps.
    #[inline(always)]
    pub(crate) fn set_busy(&self, busy: bool) {
        self.busy.store(busy, Ordering::Relaxed);
    }

    /// The loop begins (or, with zero, ends) to run on a thread.
    pub(crate) fn set_thread(&self, thread: i32) {
        self.thread.store(thread, Ordering::Release);
    }

    /// How many seconds a step may take before it counts as slow.
    pub(crate) fn set_slow(&self, seconds: f64) {
        self.slow.store(seconds.to_bits(), Ordering::Relaxed);
    }

    /// How many seconds a step may take before it counts as slow.
    pub(crate) fn slow(&self) -> f64 {
        f64::from_bits(self.slow.load(Ordering::Relaxed))
    }

    /// How many steps there have been.
    pub(crate) fn beats(&self) -> u64 {
        self.beat.load(Ordering::Relaxed)
    }

    /// The step that runs now, if one does.
    pub(crate) fn beat(&self) -> Option<u64> {
        self.busy.load(Ordering::Relaxed).then(|| self.beats())
    }

    /// What runs now, as the loop's own thread may read it.
    pub(crate) fn at(&self) -> usize {
        self.at.load(Ordering::Relaxed)
    }

    /// The kernel's number of the loop's thread, zero while it doesn't run.
    pub(crate) fn thread(&self) -> i32 {
        self.thread.load(Ordering::Acquire)
    }
}
