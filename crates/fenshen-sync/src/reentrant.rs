//! A lock that its owner may take again: an owner and a count over [`Mutex`].

use std::fmt;

use crate::deadline::Deadline;
use crate::mutex::Mutex;
use crate::park::{Failed, Park, Sleep};
use crate::sync::{AtomicU64, Ordering};
use crate::waiter::{Waiter, Wake};
use crate::word::{Scope, Word};

/// A lock that its owner may take any number of times, and releases as often.
///
/// ```
/// use fenshen_sync::{ReentrantMutex, Scope, current};
///
/// let lock = ReentrantMutex::new(Scope::Process);
/// let me = current();
/// lock.lock(me);
/// assert!(lock.try_lock(me));
/// assert_eq!(lock.count(), 2);
/// assert!(lock.unlock(me) && lock.unlock(me));
/// assert!(!lock.unlock(me));
/// ```
#[repr(C)]
pub struct ReentrantMutex {
    mutex: Mutex,
    /// How often its owner has taken it. Only the owner changes it.
    count: AtomicU64,
}

impl ReentrantMutex {
    /// A free lock.
    #[must_use]
    pub fn new(scope: Scope) -> ReentrantMutex {
        ReentrantMutex { mutex: Mutex::new(scope), count: AtomicU64::new(0) }
    }

    /// Whether `me` holds it.
    #[inline]
    pub fn is_owned(&self, me: u32) -> bool {
        self.mutex.owner() == me
    }

    /// Takes it if it is free or `me` holds it; returns whether it was so.
    #[inline]
    pub fn try_lock(&self, me: u32) -> bool {
        if self.mutex.owner() == me {
            self.restore_count(self.count() + 1);
            return true;
        }
        if self.mutex.try_lock(me) {
            self.restore_count(1);
            return true;
        }
        false
    }

    /// Takes it, and sleeps for that as long as it must.
    pub fn lock(&self, me: u32) {
        while !self.try_lock(me) && self.lock_slowly(me, Wake::Thread, &mut Sleep, None).is_err() {}
    }

    /// Takes it, and blocks for that by `park`, until the deadline; [`try_lock`](ReentrantMutex::try_lock) has failed.
    ///
    /// # Errors
    /// As [`Park::park`]; it has not been taken then.
    #[cold]
    pub fn lock_slowly(
        &self,
        me: u32,
        wake: Wake,
        park: &mut impl Park,
        deadline: Option<Deadline>,
    ) -> Result<(), Failed> {
        self.mutex.lock_slowly(me, wake, park, deadline)?;
        self.restore_count(1);
        Ok(())
    }

    /// The same with a waiter of the caller's, whose number is its owner.
    ///
    /// # Errors
    /// As [`Park::park`]; it has not been taken then.
    ///
    /// # Safety
    /// As [`Mutex::lock_with`].
    pub unsafe fn lock_with(
        &self,
        waiter: &Waiter,
        park: &mut impl Park,
        deadline: Option<Deadline>,
    ) -> Result<(), Failed> {
        // SAFETY: the caller's promise.
        unsafe { self.mutex.lock_with(waiter, park, deadline)? };
        self.restore_count(1);
        Ok(())
    }

    /// As [`Mutex::recover`]: what it guards is the caller's then, taken once.
    pub fn recover(&self, dead: u32, me: u32) -> bool {
        let recovered = self.mutex.recover(dead, me);
        if recovered {
            self.restore_count(1);
        }
        recovered
    }

    /// Releases it once; returns whether `me` held it.
    #[inline]
    pub fn unlock(&self, me: u32) -> bool {
        if self.mutex.owner() != me {
            return false;
        }
        match self.count() {
            1 => {
                self.restore_count(0);
                self.mutex.unlock();
            }
            count => self.restore_count(count - 1),
        }
        true
    }

    /// Releases it altogether and returns how often it was taken; zero if `me` does not hold it.
    pub fn release_all(&self, me: u32) -> u64 {
        if self.mutex.owner() != me {
            return 0;
        }
        let count = self.count();
        self.restore_count(0);
        self.mutex.unlock();
        count
    }

    /// Says that its holder has taken it that often: the other half of [`release_all`](ReentrantMutex::release_all).
    pub fn restore_count(&self, count: u64) {
        self.count.store(count, Ordering::Relaxed);
    }

    /// How often its owner has taken it; zero if it is free.
    #[inline]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether it is taken.
    #[inline]
    pub fn is_locked(&self) -> bool {
        self.mutex.is_locked()
    }

    /// Who took it; zero if it is free.
    #[inline]
    pub fn owner(&self) -> u32 {
        self.mutex.owner()
    }

    /// Where the owner is noted, for the wait-for graph.
    #[must_use]
    pub fn owner_cell(&self) -> &Word {
        self.mutex.owner_cell()
    }

    /// As [`Mutex::reset`].
    pub fn reset(&self) {
        self.restore_count(0);
        self.mutex.reset();
    }
}

impl fmt::Debug for ReentrantMutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReentrantMutex").field("owner", &self.owner()).field("count", &self.count()).finish()
    }
}
