//! A mutex in shared memory that its holder's death unlocks.
//!
//! It is POSIX's robust mutex: the C library keeps a list of what a thread holds, and the kernel goes through it when
//! the thread ends, however it ends (see set_robust_list(2)).

use std::cell::UnsafeCell;
use std::io;
use std::mem::MaybeUninit;

/// A mutex of processes; see the module.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct RobustMutex(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: it is made for threads of any process to use at once.
unsafe impl Sync for RobustMutex {}

/// What the C library answered: none for success.
fn failure(status: libc::c_int) -> io::Result<()> {
    match status {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

impl RobustMutex {
    /// Makes the mutex at a place of its own.
    ///
    /// # Safety
    /// Nobody else uses the place yet, and it stays mapped as long as a thread of this process holds the mutex.
    pub(crate) unsafe fn make(place: *mut RobustMutex) -> io::Result<()> {
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: the attributes are made before they are used, and `place` is the caller's to give.
        unsafe {
            failure(libc::pthread_mutexattr_init(attributes.as_mut_ptr()))?;
            failure(libc::pthread_mutexattr_setpshared(attributes.as_mut_ptr(), libc::PTHREAD_PROCESS_SHARED))?;
            failure(libc::pthread_mutexattr_setrobust(attributes.as_mut_ptr(), libc::PTHREAD_MUTEX_ROBUST))?;
            let made = libc::pthread_mutex_init((*place).0.get(), attributes.as_ptr());
            libc::pthread_mutexattr_destroy(attributes.as_mut_ptr());
            failure(made)
        }
    }

    /// Takes the mutex, also from a holder that has died: what it guards is whole at any instant.
    pub(crate) fn lock(&self) -> io::Result<Guard<'_>> {
        // SAFETY: `make` made it.
        match unsafe { libc::pthread_mutex_lock(self.0.get()) } {
            // SAFETY: this thread holds it.
            libc::EOWNERDEAD => failure(unsafe { libc::pthread_mutex_consistent(self.0.get()) })?,
            status => failure(status)?,
        }
        Ok(Guard(self))
    }

    /// Takes the mutex if nobody living holds it.
    pub(crate) fn try_lock(&self) -> Option<Guard<'_>> {
        // SAFETY: `make` made it.
        match unsafe { libc::pthread_mutex_trylock(self.0.get()) } {
            0 => Some(Guard(self)),
            libc::EOWNERDEAD => {
                // SAFETY: this thread holds it.
                unsafe { libc::pthread_mutex_consistent(self.0.get()) };
                Some(Guard(self))
            }
            _ => None,
        }
    }

    /// Lets go of a mutex that this thread has kept.
    ///
    /// # Safety
    /// This thread holds it, and has no guard of it.
    pub(crate) unsafe fn unlock(&self) {
        // SAFETY: the caller's promise.
        unsafe { libc::pthread_mutex_unlock(self.0.get()) };
    }
}

/// The mutex is held.
pub(crate) struct Guard<'a>(&'a RobustMutex);

impl Guard<'_> {
    /// Holds the mutex on, until [`unlock`](RobustMutex::unlock) or the thread's end.
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        // SAFETY: this thread holds it.
        unsafe { libc::pthread_mutex_unlock(self.0.0.get()) };
    }
}
