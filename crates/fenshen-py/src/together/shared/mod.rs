//! What is made with `shared=True`: it lies in shared memory, and who waits for it stands in a row there.
//!
//! | file | what it holds |
//! |---|---|
//! | `wants.rs` | what one may wait for: an item, a place, the end of all work, a flag, a permit |
//! | `waiting.rs` | how a thread waits |
//! | `standing.rs` | how a task does |
//! | `bell.rs` | the bell of a loop, by which it hears of calls |
//!
//! Nothing is handed over there: who is called takes what there is (see `fenshen_shm::Row`), so a process that is killed
//! takes along nothing but what it has taken.

pub(super) mod bell;
mod standing;
mod waiting;
pub(super) mod wants;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fenshen_shm::{Change, Hall, Row, SharedQueue};
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::event::Event;
use super::head::{self, Head};
use super::kinds;
use super::queue::Queue;
use super::semaphore::Semaphore;
use crate::errors::{raise, type_error};
use crate::object::{Obj, Res, call, clear, text, visit};
use crate::processes::queue as channel;
use crate::processes::segment::{PySegment, held, os_error};
use crate::threads::head::Standard;

pub(super) use standing::Standing;
pub(super) use waiting::wait;

/// Open.
pub(super) const OPEN: u32 = 0;
/// What is in may still be had.
pub(super) const SHUT_DOWN: u32 = 1;

/// Makes the segments, and finds them again in another process.
static MAKE: Standard = Standard::new(c"fenshen._sharing", c"make");
static REBUILD: Standard = Standard::new(c"fenshen._sharing", c"rebuild");
static CHECK: Standard = Standard::new(c"fenshen._sharing", c"check");

/// What a shared one is.
pub(super) struct Shared {
    pub(super) hall: Hall,
    segment: Option<Obj>,
    /// A queue's items: an object of `fenshen._processes.Queue`.
    channel: Option<Obj>,
    queue: Option<Arc<SharedQueue>>,
}

impl Shared {
    /// A new one; `bound`: of a queue, how many items it takes, zero for any number.
    pub(super) unsafe fn create(bound: Option<usize>) -> Res<Box<Shared>> {
        let size = Obj::new(ffi::PyLong_FromSize_t(Hall::LEN))?;
        let bound = match bound {
            Some(bound) => Obj::new(ffi::PyLong_FromSize_t(bound))?,
            None => crate::object::none(),
        };
        let made = call(MAKE.get()?, &[size.ptr(), bound.ptr()])?;
        Shared::of(&made, Hall::create)
    }

    /// From a segment and, of a queue, its channel, or `None`.
    unsafe fn of(made: &Obj, make: fn(Arc<fenshen_shm::Segment>) -> std::io::Result<Hall>) -> Res<Box<Shared>> {
        let part = |i| Obj::new(ffi::PySequence_GetItem(made.ptr(), i));
        let (segment, channel) = (part(0)?, part(1)?);
        let hall = match make(Arc::clone(held(segment.ptr().cast::<PySegment>())?)) {
            Ok(hall) => hall,
            Err(error) => return os_error(&error),
        };
        let mut shared = Box::new(Shared { hall, segment: Some(segment), channel: None, queue: None });
        if channel.ptr() != ffi::Py_None() {
            let queue = Arc::clone(channel::shared(channel.ptr().cast())?);
            let hall = shared.hall.clone();
            queue.listen(Box::new(move |queue, change| heard(&hall, queue, change)));
            shared.queue = Some(queue);
            shared.channel = Some(channel);
        }
        Ok(shared)
    }

    pub(super) fn row(&self, row: usize) -> &Row {
        &self.hall.rows[row]
    }

    /// A queue's channel.
    pub(super) unsafe fn channel(&self) -> Res<*mut channel::Queue> {
        match &self.channel {
            Some(channel) => Ok(channel.ptr().cast()),
            None => raise(ffi::PyExc_RuntimeError, "the queue was cleared by garbage collection"),
        }
    }

    /// The same in shared memory.
    pub(super) fn queue(&self) -> &SharedQueue {
        self.queue.as_deref().expect("a queue was made with one")
    }

