//! Messages from one process to another: a ring for what is small, slabs for the rest.

use std::io;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::arena::{Arena, Slab, Slabs, View};
use crate::corrupt::Corrupt;
use crate::message::{Entry, HEAD, Head, Layout};
use crate::ring::{Reader, Writer};

/// Up to this many bytes lie in the ring.
const INLINE: usize = 8 << 10;
/// From this many bytes on a slab is mapped; what is smaller is copied out of it.
const MAPPED: u64 = 256 << 10;
/// How many views a receiver may hold; with more, it copies.
const HELD: usize = 64;

/// A part of a message: bytes that the receiver gets at an aligned place of their own.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// What it holds.
    pub bytes: &'a [u8],
    /// Whether the receiver may write there.
    pub writable: bool,
}

/// The side that sends.
#[derive(Debug)]
pub struct Sender {
    ring: Writer,
    arena: Arena,
}

impl Sender {
    /// Over a fresh ring and arena.
    #[must_use]
    pub fn new(ring: Writer, arena: Arena) -> Sender {
        Sender { ring, arena }
    }

    /// Sends a message; false if there is no room now. What was sent in a slab is kept until the receiver is done with it.
    ///
    /// # Errors
    /// [`Corrupt`], or what the kernel says: no memory.
    pub fn send(&mut self, kind: u32, tag: u64, body: &[&[u8]], parts: &[Part<'_>]) -> io::Result<bool> {
        let total = body.iter().map(|b| b.len() as u64).sum();
        let entries = parts.iter().map(|p| Entry { len: p.bytes.len() as u64, writable: p.writable.into() });
        let layout = Layout::new(total, entries)?;
        let mut head =
            Head { kind, parts: parts.len() as u32, tag, body: total, slot: 0, generation: 0, offset: 0, len: 0 };
        if layout.len <= INLINE {
            let Some(at) = self.ring.reserve(HEAD + layout.len)? else {
                return Ok(false);
            };
            // SAFETY: that much was reserved.
            unsafe {
                at.copy_from_nonoverlapping(NonNull::from(head.as_bytes()).cast(), HEAD);
                fill(at.add(HEAD), &layout, body, parts);
            }
            self.ring.publish(HEAD + layout.len);
            return Ok(true);
        }
        // First the place in the ring: a slab for a message that cannot be sent now would be filled in vain.
        let Some(at) = self.ring.reserve(HEAD)? else {
            return Ok(false);
        };
        let Some((slab, memory)) = self.arena.take(layout.len as u64)? else {
            return Ok(false);
        };
        // SAFETY: the slab is that long, and so is the reserved room.
        unsafe {
            fill(memory, &layout, body, parts);
            (head.slot, head.generation, head.offset, head.len) =
                (slab.slot + 1, slab.generation, slab.offset, slab.len);
            at.copy_from_nonoverlapping(NonNull::from(head.as_bytes()).cast(), HEAD);
        }
        self.ring.publish(HEAD);
        Ok(true)
    }

    /// Whether everything that was sent has been received.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn is_drained(&mut self) -> Result<bool, Corrupt> {
        self.ring.is_drained()
    }

    /// The slabs.
    pub fn arena(&mut self) -> &mut Arena {
        &mut self.arena
    }
}

