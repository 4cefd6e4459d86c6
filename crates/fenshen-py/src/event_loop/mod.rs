//! The event loop's core: a ring of ready steps, a heap of timers, the files it watches, and an inbox from other
//! threads. Everything that happens once in a loop's life is Python's (`fenshen.loop.EventLoop` derives from this).

pub(crate) mod channels;
mod face;
pub(crate) mod files;
mod run;
mod schedule;
mod wait;
mod word;

use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::io;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use fenshen_reactor::{Epoll, Events, Inbox, Owner, Ticks, Timers, Waker};
use pyo3::ffi::{self, PyObject, PyTypeObject};

use crate::errors::{raise, runtime_error};
use crate::handle::{self, Handle};
use crate::kinds;
use crate::object::{Obj, Raised, Res};
use crate::pulse::Pulse;
use channels::Channels;
use files::Files;
use word::Word;

pub(crate) use face::build;

/// The epoll token of the wake-up descriptor; every other token is a file's descriptor.
const WAKE_TOKEN: u64 = u64::MAX;
/// How many events one wait takes at most.
const EVENTS: usize = 256;
/// How many seconds a step may take before it counts as slow, unless the program says otherwise.
const SLOW: f64 = 0.1;

/// A handle on its way from another thread: an owned reference.
pub(crate) struct Parcel(*mut Handle);
// SAFETY: the reference is only followed by threads that hold the GIL.
unsafe impl Send for Parcel {}

/// What the kernel gives a loop, made when it is, remade in a forked child.
pub(crate) struct Kernel {
    epoll: Epoll,
    waker: Waker,
}

impl Kernel {
    /// Replaces the set of watched files by an empty one.
    fn renew(&mut self) -> io::Result<()> {
        let epoll = Epoll::new()?;
        epoll.add(self.waker.fd(), fenshen_reactor::Interest::READABLE, WAKE_TOKEN)?;
        self.epoll = epoll;
        Ok(())
    }

    /// The set of watched files.
    pub(crate) fn epoll(&self) -> &Epoll {
        &self.epoll
    }

    fn new() -> io::Result<Kernel> {
        let epoll = Epoll::new()?;
        let waker = Waker::new()?;
        epoll.add(waker.fd(), fenshen_reactor::Interest::READABLE, WAKE_TOKEN)?;
        Ok(Kernel { epoll, waker })
    }
}

/// The layout of `fenshen.LoopCore`.
#[repr(C)]
pub(crate) struct Loop {
    ob_base: PyObject,
    ready: VecDeque<Word>,
    /// Owned references to timer handles.
    timers: Timers<*mut Handle>,
    inbox: Inbox<Parcel>,
    pub(crate) files: Files,
    pub(crate) channels: Channels,
    /// What was written to in this turn: owned references.
    flushes: VecDeque<Obj>,
    /// A `bytes` object that is received into.
    pub(crate) inflow: Option<Obj>,
    /// When the files were last settled, by the tick counter.
    settled: u64,
    /// What is received goes here first.
    pub(crate) scratch: Vec<u8>,
    /// None once the loop is closed.
    pub(crate) kernel: Option<Kernel>,
    events: Events,
    ticks: Ticks,
    owner: Owner,
    pulse: Arc<Pulse>,
    task_factory: Option<Obj>,
    /// Called when the loop is about to wait with nothing to wait for.
    stall_hook: Option<Obj>,
    /// How long the loop waits before it calls that.
    stall_pause: Duration,
    /// The handle that runs now, in debug mode.
    current_handle: Option<Obj>,
    slow_callback_duration: f64,
    /// Python's number of the thread that runs the loop, zero while none does.
    thread_id: u64,
    pub(crate) debug: bool,
    closed: bool,
    stopping: bool,
    /// The loop's thread waits in the kernel, or is on its way there or back.
    waiting: bool,
    /// The loop's own run method is on the stack.
    pub(crate) running: bool,
    /// A task's step is on the stack, taken by the ring.
    pub(crate) stepping: bool,
    /// asyncio's store shows a task of this loop.
    shown: bool,
    /// Whether its class leaves `call_soon` alone, so that steps may go straight to the ring.
    plain: bool,
}

/// `o` as a loop of ours whose ring may be used directly; null for any other loop.
#[inline(always)]
pub(crate) unsafe fn native(o: *mut PyObject) -> *mut Loop {
    let ty = ffi::Py_TYPE(o);
    if ty != kinds::event_loop() && ffi::PyType_IsSubtype(ty, kinds::event_loop()) == 0 {
        return ptr::null_mut();
    }
    (*o.cast::<Loop>()).direct()
}

/// The pulse of a loop of ours.
pub(crate) unsafe fn pulse_of(o: *mut PyObject) -> Option<Arc<Pulse>> {
    (ffi::PyObject_TypeCheck(o, kinds::event_loop()) != 0).then(|| (*o.cast::<Loop>()).pulse.clone())
}

/// `OSError` of an I/O error, of the class that its number asks for.
#[cold]
pub(crate) unsafe fn os_error<T>(e: &io::Error) -> Res<T> {
    let Some(number) = e.raw_os_error() else {
        return raise(ffi::PyExc_OSError, &e.to_string());
    };
    let number = Obj::new(ffi::PyLong_FromLong(number.into()))?;
    let message = e.to_string();
    let message = crate::object::text(message.split(" (os error").next().unwrap_or(&message))?;
    let exc = crate::object::call(ffi::PyExc_OSError, &[number.ptr(), message.ptr()])?;
    crate::errors::raise_object(&exc)
}

