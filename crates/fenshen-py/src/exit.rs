//! Coming back to the interpreter after a wait.

use pyo3::ffi;

/// Whether the interpreter is being torn down.
fn finalizing() -> bool {
    #[cfg(Py_3_13)]
    // SAFETY: it reads a flag.
    unsafe {
        ffi::Py_IsFinalizing() != 0
    }
    #[cfg(not(Py_3_13))]
    {
        unsafe extern "C" {
            safe fn _Py_IsFinalizing() -> std::ffi::c_int;
        }
        _Py_IsFinalizing() != 0
    }
}

/// `PyEval_RestoreThread`, but for a daemon thread at the interpreter's end: before 3.14 that would end the thread by
/// unwinding, which no Rust frame may see. Such a thread sleeps until the process is gone instead.
pub(crate) unsafe fn restore_thread(state: *mut ffi::PyThreadState) {
    if cfg!(not(Py_3_14)) && finalizing() && !is_main_thread() {
        loop {
            libc::pause();
        }
    }
    ffi::PyEval_RestoreThread(state);
}

/// The main thread tears the interpreter down, and may run a loop while it does (in `atexit`, in a finaliser).
fn is_main_thread() -> bool {
    // SAFETY: both only read numbers.
    unsafe { libc::getpid() as libc::c_long == libc::syscall(libc::SYS_gettid) }
}