/// Writes table, body and parts.
///
/// # Safety
/// There is room for `layout.len` bytes.
unsafe fn fill(at: NonNull<u8>, layout: &Layout, body: &[&[u8]], parts: &[Part<'_>]) {
    // SAFETY: everything lies within the layout.
    unsafe {
        for (i, part) in parts.iter().enumerate() {
            let entry = Entry { len: part.bytes.len() as u64, writable: part.writable.into() };
            at.cast::<Entry>().add(i).write_unaligned(entry);
        }
        let mut to = at.add(layout.body.start);
        for piece in body {
            to.copy_from_nonoverlapping(NonNull::from(*piece).cast(), piece.len());
            to = to.add(piece.len());
        }
        for (part, (range, _)) in parts.iter().zip(&layout.parts) {
            at.add(range.start).copy_from_nonoverlapping(NonNull::from(part.bytes).cast(), part.bytes.len());
        }
    }
}

/// The side that receives.
#[derive(Debug)]
pub struct Receiver {
    ring: Reader,
    slabs: Slabs,
    /// Shared with every view that is held.
    held: Arc<()>,
}

/// Where a received message lies.
#[derive(Debug)]
enum Memory {
    /// In the ring, until the next one is received.
    Ring(NonNull<[u8]>),
    /// In memory of this process.
    Own(Vec<u8>),
    /// Nowhere: this process has no memory for it.
    Missing(io::Error),
    /// In a slab, mapped privately.
    Slab(View, #[allow(dead_code, reason = "it is counted")] Arc<()>),
}

// SAFETY: a message in the ring is taken along only by `keep`, and read by the receiver's thread.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

/// A message that was received.
#[derive(Debug)]
pub struct Message {
    /// What the sender called it.
    pub kind: u32,
    /// What the sender called it.
    pub tag: u64,
    memory: Memory,
    layout: Layout,
}

impl Message {
    fn all(&self) -> NonNull<[u8]> {
        match &self.memory {
            Memory::Ring(bytes) => *bytes,
            Memory::Own(bytes) => NonNull::from(bytes.as_slice()),
            Memory::Slab(view, _) => view.bytes(),
            Memory::Missing(_) => NonNull::from(&mut [][..]),
        }
    }

    /// Why there is nothing of it, where this process had no memory to take it; it has no body and no parts then.
    #[must_use]
    pub fn missing(&self) -> Option<&io::Error> {
        match &self.memory {
            Memory::Missing(error) => Some(error),
            _ => None,
        }
    }

    fn slice(&self, range: &std::ops::Range<usize>) -> NonNull<[u8]> {
        // SAFETY: the layout was checked against the length.
        let start = unsafe { self.all().cast::<u8>().add(range.start) };
        NonNull::slice_from_raw_parts(start, range.len())
    }

    /// Its body. A sender whose memory is corrupt may still write there.
    #[must_use]
    pub fn body(&self) -> NonNull<[u8]> {
        self.slice(&self.layout.body)
    }

    /// Its parts, and whether they may be written.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = (NonNull<[u8]>, bool)> {
        self.layout.parts.iter().map(|(range, writable)| (self.slice(range), *writable))
    }

    /// Whether it lies in the ring, and so only until the next one is received.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self.memory, Memory::Ring(_))
    }
}

impl Receiver {
    /// Over a fresh ring and arena.
    #[must_use]
    pub fn new(ring: Reader, slabs: Slabs) -> Receiver {
        Receiver { ring, slabs, held: Arc::new(()) }
    }

    /// Whether there is nothing to receive.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn is_empty(&mut self) -> Result<bool, Corrupt> {
        self.ring.is_empty()
    }

    /// The oldest message, which must be [passed](Receiver::pass) before the next one is received.
    ///
    /// # Errors
    /// [`Corrupt`]. A message that this process has no memory for is [missing](Message::missing).
    pub fn receive(&mut self) -> io::Result<Option<Message>> {
        let Some(bytes) = self.ring.peek()? else {
            return Ok(None);
        };
        if bytes.len() < HEAD {
            return Err(Corrupt("a message's head").into());
        }
        // SAFETY: that much is there; it is copied once.
        let head = unsafe { bytes.cast::<Head>().read() };
        let empty = || Layout { body: 0..0, parts: Vec::new(), len: 0 };
        let memory = match self.find(&head, bytes) {
            Err(error) if error.kind() != io::ErrorKind::InvalidData => Memory::Missing(error),
            found => found?,
        };
        let mut message = Message { kind: head.kind, tag: head.tag, memory, layout: empty() };
        if message.missing().is_none() {
            // SAFETY: the bytes are there.
            message.layout = unsafe { Layout::read(&head, message.all().as_ptr()) }?;
        }
        Ok(Some(message))
    }

    fn find(&self, head: &Head, bytes: NonNull<[u8]>) -> io::Result<Memory> {
        let Some(slot) = head.slot.checked_sub(1) else {
            // SAFETY: the head was there.
            let rest = unsafe { bytes.cast::<u8>().add(HEAD) };
            return Ok(Memory::Ring(NonNull::slice_from_raw_parts(rest, bytes.len() - HEAD)));
        };
        let slab = Slab { offset: head.offset, len: head.len, slot, generation: head.generation };
        if slab.len < MAPPED || Arc::strong_count(&self.held) > HELD {
            return self.slabs.copy(slab).map(Memory::Own);
        }
        Ok(Memory::Slab(self.slabs.map(slab)?, self.held.clone()))
    }

    /// Gives the room of the message that was last received back to the sender.
    pub fn pass(&mut self) {
        self.ring.consume();
    }
}
