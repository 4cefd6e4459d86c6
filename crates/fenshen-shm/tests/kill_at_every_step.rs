//! One side of a channel is stopped after each of its instructions, as a kill would stop it: what it leaves in the shared
//! memory is whole messages, or none, and the other side goes on.

#[path = "sides/mod.rs"]
mod sides;
#[path = "stepping/mod.rs"]
mod stepping;

use fenshen_shm::Receiver;
use sides::{Letter, Sides};

/// In the ring, in a slab, with parts in the ring, with parts in a slab, in the ring.
fn letters() -> Vec<Letter> {
    let shapes: [(usize, &[usize]); 5] = [(40, &[]), (9000, &[]), (10, &[100, 64]), (5, &[8300, 1]), (200, &[])];
    (1..).zip(shapes).map(|(tag, (body, parts))| Letter::new(tag, body, parts)).collect()
}

fn next(receiver: &mut Receiver) -> Option<Letter> {
    let letter = receiver.receive().expect("whole").map(|message| Letter::read(&message));
    if letter.is_some() {
        receiver.pass();
    }
    letter
}

fn note(stepped: Option<&stepping::Stepped>) {
    if stepped.is_none() {
        eprintln!("skipped: processes must not be traced here");
    }
}

#[test]
fn a_sender_that_is_killed_has_sent_whole_messages() {
    let (sides, letters) = (Sides::new(), letters());
    let (mut seen, mut sent, mut states) = (Vec::new(), 0, 0);
    let stepped = stepping::run(
        || {
            let mut sender = sides.sender();
            letters.iter().for_each(|letter| assert!(letter.send(&mut sender).expect("whole")));
        },
        |_, _| {
            if sides.bytes() != seen {
                (seen, states) = (sides.bytes().to_vec(), states + 1);
                let mut receiver = sides.copied().receiver();
                let found = std::iter::from_fn(|| next(&mut receiver)).collect::<Vec<_>>();
                assert!(found.len() >= sent && found == letters[..found.len()]);
                sent = found.len();
            }
            true
        },
    );
    note(stepped.as_ref());
    assert!(stepped.is_none_or(|s| s.ended && s.steps > 1000 && states > 20 && sent == letters.len()));
}

fn sent_to(sides: &Sides, letters: &[Letter]) -> fenshen_shm::Sender {
    let mut sender = sides.sender();
    letters.iter().for_each(|letter| assert!(letter.send(&mut sender).expect("whole")));
    assert_eq!(sender.arena().used(), 2);
    sender
}

fn receive_all(receiver: &mut Receiver, letters: &[Letter]) {
    for letter in letters {
        let message = receiver.receive().expect("whole").expect("sent");
        assert_eq!((message.tag, message.body().len()), (letter.tag, letter.body.len()));
        drop(message);
        receiver.pass();
    }
}

#[test]
fn a_receiver_that_is_killed_has_given_back_what_it_was_done_with() {
    let (sides, letters) = (Sides::new(), letters());
    let mut sender = sent_to(&sides, &letters);
    let (mut seen, mut used) = (Vec::new(), 2);
    let stepped = stepping::run(
        || receive_all(&mut sides.receiver(), &letters),
        |_, _| {
            if sides.bytes() != seen {
                seen = sides.bytes().to_vec();
                let now = sender.arena().used();
                assert!(now <= used && (now == 0 || !sender.is_drained().expect("whole")));
                used = now;
            }
            true
        },
    );
    note(stepped.as_ref());
    assert!(stepped.is_none_or(|s| s.ended && s.steps > 1000 && used == 0 && sender.is_drained().expect("whole")));
}

#[test]
fn a_sender_goes_on_after_its_receiver_was_killed() {
    let letters = letters();
    for limit in (0..8).map(|n| 17 * 4_u64.pow(n) + u64::from(std::process::id() % 16)) {
        let sides = Sides::new();
        let mut sender = sent_to(&sides, &letters);
        let stepped = stepping::run(|| receive_all(&mut sides.receiver(), &letters), |_, steps| steps < limit);
        note(stepped.as_ref());
        if stepped.is_none_or(|s| s.ended) {
            return;
        }
        // Until the ring is full, and then no more; nothing is written over what was not read.
        let more = (0..10_000).take_while(|_| letters[0].send(&mut sender).expect("whole")).count();
        assert!(more > 0 && more < 10_000);
    }
}
