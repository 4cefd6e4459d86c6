//! A copy of this process as `fork` makes it, but as a sibling: its parent is the parent of this process.
//!
//! `fork` of the C library can't do that, so this is the bare system call, and does what the C library would do besides:
//! the thread's number in its descriptor, and the list of its robust mutexes. Functions registered with `pthread_atfork`
//! are not called.

use std::io;
use std::sync::atomic::{AtomicI32, Ordering};

/// Makes the copy. Returns 0 in it, and its number here; `number` holds that number before the copy runs at all, so if it
/// lies in shared memory, a copy is known to others even if this process is killed within the call.
///
/// # Safety
/// The calling thread is the only one of its process.
pub(crate) unsafe fn beside(number: &AtomicI32) -> io::Result<i32> {
    // SAFETY: the addresses are live words, or none; the rest is the caller's promise.
    unsafe {
        let (head, length) = robust_list();
        let tid = tid_word();
        let mut flags = libc::CLONE_PARENT | libc::CLONE_PARENT_SETTID;
        if !tid.is_null() {
            flags |= libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID;
        }
        let none = 0usize;
        #[cfg(any(target_arch = "x86_64", target_arch = "s390x"))]
        let pid = libc::syscall(libc::SYS_clone, flags as usize, none, number.as_ptr(), tid, none);
        #[cfg(not(any(target_arch = "x86_64", target_arch = "s390x")))]
        let pid = libc::syscall(libc::SYS_clone, flags as usize, none, number.as_ptr(), none, tid);
        match pid {
            0 => {
                if !head.is_null() {
                    libc::syscall(libc::SYS_set_robust_list, head, length);
                }
                Ok(0)
            }
            pid if pid > 0 => Ok(pid as i32),
            _ => {
                number.store(0, Ordering::Relaxed);
                Err(io::Error::last_os_error())
            }
        }
    }
}

/// The list of the thread's robust mutexes, which a copy has to tell the kernel of anew.
unsafe fn robust_list() -> (*mut libc::c_void, usize) {
    let (mut head, mut length) = (std::ptr::null_mut(), 0usize);
    // SAFETY: zero is the calling thread; there is room for both.
    let outcome = unsafe { libc::syscall(libc::SYS_get_robust_list, 0, &raw mut head, &raw mut length) };
    if outcome == 0 { (head, length) } else { (std::ptr::null_mut(), 0) }
}

/// Where the C library keeps the kernel's number of the calling thread: it is where it has the kernel write when a thread
/// ends. Null if that is not certain; the copy then keeps the number of this thread there, which recursive mutexes
/// compare.
unsafe fn tid_word() -> *mut i32 {
    /// More than the descriptor of a thread takes in any C library.
    const DESCRIPTOR: usize = 1 << 12;
    let mut word: *mut i32 = std::ptr::null_mut();
    // SAFETY: the kernel writes one address. It is read only if it lies in the thread's own descriptor.
    unsafe {
        if libc::prctl(libc::PR_GET_TID_ADDRESS, &raw mut word) < 0 || word.is_null() {
            return std::ptr::null_mut();
        }
        let near = (word as usize).wrapping_sub(libc::pthread_self() as usize) < DESCRIPTOR;
        let itself = near && i64::from(word.read()) == libc::syscall(libc::SYS_gettid);
        if itself { word } else { std::ptr::null_mut() }
    }
}