    pub(super) fn is_open(&self) -> bool {
        self.hall.state.load(Ordering::Acquire) == OPEN
    }

    /// Says that an item is done; false if all are.
    pub(super) fn task_done(&self) -> bool {
        let due = self.queue().task_done();
        if due && self.queue().unfinished() <= 0 {
            self.row(wants::JOINERS).call(u64::MAX);
        }
        due
    }

    /// Has every later put fail, and every get when nothing is left; or throws away what is left.
    pub(super) unsafe fn shutdown(&self, immediate: bool) -> Res<()> {
        self.hall.state.store(SHUT_DOWN, Ordering::SeqCst);
        while immediate && !self.queue().is_empty() {
            let took = channel::without_interpreter(|| {
                self.queue().take(|len| Some(vec![0; len]), true, false).map(|taken| taken.finish()).is_ok()
            });
            if took {
                self.task_done();
            }
        }
        self.row(wants::PUTTERS).call(u64::MAX);
        self.row(wants::GETTERS).call(wants::items(&self.hall, self.queue()));
        Ok(())
    }

    pub(super) unsafe fn traverse(&self, visitor: ffi::visitproc, arg: *mut std::ffi::c_void) -> std::ffi::c_int {
        match visit(&self.segment, visitor, arg) {
            0 => visit(&self.channel, visitor, arg),
            status => status,
        }
    }
}

/// Drops what an object holds of it.
pub(super) unsafe fn release(h: *mut Head) {
    if let Some(mut shared) = (*h).shared.take() {
        clear(&mut shared.channel);
        clear(&mut shared.segment);
    }
}

/// Waits for a row's lock without the interpreter. A queue's feeder has none to let go of.
pub(super) fn patient(wait: &mut dyn FnMut()) {
    // SAFETY: it only asks; after that, the thread is attached.
    unsafe { if ffi::PyGILState_Check() == 1 { channel::without_interpreter(wait) } else { wait() } }
}

/// This process has put or taken an item.
#[inline]
fn heard(hall: &Hall, queue: &SharedQueue, change: Change) {
    match change {
        Change::Put => hall.rows[wants::GETTERS].call(queue.ready()),
        Change::Taken => {
            hall.rows[wants::PUTTERS].call(wants::places(queue));
            if hall.state.load(Ordering::Relaxed) != OPEN {
                hall.rows[wants::GETTERS].call(wants::items(hall, queue));
            }
        }
    }
}

/// What an object of one of the three types is in shared memory, if it is there.
#[inline]
pub(super) unsafe fn of<'a>(o: *mut PyObject) -> Option<&'a Shared> {
    (*o.cast::<Head>()).shared.as_deref()
}

/// What pickling makes of it: what [`adopt`] gets.
pub(super) unsafe fn reduce(o: *mut PyObject, name: &str) -> Res<Obj> {
    let Some(shared) = of(o) else {
        return type_error(&format!(
            "cannot pickle 'fenshen.{name}' object: other processes can have one that was made with shared=True"
        ));
    };
    call(CHECK.get()?, &[o])?;
    let part = |field: &Option<Obj>| field.as_ref().map_or_else(|| crate::object::none(), |o| o.again());
    let (segment, channel, name) = (part(&shared.segment), part(&shared.channel), text(name)?);
    let args = Obj::new(ffi::PyTuple_Pack(3, name.ptr(), segment.ptr(), channel.ptr()))?;
    Obj::new(ffi::PyTuple_Pack(2, REBUILD.get()?, args.ptr()))
}

/// An object of a type from what another process has sent.
pub(super) unsafe fn adopt(ty: *mut PyTypeObject, made: &Obj) -> Res<Obj> {
    let shared = Shared::of(made, Hall::adopt)?;
    match ty {
        ty if ty == kinds::queue() => head::allocate::<Queue>(ty, Some(shared)),
        ty if ty == kinds::event() => head::allocate::<Event>(ty, Some(shared)),
        _ => head::allocate::<Semaphore>(ty, Some(shared)),
    }
}
