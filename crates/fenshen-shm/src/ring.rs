//! A ring of messages with one writer and one reader, in shared memory (L. Lamport, "Proving the Correctness of
//! Multiprocess Programs", IEEE TSE 3(2), 1977; each side keeps the other's cursor as it last saw it, as in P. P. C. Lee,
//! T. Bu, G. Chandranmenon, "A Lock-Free, Cache-Efficient Multi-Core Synchronization Mechanism", IPDPS 2010).
//!
//! A message lies in one piece; where the rest of the ring is too short for it, that is skipped. It exists from the one
//! store that moves the writer's cursor behind it: a writer that is killed before has written nothing. Neither side
//! believes the other: cursors and lengths are copied once and checked.

use std::ptr::NonNull;

use crate::corrupt::Corrupt;
use crate::sync::{AtomicU64, Ordering};

/// Messages begin at multiples of this.
pub const ALIGN: usize = 16;
/// What stands before each message: its length, and whether there is one.
const HEADER: usize = ALIGN;
const MESSAGE: u32 = 0x6d65_7373;
const SKIP: u32 = 0x736b_6970;

/// Both cursors: how many bytes were ever written and read. All zero is an empty ring.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Cursors {
    written: Line,
    read: Line,
}

#[derive(Debug, Default)]
#[repr(C, align(64))]
struct Line(AtomicU64);

/// Where a ring lies.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    cursors: NonNull<Cursors>,
    data: NonNull<u8>,
    capacity: usize,
}

// SAFETY: it is an address; what may be done there is the writer's and the reader's to say.
unsafe impl Send for Place {}

impl Place {
    /// A ring of `capacity` bytes, a power of two.
    ///
    /// # Safety
    /// Cursors and data are mapped as long as any writer or reader of this place lives, and aligned to [`ALIGN`].
    ///
    /// # Panics
    /// If the capacity is no power of two, or below 4 headers.
    #[must_use]
    pub unsafe fn new(cursors: NonNull<Cursors>, data: NonNull<u8>, capacity: usize) -> Place {
        assert!(capacity.is_power_of_two() && capacity >= 4 * HEADER, "a ring of {capacity} bytes");
        Place { cursors, data, capacity }
    }

    fn cursors(&self) -> &Cursors {
        // SAFETY: mapped, as `new` was promised, and all that lies there is atomic.
        unsafe { self.cursors.as_ref() }
    }

    fn at(&self, cursor: u64) -> (NonNull<u8>, usize) {
        let offset = cursor as usize & (self.capacity - 1);
        // SAFETY: within the ring.
        (unsafe { self.data.add(offset) }, self.capacity - offset)
    }

    /// The longest message that always finds room in an empty ring.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.capacity / 2 - HEADER
    }
}

fn padded(len: usize) -> usize {
    HEADER + len.next_multiple_of(ALIGN)
}

/// The side that writes. There is one.
#[derive(Debug)]
pub struct Writer {
    place: Place,
    written: u64,
    /// The reader's cursor, as last seen.
    read: u64,
    /// Where the message that is being written begins.
    begun: u64,
}

impl Writer {
    /// The writer of a fresh ring.
    ///
    /// # Safety
    /// It is the only one, in any process.
    #[must_use]
    pub unsafe fn new(place: Place) -> Writer {
        Writer { place, written: 0, read: 0, begun: 0 }
    }

