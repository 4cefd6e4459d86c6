//! What a [`Queue`](crate::Queue) keeps its items in, and so which of them is next.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Keeps items. It is only used by one thread at a time, for a few instructions: it must not block.
pub trait Store {
    /// What it keeps.
    type Item;

    /// Puts an item in.
    fn put(&mut self, item: Self::Item);

    /// Takes the next one out.
    fn get(&mut self) -> Option<Self::Item>;

    /// Puts an item in that was taken out, and was not used after all: it is the next one again, as far as the order
    /// allows. The queue may be full by then.
    fn put_back(&mut self, item: Self::Item);

    /// How many it keeps.
    fn len(&self) -> usize;

    /// Whether it keeps none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The oldest item is next.
#[derive(Clone, Debug)]
pub struct Fifo<T>(VecDeque<T>);

impl<T> Default for Fifo<T> {
    fn default() -> Fifo<T> {
        Fifo(VecDeque::new())
    }
}

impl<T> Store for Fifo<T> {
    type Item = T;

    #[inline]
    fn put(&mut self, item: T) {
        self.0.push_back(item);
    }

    #[inline]
    fn get(&mut self) -> Option<T> {
        self.0.pop_front()
    }

    fn put_back(&mut self, item: T) {
        self.0.push_front(item);
    }

    #[inline]
    fn len(&self) -> usize {
        self.0.len()
    }
}

/// The newest item is next.
#[derive(Clone, Debug)]
pub struct Lifo<T>(Vec<T>);

impl<T> Default for Lifo<T> {
    fn default() -> Lifo<T> {
        Lifo(Vec::new())
    }
}

impl<T> Store for Lifo<T> {
    type Item = T;

    #[inline]
    fn put(&mut self, item: T) {
        self.0.push(item);
    }

    #[inline]
    fn get(&mut self) -> Option<T> {
        self.0.pop()
    }

    fn put_back(&mut self, item: T) {
        self.0.push(item);
    }

    #[inline]
    fn len(&self) -> usize {
        self.0.len()
    }
}

/// The least item is next: a binary heap (J. W. J. Williams, "Algorithm 232: Heapsort", Communications of the ACM 7(6),
/// 1964).
#[derive(Clone, Debug)]
pub struct Priority<T>(BinaryHeap<Reverse<T>>);

impl<T: Ord> Default for Priority<T> {
    fn default() -> Priority<T> {
        Priority(BinaryHeap::new())
    }
}

impl<T: Ord> Store for Priority<T> {
    type Item = T;

    fn put(&mut self, item: T) {
        self.0.push(Reverse(item));
    }

    fn get(&mut self) -> Option<T> {
        self.0.pop().map(|Reverse(item)| item)
    }

    fn put_back(&mut self, item: T) {
        self.put(item);
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}