/// Every loop that there is, for the garbage collector's sake.
struct All(UnsafeCell<Vec<*mut Loop>>);
// SAFETY: used only by threads that hold the GIL (the crate's contract).
unsafe impl Sync for All {}
static ALL: All = All(UnsafeCell::new(Vec::new()));

/// A full collection begins: timers that somebody keeps are to be seen by it.
pub(crate) unsafe fn before_full_collection() {
    for &l in &*ALL.0.get() {
        for (_, &h) in (*l).timers.iter() {
            handle::track_kept(h);
        }
    }
}

impl Loop {
    /// This loop where its ring may be used directly, else null.
    #[inline(always)]
    pub(crate) fn direct(&mut self) -> *mut Loop {
        if self.plain { self } else { ptr::null_mut() }
    }

    /// Whether it runs in this thread, so that it is what `asyncio.get_running_loop()` gives.
    #[inline(always)]
    pub(crate) unsafe fn runs_here(l: *mut Loop) -> bool {
        (*l).running && (*l).thread_id == run::this_thread()
    }

    unsafe fn allocate(ty: *mut PyTypeObject) -> Res<*mut Loop> {
        let kernel = match Kernel::new() {
            Ok(kernel) => kernel,
            Err(e) => return os_error(&e),
        };
        let alloc = (*ty).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
        let l: *mut Loop = alloc(ty, 0).cast();
        if l.is_null() {
            return Err(Raised);
        }
        ptr::write(&raw mut (*l).ready, VecDeque::with_capacity(64));
        ptr::write(&raw mut (*l).timers, Timers::new());
        ptr::write(&raw mut (*l).inbox, Inbox::new());
        ptr::write(&raw mut (*l).files, Files::default());
        ptr::write(&raw mut (*l).channels, Channels::default());
        ptr::write(&raw mut (*l).flushes, VecDeque::new());
        ptr::write(&raw mut (*l).scratch, Vec::new());
        ptr::write(&raw mut (*l).kernel, Some(kernel));
        ptr::write(&raw mut (*l).events, Events::with_capacity(EVENTS));
        ptr::write(&raw mut (*l).ticks, Ticks::new());
        ptr::write(&raw mut (*l).owner, Owner::this_process());
        ptr::write(&raw mut (*l).pulse, Arc::default());
        (*l).stall_pause = wait::STALL;
        Loop::set_slow(l, SLOW);
        (*l).plain = face::leaves_call_soon_alone(ty)?;
        (*ALL.0.get()).push(l);
        Ok(l)
    }

    /// Sets how many seconds a step may take before it counts as slow.
    unsafe fn set_slow(l: *mut Loop, seconds: f64) {
        (*l).slow_callback_duration = seconds;
        (*l).pulse.set_slow(seconds);
    }

    /// Whether it is closed.
    pub(crate) unsafe fn is_closed(l: *mut Loop) -> bool {
        (*l).closed
    }

    /// Raises if the loop is closed.
    #[inline(always)]
    pub(crate) unsafe fn check_closed(l: *mut Loop) -> Res<()> {
        if (*l).closed {
            return runtime_error("Event loop is closed");
        }
        Ok(())
    }

    /// In debug mode: raises if this is not the thread that runs the loop.
    unsafe fn check_thread(l: *mut Loop) -> Res<()> {
        if (*l).thread_id != 0 && (*l).thread_id != run::this_thread() {
            return runtime_error("Non-thread-safe operation invoked on an event loop other than the current one");
        }
        Ok(())
    }

    /// In a forked child: gives the loop a kernel side of its own, unless it was running, which cannot go on here.
    pub(crate) unsafe fn check_owner(l: *mut Loop) -> Res<()> {
        if (*l).owner.is_this_process() {
            return Ok(());
        }
        if (*l).running {
            return runtime_error(&format!(
                "this event loop was running in process {} when it forked; it cannot be used in the child: make a new one",
                (*l).owner.pid()
            ));
        }
        if (*l).kernel.is_some() {
            match Kernel::new() {
                Ok(kernel) => {
                    (*l).files.again(&kernel.epoll);
                    (*l).channels.again(&kernel.epoll);
                    drop((*l).kernel.replace(kernel));
                }
                Err(e) => return os_error(&e),
            }
        }
        (*l).owner = Owner::this_process();
        Ok(())
    }

    /// Empties everything: nothing that was scheduled will run.
    unsafe fn close(l: *mut Loop) {
        (*l).closed = true;
        let ready = std::mem::take(&mut (*l).ready);
        let timers = (*l).timers.drain();
        for word in ready {
            word.abandon();
        }
        for h in timers {
            handle::abandon(h);
            ffi::Py_DECREF(h.cast());
        }
        for Parcel(h) in (*l).inbox.drain() {
            handle::abandon(h);
            ffi::Py_DECREF(h.cast());
        }
        (*l).files.clear();
        Loop::close_channels(l);
        drop((*l).inflow.take());
        drop((*l).kernel.take());
    }
}
