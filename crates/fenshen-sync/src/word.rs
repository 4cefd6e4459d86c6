//! The word that threads and processes sleep on: a futex (H. Franke, R. Russell, M. Kirkwood, "Fuss, Futexes and
//! Furwocks: Fast Userlevel Locking in Linux", OLS 2002).

use crate::deadline::Deadline;
use crate::sync::{AtomicU32, Ordering};

/// Who may meet at a primitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Scope {
    /// The threads of one process.
    Process = 0,
    /// Whoever has mapped the memory that it lies in.
    Shared = 1,
}

/// How a sleep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slept {
    /// Somebody woke the sleeper, or the word was another already.
    Woken,
    /// The deadline passed.
    TimedOut,
    /// A signal handler ran.
    Interrupted,
}

/// Thirty-two bits that can be slept on. All zero is a valid word.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Word(AtomicU32);

impl Word {
    /// A word of that value.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new(value: u32) -> Word {
        Word(AtomicU32::new(value))
    }

    /// A word of that value.
    #[cfg(loom)]
    #[must_use]
    pub fn new(value: u32) -> Word {
        Word(AtomicU32::new(value))
    }

    /// Its value.
    #[inline]
    pub fn load(&self, order: Ordering) -> u32 {
        self.0.load(order)
    }

    /// Sets it.
    #[inline]
    pub fn store(&self, value: u32, order: Ordering) {
        self.0.store(value, order);
    }

    /// Sets it and returns what it was.
    #[inline]
    pub fn swap(&self, value: u32, order: Ordering) -> u32 {
        self.0.swap(value, order)
    }

    /// Sets it to `new` if it is `old`; returns whether it was.
    #[inline]
    pub fn change(&self, old: u32, new: u32) -> bool {
        self.0.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Sets bits and returns what it was.
    #[inline]
    pub fn set_bits(&self, bits: u32) -> u32 {
        self.0.fetch_or(bits, Ordering::AcqRel)
    }

    /// Clears bits and returns what it was.
    #[inline]
    pub fn clear_bits(&self, bits: u32) -> u32 {
        self.0.fetch_and(!bits, Ordering::AcqRel)
    }

    /// Sleeps while the word is `value`. It may also return for no reason.
    pub fn sleep(&self, value: u32, deadline: Option<Deadline>, scope: Scope) -> Slept {
        kernel::sleep(&self.0, value, deadline, scope, u32::MAX)
    }

    /// The same for one that [`wake_those`](Word::wake_those) finds by any of these bits, of which there is one at least.
    pub fn sleep_as(&self, bits: u32, value: u32, deadline: Option<Deadline>, scope: Scope) -> Slept {
        kernel::sleep(&self.0, value, deadline, scope, bits)
    }

    /// Wakes those that sleep on the word and have one of these bits, and those that sleep as anybody.
    pub fn wake_those(&self, bits: u32, scope: Scope) {
        kernel::wake_those(&self.0, bits, scope);
    }

    /// Wakes up to `count` of those that sleep on the word; returns how many there were.
    pub fn wake(&self, count: u32, scope: Scope) -> u32 {
        // SAFETY: the address is a live word's.
        unsafe { Word::wake_at(self, count, scope) }
    }

    /// The same for a word that may be gone by now: the kernel only compares the address.
    ///
    /// # Safety
    /// The address was a word's. Whoever sleeps there now must bear being woken for no reason, as every futex user must.
    pub unsafe fn wake_at(word: *const Word, count: u32, scope: Scope) -> u32 {
        kernel::wake(word, count, scope)
    }
}

#[cfg(not(any(loom, shuttle)))]
mod kernel {
    use super::{AtomicU32, Deadline, Scope, Slept, Word};

    pub(super) fn sleep(word: &AtomicU32, value: u32, deadline: Option<Deadline>, scope: Scope, bits: u32) -> Slept {
        let until = deadline.map(Deadline::timespec);
        let timeout = until.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let operation = libc::FUTEX_WAIT_BITSET | private(scope);
        // SAFETY: the word and the time live through the call; with BITSET the time is absolute.
        let outcome = unsafe {
            libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, timeout, std::ptr::null::<u32>(), bits)
        };
        if outcome == 0 {
            return Slept::Woken;
        }
        match std::io::Error::last_os_error().raw_os_error() {
            Some(libc::ETIMEDOUT) => Slept::TimedOut,
            Some(libc::EINTR) => Slept::Interrupted,
            _ => Slept::Woken,
        }
    }

    pub(super) fn wake(word: *const Word, count: u32, scope: Scope) -> u32 {
        // The kernel takes the count as a signed number.
        let count = count.min(i32::MAX as u32);
        // SAFETY: for a wake-up the kernel neither reads nor writes the word.
        let woken = unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE | private(scope), count) };
        u32::try_from(woken).unwrap_or(0)
    }

    pub(super) fn wake_those(word: &AtomicU32, bits: u32, scope: Scope) {
        let operation = libc::FUTEX_WAKE_BITSET | private(scope);
        let (nothing, all) = (std::ptr::null::<u32>(), i32::MAX);
        // SAFETY: for a wake-up the kernel neither reads nor writes the word.
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, all, nothing, nothing, bits) };
    }

    fn private(scope: Scope) -> libc::c_int {
        match scope {
            Scope::Process => libc::FUTEX_PRIVATE_FLAG,
            Scope::Shared => 0,
        }
    }
}

#[cfg(any(loom, shuttle))]
mod kernel {
    use super::{AtomicU32, Deadline, Scope, Slept, Word};

    pub(super) fn sleep(word: &AtomicU32, value: u32, deadline: Option<Deadline>, _: Scope, _bits: u32) -> Slept {
        crate::model::sleep(word, value, deadline)
    }

    pub(super) fn wake_those(word: &AtomicU32, _bits: u32, scope: Scope) {
        let word: *const AtomicU32 = word;
        wake(word.cast(), u32::MAX, scope);
    }

    pub(super) fn wake(word: *const Word, count: u32, _scope: Scope) -> u32 {
        crate::model::wake(word as usize, count)
    }
}