    /// The longest message that always finds room in an empty ring.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.place.longest()
    }

    /// Whether everything that was written has been read.
    ///
    /// # Errors
    /// [`Corrupt`] if the reader's cursor cannot be true.
    pub fn is_drained(&mut self) -> Result<bool, Corrupt> {
        self.look()?;
        Ok(self.read == self.written)
    }

    fn look(&mut self) -> Result<(), Corrupt> {
        let read = self.place.cursors().read.0.load(Ordering::Acquire);
        if read < self.read || read > self.written || !read.is_multiple_of(ALIGN as u64) {
            return Err(Corrupt("the reader's cursor"));
        }
        self.read = read;
        Ok(())
    }

    /// Room for a message of `len` bytes, to be filled and then [published](Writer::publish); `None` if there is none now.
    /// The place is aligned to [`ALIGN`].
    ///
    /// # Errors
    /// [`Corrupt`] if the reader's cursor cannot be true.
    pub fn reserve(&mut self, len: usize) -> Result<Option<NonNull<u8>>, Corrupt> {
        let need = padded(len);
        if need > self.place.capacity {
            return Ok(None);
        }
        let rest = self.place.at(self.written).1;
        let skipped = if rest < need { rest } else { 0 };
        if !self.has_room(skipped + need)? {
            return Ok(None);
        }
        if skipped > 0 {
            self.head(self.written, SKIP, skipped - HEADER);
        }
        self.begun = self.written + skipped as u64;
        self.head(self.begun, MESSAGE, len);
        // SAFETY: the header is followed by room for the message.
        Ok(Some(unsafe { self.place.at(self.begun).0.add(HEADER) }))
    }

    fn has_room(&mut self, need: usize) -> Result<bool, Corrupt> {
        let free = |read| self.place.capacity as u64 - (self.written - read) >= need as u64;
        if free(self.read) {
            return Ok(true);
        }
        let written = self.written;
        self.look()?;
        Ok(self.place.capacity as u64 - (written - self.read) >= need as u64)
    }

    fn head(&self, cursor: u64, mark: u32, len: usize) {
        let at = self.place.at(cursor).0.cast::<[u32; 2]>();
        // SAFETY: the room is the writer's, and aligned; a rest of the ring is a multiple of the header's length.
        unsafe { at.write([mark, len as u32]) };
    }

    /// Makes the reserved message exist. `len` is what was reserved.
    pub fn publish(&mut self, len: usize) {
        self.written = self.begun + padded(len) as u64;
        self.place.cursors().written.0.store(self.written, Ordering::Release);
    }

    /// Writes a message of these pieces; false if there is no room now.
    ///
    /// # Errors
    /// [`Corrupt`] if the reader's cursor cannot be true.
    pub fn write(&mut self, pieces: &[&[u8]]) -> Result<bool, Corrupt> {
        let len = pieces.iter().map(|p| p.len()).sum();
        let Some(mut at) = self.reserve(len)? else {
            return Ok(false);
        };
        for piece in pieces {
            // SAFETY: room for all of them was reserved.
            unsafe {
                at.copy_from_nonoverlapping(NonNull::from(*piece).cast(), piece.len());
                at = at.add(piece.len());
            }
        }
        self.publish(len);
        Ok(true)
    }
}

/// The side that reads. There is one.
#[derive(Debug)]
pub struct Reader {
    place: Place,
    read: u64,
    /// The writer's cursor, as last seen.
    written: u64,
    /// Where the message that is being read ends.
    end: u64,
}

impl Reader {
    /// The reader of a fresh ring.
    ///
    /// # Safety
    /// It is the only one, in any process.
    #[must_use]
    pub unsafe fn new(place: Place) -> Reader {
        Reader { place, read: 0, written: 0, end: 0 }
    }

    /// Whether there is nothing to read.
    ///
    /// # Errors
    /// [`Corrupt`] if the writer's cursor cannot be true.
    pub fn is_empty(&mut self) -> Result<bool, Corrupt> {
        if self.read != self.written {
            return Ok(false);
        }
        let written = self.place.cursors().written.0.load(Ordering::Acquire);
        let ahead = written.checked_sub(self.read).ok_or(Corrupt("the writer's cursor"))?;
        if ahead > self.place.capacity as u64 || !ahead.is_multiple_of(ALIGN as u64) {
            return Err(Corrupt("the writer's cursor"));
        }
        self.written = written;
        Ok(ahead == 0)
    }

