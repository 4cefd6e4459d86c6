//! An event of processes: set or not, and how often it was set.

use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use fenshen_sync::{Deadline, Scope, Slept, Word};

const SET: u32 = 1;

/// An event at a place in a segment. The death of a process that sets it or waits for it harms nobody.
///
/// ```
/// use fenshen_shm::{Flag, Segment};
///
/// let segment = Segment::create(c"flag", Flag::SIZE)?;
/// // SAFETY: the segment outlives it.
/// let flag = unsafe { Flag::at(segment.place::<u32>(0).expect("it is large enough").cast()) };
/// flag.set();
/// assert!(flag.is_set());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Flag(NonNull<Word>);

// SAFETY: it is one atomic word.
unsafe impl Send for Flag {}
// SAFETY: as above.
unsafe impl Sync for Flag {}

impl Flag {
    /// How many bytes it takes.
    pub const SIZE: usize = size_of::<Word>();

    /// The one at a place: all zero is one that isn't set.
    ///
    /// # Safety
    /// There are [`SIZE`](Flag::SIZE) bytes of memory, aligned to them, that outlive it and serve nothing else.
    #[must_use]
    pub unsafe fn at(place: NonNull<u8>) -> Flag {
        Flag(place.cast())
    }

    /// How often it was set, times two; and one if it is set now.
    fn word(&self) -> &Word {
        // SAFETY: the memory outlives it.
        unsafe { self.0.as_ref() }
    }

    /// Whether it is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.word().load(Ordering::Acquire) & SET != 0
    }

    /// Sets it, and wakes all who wait.
    pub fn set(&self) {
        let mut old = self.word().load(Ordering::Relaxed);
        while old & SET == 0 {
            if self.word().change(old, old.wrapping_add(2) | SET) {
                self.word().wake(u32::MAX, Scope::Shared);
                return;
            }
            old = self.word().load(Ordering::Relaxed);
        }
    }

    /// Has those who come wait.
    pub fn clear(&self) {
        self.word().clear_bits(SET);
    }

    /// What a wait begins with; none if it is set.
    #[must_use]
    pub fn begin(&self) -> Option<u32> {
        let now = self.word().load(Ordering::Acquire);
        (now & SET == 0).then_some(now)
    }

    /// Whether it was set since a wait began.
    #[must_use]
    pub fn came(&self, began: u32) -> bool {
        self.word().load(Ordering::Acquire) != began
    }

    /// Sleeps until it is set, or was in between; [`came`](Flag::came) tells.
    #[must_use]
    pub fn sleep(&self, began: u32, deadline: Option<Deadline>) -> Slept {
        self.word().sleep(began, deadline, Scope::Shared)
    }
}
