//! What a queue keeps its items in, against the plain things.
#![cfg(not(any(loom, shuttle)))]

use std::collections::VecDeque;

use fenshen_sync::{Fifo, Lifo, Priority, Ring, Store};
use proptest::prelude::*;

const ROOM: usize = 5;

#[derive(Clone, Copy, Debug)]
enum Step {
    Put(u8),
    Get,
    /// Takes one and puts it back.
    PutBack,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![2 => any::<u8>().prop_map(Step::Put), 1 => Just(Step::Get), 1 => Just(Step::PutBack)];
    prop::collection::vec(step, 1..50)
}

/// Runs the steps, and tells what came out; `next` takes the next one out of the plain thing.
fn run(mut store: impl Store<Item = u8>, steps: &[Step], next: fn(&mut VecDeque<u8>) -> Option<u8>) {
    let mut plain = VecDeque::new();
    for step in steps {
        match *step {
            Step::Put(item) if plain.len() < ROOM => {
                store.put(item);
                plain.push_back(item);
            }
            Step::Put(_) => {}
            Step::Get => assert_eq!(store.get(), next(&mut plain)),
            Step::PutBack => {
                if let Some(item) = store.get() {
                    store.put_back(item);
                }
            }
        }
        assert_eq!((store.len(), store.is_empty()), (plain.len(), plain.is_empty()));
    }
    while let Some(item) = next(&mut plain) {
        assert_eq!(store.get(), Some(item));
    }
    assert_eq!(store.get(), None);
}

fn least(plain: &mut VecDeque<u8>) -> Option<u8> {
    let (at, _) = plain.iter().enumerate().min_by_key(|&(_, item)| item)?;
    plain.remove(at)
}

proptest! {
    #[test]
    fn keep_their_order(steps in steps()) {
        run(Ring::<u8, ROOM>::default(), &steps, VecDeque::pop_front);
        run(Fifo::default(), &steps, VecDeque::pop_front);
        run(Lifo::default(), &steps, VecDeque::pop_back);
        run(Priority::default(), &steps, least);
    }
}
