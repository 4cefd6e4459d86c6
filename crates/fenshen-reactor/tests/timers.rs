//! `Timers` against a model that sorts.
#![allow(clippy::unwrap_used)]

use fenshen_reactor::Timers;
use proptest::prelude::*;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The same promises, kept by a stable sort.
#[derive(Default)]
struct Model {
    /// Deadline and number, in order of arrival.
    entries: Vec<(f64, u32)>,
}

impl Model {
    fn push(&mut self, when: f64, value: u32) {
        let when = if when.is_nan() { f64::NEG_INFINITY } else { when };
        // A stable place: behind all that are not later.
        let at = self.entries.partition_point(|entry| entry.0 <= when);
        self.entries.insert(at, (when, value));
    }

    fn next(&self) -> Option<f64> {
        self.entries.first().map(|entry| entry.0)
    }

    fn pop_due(&mut self, now: f64) -> Option<u32> {
        if self.next()? <= now { Some(self.entries.remove(0).1) } else { None }
    }
}

#[derive(Clone, Debug)]
enum Op {
    Push(f64),
    PushAgain,
    PopDue(f64),
    Pop,
    Cancel(prop::sample::Index),
    Compact,
    Drain,
}

fn deadline() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => (0..20_u8).prop_map(f64::from),
        3 => -1e3..1e3,
        1 => prop::num::f64::ANY,
        1 => prop::sample::select(vec![f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, f64::MAX]),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => deadline().prop_map(Op::Push),
        10 => Just(Op::PushAgain),
        10 => deadline().prop_map(Op::PopDue),
        5 => Just(Op::Pop),
        5 => any::<prop::sample::Index>().prop_map(Op::Cancel),
        1 => Just(Op::Compact),
        1 => prop::bool::weighted(0.1).prop_map(|all| if all { Op::Drain } else { Op::Compact }),
    ]
}

#[derive(Default)]
struct Both {
    timers: Timers<u32>,
    model: Model,
    cancelled: HashSet<u32>,
    pushed: u32,
    last: f64,
}

impl Both {
    fn push(&mut self, when: f64) {
        self.timers.push(when, self.pushed);
        self.model.push(when, self.pushed);
        self.pushed += 1;
        self.last = when;
    }

    fn popped(&mut self, ours: Option<u32>, theirs: Option<u32>) {
        assert_eq!(ours, theirs);
        if ours.is_some_and(|value| self.cancelled.remove(&value)) {
            self.timers.forget_cancelled();
        }
    }

    fn cancel(&mut self, index: prop::sample::Index) {
        if self.model.entries.is_empty() {
            return;
        }
        let value = self.model.entries[index.index(self.model.entries.len())].1;
        if self.cancelled.insert(value) {
            self.timers.note_cancelled();
        }
    }

