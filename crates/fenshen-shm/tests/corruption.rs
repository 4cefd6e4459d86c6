//! One side's memory is overwritten at random: headers, lengths, cursors, generations, the ids of slabs. The other side gets
//! an error, or a message that lies where messages lie, and is never harmed.

mod sides;

use std::os::unix::fs::FileExt;
use std::ptr::NonNull;

use fenshen_shm::{Corrupt, Message, Sender};
use proptest::prelude::*;
use sides::{DATA, Letter, RING, Sides};

/// Where the fields of a message begin behind its ring's header, and how long they are: mark and length in that header,
/// then kind, parts, tag, body, slot, generation, offset, length.
const FIELDS: [(usize, usize); 10] =
    [(0, 4), (4, 4), (16, 4), (20, 4), (24, 8), (32, 8), (40, 4), (44, 4), (48, 8), (56, 8)];

#[derive(Clone, Debug)]
enum Step {
    Send(usize, Vec<usize>),
    Receive,
    /// A field of the oldest message.
    Field(usize, u64),
    /// A cursor: the writer's, or the reader's.
    Cursor(bool, u64),
    /// Anything, anywhere.
    Bytes(usize, Vec<u8>),
    /// Anything in the slabs, where the tables of long messages lie.
    Slab(u64, Vec<u8>),
}

fn wild() -> impl Strategy<Value = u64> {
    let edges = vec![
        0,
        1,
        2,
        15,
        16,
        17,
        48,
        63,
        64,
        255,
        256,
        257,
        4095,
        4096,
        RING as u64 - 16,
        RING as u64,
        RING as u64 + 16,
        u64::from(u32::MAX),
        u64::from(u32::MAX) - 15,
        1 << 32,
        1 << 63,
        u64::MAX - 15,
        u64::MAX,
        0x6d65_7373,
        0x736b_6970,
    ];
    prop_oneof![prop::sample::select(edges), any::<u64>(), 0_u64..2 * RING as u64]
}

fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![0_usize..200, 0_usize..20_000, 200_000_usize..400_000]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (lengths(), prop::collection::vec(lengths(), 0..4)).prop_map(|(b, p)| Step::Send(b, p)),
        4 => Just(Step::Receive),
        3 => (0..FIELDS.len(), wild()).prop_map(|(f, v)| Step::Field(f, v)),
        1 => (any::<bool>(), wild()).prop_map(|(w, v)| Step::Cursor(w, v)),
        1 => (0..DATA + RING, prop::collection::vec(any::<u8>(), 1..64)).prop_map(|(a, b)| Step::Bytes(a, b)),
        1 => (0_u64..1 << 20, prop::collection::vec(any::<u8>(), 1..64)).prop_map(|(a, b)| Step::Slab(a, b)),
    ];
    prop::collection::vec(step, 1..40)
}

fn cases() -> ProptestConfig {
    let soak = std::env::var_os("FENSHEN_SOAK").is_some_and(|v| v == "1");
    ProptestConfig { cases: if soak { 20_000 } else { 800 }, failure_persistence: None, ..ProptestConfig::default() }
}

/// An error that the other side may give: what it says is clear, and nothing but the memory is blamed.
fn is_clear(error: &std::io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Corrupt>()) && error.to_string().starts_with("shared memory was")
}

/// A message that lies in the ring lies wholly within it.
fn lies_in_ring(sides: &Sides, message: &Message) -> bool {
    let begin = sides.segment.start() as usize + DATA;
    let within = |bytes: NonNull<[u8]>| {
        let at = bytes.cast::<u8>().as_ptr() as usize;
        at >= begin && at + bytes.len() <= begin + RING
    };
    !message.is_passing() || (within(message.body()) && message.parts().all(|(bytes, _)| within(bytes)))
}

fn corrupt(sides: &Sides, step: &Step) {
    match step {
        Step::Field(field, value) => {
            let (offset, len) = FIELDS[*field];
            let at = (sides.oldest() + offset - DATA) % RING + DATA;
            sides.overwrite(at, &value.to_ne_bytes()[..len]);
        }
        Step::Cursor(written, value) => sides.overwrite(if *written { 0 } else { 64 }, &value.to_ne_bytes()),
        Step::Bytes(at, bytes) => sides.overwrite(*at, bytes),
        Step::Slab(at, bytes) => {
            let file = std::fs::File::from(sides.slabs.try_clone().expect("a descriptor"));
            let len = file.metadata().expect("a length").len();
            if len > 64 {
                file.write_all_at(bytes, at % (len - 64)).expect("it is long enough");
            }
        }
        Step::Send(..) | Step::Receive => {}
    }
}

/// Sends, unless the sender has found its memory overwritten; whether the letter went.
fn send(sender: &mut Option<Sender>, letter: &Letter) -> bool {
    let Some(side) = sender else { return false };
    match letter.send(side) {
        Ok(sent) => sent,
        Err(error) => {
            assert!(is_clear(&error), "{error:?}");
            *sender = None;
            false
        }
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn nothing_but_an_error_comes_of_memory_that_was_overwritten(steps in steps()) {
        let sides = Sides::new();
        let (mut sender, mut receiver) = (Some(sides.sender()), sides.receiver());
        let mut expected = std::collections::VecDeque::new();
        let (mut whole, mut tag) = (true, 0);
        for step in steps {
            match &step {
                Step::Send(body, parts) => {
                    tag += 1;
                    let letter = Letter::new(tag, *body, parts);
                    if send(&mut sender, &letter) {
                        expected.push_back(letter);
                    }
                }
                Step::Receive => match receiver.receive() {
                    Ok(Some(message)) => {
                        prop_assert!(lies_in_ring(&sides, &message));
                        let letter = Letter::read(&message);
                        if whole {
                            prop_assert_eq!(Some(letter), expected.pop_front());
                        }
                        drop(message);
                        receiver.pass();
                    }
                    Ok(None) => prop_assert!(!whole || expected.is_empty()),
                    Err(error) => {
                        prop_assert!(!whole && is_clear(&error), "{:?}", error);
                        break; // whoever reads nonsense reads no more
                    }
                },
                _ => {
                    whole = false;
                    corrupt(&sides, &step);
                }
            }
        }
    }

    #[test]
    fn a_sender_survives_a_receiver_that_writes_nonsense(steps in steps()) {
        let sides = Sides::new();
        let mut sender = Some(sides.sender());
        for (tag, step) in steps.iter().enumerate() {
            match step {
                Step::Send(body, parts) => {
                    send(&mut sender, &Letter::new(tag as u64, *body, parts));
                }
                _ => corrupt(&sides, step),
            }
            let Some(side) = &mut sender else { break };
            if let Err(error) = side.is_drained() {
                prop_assert!(error.to_string().starts_with("shared memory was"));
                break;
            }
            side.arena().shrink();
        }
    }
}
