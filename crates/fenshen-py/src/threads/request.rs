//! `SIGUSR1` asks a running program what its threads and tasks do.
//!
//! The handler stands before the one that `faulthandler.register` has installed. It has the interpreter run a Python
//! function on the main thread, by way of a real-time signal whose Python handler that is; a function which has not begun
//! a second later (C code holds the interpreter) is not waited for: `faulthandler` then writes the bare stacks.

use std::ffi::c_int;
use std::mem::{MaybeUninit, transmute, zeroed};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicUsize, Ordering};

use pyo3::prelude::*;

/// How long the interpreter may take to begin, in seconds.
const PATIENCE: libc::time_t = 1;

/// The signal whose Python handler tells everything.
static TELL: AtomicI32 = AtomicI32::new(0);
/// What `faulthandler` installed.
static DUMP: AtomicUsize = AtomicUsize::new(0);
/// Somebody has asked, and nothing was told yet.
static ASKED: AtomicBool = AtomicBool::new(false);
/// The process that the timer belongs to, and its number.
static TIMER_OF: AtomicU32 = AtomicU32::new(0);
static TIMER: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" {
    /// Has the main thread run the Python handler of a signal; safe in a signal handler (3.10 and later).
    fn PyErr_SetInterruptEx(signal: c_int) -> c_int;
}

fn disposition(signal: c_int) -> Option<libc::sigaction> {
    let mut found = MaybeUninit::uninit();
    // SAFETY: with no new action the call only fills `found` in, or fails.
    unsafe { (libc::sigaction(signal, ptr::null(), found.as_mut_ptr()) == 0).then(|| found.assume_init()) }
}

fn stands(signal: c_int) -> bool {
    disposition(signal).is_some_and(|action| action.sa_sigaction == on_request as *const () as usize)
}

extern "C" fn on_request(signal: c_int) {
    // SAFETY: everything called is async-signal-safe.
    unsafe {
        let errno = libc::__errno_location();
        let kept = *errno;
        answer(signal);
        *errno = kept;
    }
}

unsafe fn answer(signal: c_int) {
    let pid = libc::getpid();
    if ASKED.load(Ordering::Acquire) {
        // The timer, or somebody who asks again: the interpreter has not come to it.
        return dump(signal);
    }
    if libc::syscall(libc::SYS_gettid) != libc::c_long::from(pid) {
        // The main thread is to look up from whatever call it is in.
        libc::syscall(libc::SYS_tgkill, pid, pid, signal);
        return;
    }
    let mut wait: libc::itimerspec = zeroed();
    wait.it_value.tv_sec = PATIENCE;
    let timed = TIMER_OF.load(Ordering::Acquire) == pid as u32
        && libc::timer_settime(TIMER.load(Ordering::Acquire) as libc::timer_t, 0, &raw const wait, ptr::null_mut())
            == 0;
    ASKED.store(timed, Ordering::Release);
    if PyErr_SetInterruptEx(TELL.load(Ordering::Acquire)) != 0 || !timed {
        dump(signal);
    }
}

unsafe fn dump(signal: c_int) {
    ASKED.store(false, Ordering::Release);
    let dump = DUMP.load(Ordering::Acquire);
    if dump != 0 {
        transmute::<usize, extern "C" fn(c_int)>(dump)(signal);
    }
}

/// Answers `signal` by the Python handler of `tell`. Does nothing unless `faulthandler` handles `signal` now.
#[pyfunction]
fn answer_requests(signal: c_int, tell: c_int) {
    let Some(action) = disposition(signal) else {
        return;
    };
    let free = [libc::SIG_DFL, libc::SIG_IGN].contains(&action.sa_sigaction);
    if free || stands(signal) {
        return;
    }
    TELL.store(tell, Ordering::Release);
    DUMP.store(action.sa_sigaction, Ordering::Release);
    // SAFETY: an all-zero action and event are valid ones; the handler is async-signal-safe and lives as long as the
    // process; the timer is this process' own.
    unsafe {
        let mut event: libc::sigevent = zeroed();
        event.sigev_notify = libc::SIGEV_SIGNAL;
        event.sigev_signo = signal;
        let mut timer = MaybeUninit::uninit();
        if libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, timer.as_mut_ptr()) == 0 {
            TIMER.store(timer.assume_init() as usize, Ordering::Release);
            TIMER_OF.store(libc::getpid() as u32, Ordering::Release);
        }
        let mut ours: libc::sigaction = zeroed();
        ours.sa_sigaction = on_request as *const () as usize;
        ours.sa_flags = libc::SA_ONSTACK;
        libc::sigfillset(&raw mut ours.sa_mask);
        libc::sigaction(signal, &raw const ours, ptr::null_mut());
    }
}

/// Leaves `signal` to `faulthandler` again.
#[pyfunction]
fn leave_requests(signal: c_int) {
    let dump = DUMP.load(Ordering::Acquire);
    if !stands(signal) || dump == 0 {
        return;
    }
    // SAFETY: an all-zero action is a valid one; the handler is faulthandler's, with the flag that it uses itself.
    unsafe {
        let mut theirs: libc::sigaction = zeroed();
        theirs.sa_sigaction = dump;
        theirs.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
        libc::sigaction(signal, &raw const theirs, ptr::null_mut());
    }
}

/// Everything is about to be told: the timer need not wait any longer.
#[pyfunction]
fn request_begun() {
    ASKED.store(false, Ordering::Release);
    // SAFETY: the timer is this process' own, as just checked; a zero time stops it.
    unsafe {
        if TIMER_OF.load(Ordering::Acquire) == libc::getpid() as u32 {
            let never: libc::itimerspec = zeroed();
            libc::timer_settime(TIMER.load(Ordering::Acquire) as libc::timer_t, 0, &raw const never, ptr::null_mut());
        }
    }
}

/// Adds the functions to the module.
pub(super) fn add_to(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(answer_requests, m)?)?;
    m.add_function(wrap_pyfunction!(leave_requests, m)?)?;
    m.add_function(wrap_pyfunction!(request_begun, m)?)
}
