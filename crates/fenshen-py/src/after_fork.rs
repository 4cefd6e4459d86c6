//! Starts helper threads again in a parent that has forked, once `os.fork` has returned.
//!
//! From Python 3.12 on, `os.fork` counts the threads when it has called everybody's functions, and warns. So this has
//! the interpreter call it whenever it comes to it, until that is in the very frame that forked. If it never is, the
//! next thing that the threads are there for starts them.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use pyo3::ffi;

use crate::{advise, exit, watchdog};

/// The frame that called `os.fork`, to be told from others only.
static FORKER: AtomicUsize = AtomicUsize::new(0);
/// Whether [`resume_now`] is still to be called.
static PENDING: AtomicBool = AtomicBool::new(false);
/// How often it has put itself off.
static RETRIES: AtomicU32 = AtomicU32::new(0);
/// How often it does at most.
const PATIENCE: u32 = 2000;

fn frame() -> usize {
    // SAFETY: both callers are attached to the interpreter; the frame is not followed.
    unsafe { ffi::PyEval_GetFrame() as usize }
}

/// Has the helper threads start soon. The thread is attached, in a function that `os.fork` calls.
pub(crate) fn soon() {
    if !exit::is_main_thread() {
        return start(); // a fork from another thread warns anyway
    }
    FORKER.store(frame(), Ordering::Relaxed);
    RETRIES.store(0, Ordering::Relaxed);
    if !PENDING.swap(true, Ordering::Relaxed) {
        resume_now(ptr::null_mut());
    }
}

fn start() {
    watchdog::after_fork();
    advise::after_fork();
}

/// In the child: nothing is started.
pub(crate) fn forget() {
    PENDING.store(false, Ordering::Relaxed);
}

extern "C" fn resume_now(again: *mut c_void) -> c_int {
    if !PENDING.load(Ordering::Relaxed) {
        return 0;
    }
    let this_call = again.is_null() && cfg!(Py_3_12);
    if !this_call && (cfg!(not(Py_3_12)) || frame() == FORKER.load(Ordering::Relaxed)) {
        PENDING.store(false, Ordering::Relaxed);
        start();
    } else if RETRIES.fetch_add(1, Ordering::Relaxed) < PATIENCE {
        // SAFETY: the function lives as long as the code, and its argument is a mark that is never followed. That
        // there may be no room for it was just said to be no loss.
        let full = unsafe { ffi::Py_AddPendingCall(Some(resume_now), ptr::without_provenance_mut(1)) } != 0;
        PENDING.store(!full, Ordering::Relaxed);
    } else {
        PENDING.store(false, Ordering::Relaxed);
    }
    0
}
