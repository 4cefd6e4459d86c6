//! `Seat`: what a task stands in line with.
//!
//! Its wake-up is a call that is made amid an operation of somebody else, with a latch just left and more calls to come: it
//! only notes the seat. [`tell`], at the end of every operation, ends the futures of those that were noted, which may run
//! Python code: a foreign loop's `call_soon_threadsafe`, say.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::mem;

use fenshen_shm::{Place, Row};
use fenshen_sync::{Hand, Wake};
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::kinds;
use super::loops::{self, Ended};
use crate::errors;
use crate::future_iter::Await;
use crate::methods::no_args;
use crate::names::{interned, names};
use crate::object::{Obj, Res, attr, call_method, clear, none, set, visit};
use crate::primitives::operation::{self, Operation};
use crate::threads::patience::Patience;
use crate::types::{TypeBuilder, free};

/// The layout of a seat.
#[repr(C)]
pub(super) struct Seat {
    ob_base: PyObject,
    /// The record that stands in line, and what is handed to it.
    pub(super) hand: Hand<Obj>,
    /// Whose line it is.
    pub(super) owner: Option<Obj>,
    event_loop: Option<Obj>,
    /// What the task waits for.
    future: Option<Obj>,
    timer: Option<Obj>,
    /// How it gets out of the line, and lets others have what it was given; none if it stands in none.
    leave: Option<Leave>,
    /// Its time is over.
    pub(super) expired: bool,
    /// Where it stands in shared memory, and whose bell is rung for it.
    pub(super) place: Option<Place>,
    pub(super) row: *const Row,
    pub(super) bell: Option<Obj>,
}

/// Takes a seat out of its line.
pub(super) type Leave = unsafe fn(*mut Seat);

interned! {
    /// Interned names.
    struct Words {
        call_soon_threadsafe = c"call_soon_threadsafe",
        wake = c"_wake",
        expire = c"_expire",
    }
}

struct Cell<T>(UnsafeCell<T>);
// SAFETY: used only by threads that hold the GIL (the crate's contract); the names are written once.
unsafe impl<T> Sync for Cell<T> {}

static WORDS: Cell<mem::MaybeUninit<Words>> = Cell(UnsafeCell::new(mem::MaybeUninit::uninit()));

fn words() -> &'static Words {
    // SAFETY: nothing of the module can be reached before `build` is done.
    unsafe { (*WORDS.0.get()).assume_init_ref() }
}

thread_local! {
    /// The seats that operations of this thread have called, and not told yet.
    static CALLED: UnsafeCell<Vec<Obj>> = const { UnsafeCell::new(Vec::new()) };
}

/// The wake-up: a seat stays where it is as long as it stands in line, and so until this was made.
unsafe fn called(seat: *const ()) {
    // SAFETY: the thread is attached, by the crate's contract, and nobody else uses its list meanwhile.
    CALLED.with(|called| unsafe { (*called.get()).push(Obj::from(seat.cast_mut().cast())) });
}

/// Tells those that were called. An error that is set stays so.
#[inline]
pub(super) unsafe fn tell() {
    // SAFETY: as above.
    if CALLED.with(|called| unsafe { !(*called.get()).is_empty() }) {
        tell_all();
    }
}

#[cold]
unsafe fn tell_all() {
    let error = if ffi::PyErr_Occurred().is_null() { None } else { Some(errors::take()) };
    loop {
        // SAFETY: as above.
        let seats = CALLED.with(|called| unsafe { mem::take(&mut *called.get()) });
        if seats.is_empty() {
            break;
        }
        for seat in seats {
            if Seat::wake(&seat).is_err() {
                // Its loop is closed: what it was given is somebody else's.
                ffi::PyErr_Clear();
                Seat::leave(seat.ptr().cast());
            }
        }
    }
    if let Some(error) = error {
        errors::restore(error);
    }
}

impl Seat {
    /// One of the running loop for the line of `owner`, in which it does not stand yet.
    pub(super) unsafe fn take(owner: &Obj) -> Res<Obj> {
        let event_loop = loops::running()?;
        let made = Obj::new(ffi::PyType_GenericAlloc(kinds::seat(), 0))?;
        let s: *mut Seat = made.ptr().cast();
        let wake = Wake::Call { call: called, data: made.ptr().cast() };
        std::ptr::write(&raw mut (*s).hand, Hand::new(0, wake));
        std::ptr::write(&raw mut (*s).place, None);
        (*s).owner = Some(owner.again());
        (*s).event_loop = Some(event_loop);
        Ok(made)
    }

    /// It stands in line from now on.
    #[inline]
    pub(super) unsafe fn stand(s: *mut Seat, leave: Leave) {
        (*s).leave = Some(leave);
    }

    /// It stands there no longer.
    #[inline]
    pub(super) unsafe fn stand_up(s: *mut Seat) {
        (*s).leave = None;
    }

    /// Takes it out of the line that it stands in, and lets others have what it was given.
    pub(super) unsafe fn leave(s: *mut Seat) {
        if let Some(leave) = (*s).leave.take() {
            leave(s);
        }
    }

