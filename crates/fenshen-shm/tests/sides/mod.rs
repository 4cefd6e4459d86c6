//! Both sides of a channel in one piece of memory, whose every byte a test can reach.
#![allow(dead_code, reason = "each test uses its part")]

use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;

use fenshen_shm::arena::{self, Arena, Releases, Slabs};
use fenshen_shm::ring::{Cursors, Place, Reader, Writer};
use fenshen_shm::{Message, Part, Receiver, Segment, Sender};

/// The length of the ring in bytes.
pub(crate) const RING: usize = 32 << 10;

/// What lies before the ring.
#[repr(C, align(64))]
pub(crate) struct Face {
    cursors: Cursors,
    releases: Releases,
}

pub(crate) const DATA: usize = size_of::<Face>();

/// A channel's memory.
pub(crate) struct Sides {
    pub(crate) segment: Arc<Segment>,
    pub(crate) slabs: OwnedFd,
}

impl Sides {
    pub(crate) fn new() -> Sides {
        let segment = Segment::create(c"fenshen-test", DATA + RING).expect("memory");
        Sides { segment: Arc::new(segment), slabs: arena::file().expect("a file") }
    }

    fn place(&self) -> Place {
        let (cursors, data) = (self.segment.place(0), self.segment.place(DATA));
        // SAFETY: whoever gets a side keeps the segment.
        unsafe { Place::new(cursors.expect("room"), data.expect("room"), RING) }
    }

    fn releases(&self) -> NonNull<Releases> {
        self.segment.place(std::mem::offset_of!(Face, releases)).expect("room")
    }

    /// The side that sends; there is one.
    pub(crate) fn sender(&self) -> Sender {
        let fd = self.slabs.as_fd().try_clone_to_owned().expect("a descriptor");
        // SAFETY: the only one of these sides, which outlive it in every test.
        unsafe { Sender::new(Writer::new(self.place()), Arena::new(fd, self.releases())) }
    }

    /// The side that receives; there is one.
    pub(crate) fn receiver(&self) -> Receiver {
        let fd = self.slabs.as_fd().try_clone_to_owned().expect("a descriptor");
        // SAFETY: as above.
        unsafe { Receiver::new(Reader::new(self.place()), Slabs::new(fd, self.releases(), self.segment.clone())) }
    }

    /// Writes anywhere in the memory, as a process whose pointers have gone wild does.
    pub(crate) fn overwrite(&self, at: usize, bytes: &[u8]) {
        let len = bytes.len().min(self.segment.len() - at);
        // SAFETY: within the segment.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.segment.start().add(at), len) };
    }

    /// Everything in the memory, but for the slabs.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: within the segment; whoever writes there has been stopped.
        unsafe { std::slice::from_raw_parts(self.segment.start(), self.segment.len()) }
    }

    /// The same memory once more, as it is now, over the same slabs.
    pub(crate) fn copied(&self) -> Sides {
        let segment = Segment::create(c"fenshen-test", DATA + RING).expect("memory");
        let copy = Sides { segment: Arc::new(segment), slabs: self.slabs.try_clone().expect("a descriptor") };
        copy.overwrite(0, self.bytes());
        copy
    }

    fn cursor(&self, at: usize) -> usize {
        // SAFETY: within the segment.
        unsafe { self.segment.start().add(at).cast::<u64>().read_unaligned() as usize }
    }

    /// Where the oldest message that has not been read begins in the segment: its ring's header.
    pub(crate) fn oldest(&self) -> usize {
        DATA + self.cursor(64) % RING
    }
}

/// What a test sends: a body and parts, each of one byte over and over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) tag: u64,
    pub(crate) body: Vec<u8>,
    pub(crate) parts: Vec<(Vec<u8>, bool)>,
}

impl Letter {
    pub(crate) fn new(tag: u64, body: usize, parts: &[usize]) -> Letter {
        let fill = tag as u8 | 1;
        let parts = parts.iter().enumerate().map(|(i, &len)| (vec![fill ^ i as u8; len], i % 2 == 0)).collect();
        Letter { tag, body: vec![fill; body], parts }
    }

    pub(crate) fn send(&self, sender: &mut Sender) -> std::io::Result<bool> {
        let parts: Vec<Part<'_>> =
            self.parts.iter().map(|(bytes, writable)| Part { bytes, writable: *writable }).collect();
        sender.send(7, self.tag, &[&self.body], &parts)
    }

    /// Reads every byte of a message.
    pub(crate) fn read(message: &Message) -> Letter {
        // SAFETY: nobody writes there now.
        let copy = |bytes: NonNull<[u8]>| unsafe { bytes.as_ref() }.to_vec();
        let parts = message.parts().map(|(bytes, writable)| (copy(bytes), writable)).collect();
        Letter { tag: message.tag, body: copy(message.body()), parts }
    }
}
