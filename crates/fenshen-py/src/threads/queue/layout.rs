//! The object, and how it is made, visited and emptied.

use std::collections::VecDeque;
use std::ffi::{CStr, c_int, c_void};
use std::ptr;
use std::sync::atomic::AtomicU32;

use fenshen_sync as sync;
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::exposed;
use super::items::{Items, Order};
use super::turn::Turn;
use super::words::words;
use crate::object::{Obj, Res, call_method, set, visit};
use crate::threads::head::{Head, Shared, Standard};
use crate::threads::kinds;

/// The layout of the three queues.
#[repr(C)]
pub(crate) struct Queue {
    pub(super) head: Head,
    /// The queue itself while it is native. Retired once it is exposed: of its state, the number of tasks, the limit and
    /// whether it is shut down still count.
    pub(super) native: sync::Queue<Items>,
    pub(super) order: Order,
    /// `maxsize`, as it was given.
    pub(super) maxsize: Option<Obj>,
    /// Whether `maxsize` is no plain number, so that comparing it is its own affair.
    pub(super) unusual: bool,
    /// The mutex and the conditions, once it is exposed.
    pub(super) turn: Turn,
    /// What `queue` shows, once it is exposed.
    pub(super) shown: Option<Obj>,
    /// Which thread is in an operation of its own on the exposed queue; zero for none.
    pub(super) busy: AtomicU32,
    /// What that thread was interrupted to put. Only that thread touches it.
    pub(super) aside: VecDeque<Obj>,
    /// Whether it was interrupted to throw everything away.
    pub(super) emptied: bool,
}

/// `LifoQueue`, which differs in what it stands for.
#[repr(transparent)]
pub(crate) struct LifoQueue(Queue);

/// `PriorityQueue`, likewise.
#[repr(transparent)]
pub(crate) struct PriorityQueue(Queue);

impl Queue {
    /// Whether it is an exposed one, though what that takes may not be made yet.
    #[inline]
    pub(super) unsafe fn is_exposed(q: *mut Queue) -> bool {
        (*q).turn.is_made() || Queue::needs_python(q)
    }

    /// Whether Python code decides which item is next.
    #[inline]
    unsafe fn needs_python(q: *mut Queue) -> bool {
        !(*q).head.plain || (*q).order == Order::Priority
    }

    /// The items' order in the type `ty`.
    unsafe fn order_of(ty: *mut PyTypeObject) -> Order {
        if ffi::PyType_IsSubtype(ty, kinds::lifo_queue()) != 0 {
            Order::Lifo
        } else if ffi::PyType_IsSubtype(ty, kinds::priority_queue()) != 0 {
            Order::Priority
        } else {
            Order::Fifo
        }
    }

    /// `__init__(maxsize)`.
    pub(super) unsafe fn begin(q: *mut Queue, maxsize: Obj) -> Res<()> {
        if (*q).maxsize.is_some() {
            Queue::renew(q);
        }
        Queue::set_maxsize(q, maxsize)?;
        if !(*q).head.plain {
            exposed::expose(q)?;
            let maxsize = (*q).maxsize.as_ref().map_or(ffi::Py_None(), Obj::ptr);
            return call_method(&words().init, &[q.cast(), maxsize]).map(drop);
        }
        if (*q).unusual { exposed::expose(q) } else { Ok(()) }
    }

    /// Makes it as new, for an `__init__` that is called again.
    #[cold]
    unsafe fn renew(q: *mut Queue) {
        let left = (*q).native.retire();
        (*q).native = native(q);
        (*q).turn.clear();
        set(&mut (*q).shown, None);
        drop(left);
    }

    /// Sets `maxsize`. What is no plain number is compared by Python from then on.
    pub(super) unsafe fn set_maxsize(q: *mut Queue, maxsize: Obj) -> Res<()> {
        let limit = limit(maxsize.ptr());
        set(&mut (*q).maxsize, Some(maxsize));
        (*q).unusual = limit.is_none();
        (*q).native.set_limit(limit.unwrap_or(usize::MAX));
        Ok(())
    }

    /// A number of its own for what is a plain number.
    pub(super) unsafe fn maxsize(q: *mut Queue) -> Res<Obj> {
        match &(*q).maxsize {
            Some(maxsize) => Ok(maxsize.again()),
            None => Obj::new(ffi::PyLong_FromLong(0)),
        }
    }
}

/// How many items a plain number allows; `None` for anything else.
unsafe fn limit(maxsize: *mut PyObject) -> Option<usize> {
    if ffi::PyLong_Check(maxsize) == 0 {
        return None;
    }
    let mut overflow = 0;
    let number = ffi::PyLong_AsLongLongAndOverflow(maxsize, &mut overflow);
    Some(if overflow != 0 || number <= 0 { usize::MAX } else { number as usize })
}

/// An empty native queue; a retired one where it is never used.
unsafe fn native(q: *mut Queue) -> sync::Queue<Items> {
    let native = sync::Queue::new(Items::new((*q).order), usize::MAX);
    if Queue::needs_python(q) {
        drop(native.retire());
    }
    native
}

unsafe fn prepare(q: *mut Queue) {
    (*q).order = Queue::order_of(ffi::Py_TYPE(q.cast()));
    ptr::write(&raw mut (*q).native, native(q));
    ptr::write(&raw mut (*q).aside, VecDeque::new());
}

unsafe fn traverse(q: *mut Queue, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    let mut status = (*q).native.peek(|items| items.traverse(visitor, arg));
    let (mutex, conditions) = (&(*q).turn.mutex, &(*q).turn.conditions);
    for field in [&(*q).maxsize, &(*q).shown, mutex].into_iter().chain(conditions) {
        if status == 0 {
            status = visit(field, visitor, arg);
        }
    }
    for item in &(*q).aside {
        if status == 0 {
            status = visitor(item.ptr(), arg);
        }
    }
    status
}

unsafe fn release(q: *mut Queue) {
    let items = (*q).native.store_mut().take();
    let aside = std::mem::take(&mut (*q).aside);
    set(&mut (*q).maxsize, None);
    set(&mut (*q).shown, None);
    drop(items);
    drop(aside);
    (*q).turn.clear();
}

/// The hooks that programs override.
const HOOKS: &[&CStr] = &[c"_init", c"_qsize", c"_put", c"_get"];

macro_rules! shared {
    ($($ty:ty, $kind:ident, $name:literal;)*) => {
        $(
            impl Shared for $ty {
                const CALLED: &'static [&'static CStr] = HOOKS;
                const STANDARD: &'static Standard = {
                    static STANDARD: Standard = Standard::new(c"queue", $name);
                    &STANDARD
                };

                fn kind() -> *mut PyTypeObject {
                    kinds::$kind()
                }

                unsafe fn prepare(this: *mut Self) {
                    prepare(this.cast());
                }

                unsafe fn visit(this: *mut Self, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
                    traverse(this.cast(), visitor, arg)
                }

                unsafe fn release(this: *mut Self) {
                    release(this.cast());
                }

                unsafe fn overridden(this: *mut Self) -> Res<()> {
                    exposed::expose(this.cast())
                }
            }
        )*
    };
}

shared! {
    Queue, queue, c"Queue";
    LifoQueue, lifo_queue, c"LifoQueue";
    PriorityQueue, priority_queue, c"PriorityQueue";
}
