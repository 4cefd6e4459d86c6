//! The thread itself: looking, and sleeping while there is nothing to look at.

use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use fenshen_reactor::Owner;

use super::{ASLEEP, CHANGED, Helper, SHARED, Shared, TID, Watched, report, schedstat, shared, signal};
use crate::pulse::Pulse;

/// The longest time between two looks, and the shortest.
const TICK: Duration = Duration::from_millis(50);
const SHORTEST: Duration = Duration::from_millis(5);
/// After so many looks at loops that took no step the thread sleeps.
const LINGER: u32 = 20;
/// Enough for the thread's few frames.
const STACK: usize = 128 * 1024;

/// Starts the thread if there is none. Where the system has none to give, nothing is looked at.
pub(super) fn start(held: &mut MutexGuard<'_, Shared>) {
    if held.thread.as_ref().is_some_and(|helper| helper.owner.is_this_process()) {
        return;
    }
    if let Some(of_the_parent) = held.thread.take() {
        std::mem::forget(of_the_parent.thread);
    }
    let owner = Owner::this_process();
    let builder = std::thread::Builder::new().name("fenshen-watch".into()).stack_size(STACK);
    let thread = without_signals(|| builder.spawn(run));
    held.thread = thread.ok().map(|thread| Helper { thread, owner });
}

/// Runs `body` with every signal blocked: a thread that it makes never gets one that was meant for the program.
pub(crate) fn without_signals<T>(body: impl FnOnce() -> T) -> T {
    let mut all = MaybeUninit::uninit();
    let mut before = MaybeUninit::uninit();
    // SAFETY: both sets live here, and the calls fill them in.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let made = body();
    // SAFETY: the call above has filled `before` in.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    made
}

/// A joined thread is still counted by the kernel for a moment: waits that out.
pub(crate) fn await_end(tid: i32) {
    let limit = Instant::now() + Duration::from_millis(100);
    // SAFETY: no signal is sent, the kernel only tells whether there is such a thread.
    let there = || unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, 0) } == 0;
    while tid != 0 && there() && Instant::now() < limit {
        std::thread::yield_now();
    }
}

fn run() {
    // SAFETY: it only tells the thread's number.
    TID.store(unsafe { libc::syscall(libc::SYS_gettid) } as i32, Ordering::Relaxed);
    let mut idle = 0;
    let mut last = Instant::now();
    while pause(&mut idle) {
        let now = Instant::now();
        // A process that was stopped, or starved as a whole, has not been held up by its steps.
        let passed = (now - last).min(2 * TICK);
        last = now;
        let mut culprits = Vec::new();
        let mut lively = false;
        for watched in &mut shared().loops {
            lively |= look(watched, passed);
            if watched.told || watched.beat.is_none() || watched.held.as_secs_f64() < watched.pulse.slow() {
                continue;
            }
            if let Some(held) = deserved(watched) {
                watched.told = true;
                culprits.push((watched.pulse.clone(), watched.beats, held));
            }
        }
        idle = if lively { 0 } else { idle + 1 };
        for (pulse, beat, held) in culprits {
            name(&pulse, beat, held);
        }
    }
}

/// One look at a loop; whether it does anything.
fn look(watched: &mut Watched, passed: Duration) -> bool {
    let beat = watched.pulse.beat();
    let beats = watched.pulse.beats();
    let moved = beats != watched.beats;
    watched.beats = beats;
    if beat.is_some() && beat == watched.beat && !moved {
        watched.held += passed;
        return true;
    }
    watched.beat = beat;
    watched.held = Duration::ZERO;
    watched.told = !watched.owner.is_this_process();
    watched.starved = beat.and_then(|_| schedstat::starved(watched.pulse.thread()));
    moved || beat.is_some()
}

/// How long the step has held the loop by its own doing, if that is too long.
fn deserved(watched: &Watched) -> Option<Duration> {
    let waited = match (watched.starved, schedstat::starved(watched.pulse.thread())) {
        (Some(before), Some(now)) => now.saturating_sub(before),
        _ => Duration::ZERO,
    };
    (watched.held.saturating_sub(waited).as_secs_f64() >= watched.pulse.slow()).then_some(watched.held)
}

fn name(pulse: &Arc<Pulse>, beat: u64, held: Duration) {
    let answer = signal::ask(pulse, beat, || shared().stop);
    if pulse.beat() == Some(beat) || answer.is_some() {
        report::tell(answer.as_deref(), held);
    }
}

/// Waits until it is time to look again; false when the thread is to end.
fn pause(idle: &mut u32) -> bool {
    let held = shared();
    let tick = held.loops.iter().map(|w| w.pulse.slow() / 2.0).fold(TICK.as_secs_f64(), f64::min);
    let tick = Duration::from_secs_f64(tick.max(SHORTEST.as_secs_f64()));
    if *idle < LINGER {
        return !wait(held, Some(tick)).stop;
    }
    // A loop that takes a step from here on sees the flag and ends the sleep. One that took it just before may not
    // have seen it: another look, long after the flag has reached every processor, settles that.
    ASLEEP.store(true, Ordering::SeqCst);
    let held = wait(held, Some(TICK));
    let mut held = held;
    let moved = held.loops.iter().any(|w| w.pulse.beat().is_some() || w.pulse.beats() != w.beats);
    if !held.stop && !moved && ASLEEP.load(Ordering::Relaxed) {
        held.loops.retain(|w| Arc::strong_count(&w.pulse) > 1);
        held = wait(held, None);
    }
    ASLEEP.store(false, Ordering::Relaxed);
    *idle = 0;
    !held.stop
}

/// Waits for a change, for so long at most; takes note of having been poked.
fn wait(held: MutexGuard<'static, Shared>, limit: Option<Duration>) -> MutexGuard<'static, Shared> {
    debug_assert!(SHARED.try_lock().is_err());
    let ended = |s: &mut Shared| !s.stop && !s.poked;
    let mut held = match limit {
        Some(limit) => {
            CHANGED.wait_timeout_while(held, limit, ended).unwrap_or_else(std::sync::PoisonError::into_inner).0
        }
        None => CHANGED.wait_while(held, ended).unwrap_or_else(std::sync::PoisonError::into_inner),
    };
    held.poked = false;
    held
}
