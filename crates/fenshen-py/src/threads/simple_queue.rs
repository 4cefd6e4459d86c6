//! `SimpleQueue`: a queue without bound, and without a count of tasks.
//!
//! No Python code runs while it is changed, so whoever interrupts an operation (a finaliser, a signal handler) may use it.

use std::ffi::{c_int, c_void};
use std::mem::offset_of;

use fenshen_sync::graph::Target;
use fenshen_sync::{Queue, Refused, Wake, current};
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::head::Standard;
use super::park::PyPark;
use super::patience::Patience;
use super::queue::{Asked, Items, Order, raise_empty};
use super::{kinds, queue};
use crate::args::Signature;
use crate::errors::entry;
use crate::methods::{fast, getter, no_args};
use crate::object::{Obj, Raised, Res, boolean, done, none};
use crate::types::{TypeBuilder, free};

/// The layout of `SimpleQueue`.
#[repr(C)]
pub(crate) struct SimpleQueue {
    ob_base: PyObject,
    weakrefs: *mut PyObject,
    queue: Queue<Items>,
}

static STANDARD: Standard = Standard::new(c"queue", c"SimpleQueue");

const PUT: Signature<3> = Signature { func: "put", names: [c"item", c"block", c"timeout"], positional: 3, required: 1 };
const GET: Signature<2> = Signature { func: "get", names: [c"block", c"timeout"], positional: 2, required: 0 };
const PUT_NOWAIT: Signature<1> = Signature { func: "put_nowait", names: [c"item"], positional: 1, required: 1 };

#[inline]
unsafe fn put(s: *mut SimpleQueue, item: *mut PyObject) -> Obj {
    // Without a bound, and never shut down, it refuses nothing.
    drop((*s).queue.try_put(Obj::from(item)));
    none()
}

#[inline]
unsafe fn get(s: *mut SimpleQueue, asked: Asked) -> Res<Obj> {
    match (*s).queue.try_get() {
        Ok(item) => Ok(item),
        Err(_) => get_slowly(s, asked),
    }
}

#[cold]
unsafe fn get_slowly(s: *mut SimpleQueue, asked: Asked) -> Res<Obj> {
    let patience = asked.patience()?;
    if patience == Patience::None {
        return raise_empty();
    }
    let _alive = Obj::from(s.cast());
    let mut park = PyPark::new(s.cast(), Target::Anyone);
    match (*s).queue.get_slowly(current(), Wake::Thread, &mut park, patience.deadline()) {
        Ok(item) => Ok(item),
        Err(Refused::Interrupted) => Err(Raised),
        Err(_) => raise_empty(),
    }
}

fast!(py_put, |s: SimpleQueue, args| {
    let item = match args.only() {
        Some(item) => item,
        None => args.sort(&PUT)?[0],
    };
    Ok(put(s, item))
});
fast!(py_put_nowait, |s: SimpleQueue, args| {
    let [item] = args.sort(&PUT_NOWAIT)?;
    Ok(put(s, item))
});
fast!(py_get, |s: SimpleQueue, args| {
    if args.is_empty() {
        return get(s, Asked::ENDLESS);
    }
    let [block, timeout] = args.sort(&GET)?;
    let asked = Asked::new(block, timeout)?;
    asked.check()?;
    get(s, asked)
});
no_args!(py_get_nowait, |s: SimpleQueue| get(s, Asked::NEVER));
no_args!(py_empty, |s: SimpleQueue| Ok(boolean((*s).queue.is_empty())));
no_args!(py_qsize, |s: SimpleQueue| Obj::new(ffi::PyLong_FromSize_t((*s).queue.len())));
no_args!(py_getstate, |_s: SimpleQueue| super::refuse_pickling("_queue.SimpleQueue"));
getter!(get_class, |s: SimpleQueue| {
    let ty = ffi::Py_TYPE(s.cast());
    let class = if ty == kinds::simple_queue() { STANDARD.get()? } else { ty.cast() };
    Ok(Obj::from(class))
});

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        if ty == kinds::simple_queue() {
            super::no_arguments("SimpleQueue", args, kwargs)?;
        }
        let alloc = (*ty).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
        let this = alloc(ty, 0);
        if this.is_null() {
            return Err(Raised);
        }
        let s: *mut SimpleQueue = this.cast();
        std::ptr::write(&raw mut (*s).queue, Queue::new(Items::new(Order::Fifo), usize::MAX));
        Ok(Obj::steal(this))
    })
}

unsafe extern "C" fn traverse(this: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    let status = visitor(ffi::Py_TYPE(this).cast(), arg);
    if status != 0 {
        return status;
    }
    (*this.cast::<SimpleQueue>()).queue.peek(|items| items.traverse(visitor, arg))
}

unsafe extern "C" fn clear(this: *mut PyObject) -> c_int {
    let items = (*this.cast::<SimpleQueue>()).queue.store_mut().take();
    drop(items);
    0
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    ffi::PyObject_GC_UnTrack(this.cast());
    if !(*this.cast::<SimpleQueue>()).weakrefs.is_null() {
        ffi::PyObject_ClearWeakRefs(this);
    }
    clear(this);
    free(this);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let doc = c"SimpleQueue()\n--\n\nA queue between threads without bound, as queue.SimpleQueue. Signal handlers and finalisers may put into it at any time.";
    TypeBuilder::new::<SimpleQueue>(c"fenshen._threads.SimpleQueue")
        .doc(doc)
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE)
        .slot(ffi::Py_tp_new, new as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, clear as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .weakrefs(offset_of!(SimpleQueue, weakrefs))
        .stand_in(get_class)
        .generic()
        .fast(c"put", py_put, c"put($self, /, item, block=True, timeout=None)\n--\n\nPut an item in. It never waits: `block` and `timeout` are there for likeness to Queue.put().")
        .fast(c"put_nowait", py_put_nowait, c"put_nowait($self, /, item)\n--\n\nPut an item in.")
        .fast(c"get", py_get, c"get($self, /, block=True, timeout=None)\n--\n\nTake the oldest item, and wait for one unless `block` is false, at most `timeout` seconds.\n\nRaises Empty if there is none by then, ValueError for a negative timeout.")
        .no_args(c"get_nowait", py_get_nowait, c"get_nowait($self, /)\n--\n\nTake the oldest item; Empty if there is none.")
        .no_args(c"empty", py_empty, c"empty($self, /)\n--\n\nWhether it holds nothing.")
        .no_args(c"qsize", py_qsize, c"qsize($self, /)\n--\n\nHow many items it holds.")
        .no_args(c"__getstate__", py_getstate, super::GETSTATE_DOC)
        .build(None)
}

/// Has `isinstance` take the standard queues for ours.
pub(crate) unsafe fn meet() -> Res<()> {
    let ty = kinds::simple_queue().cast();
    done(ffi::PyObject_SetAttrString(ty, c"__standard__".as_ptr(), STANDARD.get()?))?;
    done(ffi::PyObject_SetAttrString(ty, c"Empty".as_ptr(), queue::empty_class()?))
}
