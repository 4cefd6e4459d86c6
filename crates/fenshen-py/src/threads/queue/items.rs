//! The items of a native queue.

use std::collections::VecDeque;
use std::ffi::{c_int, c_void};

use fenshen_sync::Store;
use pyo3::ffi;

use crate::object::Obj;

/// Which item is the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The oldest.
    Fifo,
    /// The newest.
    Lifo,
    /// The least.
    Priority,
}

/// The items, in the order in which they were put.
pub(crate) struct Items {
    items: VecDeque<Obj>,
    newest: bool,
}

impl Items {
    /// None yet. What asks for the least item is never native.
    pub(crate) fn new(order: Order) -> Items {
        Items { items: VecDeque::new(), newest: order == Order::Lifo }
    }

    /// Visits the items for the garbage collector.
    pub(crate) unsafe fn traverse(&self, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        self.items.iter().map(|item| visitor(item.ptr(), arg)).find(|s| *s != 0).unwrap_or(0)
    }

    /// All of them, out of here.
    pub(crate) fn take(&mut self) -> VecDeque<Obj> {
        std::mem::take(&mut self.items)
    }
}

impl Store for Items {
    type Item = Obj;

    #[inline]
    fn put(&mut self, item: Obj) {
        self.items.push_back(item);
    }

    #[inline]
    fn get(&mut self) -> Option<Obj> {
        if self.newest { self.items.pop_back() } else { self.items.pop_front() }
    }

    fn put_back(&mut self, item: Obj) {
        if self.newest {
            self.items.push_back(item);
        } else {
            self.items.push_front(item);
        }
    }

    #[inline]
    fn len(&self) -> usize {
        self.items.len()
    }
}
