//! Long messages: they lie in the segment's file behind what is mapped, and are written and read by system calls. So
//! nobody has to map more when the file grows, and a full memory is an error instead of a signal.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use fenshen_sync::{is_alive, tid};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::{Errno, pread, pwrite};

use super::layout::{LEN, Mark, SLABS, SlabEntry};
use super::{Refused, SharedQueue};

/// The holder of a slab whose message waits in the ring.
pub(super) const IN_RING: u32 = u32::MAX;
/// The number of a message that has none yet.
const NO_NUMBER: u64 = u64::MAX;
const LEAST: u64 = 64 << 10;
/// The first slabs keep their memory, which is ten times cheaper to use again than fresh pages are.
const WARM: usize = 4;
const WARM_LEN: u64 = 32 << 20;
/// So do short ones, as long as the queue is in use: until somebody has waited for a message in vain.
const SHORT: u64 = 256 << 10;
/// Whoever waits for slabs waits for so many of them: one at a time, each would cost a wake-up.
const MANY: usize = SLABS / 4;
/// From here on the file is begun anew as soon as no slab is used.
const FAR: u64 = 1 << 32;

/// How long a message is that is in pieces.
pub(super) fn length(message: &[&[u8]]) -> usize {
    message.iter().map(|piece| piece.len()).sum()
}

/// A slab that this thread holds; it is free when this is dropped.
#[derive(Debug)]
pub(super) struct Loan<'a> {
    queue: &'a SharedQueue,
    slab: usize,
    offset: u64,
    capacity: u64,
}

impl SharedQueue {
    fn slab(&self, slab: usize) -> &SlabEntry {
        &self.header().slabs[slab]
    }

    /// A slab for a message of `len` bytes. Fails if there is none, or while the others hold the lock.
    pub(super) fn allot(&self, len: u64, wait: bool) -> Result<Loan<'_>, Refused> {
        let _held = self.lock_put(wait)?;
        let find = || (0..SLABS).find(|&i| self.is_free(i) && self.slab(i).capacity.load(Ordering::Relaxed) >= len);
        if let Some(slab) = find() {
            return Ok(self.lend(slab));
        }
        if self.reclaim_slabs()
            && let Some(slab) = find()
        {
            return Ok(self.lend(slab));
        }
        let slab = (0..SLABS).find(|&i| self.is_free(i)).ok_or(Refused::NoRoom)?;
        self.place_slab(slab, len)?;
        Ok(self.lend(slab))
    }

    fn is_free(&self, slab: usize) -> bool {
        self.slab(slab).holder.load(Ordering::Acquire) == 0
    }

    /// Whether there are free slabs enough for one who waited to go on for a while.
    pub(super) fn has_free_slabs(&self) -> bool {
        (0..SLABS).filter(|&slab| self.is_free(slab)).nth(MANY - 1).is_some()
    }

    /// Gives the memory of short slabs back that is not used. Does nothing while others put.
    #[cold]
    pub(super) fn cool(&self) {
        let Ok(_held) = self.lock_put(false) else { return };
        for slab in WARM..SLABS {
            if self.is_free(slab) && self.slab(slab).capacity.load(Ordering::Relaxed) > 0 {
                self.empty_slab(slab);
            }
        }
    }

    fn lend(&self, slab: usize) -> Loan<'_> {
        let entry = self.slab(slab);
        entry.number.store(NO_NUMBER, Ordering::Relaxed);
        entry.holder.store(tid(), Ordering::Release);
        self.loan(slab)
    }

    fn loan(&self, slab: usize) -> Loan<'_> {
        let entry = self.slab(slab);
        let (offset, capacity) = (entry.offset.load(Ordering::Relaxed), entry.capacity.load(Ordering::Relaxed));
        Loan { queue: self, slab, offset, capacity }
    }

    /// Gives a free slab a place at the end of the file.
    fn place_slab(&self, slab: usize, len: u64) -> Result<(), Refused> {
        let extent = &self.header().put.extent;
        if extent.load(Ordering::Relaxed) > FAR && (0..SLABS).all(|i| self.is_free(i)) {
            (0..SLABS).for_each(|i| self.empty_slab(i));
            extent.store(LEN as u64, Ordering::Relaxed);
        }
        self.empty_slab(slab);
        let offset = extent.load(Ordering::Relaxed).max(LEN as u64);
        let capacity = len.max(LEAST).checked_next_power_of_two().ok_or(Refused::Corrupt)?;
        let end = offset.checked_add(capacity).filter(|&end| end < 1 << 60).ok_or(Refused::Corrupt)?;
        extent.store(end, Ordering::Relaxed);
        self.slab(slab).offset.store(offset, Ordering::Relaxed);
        self.slab(slab).capacity.store(capacity, Ordering::Relaxed);
        Ok(())
    }

    fn empty_slab(&self, slab: usize) {
        let loan = self.loan(slab);
        loan.punch();
        self.slab(slab).capacity.store(0, Ordering::Relaxed);
        std::mem::forget(loan);
    }

    /// Frees the slabs of those who died while they wrote or read; whether there were any. The lock of those who put is held.
    fn reclaim_slabs(&self) -> bool {
        let mut any = false;
        for slab in 0..SLABS {
            let holder = self.slab(slab).holder.load(Ordering::Acquire);
            if holder != 0 && holder != IN_RING && !self.is_awaited(slab) && !is_alive(holder) {
                drop(self.loan(slab));
                any = true;
            }
        }
        any
    }

    /// Whether its message is in the ring.
    fn is_awaited(&self, slab: usize) -> bool {
        let number = self.slab(slab).number.load(Ordering::Acquire);
        let (tail, head) = self.marks();
        number != NO_NUMBER && Mark::distance(number, head.count()) >= 0 && Mark::distance(tail.count(), number) > 0
    }

    /// Frees the slab of one who died on the point of putting it into the ring. The lock of those who put is held.
    pub(super) fn forget_unpublished(&self) {
        for slab in 0..SLABS {
            if self.slab(slab).holder.load(Ordering::Acquire) == IN_RING && !self.is_awaited(slab) {
                drop(self.loan(slab));
            }
        }
    }

    /// Takes a slab out of the ring; the caller holds the lock of those who get, and takes the record out after it.
    pub(super) fn borrow_slab(&self, slab: usize, number: u64) -> Result<Loan<'_>, Refused> {
        if self.slab(slab).number.load(Ordering::Acquire) != number {
            return Err(Refused::Corrupt);
        }
        self.slab(slab).holder.store(tid(), Ordering::Release);
        Ok(self.loan(slab))
    }
}

