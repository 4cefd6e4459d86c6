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

/// The oldest item is next, and all lie in the ring itself, of up to `N`: for shared memory.
///
/// An item may be [put back](Store::put_back) when the queue is full again, so `N` is to be the queue's limit and one more
/// for each thread that may be getting one at a time.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Ring<T, const N: usize> {
    first: usize,
    len: usize,
    items: [Option<T>; N],
}

impl<T, const N: usize> Default for Ring<T, N> {
    fn default() -> Ring<T, N> {
        Ring { first: 0, len: 0, items: std::array::from_fn(|_| None) }
    }
}

impl<T, const N: usize> Store for Ring<T, N> {
    type Item = T;

    /// # Panics
    /// If there are `N` already.
    #[inline]
    fn put(&mut self, item: T) {
        assert!(self.len < N, "the ring is smaller than its queue");
        self.items[(self.first + self.len) % N] = Some(item);
        self.len += 1;
    }

    #[inline]
    fn get(&mut self) -> Option<T> {
        if self.len == 0 {
            return None;
        }
        let at = self.first;
        self.first = (at + 1) % N;
        self.len -= 1;
        self.items[at].take()
    }

    /// # Panics
    /// If there are `N` already.
    fn put_back(&mut self, item: T) {
        assert!(self.len < N, "the ring is smaller than its queue");
        self.first = (self.first + N - 1) % N;
        self.len += 1;
        self.items[self.first] = Some(item);
    }

    #[inline]
    fn len(&self) -> usize {
        self.len
    }
}
