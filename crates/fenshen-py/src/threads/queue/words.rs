//! The names that queues look up, and the exceptions that they raise: the standard library's own objects.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;

use pyo3::ffi;

use crate::names::interned;
use crate::object::{Raised, Res};
use crate::threads::head::Standard;

interned! {
    /// Interned names.
    pub(crate) struct Words {
        init = c"_init",
        qsize = c"_qsize",
        put_hook = c"_put",
        get_hook = c"_get",
        put = c"put",
        get = c"get",
        append = c"append",
        appendleft = c"appendleft",
        popleft = c"popleft",
        pop = c"pop",
        wait = c"wait",
        notify = c"notify",
        notify_all = c"notify_all",
        acquire = c"acquire",
        release = c"release",
        block = c"block",
    }
}

struct Cell(UnsafeCell<MaybeUninit<Words>>);

// SAFETY: it is written once, while the module is made, and only read afterwards.
unsafe impl Sync for Cell {}

static WORDS: Cell = Cell(UnsafeCell::new(MaybeUninit::uninit()));

/// The interned names.
#[inline(always)]
pub(crate) fn words() -> &'static Words {
    // SAFETY: nothing of the module can be reached before `init` is done.
    unsafe { (*WORDS.0.get()).assume_init_ref() }
}

/// Makes them.
pub(super) unsafe fn init() -> Res<()> {
    (*WORDS.0.get()).write(Words::new()?);
    Ok(())
}

pub(super) static EMPTY: Standard = Standard::new(c"queue", c"Empty");
pub(super) static FULL: Standard = Standard::new(c"queue", c"Full");
/// The standard library's from 3.13 on, ours before.
pub(super) static SHUT_DOWN: Standard = Standard::new(c"fenshen.queue", c"ShutDown");
pub(super) static DEQUE: Standard = Standard::new(c"collections", c"deque");
pub(super) static HEAPPUSH: Standard = Standard::new(c"heapq", c"heappush");
pub(super) static HEAPPOP: Standard = Standard::new(c"heapq", c"heappop");

/// `queue.Empty`; borrowed, for ever.
pub(crate) unsafe fn empty_class() -> Res<*mut ffi::PyObject> {
    EMPTY.get()
}

/// `queue.Full`; borrowed, for ever.
pub(crate) unsafe fn full_class() -> Res<*mut ffi::PyObject> {
    FULL.get()
}

#[cold]
unsafe fn raise<T>(kind: &Standard) -> Res<T> {
    ffi::PyErr_SetNone(kind.get()?);
    Err(Raised)
}

/// Raises `queue.Empty`.
#[cold]
pub(crate) unsafe fn raise_empty<T>() -> Res<T> {
    raise(&EMPTY)
}

/// Raises `queue.Full`.
#[cold]
pub(crate) unsafe fn raise_full<T>() -> Res<T> {
    raise(&FULL)
}

/// Raises `queue.ShutDown`.
#[cold]
pub(crate) unsafe fn raise_shut_down<T>() -> Res<T> {
    raise(&SHUT_DOWN)
}

/// `queue.ShutDown`; borrowed, for ever.
pub(crate) unsafe fn shut_down_class() -> Res<*mut ffi::PyObject> {
    SHUT_DOWN.get()
}
