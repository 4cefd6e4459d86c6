//! A few bytes that processes read and replace as one.
//!
//! Two slots: a writer fills the one that is not shown, then shows it, so that the death of a writer at any instant
//! leaves the value that was there. Readers take no lock: they look at the version before and after (a seqlock, as
//! Lamport described it in "Concurrent reading and writing", 1977).

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::robust::RobustMutex;

/// The size of a slot in words; the first one is the value's length.
const WORDS: usize = 120;

/// What lies in the segment.
#[repr(C)]
struct Layout {
    writer: RobustMutex,
    /// Its last bit says which slot is shown.
    version: AtomicU64,
    slots: [[AtomicU64; WORDS]; 2],
}

/// A value of some bytes at a place in a segment.
///
/// ```
/// use fenshen_shm::{Cell, Segment};
///
/// let segment = Segment::create(c"cell", Cell::SIZE)?;
/// let place = segment.place::<[u8; Cell::SIZE]>(0).expect("it is large enough").cast();
/// // SAFETY: the segment outlives both.
/// let (ours, theirs) = unsafe { (Cell::make(place)?, Cell::of(place)) };
/// assert!(ours.set(b"seven")?);
/// let mut buffer = [0; Cell::CAPACITY];
/// assert_eq!(theirs.get(&mut buffer)?, b"seven");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Cell(NonNull<Layout>);

// SAFETY: all that it shares is atomic or guarded.
unsafe impl Send for Cell {}
// SAFETY: as above.
unsafe impl Sync for Cell {}

impl Cell {
    /// How many bytes of a segment it takes.
    pub const SIZE: usize = size_of::<Layout>();
    /// How long a value may be, in bytes.
    pub const CAPACITY: usize = (WORDS - 1) * 8;

    /// Makes one, with a value of no bytes.
    ///
    /// # Safety
    /// There are [`SIZE`](Cell::SIZE) bytes that nobody else uses yet, all zero, aligned to 64; they outlive the cell.
    ///
    /// # Errors
    /// What the C library says.
    pub unsafe fn make(place: NonNull<u8>) -> io::Result<Cell> {
        let cell = Cell(place.cast());
        // SAFETY: the place is the caller's to give; a writer holds the mutex only while it is in `set`.
        unsafe { RobustMutex::make(&raw mut (*cell.0.as_ptr()).writer)? };
        Ok(cell)
    }

    /// The one that was made there.
    ///
    /// # Safety
    /// One was, and the memory outlives this.
    #[must_use]
    pub unsafe fn of(place: NonNull<u8>) -> Cell {
        Cell(place.cast())
    }

    fn layout(&self) -> &Layout {
        // SAFETY: the memory outlives the cell, and holds nothing but atomics and the mutex.
        unsafe { self.0.as_ref() }
    }

    /// Which value is shown: the number changes with every [`set`](Cell::set).
    #[must_use]
    pub fn version(&self) -> u64 {
        self.layout().version.load(Ordering::Acquire)
    }

    /// Replaces the value; false if it is too long.
    ///
    /// # Errors
    /// What the C library says.
    pub fn set(&self, value: &[u8]) -> io::Result<bool> {
        if value.len() > Cell::CAPACITY {
            return Ok(false);
        }
        let layout = self.layout();
        let held = layout.writer.lock()?;
        let version = layout.version.load(Ordering::Relaxed);
        let slot = &layout.slots[(version as usize + 1) & 1];
        // Whoever still reads what was in the slot sees a changed version after that.
        fence(Ordering::Release);
        slot[0].store(value.len() as u64, Ordering::Relaxed);
        for (word, bytes) in slot[1..].iter().zip(value.chunks(8)) {
            let mut all = [0; 8];
            all[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(all), Ordering::Relaxed);
        }
        layout.version.store(version.wrapping_add(1), Ordering::Release);
        drop(held);
        Ok(true)
    }

    /// The value, copied to `buffer`.
    ///
    /// # Errors
    /// What lies in the segment is no value.
    pub fn get<'a>(&self, buffer: &'a mut [u8; Cell::CAPACITY]) -> io::Result<&'a [u8]> {
        let layout = self.layout();
        for attempt in 0_u32.. {
            // Writers without a pause may keep it changing: then this is one of them.
            let held = if attempt > 64 { Some(layout.writer.lock()?) } else { None };
            let version = layout.version.load(Ordering::Acquire);
            let slot = &layout.slots[version as usize & 1];
            let len = slot[0].load(Ordering::Relaxed) as usize;
            let words = len.div_ceil(8);
            if len <= Cell::CAPACITY {
                for (bytes, word) in buffer.chunks_mut(8).zip(&slot[1..=words]) {
                    bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
                }
            }
            fence(Ordering::Acquire);
            if layout.version.load(Ordering::Relaxed) == version {
                drop(held);
                return buffer.get(..len).ok_or_else(|| io::ErrorKind::InvalidData.into());
            }
        }
        unreachable!("the loop has no end")
    }
}