    fn compact(&mut self) {
        let removed: HashSet<u32> = self.timers.compact(|value| self.cancelled.contains(value)).into_iter().collect();
        assert_eq!(removed, self.cancelled);
        self.model.entries.retain(|entry| !removed.contains(&entry.1));
        self.cancelled.clear();
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Push(when) => self.push(when),
            Op::PushAgain => self.push(self.last),
            Op::PopDue(now) => {
                let (ours, theirs) = (self.timers.pop_due(now), self.model.pop_due(now));
                self.popped(ours, theirs);
            }
            Op::Pop => {
                let (ours, theirs) = (self.timers.pop(), self.model.pop_due(f64::INFINITY));
                self.popped(ours, theirs);
            }
            Op::Cancel(index) => self.cancel(index),
            Op::Compact => self.compact(),
            Op::Drain => {
                let mut all = self.timers.drain();
                all.sort_unstable();
                let mut expected: Vec<u32> = self.model.entries.drain(..).map(|entry| entry.1).collect();
                expected.sort_unstable();
                assert_eq!(all, expected);
                self.cancelled.clear();
            }
        }
        assert_eq!(self.timers.next(), self.model.next());
        assert_eq!(self.timers.peek().map(|(when, value)| (when, *value)), self.model.entries.first().copied());
        assert_eq!(self.timers.len(), self.model.entries.len());
        assert_eq!(self.timers.is_empty(), self.model.entries.is_empty());
        assert_eq!(self.timers.cancelled(), self.cancelled.len());
        assert_eq!(self.timers.iter().count(), self.timers.len());
    }

    fn finish(mut self) {
        while let Some(value) = self.timers.pop() {
            assert_eq!(Some(value), self.model.pop_due(f64::INFINITY));
        }
        assert!(self.model.entries.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn does_what_the_model_does(ops in prop::collection::vec(op(), 0..200)) {
        let mut both = Both::default();
        for op in ops {
            both.apply(op);
        }
        both.finish();
    }

    /// One sweep of a heap several levels deep: the first deadline, being the last to fire, keeps the rest out of the run.
    #[test]
    fn sweeps(deadlines in prop::collection::vec((deadline(), any::<bool>()), 0..500)) {
        let mut both = Both::default();
        both.push(f64::INFINITY);
        both.push(f64::INFINITY);
        for (when, cancel) in deadlines {
            both.push(when);
            if cancel {
                both.cancelled.insert(both.pushed - 1);
                both.timers.note_cancelled();
            }
        }
        both.compact();
        both.finish();
    }

    #[test]
    fn sorts(deadlines in prop::collection::vec(deadline(), 0..500)) {
        let mut both = Both::default();
        for when in deadlines {
            both.push(when);
        }
        both.finish();
    }
}

#[test]
fn nan_is_due_at_once_and_disturbs_nothing() {
    let mut timers = Timers::new();
    for when in [3.0, f64::NAN, 1.0, f64::NAN, 2.0] {
        timers.push(when, when);
    }
    assert!(timers.pop_due(0.0).unwrap().is_nan());
    assert!(timers.pop_due(f64::NEG_INFINITY).unwrap().is_nan());
    assert_eq!(timers.pop_due(f64::NAN), None, "no deadline is before NaN");
    assert_eq!([timers.pop(), timers.pop(), timers.pop()], [Some(1.0), Some(2.0), Some(3.0)]);
}

#[test]
fn a_sweep_waits_until_it_is_worth_it() {
    let mut timers = Timers::new();
    for n in 0..300 {
        timers.push(1.0, n);
    }
    for _ in 0..150 {
        timers.note_cancelled();
    }
    assert!(!timers.should_compact(), "half are alive");
    timers.note_cancelled();
    assert!(timers.should_compact());
    timers.forget_cancelled();
    assert!(!timers.should_compact());
    assert_eq!(timers.compact(|n| n % 2 == 0).len(), 150);
    assert_eq!(timers.cancelled(), 0);
    assert_eq!(timers.pop(), Some(1));
}

#[test]
fn few_entries_are_never_swept() {
    let mut timers = Timers::new();
    for n in 0..100 {
        timers.push(1.0, n);
        timers.note_cancelled();
    }
    assert!(!timers.should_compact());
}

#[test]
fn a_panic_in_a_sweep_changes_nothing() {
    let mut timers = Timers::new();
    for n in [5, 1, 4, 2, 3, 9, 7] {
        timers.push(f64::from(n), n);
    }
    let sweep = catch_unwind(AssertUnwindSafe(|| {
        timers.compact(|n| {
            assert_ne!(*n, 3);
            true
        })
    }));
    assert!(sweep.is_err());
    let order: Vec<_> = std::iter::from_fn(|| timers.pop()).collect();
    assert_eq!(order, [1, 2, 3, 4, 5, 7, 9]);
}

#[test]
fn uncounting_more_than_was_counted_is_harmless() {
    let mut timers: Timers<()> = Timers::default();
    timers.forget_cancelled();
    assert_eq!(timers.cancelled(), 0);
}
