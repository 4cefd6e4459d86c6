//! `Cancellation`: what tells a thread's work to stop.
//!
//! A thread enters one before its work and leaves it afterwards. Once it is cancelled, by whatever thread, the wait of
//! [`park`](super::park) that the work is in raises `CancelledError`, or the next one, or `checkpoint()`: exactly one of
//! them, so that what cleans up after it may wait (as the cancel scopes of Trio have it, but edge-triggered, as asyncio's
//! `Task.cancel()` is).

use std::cell::RefCell;
use std::ffi::{CStr, c_void};
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fenshen_sync::Waiter;
use pyo3::ffi::{self, PyObject, PyTypeObject};
use pyo3::prelude::*;

use super::future;
use crate::args::Signature;
use crate::errors::{entry, raise_object};
use crate::methods::{fast, getter, no_args};
use crate::object::{Obj, Res, boolean, call, done, none, not_none, utf8};
use crate::types::{TypeBuilder, free};

/// Nobody has cancelled it.
const CLEAR: u8 = 0;
/// It is cancelled, and nothing has raised so far.
const DUE: u8 = 1;
/// The error was raised.
const RAISED: u8 = 2;

/// Where an error says which mark it is of.
const ORIGIN: &CStr = c"_cancellation";

/// What a thread waits on, for those who cancel its work: the waiter is alive as long as it stands here.
#[derive(Default)]
struct Seat(Mutex<Option<*const Waiter>>);

// SAFETY: the waiter is only used while the mutex is held, and its thread takes it out before it goes.
unsafe impl Send for Seat {}
// SAFETY: as above.
unsafe impl Sync for Seat {}

impl Seat {
    fn held(&self) -> MutexGuard<'_, Option<*const Waiter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poke(&self) {
        if let Some(waiter) = *self.held() {
            // SAFETY: it stands here, and whoever takes it out needs the mutex for that.
            unsafe { (*waiter).poke() };
        }
    }
}

/// The state that a thread and those who cancel its work share.
#[derive(Default)]
struct Mark {
    state: AtomicU8,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// The thread that has entered it.
    seat: Option<Arc<Seat>>,
    message: Option<String>,
}

impl Mark {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cancel(&self, message: Option<String>) -> bool {
        let seat = {
            let mut inner = self.inner();
            if self.state.load(Ordering::Relaxed) != CLEAR {
                return false;
            }
            inner.message = message;
            self.state.store(DUE, Ordering::SeqCst);
            inner.seat.clone()
        };
        if let Some(seat) = seat {
            seat.poke();
        }
        true
    }

