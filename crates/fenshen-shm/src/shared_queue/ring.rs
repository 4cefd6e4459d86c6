//! Bytes into the ring and out of it. An offset is taken modulo the ring's length, so none is out of bounds.

use std::sync::atomic::{AtomicU64, Ordering};

use super::SharedQueue;
use super::layout::{RING, RING_AT};

impl SharedQueue {
    fn at(&self, offset: usize) -> *mut u8 {
        // SAFETY: the segment is long enough, as was looked at when it was made ours.
        unsafe { self.segment.start().add(RING_AT + (offset & (RING - 1))) }
    }

    pub(super) fn write_word(&self, offset: usize, word: u64) {
        // SAFETY: records are aligned to eight bytes, and so is the ring's length.
        unsafe { (*self.at(offset).cast::<AtomicU64>()).store(word, Ordering::Relaxed) };
    }

    pub(super) fn read_word(&self, offset: usize) -> u64 {
        // SAFETY: as above.
        unsafe { (*self.at(offset).cast::<AtomicU64>()).load(Ordering::Relaxed) }
    }

    /// Copies at most a ring's length in.
    pub(super) fn write_bytes(&self, offset: usize, bytes: &[u8]) {
        let first = bytes.len().min(RING - (offset & (RING - 1)));
        let (before, after) = bytes.split_at(first);
        // SAFETY: both parts end within the ring, in a place that is nobody else's until it is published.
        unsafe {
            self.at(offset).copy_from_nonoverlapping(before.as_ptr(), before.len());
            self.at(0).copy_from_nonoverlapping(after.as_ptr(), after.len());
        }
    }

    /// Copies out as many bytes as fit.
    pub(super) fn read_bytes(&self, offset: usize, bytes: &mut [u8]) {
        let first = bytes.len().min(RING - (offset & (RING - 1)));
        let (before, after) = bytes.split_at_mut(first);
        // SAFETY: both parts lie within the ring, and were published. Whoever writes there all the same only spoils
        // the message.
        unsafe {
            before.as_mut_ptr().copy_from_nonoverlapping(self.at(offset), before.len());
            after.as_mut_ptr().copy_from_nonoverlapping(self.at(0), after.len());
        }
    }
}
