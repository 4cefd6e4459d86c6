//! The kernel's numbers of threads: who holds what in shared memory, where our own numbers mean nothing, and whether the
//! holder is still there.

use std::cell::Cell;
use std::fs;

thread_local! {
    static TID: Cell<u32> = const { Cell::new(0) };
}

/// The kernel's number of the calling thread: whom a primitive in shared memory notes as its holder. It is below 2^22,
/// never zero, and may be given to another thread once this one is gone.
#[inline]
#[must_use]
pub fn tid() -> u32 {
    match TID.get() {
        0 => {
            // A forked child's thread has another.
            crate::threads::hook();
            // SAFETY: it only returns a number.
            let tid = unsafe { libc::syscall(libc::SYS_gettid) } as u32;
            TID.set(tid);
            tid
        }
        tid => tid,
    }
}

/// In a forked child.
pub(crate) fn forget() {
    TID.set(0);
}

/// Whether a thread of any process has that number and has not ended. A zombie, whose parent has not asked for its fate
/// yet, has ended. Numbers are those of this process' pid namespace.
#[must_use]
pub fn is_alive(tid: u32) -> bool {
    // SAFETY: signal zero only asks whether there is such a thread.
    if unsafe { libc::kill(tid as libc::pid_t, 0) } < 0
        && std::io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH)
    {
        return false;
    }
    // "tid (any name) state ...". Without /proc, zombies pass for alive.
    let Ok(stat) = fs::read(format!("/proc/{tid}/stat")) else {
        return true;
    };
    let state = stat.iter().rposition(|&b| b == b')').and_then(|at| stat.get(at + 2));
    !matches!(state, Some(b'Z' | b'X' | b'x'))
}
