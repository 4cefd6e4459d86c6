//! A 4-ary implicit heap (D. B. Johnson, "Priority queues with update and finding minimum spanning trees", 1975): the
//! children of `i` are `4i + 1` to `4i + 4`, so that a level costs one or two cache lines and there are half as many levels
//! as in a binary heap.
//!
//! Removing goes bottom-up (I. Wegener, "BOTTOM-UP-HEAPSORT", 1993): the gap at the top travels to a leaf along the
//! smallest children, and what fills it, which came from a leaf and mostly belongs near one, climbs from there.

use super::entry::Entry;

const ARITY: usize = 4;

#[derive(Clone, Debug)]
pub(super) struct Heap<T> {
    entries: Vec<Entry<T>>,
}

impl<T> Heap<T> {
    pub(super) const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Builds a heap of entries in any order, in linear time.
    pub(super) fn of(mut entries: Vec<Entry<T>>) -> Self {
        for at in (0..entries.len().div_ceil(ARITY)).rev() {
            sift_down(&mut entries, at);
        }
        Self { entries }
    }

    pub(super) fn into_entries(self) -> Vec<Entry<T>> {
        self.entries
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    #[inline]
    pub(super) fn first(&self) -> Option<&Entry<T>> {
        self.entries.first()
    }

    #[inline]
    pub(super) fn push(&mut self, entry: Entry<T>) {
        let at = self.entries.len();
        self.entries.push(entry);
        climb(&mut self.entries, at);
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<Entry<T>> {
        if self.entries.is_empty() {
            return None;
        }
        let first = self.entries.swap_remove(0);
        sift_down(&mut self.entries, 0);
        Some(first)
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Entry<T>> {
        self.entries.iter()
    }
}

#[inline]
fn climb<T>(entries: &mut [Entry<T>], at: usize) {
    climb_below(entries, at, 0);
}

/// Moves the entry at `at` up to where it belongs, at most to `top`, one of its ancestors.
#[inline]
fn climb_below<T>(entries: &mut [Entry<T>], mut at: usize, top: usize) {
    while at > top {
        let parent = (at - 1) / ARITY;
        if !entries[at].key.before(entries[parent].key) {
            break;
        }
        entries.swap(at, parent);
        at = parent;
    }
}

/// Moves the entry at `top` to a leaf along the smallest children, and from there up to where it belongs.
#[inline]
fn sift_down<T>(entries: &mut [Entry<T>], top: usize) {
    let mut at = top;
    while let Some(child) = smallest_child(entries, at) {
        entries.swap(at, child);
        at = child;
    }
    climb_below(entries, at, top);
}

#[inline]
fn smallest_child<T>(entries: &[Entry<T>], parent: usize) -> Option<usize> {
    let first = parent * ARITY + 1;
    if let Some([a, b, c, d]) = entries.get(first..first + ARITY) {
        // Two independent comparisons, then one: compiles to conditional moves.
        let (left, left_key) = if b.key.before(a.key) { (1, b.key) } else { (0, a.key) };
        let (right, right_key) = if d.key.before(c.key) { (3, d.key) } else { (2, c.key) };
        return Some(first + if right_key.before(left_key) { right } else { left });
    }
    let mut smallest = first;
    for child in first + 1..entries.len() {
        if entries[child].key.before(entries[smallest].key) {
            smallest = child;
        }
    }
    (first < entries.len()).then_some(smallest)
}
