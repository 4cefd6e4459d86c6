//! The items of a queue: in a Rust deque, until somebody looks at `_queue` and gets what the standard library has
//! there, a `collections.deque` or a list, which holds the items from then on.

use std::collections::VecDeque;
use std::ffi::{c_int, c_void};

use pyo3::ffi::{self, PyObject};

use crate::errors::raise;
use crate::names::{asyncio, names};
use crate::object::{Obj, Raised, Res, attr, call, call_method, done};

/// Which item is the next one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// The oldest.
    Fifo,
    /// The newest.
    Lifo,
    /// The least.
    Priority,
}

/// The items.
pub(crate) enum Store {
    Native(VecDeque<Obj>),
    /// What `_queue` shows.
    Shown(Obj),
}

impl Store {
    /// An empty one.
    pub(crate) unsafe fn new(order: Order) -> Res<Store> {
        Ok(match order {
            // A heap is ordered by Python's `<`: CPython's own `heapq` does that on a list.
            Order::Priority => Store::Shown(Obj::new(ffi::PyList_New(0))?),
            Order::Fifo | Order::Lifo => Store::Native(VecDeque::new()),
        })
    }

    /// How many items there are.
    #[inline]
    pub(crate) unsafe fn len(s: *mut Store) -> Res<usize> {
        match &*s {
            Store::Native(q) => Ok(q.len()),
            Store::Shown(o) => {
                let o = o.again();
                let len = ffi::PyObject_Size(o.ptr());
                if len < 0 { Err(Raised) } else { Ok(len as usize) }
            }
        }
    }

    /// Whether there is none: the truth of `_queue`.
    #[inline]
    pub(crate) unsafe fn is_empty(s: *mut Store) -> Res<bool> {
        match &*s {
            Store::Native(q) => Ok(q.is_empty()),
            Store::Shown(o) => {
                let truth = ffi::PyObject_IsTrue(o.again().ptr());
                done(truth)?;
                Ok(truth == 0)
            }
        }
    }

    /// `_put(item)`.
    #[inline]
    pub(crate) unsafe fn put(s: *mut Store, order: Order, item: Obj) -> Res<()> {
        match &mut *s {
            Store::Native(q) => q.push_back(item),
            Store::Shown(o) => {
                let o = o.again();
                match order {
                    Order::Priority => call(asyncio().heappush.ptr(), &[o.ptr(), item.ptr()])?,
                    Order::Fifo | Order::Lifo => call_method(&names().append, &[o.ptr(), item.ptr()])?,
                };
            }
        }
        Ok(())
    }

    /// `_get()`; IndexError if there is nothing.
    #[inline]
    pub(crate) unsafe fn get(s: *mut Store, order: Order) -> Res<Obj> {
        let taken = match &mut *s {
            Store::Native(q) => match order {
                Order::Fifo => q.pop_front(),
                Order::Lifo | Order::Priority => q.pop_back(),
            },
            Store::Shown(o) => {
                let o = o.again();
                return match order {
                    Order::Priority => call(asyncio().heappop.ptr(), &[o.ptr()]),
                    Order::Fifo => call_method(&names().popleft, &[o.ptr()]),
                    Order::Lifo => call_method(&names().pop, &[o.ptr()]),
                };
            }
        };
        match taken {
            Some(item) => Ok(item),
            None if order == Order::Fifo => raise(ffi::PyExc_IndexError, "pop from an empty deque"),
            None => raise(ffi::PyExc_IndexError, "pop from empty list"),
        }
    }

    /// A list of the items.
    pub(crate) unsafe fn list(s: *mut Store) -> Res<Obj> {
        match &*s {
            Store::Shown(o) => {
                let o = o.again();
                Obj::new(ffi::PySequence_List(o.ptr()))
            }
            Store::Native(q) => {
                let items: Vec<Obj> = q.iter().map(|item| item.again()).collect();
                let list = Obj::new(ffi::PyList_New(items.len() as isize))?;
                for (i, item) in items.into_iter().enumerate() {
                    ffi::PyList_SetItem(list.ptr(), i as isize, item.into_ptr());
                }
                Ok(list)
            }
        }
    }

    /// What `_queue` shows.
    pub(crate) unsafe fn show(s: *mut Store, order: Order) -> Res<Obj> {
        if let Store::Shown(o) = &*s {
            return Ok(o.again());
        }
        let mut shown = Store::list(s)?;
        if order == Order::Fifo {
            let deque = call(asyncio().deque.ptr(), &[])?;
            let extend = attr(deque.ptr(), &names().extend)?;
            call(extend.ptr(), &[shown.ptr()])?;
            shown = deque;
        }
        Store::replace(s, shown.ptr());
        Ok(shown)
    }

    /// Sets `_queue`.
    pub(crate) unsafe fn replace(s: *mut Store, o: *mut PyObject) {
        drop(std::mem::replace(&mut *s, Store::Shown(Obj::from(o))));
    }

    /// Visits the items for the garbage collector.
    pub(crate) unsafe fn traverse(&self, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        match self {
            Store::Shown(o) => visitor(o.ptr(), arg),
            Store::Native(q) => q.iter().map(|item| visitor(item.ptr(), arg)).find(|s| *s != 0).unwrap_or(0),
        }
    }

    /// Lets go of every item.
    pub(crate) fn clear(&mut self) {
        drop(std::mem::replace(self, Store::Native(VecDeque::new())));
    }
}
