//! The sampling thread: looks at every working thread, at random times, and sleeps while none works.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use fenshen_reactor::Owner;

use super::look::look;
use super::span;
use super::worker::{Worker, workers};
use crate::watchdog::{await_end, without_signals};

/// The mean time between two looks, and its bounds.
const MEAN: f64 = 2e-3;
const BOUNDS: (f64, f64) = (2e-4, 1.6e-2);
/// So many threads are looked at in a row; of more, others the next time.
const AT_ONCE: usize = 16;
/// After so many looks at nobody it sleeps.
const LINGER: u32 = 50;
/// Enough for the thread's few frames.
const STACK: usize = 128 * 1024;

/// Whether the thread sleeps, or is to be started, when a call begins.
static ASLEEP: AtomicBool = AtomicBool::new(true);
/// The kernel's number of the thread, zero while there is none.
static TID: AtomicI32 = AtomicI32::new(0);
static SHARED: Mutex<Shared> = Mutex::new(Shared { stop: false, thread: None });
static CHANGED: Condvar = Condvar::new();

struct Shared {
    /// The thread is to end.
    stop: bool,
    thread: Option<Helper>,
}

struct Helper {
    thread: JoinHandle<()>,
    owner: Owner,
}

fn shared() -> MutexGuard<'static, Shared> {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The kernel's number of the thread, zero while there is none.
pub(super) fn tid() -> i32 {
    TID.load(Ordering::Relaxed)
}

/// A call begins.
#[inline]
pub(super) fn stir() {
    if ASLEEP.load(Ordering::Relaxed) {
        wake();
    }
}

#[cold]
fn wake() {
    if ASLEEP.swap(false, Ordering::Relaxed) {
        start(&mut shared());
        CHANGED.notify_all();
    }
}

fn start(held: &mut MutexGuard<'_, Shared>) {
    if held.stop || held.thread.as_ref().is_some_and(|helper| helper.owner.is_this_process()) {
        return;
    }
    if let Some(of_the_parent) = held.thread.take() {
        std::mem::forget(of_the_parent.thread);
    }
    let owner = Owner::this_process();
    let builder = std::thread::Builder::new().name("fenshen-advise".into()).stack_size(STACK);
    held.thread = without_signals(|| builder.spawn(run)).ok().map(|thread| Helper { thread, owner });
}

/// Ends the thread and waits until the kernel has forgotten it.
pub(super) fn stop() {
    let mut held = shared();
    held.stop = true;
    let helper = held.thread.take();
    drop(held);
    CHANGED.notify_all();
    if let Some(Helper { thread, owner }) = helper {
        let tid = TID.swap(0, Ordering::Relaxed);
        if owner.is_this_process() {
            let _ = thread.join();
            await_end(tid);
        } else {
            std::mem::forget(thread);
        }
    }
    shared().stop = false;
    ASLEEP.store(true, Ordering::Relaxed);
}

/// After a fork, in the parent: the thread is there again if there is anybody to look at.
pub(super) fn resume() {
    if super::on() && workers().iter().any(|worker| worker.at().is_some()) {
        wake();
    }
}

/// After a fork, in the child: there is no thread.
pub(super) fn forget() {
    if let Some(of_the_parent) = shared().thread.take() {
        std::mem::forget(of_the_parent.thread);
    }
    TID.store(0, Ordering::Relaxed);
    ASLEEP.store(true, Ordering::Relaxed);
}

fn run() {
    // SAFETY: it only tells the thread's number.
    TID.store(unsafe { libc::syscall(libc::SYS_gettid) } as i32, Ordering::Relaxed);
    let mut chance = Chance(span::wall() | 1);
    let (mut first, mut idle) = (0, 0);
    while pause(&mut chance, &mut idle) {
        let working: Vec<Arc<Worker>> = workers().iter().filter(|worker| worker.at().is_some()).cloned().collect();
        idle = if working.is_empty() { idle + 1 } else { 0 };
        let count = working.len().min(AT_ONCE);
        for worker in working.iter().cycle().skip(first % working.len().max(1)).take(count) {
            look(worker);
        }
        first = first.wrapping_add(count);
    }
}

/// Waits until it is time to look again; false when the thread is to end.
fn pause(chance: &mut Chance, idle: &mut u32) -> bool {
    let held = shared();
    if *idle < LINGER {
        let gap = Duration::from_secs_f64(chance.gap());
        let waited = CHANGED.wait_timeout_while(held, gap, |s| !s.stop);
        return !waited.unwrap_or_else(PoisonError::into_inner).0.stop;
    }
    *idle = 0;
    ASLEEP.store(true, Ordering::SeqCst);
    // A call that began just before may not have seen that: one more look, long after, settles it.
    let waited = CHANGED.wait_timeout_while(held, Duration::from_millis(50), |s| !s.stop && asleep());
    let mut held = waited.unwrap_or_else(PoisonError::into_inner).0;
    if asleep() && !workers().iter().any(|worker| worker.at().is_some()) {
        held = CHANGED.wait_while(held, |s| !s.stop && asleep()).unwrap_or_else(PoisonError::into_inner);
    }
    ASLEEP.store(false, Ordering::Relaxed);
    !held.stop
}

fn asleep() -> bool {
    ASLEEP.load(Ordering::Relaxed)
}

/// Random numbers (Marsaglia's xorshift).
struct Chance(u64);

impl Chance {
    /// The next time between two looks, in seconds: exponentially distributed, within bounds.
    fn gap(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let even = ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        (-even.ln() * MEAN).clamp(BOUNDS.0, BOUNDS.1)
    }
}
