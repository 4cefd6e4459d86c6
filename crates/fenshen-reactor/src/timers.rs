//! Deadlines, earliest first: a sorted run beside a 4-ary heap.
//!
//! Programs mostly set timers in the order in which they will fire: the same timeout, again and again. A deadline that is
//! not before the last one of the run is appended to it, and both setting and firing it take constant time; any other
//! goes to a [4-ary heap](https://en.wikipedia.org/wiki/D-ary_heap). The earliest is at one of the two fronts. One
//! distant deadline must not send everything after it to the heap, so a run of one entry gives it up to the heap for an
//! earlier one.
//!
//! Cancelling is lazy: the entry stays, its owner counts it with [`Timers::note_cancelled`], and sweeps when most are
//! dead. There is no unsafe code here: moves by `swap` measured as fast as raw ones.

mod entry;
mod heap;
mod key;

use entry::Entry;
use heap::Heap;
use key::Key;
use std::collections::VecDeque;

/// So few dead entries are not worth a sweep.
const FEW: usize = 100;

/// Deadlines in seconds of any one clock, each with a value; equal deadlines come out in the order they went in.
///
/// A deadline that is NaN counts as minus infinity: it is due at once, and disturbs no other.
///
/// ```
/// use fenshen_reactor::Timers;
///
/// let mut timers = Timers::new();
/// timers.push(2.0, "b");
/// timers.push(1.0, "a");
/// timers.push(2.0, "c");
/// assert_eq!(timers.next(), Some(1.0));
/// assert_eq!(timers.pop_due(1.5), Some("a"));
/// assert_eq!(timers.pop_due(1.5), None);
/// assert_eq!([timers.pop(), timers.pop(), timers.pop()], [Some("b"), Some("c"), None]);
/// ```
#[derive(Clone, Debug)]
pub struct Timers<T> {
    /// Sorted. Whatever is not before its last entry may be appended.
    run: VecDeque<Entry<T>>,
    /// Everything else.
    heap: Heap<T>,
    /// The number of the next push.
    seq: u64,
    /// How many entries of both are known to be cancelled.
    dead: usize,
}

impl<T> Timers<T> {
    /// No deadlines, and no memory taken.
    #[must_use]
    pub const fn new() -> Self {
        Self { run: VecDeque::new(), heap: Heap::new(), seq: 0, dead: 0 }
    }

    /// Adds a deadline.
    #[inline]
    pub fn push(&mut self, when: f64, value: T) {
        let key = Key::new(when, self.seq);
        self.seq += 1;
        let entry = Entry { key, value };
        match self.run.back_mut() {
            Some(last) if key.before(last.key) => {
                let later = if self.run.len() == 1 { std::mem::replace(&mut self.run[0], entry) } else { entry };
                self.heap.push(later);
            }
            _ => self.run.push_back(entry),
        }
    }

    /// The earliest deadline, cancelled or not. It is never NaN.
    #[inline]
    #[must_use]
    pub fn next(&self) -> Option<f64> {
        self.first().map(|entry| entry.key.when())
    }

    /// The earliest deadline, cancelled or not, and its value.
    #[inline]
    #[must_use]
    pub fn peek(&self) -> Option<(f64, &T)> {
        self.first().map(|entry| (entry.key.when(), &entry.value))
    }

    /// Takes the earliest value if its deadline is `now` or earlier. If it was a cancelled one, say so with
    /// [`forget_cancelled`](Self::forget_cancelled).
    #[inline]
    pub fn pop_due(&mut self, now: f64) -> Option<T> {
        if self.next()? <= now { self.pop() } else { None }
    }

    /// Takes the earliest value, whatever its deadline.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        let entry = if self.run_is_first() { self.run.pop_front() } else { self.heap.pop() };
        entry.map(|entry| entry.value)
    }

    /// How many entries there are, cancelled ones too.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.run.len() + self.heap.len()
    }

    /// Whether there are no entries.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Counts one entry as cancelled. It stays where it is.
    #[inline]
    pub fn note_cancelled(&mut self) {
        self.dead += 1;
    }

    /// Uncounts a cancelled entry that was popped.
    #[inline]
    pub fn forget_cancelled(&mut self) {
        self.dead = self.dead.saturating_sub(1);
    }

    /// How many entries are counted as cancelled.
    #[inline]
    #[must_use]
    pub fn cancelled(&self) -> usize {
        self.dead
    }

    /// Whether more than half of the entries, and more than a hundred, are cancelled: then a sweep costs less than it
    /// saves.
    #[inline]
    #[must_use]
    pub fn should_compact(&self) -> bool {
        self.dead > FEW && self.dead > self.len() / 2
    }

    /// Sweeps: takes the values of which `dead` is true, in no particular order, and counts none as cancelled any more.
    ///
    /// The values are returned rather than dropped, because dropping one may run code that comes back to these timers.
    /// If `dead` panics, nothing has changed.
    ///
    /// ```
    /// use fenshen_reactor::Timers;
    ///
    /// let mut timers: Timers<u32> = Timers::new();
    /// for n in 0..300 {
    ///     timers.push(f64::from(n % 7), n);
    /// }
    /// for _ in 0..200 {
    ///     timers.note_cancelled();
    /// }
    /// assert!(timers.should_compact());
    /// assert_eq!(timers.compact(|n| *n < 200).len(), 200);
    /// assert_eq!(timers.len(), 100);
    /// ```
    pub fn compact(&mut self, mut dead: impl FnMut(&T) -> bool) -> Vec<T> {
        // The caller's code is done before anything moves.
        let doomed: Vec<bool> = self.entries().map(|entry| dead(&entry.value)).collect();
        let mut doomed = doomed.into_iter();
        let mut removed = Vec::new();
        let mut keep = |entry: Entry<T>| {
            if doomed.next() == Some(true) {
                removed.push(entry.value);
                None
            } else {
                Some(entry)
            }
        };
        self.run = std::mem::take(&mut self.run).into_iter().filter_map(&mut keep).collect();
        let heap = std::mem::replace(&mut self.heap, Heap::new());
        self.heap = Heap::of(heap.into_entries().into_iter().filter_map(&mut keep).collect());
        self.dead = 0;
        removed
    }

    /// Takes every value, in no particular order, and gives the memory back.
    pub fn drain(&mut self) -> Vec<T> {
        let all = std::mem::take(self);
        let heap = all.heap.into_entries();
        all.run.into_iter().chain(heap).map(|entry| entry.value).collect()
    }

    /// Every deadline and value, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (f64, &T)> {
        self.entries().map(|entry| (entry.key.when(), &entry.value))
    }

    fn entries(&self) -> impl Iterator<Item = &Entry<T>> {
        self.run.iter().chain(self.heap.iter())
    }

    #[inline]
    fn run_is_first(&self) -> bool {
        match (self.run.front(), self.heap.first()) {
            (Some(run), Some(heap)) => run.key.before(heap.key),
            (_, None) => true,
            (None, _) => false,
        }
    }

    #[inline]
    fn first(&self) -> Option<&Entry<T>> {
        if self.run_is_first() { self.run.front() } else { self.heap.first() }
    }
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self::new()
    }
}