    /// The oldest message, which stays until it is [consumed](Reader::consume). The writer may still write there if its
    /// memory is corrupt, so it is a pointer and a length.
    ///
    /// # Errors
    /// [`Corrupt`] if the writer's cursor, or what stands before the message, cannot be true.
    pub fn peek(&mut self) -> Result<Option<NonNull<[u8]>>, Corrupt> {
        while !self.is_empty()? {
            let (at, rest) = self.place.at(self.read);
            // SAFETY: a header's length is there, and aligned. It is copied once.
            let [mark, len] = unsafe { at.cast::<[u32; 2]>().read_volatile() };
            let whole = padded(len as usize);
            if whole > rest || whole as u64 > self.written - self.read {
                return Err(Corrupt("a message's length"));
            }
            match mark {
                MESSAGE => {
                    self.end = self.read + whole as u64;
                    // SAFETY: within the ring.
                    return Ok(Some(NonNull::slice_from_raw_parts(unsafe { at.add(HEADER) }, len as usize)));
                }
                SKIP if whole == rest => self.pass(self.read + rest as u64),
                _ => return Err(Corrupt("a message's mark")),
            }
        }
        Ok(None)
    }

    fn pass(&mut self, to: u64) {
        self.read = to;
        self.place.cursors().read.0.store(to, Ordering::Release);
    }

    /// Gives the room of the message that was last looked at back to the writer.
    pub fn consume(&mut self) {
        self.pass(self.end.max(self.read));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Cursors, Place, Reader, Writer};
    use std::ptr::NonNull;

    #[repr(align(64))]
    struct Memory([u8; 1024]);

    fn ring(cursors: &mut Cursors, memory: &mut Memory) -> (Writer, Reader) {
        // SAFETY: both outlive the ring in every test, and there is one writer and one reader.
        unsafe {
            let place = Place::new(NonNull::from(cursors), NonNull::from(&mut memory.0).cast(), 1024);
            (Writer::new(place), Reader::new(place))
        }
    }

    fn next(reader: &mut Reader) -> Option<Vec<u8>> {
        // SAFETY: nobody writes where a message lies.
        let message = reader.peek().expect("it is whole").map(|m| unsafe { m.as_ref() }.to_vec());
        if message.is_some() {
            reader.consume();
        }
        message
    }

    #[test]
    fn messages_of_every_length_come_whole_and_in_order() {
        let (mut cursors, mut memory) = (Cursors::default(), Memory([0; 1024]));
        let (mut writer, mut reader) = ring(&mut cursors, &mut memory);
        let mut expected = std::collections::VecDeque::new();
        for n in 0..10_000_usize {
            let message = vec![n as u8; n * 7 % (writer.longest() + 1)];
            while !writer.write(&[&message[..message.len() / 2], &message[message.len() / 2..]]).expect("whole") {
                assert_eq!(next(&mut reader), expected.pop_front());
            }
            expected.push_back(message);
        }
        while let Some(message) = expected.pop_front() {
            assert_eq!(next(&mut reader), Some(message));
        }
        assert_eq!(next(&mut reader), None);
        assert!(writer.is_drained().expect("whole"));
    }

    #[test]
    fn a_message_that_was_not_published_does_not_exist() {
        let (mut cursors, mut memory) = (Cursors::default(), Memory([0; 1024]));
        let (mut writer, mut reader) = ring(&mut cursors, &mut memory);
        assert!(writer.reserve(100).expect("whole").is_some());
        assert_eq!(next(&mut reader), None);
        assert!(writer.write(&[b"after"]).expect("whole"));
        assert_eq!(next(&mut reader), Some(b"after".to_vec()));
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let (mut cursors, mut memory) = (Cursors::default(), Memory([0; 1024]));
        let (mut writer, _reader) = ring(&mut cursors, &mut memory);
        assert!(!writer.write(&[&[0; 1024]]).expect("whole"));
    }
}
