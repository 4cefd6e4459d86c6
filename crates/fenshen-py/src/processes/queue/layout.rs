//! The object of a queue, and its parts.

use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use fenshen_shm::{Outbox, Refused, SharedQueue};
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::super::kinds;
use super::super::segment::{PySegment, held, os_error};
use crate::errors::{entry, raise, runtime_error, type_error};
use crate::object::{Obj, Raised, Res, call, repr, set, text};
use crate::threads::head::Standard;
use crate::types::free;

/// The layout of `Queue`, `JoinableQueue` and `SimpleQueue`.
#[repr(C)]
pub(crate) struct Queue {
    ob_base: PyObject,
    weakrefs: *mut PyObject,
    /// The `Segment` that it lies in.
    pub(super) segment: Option<Obj>,
    shared: Option<Arc<SharedQueue>>,
    outbox: Option<Arc<Outbox>>,
    /// Nothing can be put, or taken, through this object any more.
    pub(super) put_closed: bool,
    pub(super) get_closed: bool,
    /// Something was put through it.
    pub(super) used: bool,
    /// The parent process when this one said that it puts nothing.
    parent: libc::pid_t,
}

pub(super) const WEAKREFS: usize = mem::offset_of!(Queue, weakrefs);

pub(super) unsafe extern "C" fn new(
    ty: *mut PyTypeObject,
    _args: *mut PyObject,
    _kwargs: *mut PyObject,
) -> *mut PyObject {
    let alloc = (*ty).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
    // All zero is a queue that was not made yet.
    entry(|| Obj::new(alloc(ty, 0)))
}

pub(super) unsafe extern "C" fn dealloc(o: *mut PyObject) {
    let q: *mut Queue = o.cast();
    if !(*q).weakrefs.is_null() {
        ffi::PyObject_ClearWeakRefs(o);
    }
    if let Some(outbox) = (*q).outbox.take() {
        drop_outbox(outbox);
    }
    drop((*q).shared.take());
    set(&mut (*q).segment, None);
    free(o);
}

/// In a forked child the parent's is not dropped: whatever it guards may have been in the middle of something.
fn drop_outbox(outbox: Arc<Outbox>) {
    if outbox.is_ours() { drop(outbox) } else { mem::forget(outbox) }
}

/// The queue in shared memory.
#[inline]
pub(crate) unsafe fn shared<'a>(q: *mut Queue) -> Res<&'a Arc<SharedQueue>> {
    match &(*q).shared {
        Some(shared) => Ok(shared),
        None => runtime_error("the queue was not made: __init__() has not been called"),
    }
}

/// This process' outbox.
#[inline]
pub(super) unsafe fn outbox<'a>(q: *mut Queue) -> Res<&'a Arc<Outbox>> {
    match &(*q).outbox {
        Some(outbox) if outbox.is_ours() => {}
        _ => {
            let fresh = Outbox::new(Arc::clone(shared(q)?));
            if let Some(outbox) = (*q).outbox.replace(fresh) {
                drop_outbox(outbox);
            }
        }
    }
    match &(*q).outbox {
        Some(outbox) => Ok(outbox),
        None => Err(Raised),
    }
}

/// How many messages wait in this process.
pub(super) unsafe fn waiting(q: *mut Queue) -> usize {
    (*q).outbox.as_ref().filter(|outbox| outbox.is_ours()).map_or(0, |outbox| outbox.waiting())
}

unsafe fn segment_of<'a>(segment: *mut PyObject) -> Res<&'a Arc<fenshen_shm::Segment>> {
    if ffi::Py_TYPE(segment) != kinds::segment() {
        return type_error("a queue lies in a Segment");
    }
    held(segment.cast::<PySegment>())
}