    /// Has its task wait: what an operation returns to do so.
    pub(super) unsafe fn wait(op: *mut Operation, s: *mut Seat) -> Res<Await> {
        let future = loops::future_of(&Seat::event_loop(s)?)?;
        set(&mut (*s).future, Some(future.again()));
        if (*s).hand.waiter().granted().is_some() || Seat::is_called(s) {
            // It was called while the future was made.
            loops::end(&future)?;
        }
        operation::wait(op, future)
    }

    /// The loop of its task.
    pub(super) unsafe fn event_loop(s: *mut Seat) -> Res<Obj> {
        match &(*s).event_loop {
            Some(event_loop) => Ok(event_loop.again()),
            None => errors::runtime_error("fenshen: a seat was cleared by garbage collection"),
        }
    }

    /// Whether it was called where it stands in shared memory. The row is there as long as its owner.
    #[inline]
    pub(super) unsafe fn is_called(s: *mut Seat) -> bool {
        (*s).place.as_ref().is_some_and(|place| (*(*s).row).is_called(place))
    }

    /// Ends the future that its task waits for, from any thread.
    unsafe fn wake(seat: &Obj) -> Res<()> {
        let s: *mut Seat = seat.ptr().cast();
        let (Some(future), Some(event_loop)) = (&(*s).future, &(*s).event_loop) else {
            return Ok(());
        };
        let (future, event_loop) = (future.again(), event_loop.again());
        if let Ended::Done = loops::end_at_once(&future, &event_loop)? {
            return Ok(());
        }
        let wake = attr(seat.ptr(), &words().wake)?;
        call_method(&words().call_soon_threadsafe, &[event_loop.ptr(), wake.ptr()]).map(drop)
    }

    /// Has its time be over after a while.
    pub(super) unsafe fn limit(seat: &Obj, patience: Patience) -> Res<()> {
        let s: *mut Seat = seat.ptr().cast();
        let (Patience::For(wait), Some(event_loop)) = (patience, &(*s).event_loop) else {
            return Ok(());
        };
        let expire = attr(seat.ptr(), &words().expire)?;
        let delay = Obj::new(ffi::PyFloat_FromDouble(wait.as_secs_f64()))?;
        let timer = call_method(&names().call_later, &[event_loop.ptr(), delay.ptr(), expire.ptr()])?;
        set(&mut (*s).timer, Some(timer));
        Ok(())
    }

    /// The operation is over. An error that is set stays so.
    #[inline]
    pub(super) unsafe fn end(s: *mut Seat) {
        let Some(timer) = (*s).timer.take() else {
            return;
        };
        let error = if ffi::PyErr_Occurred().is_null() { None } else { Some(errors::take()) };
        if call_method(&names().cancel, &[timer.ptr()]).is_err() {
            ffi::PyErr_Clear();
        }
        if let Some(error) = error {
            errors::restore(error);
        }
    }

    /// The same, on its loop's own thread.
    pub(super) unsafe fn end_future(s: *mut Seat) -> Res<()> {
        match &(*s).future {
            Some(future) => loops::end(&future.again()),
            None => Ok(()),
        }
    }
}

no_args!(py_wake, |s: Seat| Seat::end_future(s).map(|()| none()));
no_args!(py_expire, |s: Seat| {
    (*s).expired = true;
    Seat::end_future(s).map(|()| none())
});

unsafe extern "C" fn traverse(o: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    let s: *mut Seat = o.cast();
    let status = visitor(ffi::Py_TYPE(o).cast(), arg);
    if status != 0 {
        return status;
    }
    let fields = [&(*s).owner, &(*s).event_loop, &(*s).future, &(*s).timer, &(*s).bell];
    fields.into_iter().map(|field| visit(field, visitor, arg)).find(|status| *status != 0).unwrap_or(0)
}

/// What it stands in line for must be there to leave it.
unsafe extern "C" fn gc_clear(o: *mut PyObject) -> c_int {
    let s: *mut Seat = o.cast();
    Seat::leave(s);
    clear(&mut (*s).bell);
    clear(&mut (*s).timer);
    clear(&mut (*s).future);
    clear(&mut (*s).event_loop);
    clear(&mut (*s).owner);
    0
}

unsafe extern "C" fn dealloc(o: *mut PyObject) {
    ffi::PyObject_GC_UnTrack(o.cast());
    gc_clear(o);
    std::ptr::drop_in_place(&raw mut (*o.cast::<Seat>()).hand);
    free(o);
}

/// Makes the type.
pub(super) unsafe fn build() -> Res<*mut PyTypeObject> {
    (*WORDS.0.get()).write(Words::new()?);
    TypeBuilder::new::<Seat>(c"fenshen._together.Seat")
        .doc(c"What a task stands in line with.")
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, gc_clear as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .no_args(c"_wake", py_wake, c"_wake($self, /)\n--\n\nHave its task go on.")
        .no_args(c"_expire", py_expire, c"_expire($self, /)\n--\n\nHave its task give up.")
        .build(None)
}
