//! The list of waiters against a plain double-ended queue, and the same list at two addresses.
#![cfg(not(any(loom, shuttle)))]

use std::collections::VecDeque;

use fenshen_sync::{Grant, Scope, WaitList, Waiter, Wake};
use proptest::prelude::*;

const MOST: usize = 8;

#[derive(Clone, Copy, Debug)]
enum Step {
    PushBack(usize),
    PushFront(usize),
    Remove(usize),
    Away(usize),
    Back(usize),
    Pop,
    Claim,
}

fn step() -> impl Strategy<Value = Step> {
    let one = 0..MOST;
    prop_oneof![
        3 => one.clone().prop_map(Step::PushBack),
        1 => one.clone().prop_map(Step::PushFront),
        2 => one.clone().prop_map(Step::Remove),
        1 => one.clone().prop_map(Step::Away),
        1 => one.prop_map(Step::Back),
        1 => Just(Step::Pop),
        2 => Just(Step::Claim),
    ]
}

/// What a waiter that is in the list does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Waits,
    Away,
    Missed,
}

/// The list, and what it should be.
struct Pair {
    list: WaitList,
    waiters: Vec<Waiter>,
    model: VecDeque<(usize, Place)>,
}

impl Pair {
    fn new() -> Pair {
        let waiters = (0..MOST).map(|n| Waiter::new(n as u32 + 1, Wake::Thread)).collect();
        Pair { list: WaitList::new(Scope::Process), waiters, model: VecDeque::new() }
    }

    fn at(&self, n: usize) -> Option<usize> {
        self.model.iter().position(|&(m, _)| m == n)
    }

    /// A waiter that was taken out is told so, and may be put in again.
    fn settle(&self, got: *const Waiter, expected: Option<usize>) {
        match expected {
            None => assert!(got.is_null()),
            Some(n) => {
                assert!(std::ptr::eq(got, &raw const self.waiters[n]));
                // SAFETY: it is alive, and was in the list until now.
                unsafe { Waiter::grant(got, Grant::GIVEN) };
                assert_eq!(self.waiters[n].granted(), Some(Grant::GIVEN));
            }
        }
    }

    /// # Safety
    /// Nobody else uses the list; the waiters outlive it.
    unsafe fn apply(&mut self, step: Step) {
        match step {
            Step::PushBack(n) if self.at(n).is_none() => {
                // SAFETY: the waiter is in no list.
                unsafe { self.list.push_back(&self.waiters[n]) };
                self.model.push_back((n, Place::Waits));
            }
            Step::PushFront(n) if self.at(n).is_none() => {
                // SAFETY: the waiter is in no list.
                unsafe { self.list.push_front(&self.waiters[n]) };
                self.model.push_front((n, Place::Waits));
            }
            Step::PushBack(_) | Step::PushFront(_) => {}
            Step::Remove(n) => {
                // SAFETY: it is in this list or in none.
                let was_in = unsafe { self.list.remove(&self.waiters[n]) };
                assert_eq!(was_in, self.at(n).and_then(|at| self.model.remove(at)).is_some());
            }
            Step::Away(n) => {
                let at = self.at(n).filter(|&at| self.model[at].1 == Place::Waits);
                if let Some(at) = at {
                    assert!(self.waiters[n].away());
                    self.model[at].1 = Place::Away;
                }
            }
            Step::Back(n) => match self.at(n).map(|at| (at, self.model[at].1)) {
                Some((at, Place::Away)) => {
                    assert!(self.waiters[n].back());
                    self.model[at].1 = Place::Waits;
                }
                Some((_, Place::Missed)) => assert!(!self.waiters[n].back()),
                _ => {}
            },
            Step::Pop => {
                // SAFETY: as promised; `settle` grants.
                let got = unsafe { self.list.pop() };
                let expected = self.model.pop_front().map(|(n, _)| n);
                self.settle(got, expected);
            }
            Step::Claim => {
                // SAFETY: as promised; `settle` grants.
                let got = unsafe { self.list.claim() };
                let at = self.model.iter().position(|&(_, place)| place == Place::Waits);
                let passed = at.unwrap_or(self.model.len());
                self.model.iter_mut().take(passed).for_each(|(_, place)| *place = Place::Missed);
                let expected = at.and_then(|at| self.model.remove(at)).map(|(n, _)| n);
                self.settle(got, expected);
            }
        }
    }

    fn check(&self) {
        assert_eq!(self.list.len(), self.model.len());
        assert_eq!(self.list.is_empty(), self.model.is_empty());
        let first = self.model.front().map_or(std::ptr::null(), |&(n, _)| &raw const self.waiters[n]);
        assert!(std::ptr::eq(self.list.first(), first));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn does_what_a_plain_queue_does(steps in prop::collection::vec(step(), 1..60)) {
        let mut pair = Pair::new();
        for step in steps {
            // SAFETY: the pair is this test's, and its waiters go with it.
            unsafe { pair.apply(step) };
            pair.check();
        }
        // What is left comes out in order.
        while !pair.model.is_empty() {
            // SAFETY: as above.
            unsafe { pair.apply(Step::Pop) };
            pair.check();
        }
    }
}

#[test]
fn one_who_is_granted_something_cannot_leave_its_place() {
    let (list, waiter) = (WaitList::new(Scope::Process), Waiter::new(1, Wake::Thread));
    // SAFETY: both are this test's.
    unsafe {
        list.push_back(&waiter);
        assert!(std::ptr::eq(list.claim(), &raw const waiter));
        assert!(!waiter.away());
        Waiter::grant(&waiter, Grant::RETRY);
    }
    assert!(!waiter.away());
    assert_eq!(waiter.granted(), Some(Grant::RETRY));
}

#[test]
fn a_poke_is_told_once_and_grants_nothing() {
    let waiter = Waiter::new(1, Wake::Thread);
    waiter.poke();
    waiter.poke();
    assert!(waiter.poked());
    assert!(!waiter.poked());
    assert_eq!(waiter.granted(), None);
}