impl Loan<'_> {
    pub(super) fn slab(&self) -> usize {
        self.slab
    }

    /// Writes the message, which may be in pieces.
    pub(super) fn write(&self, message: &[&[u8]]) -> io::Result<()> {
        if self.offset < LEN as u64 || length(message) as u64 > self.capacity {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut offset = self.offset;
        for piece in message {
            let mut rest = *piece;
            while !rest.is_empty() {
                match pwrite(self.queue.segment.as_fd(), rest, offset) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(n) => (rest, offset) = (&rest[n..], offset + n as u64),
                    Err(Errno::INTR) => {}
                    Err(e) => return Err(e.into()),
                }
            }
        }
        Ok(())
    }

    /// Reads the message.
    pub(super) fn read(&self, message: &mut [u8]) -> io::Result<()> {
        let mut offset = self.offset;
        let mut rest = message;
        while !rest.is_empty() {
            match pread(self.queue.segment.as_fd(), &mut *rest, offset) {
                Ok(0) => return Err(io::ErrorKind::InvalidData.into()),
                Ok(n) => (rest, offset) = (&mut rest[n..], offset + n as u64),
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    /// It belongs to the ring from now on, whose next record, of that number, says so. The lock of those who put is held.
    pub(super) fn hand_over(self, number: u64) {
        let entry = self.queue.slab(self.slab);
        entry.number.store(number, Ordering::Release);
        entry.holder.store(IN_RING, Ordering::Release);
        std::mem::forget(self);
    }

    fn punch(&self) {
        if self.capacity > 0 && self.offset >= LEN as u64 {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            fallocate(self.queue.segment.as_fd(), flags, self.offset, self.capacity).ok();
        }
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        if self.capacity > if self.slab < WARM { WARM_LEN } else { SHORT } {
            self.punch();
        }
        self.queue.slab(self.slab).holder.store(0, Ordering::Release);
        self.queue.tell_space();
    }
}