    /// Whether it is this call that is to raise.
    fn take(&self) -> bool {
        self.state.load(Ordering::SeqCst) == DUE
            && self.state.compare_exchange(DUE, RAISED, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

thread_local! {
    static SEAT: Arc<Seat> = Arc::default();
    /// What the thread has entered, the innermost last.
    static ENTERED: RefCell<Vec<Arc<Mark>>> = const { RefCell::new(Vec::new()) };
}

/// The outermost that is due: what it ends holds all that is within.
fn due() -> Option<Arc<Mark>> {
    ENTERED.try_with(|marks| marks.borrow().iter().find(|mark| mark.take()).cloned()).ok().flatten()
}

/// Raises the `CancelledError` that is due in this thread, if one is.
#[inline]
pub(crate) unsafe fn check() -> Res<()> {
    match due() {
        None => Ok(()),
        Some(mark) => raise_for(&mark),
    }
}

#[cold]
unsafe fn raise_for(mark: &Mark) -> Res<()> {
    let message = mark.inner().message.clone();
    let class = future::cancelled_error()?;
    let error = match message {
        Some(message) => crate::errors::make(class, &message)?,
        None => call(class, &[])?,
    };
    let number = Obj::new(ffi::PyLong_FromVoidPtr(std::ptr::from_ref(mark).cast_mut().cast()))?;
    done(ffi::PyObject_SetAttrString(error.ptr(), ORIGIN.as_ptr(), number.ptr()))?;
    raise_object(&error)
}

/// A wait that those who cancel the thread's work find, as long as this lives.
pub(super) struct Seated {
    /// What stood there before: the wait that this one came amid.
    before: Option<*const Waiter>,
}

/// Whether the thread's work may be cancelled.
pub(crate) fn possible() -> bool {
    // A thread at its very end has no such variables any more.
    ENTERED.try_with(|marks| !marks.borrow().is_empty()).unwrap_or(false)
}

impl Seated {
    /// Lets the waiter be found, and poked; `None` in a thread that nobody cancels.
    pub(super) fn sit(waiter: &Waiter) -> Option<Seated> {
        if !possible() {
            return None;
        }
        Some(Seated { before: SEAT.with(|seat| seat.held().replace(waiter)) })
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        SEAT.with(|seat| *seat.held() = self.before);
    }
}

/// The layout of `Cancellation`.
#[repr(C)]
pub(crate) struct Cancellation {
    ob_base: PyObject,
    mark: ManuallyDrop<Arc<Mark>>,
}

unsafe fn mark_of<'a>(c: *mut Cancellation) -> &'a Arc<Mark> {
    let mark: &'a ManuallyDrop<Arc<Mark>> = &(*c).mark;
    mark
}

const CANCEL: Signature<1> = Signature { func: "cancel", names: [c"message"], positional: 1, required: 0 };

fast!(py_cancel, |c: Cancellation, args| {
    let [message] = args.sort(&CANCEL)?;
    let given = !message.is_null() && !not_none(message).is_null();
    let message = if given { Some(utf8(message)?) } else { None };
    Ok(boolean(mark_of(c).cancel(message)))
});
no_args!(py_enter, |c: Cancellation| {
    let mark = Arc::clone(mark_of(c));
    mark.inner().seat = Some(SEAT.with(Arc::clone));
    ENTERED.with_borrow_mut(|marks| marks.push(mark));
    Ok(Obj::from(c.cast()))
});
fast!(py_exit, |c: Cancellation, _args| {
    let mark = mark_of(c);
    let left = ENTERED.with_borrow_mut(|marks| {
        let at = marks.iter().rposition(|entered| Arc::ptr_eq(entered, mark));
        at.map(|at| marks.remove(at))
    });
    if left.is_some() {
        mark.inner().seat = None;
    }
    Ok(none())
});
getter!(get_origin, |c: Cancellation| Obj::new(ffi::PyLong_FromVoidPtr(Arc::as_ptr(mark_of(c)).cast_mut().cast())));
getter!(get_cancelled, |c: Cancellation| Ok(boolean(mark_of(c).state.load(Ordering::Acquire) != CLEAR)));
getter!(get_raised, |c: Cancellation| Ok(boolean(mark_of(c).state.load(Ordering::Acquire) == RAISED)));

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        super::no_arguments("Cancellation", args, kwargs)?;
        let alloc = (*ty).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
        let this = Obj::new(alloc(ty, 0))?;
        std::ptr::write(&raw mut (*this.ptr().cast::<Cancellation>()).mark, ManuallyDrop::new(Arc::default()));
        Ok(this)
    })
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    let c: *mut Cancellation = this.cast();
    ManuallyDrop::drop(&mut (*c).mark);
    free(this);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let doc = c"Cancellation()\n--\n\nWhat tells a thread's work to stop: entered by that thread with `with`, cancelled by any.";
    TypeBuilder::new::<Cancellation>(c"fenshen._threads.Cancellation")
        .doc(doc)
        .slot(ffi::Py_tp_new, new as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .fast(
            c"cancel",
            py_cancel,
            c"cancel($self, /, message=None)\n--\n\nHave the thread's wait, its next one or its next checkpoint() raise CancelledError, once.\n\nReturns False if it was cancelled before.",
        )
        .no_args(c"__enter__", py_enter, c"__enter__($self, /)\n--\n\nThe calling thread's work is what it cancels.")
        .fast(c"__exit__", py_exit, c"__exit__($self, /, *exc_info)\n--\n\nThe work is over.")
        .property(c"origin", get_origin, None)
        .property(c"cancelled", get_cancelled, None)
        .property(c"raised", get_raised, None)
        .build(None)
}

/// Raises CancelledError (of `concurrent.futures`) if the calling thread's work was cancelled, and nothing has raised that
/// since.
#[pyfunction]
fn checkpoint(py: Python<'_>) -> PyResult<()> {
    // SAFETY: the thread is attached.
    unsafe { check() }.map_err(|e| crate::fetch(py, e))
}

/// Adds the function to the module.
pub(crate) fn add_to(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(checkpoint, m)?)
}
