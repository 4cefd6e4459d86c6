//! Daemon threads at the interpreter's end.
//!
//! Before Python 3.14 such a thread is ended by `pthread_exit` as soon as it asks for the GIL: its stack is unwound by
//! force, which no Rust frame may see. Here it sleeps instead until the process is gone, as it does from 3.14 on.

use pyo3::ffi;
use std::cell::{Cell, RefCell};

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

/// `PyEval_RestoreThread`, but for a daemon thread at the interpreter's end.
pub(crate) unsafe fn restore_thread(state: *mut ffi::PyThreadState) {
    if cfg!(not(Py_3_14)) && finalizing() && !is_main_thread() {
        loop {
            libc::pause();
        }
    }
    ffi::PyEval_RestoreThread(state);
}

/// The main thread tears the interpreter down, and may run a loop while it does (in `atexit`, in a finaliser).
pub(crate) fn is_main_thread() -> bool {
    // SAFETY: both only read numbers.
    unsafe { libc::getpid() as libc::c_long == libc::syscall(libc::SYS_gettid) }
}

thread_local! {
    static ARMED: Cell<bool> = const { Cell::new(false) };
    static HANDLER: RefCell<Option<Box<[usize; 8]>>> = const { RefCell::new(None) };
}

/// Has this thread sleep, should the interpreter end it while Rust frames are on its stack.
#[inline]
pub(crate) fn arm() {
    if cfg!(not(Py_3_14)) && !ARMED.get() {
        push_handler();
    }
}

/// glibc runs the handlers of `_pthread_cleanup_push` before it unwinds any frame that is younger than the handler's
/// buffer, by address. A buffer on the heap lies below every stack: its handler runs before the first frame goes.
#[cold]
fn push_handler() {
    type Push = unsafe extern "C" fn(*mut [usize; 8], unsafe extern "C" fn(*mut libc::c_void), *mut libc::c_void);
    // A thread that ends has let go of its thread-locals, and is not ended by the interpreter any more.
    if ARMED.replace(true) || is_main_thread() {
        return;
    }
    // SAFETY: the name is a literal; the function has this type wherever it is found.
    let push = unsafe {
        let found = libc::dlsym(libc::RTLD_DEFAULT, c"_pthread_cleanup_push".as_ptr());
        std::mem::transmute::<*mut libc::c_void, Option<Push>>(found)
    };
    // Where there is none (musl), `pthread_exit` doesn't unwind.
    let Some(push) = push else { return };
    let _ = HANDLER.try_with(|handler| {
        let mut handler = handler.borrow_mut();
        // SAFETY: the buffer lives as long as the thread runs code that could be unwound.
        unsafe { push(&raw mut **handler.insert(Box::new([0; 8])), sleep_at_end, std::ptr::null_mut()) };
    });
}

unsafe extern "C" fn sleep_at_end(_: *mut libc::c_void) {
    while finalizing() {
        libc::pause();
    }
}
