//! How a queue lies in its segment.

use std::sync::atomic::{AtomicU32, AtomicU64};

use super::lock::Lock;
use super::sleepers::Sleepers;

/// What a segment of this kind, in this version, begins with.
pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"fsqueue1");
/// Bytes of the ring.
pub(super) const RING: usize = 256 << 10;
/// Where the ring begins.
pub(super) const RING_AT: usize = 16 << 10;
/// The length of a new segment: a longer one has slabs behind the ring.
pub(super) const LEN: usize = RING_AT + RING;
/// The longest message that lies in the ring itself.
pub(super) const INLINE: usize = 16 << 10;
/// How many longer messages there are at most at a time.
pub(super) const SLABS: usize = 192;
/// How many processes can have messages that wait for room at a time.
pub(super) const OUTBOXES: usize = 256;

/// The head of the segment. All zero, but for the first fields, is an empty queue.
#[repr(C, align(64))]
pub(super) struct Header {
    pub(super) magic: AtomicU64,
    /// How many messages it holds at most; zero for no bound.
    pub(super) bound: AtomicU64,
    pub(super) put: PutSide,
    pub(super) get: GetSide,
    pub(super) waits: Waits,
    pub(super) outboxes: [AtomicU64; OUTBOXES],
    pub(super) slabs: [SlabEntry; SLABS],
}

/// What those who put write.
#[repr(C, align(64))]
pub(super) struct PutSide {
    pub(super) lock: Lock,
    /// The outboxes beyond this one were never used.
    pub(super) outboxes_used: AtomicU32,
    /// A [`Mark`]: where the next record goes, and how many there were.
    pub(super) tail: AtomicU64,
    /// Where the next slab goes that has no place yet.
    pub(super) extent: AtomicU64,
    /// The processor of whoever put last.
    pub(super) processor: AtomicU32,
}

/// What those who get write.
#[repr(C, align(64))]
pub(super) struct GetSide {
    pub(super) lock: Lock,
    /// A [`Mark`]: where the next record is, and how many were taken.
    pub(super) head: AtomicU64,
    /// The processor of whoever took last.
    pub(super) processor: AtomicU32,
}

/// Who sleeps for what.
#[repr(C, align(64))]
pub(super) struct Waits {
    /// For a message.
    pub(super) items: Sleepers,
    /// For the count to be below the bound.
    pub(super) places: Sleepers,
    /// For room in the ring, or a slab.
    pub(super) space: Sleepers,
    /// For all work to be done.
    pub(super) idle: Sleepers,
    /// How many messages were said to be done, as a [`Mark`] counts.
    pub(super) done: AtomicU64,
    /// Guards what the pollable end shows.
    pub(super) sign: Lock,
    /// Somebody has asked for the pollable end.
    pub(super) armed: AtomicU32,
    /// It shows that there is something.
    pub(super) shown: AtomicU32,
}

/// A place for a long message in the file behind the ring.
#[repr(C)]
pub(super) struct SlabEntry {
    /// Who writes or reads it, or [`super::slabs::IN_RING`]; zero if it is free.
    pub(super) holder: AtomicU32,
    pub(super) _pad: u32,
    /// The number of its message.
    pub(super) number: AtomicU64,
    pub(super) offset: AtomicU64,
    pub(super) capacity: AtomicU64,
}

const _: () = assert!(size_of::<Header>() <= RING_AT);

/// A place in the ring and a count of messages in one number, so that one store changes both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(pub(super) u64);

impl Mark {
    const PLACE_BITS: u32 = 24;
    const PLACES: u64 = (1 << Mark::PLACE_BITS) - 1;
    const COUNT_BITS: u32 = 64 - Mark::PLACE_BITS;

    /// Where it is in the ring: a byte offset that is below the ring's length, whatever the number.
    #[inline]
    pub(super) fn offset(self) -> usize {
        ((self.0 & Mark::PLACES) as usize * 8) & (RING - 1)
    }

    /// How many messages there were.
    #[inline]
    pub(super) fn count(self) -> u64 {
        self.0 >> Mark::PLACE_BITS
    }

    /// One message and so many bytes on.
    #[inline]
    pub(super) fn after(self, bytes: usize) -> Mark {
        let place = (self.0 & Mark::PLACES).wrapping_add(bytes as u64 / 8) & Mark::PLACES;
        Mark((self.count().wrapping_add(1) << Mark::PLACE_BITS) | place)
    }

    /// Bytes from `head` to here.
    #[inline]
    pub(super) fn bytes_since(self, head: Mark) -> usize {
        ((self.0.wrapping_sub(head.0) & Mark::PLACES) * 8) as usize
    }

    /// Messages from `head` to here.
    #[inline]
    pub(super) fn messages_since(self, head: Mark) -> u64 {
        Mark::distance(self.count(), head.count()) as u64 & (u64::MAX >> Mark::PLACE_BITS)
    }

    /// From `from` to `to`, both counts.
    pub(super) fn distance(to: u64, from: u64) -> i64 {
        ((to.wrapping_sub(from) << Mark::PLACE_BITS) as i64) >> Mark::PLACE_BITS
    }

    /// A count that is one more.
    pub(super) fn next(count: u64) -> u64 {
        count.wrapping_add(1) & ((1 << Mark::COUNT_BITS) - 1)
    }
}

/// The first eight bytes of a record: how long the message is, and, if it lies elsewhere, in which slab.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordHead(pub(super) u64);

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// The message follows: that many bytes.
    Inline(usize),
    /// It lies in that slab, and its length follows.
    Slab(usize),
}

impl RecordHead {
    const SLAB: u64 = 1 << 32;

    pub(super) fn inline(len: usize) -> RecordHead {
        RecordHead(len as u64)
    }

    pub(super) fn slab(slab: usize) -> RecordHead {
        RecordHead(RecordHead::SLAB | slab as u64)
    }

    /// What it says, if it makes sense.
    pub(super) fn read(self) -> Option<Record> {
        let number = (self.0 & 0xffff_ffff) as usize;
        match self.0 & !0xffff_ffff {
            0 if number <= INLINE => Some(Record::Inline(number)),
            RecordHead::SLAB if number < SLABS => Some(Record::Slab(number)),
            _ => None,
        }
    }
}

impl Record {
    /// Bytes that it takes of the ring, its head included.
    pub(super) fn size(self) -> usize {
        match self {
            Record::Inline(len) => 8 + len.next_multiple_of(8),
            Record::Slab(_) => 16,
        }
    }
}
