//! Those who wait at a [`Queue`](crate::Queue), and why they may wait in vain.

use std::fmt;

use crate::park::Failed;
use crate::sync::Cell;
use crate::waiter::{Waiter, Wake};

/// Why there is no item, or no place for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// One would have to wait.
    WouldWait,
    /// The deadline passed.
    TimedOut,
    /// The [`Park`](crate::Park) gave up.
    Interrupted,
    /// The queue is shut down.
    ShutDown,
    /// The queue was [retired](crate::Queue::retire).
    Retired,
}

impl From<Failed> for Refused {
    fn from(failed: Failed) -> Refused {
        match failed {
            Failed::TimedOut => Refused::TimedOut,
            Failed::Interrupted => Refused::Interrupted,
        }
    }
}

/// An item that was not put in, and why.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NotPut<T> {
    /// Why.
    pub why: Refused,
    /// The item.
    pub item: T,
}

impl<T> fmt::Debug for NotPut<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotPut").field("why", &self.why).finish_non_exhaustive()
    }
}

/// One who waits at a queue, with what a putter brings or a getter is given. It must stay where it is while it waits.
#[repr(C)]
pub struct Hand<T> {
    pub(crate) waiter: Waiter,
    /// Guarded by the queue's latch until the waiter is granted something, its owner's afterwards.
    pub(crate) item: Cell<Option<T>>,
}

impl<T> Hand<T> {
    /// An empty hand of `me`.
    #[must_use]
    pub fn new(me: u32, wake: Wake) -> Hand<T> {
        Hand { waiter: Waiter::new(me, wake), item: Cell::new(None) }
    }

    /// The record that stands in line for it.
    #[must_use]
    pub fn waiter(&self) -> &Waiter {
        &self.waiter
    }
}

impl<T> fmt::Debug for Hand<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hand").field("waiter", &self.waiter).finish_non_exhaustive()
    }
}
