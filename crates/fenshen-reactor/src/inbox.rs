//! A queue from many threads to one: a Treiber stack that the consumer takes whole.
//!
//! Producers push nodes onto a linked stack with a compare-and-swap on its head (R. K. Treiber, "Systems Programming:
//! Coping with Parallelism", IBM RJ 5118, 1986). The consumer never pops a single node: it swaps the head for null and
//! owns the whole chain, newest first, which it reverses before it yields anything. Because no node is ever taken from a
//! stack that others can still see, the ABA problem of Treiber's pop does not arise, and no node needs protection from
//! reclamation.
//!
//! Items of one producer come out in the order it pushed them, and all items in the order of their compare-and-swaps.

use crate::sync::{AtomicPtr, Ordering, UnsafeCell};
use std::fmt;
use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::ptr;

struct Node<T> {
    /// Written before the node is published, read by whoever took the chain.
    value: UnsafeCell<T>,
    /// The node pushed before this one. Written by the producer while the node is its own, then by the consumer.
    next: UnsafeCell<*mut Node<T>>,
}

/// A lock-free queue: any thread pushes, the loop takes everything at once.
///
/// Values only move through it, never behind a shared reference, so they need to be `Send` and not `Sync`.
///
/// ```
/// use fenshen_reactor::Inbox;
///
/// let inbox = Inbox::new();
/// inbox.push(1);
/// inbox.push(2);
/// assert_eq!(inbox.drain().collect::<Vec<_>>(), [1, 2]);
/// assert!(inbox.is_empty());
/// ```
pub struct Inbox<T: Send> {
    /// The newest node, or null. Every node that can be reached from here is owned by the inbox.
    head: AtomicPtr<Node<T>>,
}

impl<T: Send> Inbox<T> {
    /// An empty inbox.
    #[must_use]
    pub fn new() -> Self {
        Self { head: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Adds `value` behind everything that is in the inbox; returns whether it was empty.
    ///
    /// Any thread may call it, but no signal handler: it allocates. When it returns `false`, an earlier push is still waiting to be drained, and so is the
    /// wake-up of whoever made it: only a push into an empty inbox needs to wake the loop.
    #[inline]
    pub fn push(&self, value: T) -> bool {
        let node =
            Box::into_raw(Box::new(Node { value: UnsafeCell::new(value), next: UnsafeCell::new(ptr::null_mut()) }));
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // SAFETY: `node` comes from `Box::into_raw` above and isn't published yet.
            unsafe { (*node).next.with_mut(|next| *next = head) };
            // SeqCst, and not only Release: see the header of `sleep`.
            match self.head.compare_exchange_weak(head, node, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => return head.is_null(),
                Err(newer) => head = newer,
            }
        }
    }

    /// Takes all that has been pushed so far; the oldest comes first.
    ///
    /// The items are the iterator's from now on: what is pushed meanwhile stays for the next drain, and dropping the
    /// iterator drops what it has not yielded.
    #[inline]
    pub fn drain(&self) -> Drain<T> {
        // SeqCst and not only Acquire: the order of the inbox's operations and of `SleepState`'s is one.
        Drain::of_stack(self.head.swap(ptr::null_mut(), Ordering::SeqCst))
    }

    /// Whether nothing waits here. One load: cheap enough for every turn of a loop.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.head.load(Ordering::SeqCst).is_null()
    }
}

impl<T: Send> Default for Inbox<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Send> Drop for Inbox<T> {
    fn drop(&mut self) {
        drop(self.drain());
    }
}

impl<T: Send> fmt::Debug for Inbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("is_empty", &self.is_empty()).finish()
    }
}

/// The items of one [`Inbox::drain`], oldest first.
pub struct Drain<T> {
    /// The node to yield next, or null. Owned, as is all that follows it.
    next: *mut Node<T>,
    /// How many nodes there are from `next` on.
    len: usize,
    owns: PhantomData<T>,
}

// SAFETY: a drain owns its nodes and hands out their values by move only.
unsafe impl<T: Send> Send for Drain<T> {}
// SAFETY: nothing can be reached through a shared reference but the length.
unsafe impl<T: Send> Sync for Drain<T> {}

impl<T> Drain<T> {
    /// Reverses a chain that is exclusively ours.
    fn of_stack(mut newest: *mut Node<T>) -> Self {
        let mut oldest = ptr::null_mut();
        let mut len = 0;
        while !newest.is_null() {
            // SAFETY: `newest` was published by a push and unlinked with the whole chain by a swap, so that nobody else
            // can reach it; the push's store synchronises with the swap's load, by itself or through the release
            // sequence of the later pushes.
            let older = unsafe { (*newest).next.with_mut(|next| std::mem::replace(&mut *next, oldest)) };
            oldest = newest;
            newest = older;
            len += 1;
        }
        Self { next: oldest, len, owns: PhantomData }
    }
}

impl<T> Iterator for Drain<T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        if self.next.is_null() {
            return None;
        }
        // SAFETY: the chain is ours, each of its nodes came from `Box::into_raw`, and `next` moves past this one.
        let node = unsafe { Box::from_raw(self.next) };
        let Node { value, next } = *node;
        self.next = next.into_inner();
        self.len -= 1;
        Some(value.into_inner())
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len, Some(self.len))
    }
}

impl<T> ExactSizeIterator for Drain<T> {}
impl<T> FusedIterator for Drain<T> {}

impl<T> Drop for Drain<T> {
    fn drop(&mut self) {
        /// Drops what is left also when dropping one item panicked.
        struct Rest<'a, T>(&'a mut Drain<T>);

        impl<T> Drop for Rest<'_, T> {
            fn drop(&mut self) {
                self.0.for_each(drop);
            }
        }

        Rest(self).0.for_each(drop);
    }
}

impl<T> fmt::Debug for Drain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").field("len", &self.len).finish()
    }
}
