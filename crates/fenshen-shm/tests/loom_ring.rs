//! Every interleaving of a ring's writer and its reader: `RUSTFLAGS="--cfg loom" cargo test --release`.
#![cfg(loom)]

use std::ptr::NonNull;
use std::sync::Arc;

use fenshen_shm::ring::{Cursors, Place, Reader, Writer};
use loom::cell::UnsafeCell;
use loom::thread;

/// The shortest ring that there is: two messages of 16 bytes fill it.
const RING: usize = 64;

#[repr(align(64))]
#[allow(dead_code, reason = "it is reached by its address")]
struct Data([u8; RING]);

/// A ring, and for each half of it a cell by which loom tells when writer and reader are in the same one.
struct Shared {
    cursors: Cursors,
    data: std::cell::UnsafeCell<Data>,
    halves: [UnsafeCell<u64>; 2],
}

// SAFETY: the ring orders what its two sides do; that it does is what is tested.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    fn new() -> Arc<Shared> {
        let data = std::cell::UnsafeCell::new(Data([0; RING]));
        Arc::new(Shared { cursors: Cursors::default(), data, halves: [UnsafeCell::new(0), UnsafeCell::new(0)] })
    }

    fn place(&self) -> Place {
        let data = NonNull::new(self.data.get()).expect("a place").cast();
        // SAFETY: whoever uses the place keeps what is shared.
        unsafe { Place::new(NonNull::from(&self.cursors), data, RING) }
    }
}

fn write(shared: &Shared, writer: &mut Writer, number: u64) {
    let at = loop {
        match writer.reserve(16).expect("whole") {
            Some(at) => break at,
            None => thread::yield_now(),
        }
    };
    shared.halves[number as usize % 2].with_mut(|half| {
        // SAFETY: the room was reserved, and nobody reads this half now: loom would tell.
        unsafe {
            *half = number;
            at.cast::<u64>().write(number);
        }
    });
    writer.publish(16);
}

fn read(shared: &Shared, reader: &mut Reader) -> u64 {
    let message = loop {
        match reader.peek().expect("whole") {
            Some(message) => break message,
            None => thread::yield_now(),
        }
    };
    assert_eq!(message.len(), 16);
    // SAFETY: the message is there until it is consumed.
    let number = unsafe { message.cast::<u64>().read() };
    // SAFETY: nobody writes this half now: loom would tell.
    assert_eq!(shared.halves[number as usize % 2].with(|half| unsafe { *half }), number);
    reader.consume();
    number
}

#[test]
fn messages_come_in_order_and_none_is_overwritten_while_it_is_read() {
    const MESSAGES: u64 = 3; // the ring is full in between, and goes round
    loom::model(|| {
        let shared = Shared::new();
        let other = Arc::clone(&shared);
        let writing = thread::spawn(move || {
            // SAFETY: the only writer.
            let mut writer = unsafe { Writer::new(other.place()) };
            (0..MESSAGES).for_each(|number| write(&other, &mut writer, number));
        });
        // SAFETY: the only reader.
        let mut reader = unsafe { Reader::new(shared.place()) };
        (0..MESSAGES).for_each(|number| assert_eq!(read(&shared, &mut reader), number));
        assert!(reader.is_empty().expect("whole"));
        writing.join().expect("it ended");
    });
}

#[test]
fn a_message_that_is_seen_is_whole_whenever_the_writer_ends() {
    loom::model(|| {
        let shared = Shared::new();
        let other = Arc::clone(&shared);
        let writing = thread::spawn(move || {
            // SAFETY: the only writer.
            let mut writer = unsafe { Writer::new(other.place()) };
            write(&other, &mut writer, 0);
            // It is killed in the middle of the second one.
            assert!(writer.reserve(16).expect("whole").is_some());
        });
        // SAFETY: the only reader.
        let mut reader = unsafe { Reader::new(shared.place()) };
        assert_eq!(read(&shared, &mut reader), 0);
        assert!(reader.peek().expect("whole").is_none());
        writing.join().expect("it ended");
        assert!(reader.peek().expect("whole").is_none());
    });
}