unsafe fn hold(q: *mut Queue, segment: *mut PyObject, made: std::io::Result<SharedQueue>) -> Res<()> {
    match made {
        Ok(shared) => {
            let shared = Arc::new(shared);
            (*q).outbox = Some(Outbox::new(Arc::clone(&shared)));
            (*q).shared = Some(shared);
            set(&mut (*q).segment, Some(Obj::from(segment)));
            Ok(())
        }
        Err(error) => os_error(&error),
    }
}

/// Makes it in a new segment.
pub(super) unsafe fn create(q: *mut Queue, segment: *mut PyObject, bound: u64) -> Res<()> {
    let made = SharedQueue::create(Arc::clone(segment_of(segment)?), bound);
    hold(q, segment, made)
}

/// Finds the one that another process made; `sign` is duplicated.
pub(super) unsafe fn attach(q: *mut Queue, segment: *mut PyObject, sign: i32) -> Res<()> {
    let fd = libc::fcntl(sign, libc::F_DUPFD_CLOEXEC, 3);
    if fd < 0 {
        return os_error(&std::io::Error::last_os_error());
    }
    let made = SharedQueue::adopt(Arc::clone(segment_of(segment)?), OwnedFd::from_raw_fd(fd));
    hold(q, segment, made)
}

/// What another process needs besides the segment.
pub(super) unsafe fn sign(q: *mut Queue) -> Res<i32> {
    Ok(shared(q)?.sign().as_raw_fd())
}

/// In a child of `multiprocessing`: it has closed nothing.
pub(super) unsafe fn reset(q: *mut Queue) {
    (*q).put_closed = false;
    (*q).get_closed = false;
    (*q).used = false;
}

/// Nothing is put through this object any more.
pub(super) unsafe fn close_put(q: *mut Queue) {
    (*q).put_closed = true;
    (*q).parent = libc::getppid();
}

/// Raises EOFError in a process that only takes, once its parent is gone: for a worker, nobody is left who puts. The
/// standard library's queues see the end of a pipe then.
pub(super) unsafe fn check_orphaned(q: *mut Queue) -> Res<()> {
    if (*q).put_closed && ((*q).parent != libc::getppid() || !parent_lives()?) {
        ffi::PyErr_SetNone(ffi::PyExc_EOFError);
        return Err(Raised);
    }
    Ok(())
}

/// Whether the process that started this one lives, as far as `multiprocessing` knows: a forked child's siblings may keep
/// it from that, and one that was spawned may have another parent before it comes to look.
unsafe fn parent_lives() -> Res<bool> {
    static PARENT: Standard = Standard::new(c"multiprocessing.process", c"parent_process");
    let parent = call(PARENT.get()?, &[])?;
    if parent.ptr() == ffi::Py_None() {
        return Ok(true);
    }
    let alive = Obj::new(ffi::PyObject_CallMethodNoArgs(parent.ptr(), text("is_alive")?.ptr()))?;
    Ok(alive.ptr() != ffi::Py_False())
}

/// Raises what a failure of the queue itself is in Python.
#[cold]
pub(super) unsafe fn broken<T>(why: Refused) -> Res<T> {
    match why {
        Refused::Failed(errno) => os_error(&std::io::Error::from_raw_os_error(errno)),
        Refused::NoMemory if !ffi::PyErr_Occurred().is_null() => Err(Raised),
        Refused::NoMemory => {
            ffi::PyErr_NoMemory();
            Err(Raised)
        }
        _ => raise(ffi::PyExc_OSError, "the queue's memory is damaged: something else has written there"),
    }
}

/// Raises ValueError if it is closed, in the standard library's words.
#[inline]
pub(super) unsafe fn check_open(q: *mut Queue) -> Res<()> {
    if (*q).put_closed { raise(ffi::PyExc_ValueError, &format!("Queue {} is closed", repr(q.cast()))) } else { Ok(()) }
}

/// Raises OSError if that end of it is closed, in the words of a connection.
#[inline]
pub(super) unsafe fn check_end(closed: bool) -> Res<()> {
    if closed { raise(ffi::PyExc_OSError, "handle is closed") } else { Ok(()) }
}
