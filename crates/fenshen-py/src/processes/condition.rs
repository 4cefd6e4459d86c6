//! `Condition`: what processes wait for with a lock of theirs let go meanwhile.

use std::ffi::{c_int, c_void};
use std::mem::{offset_of, size_of};
use std::time::Duration;

use fenshen_shm::Tickets;
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::lock_names::names;
use super::places::Place;
use super::shared_lock::SharedLock;
use super::shared_place;
use super::waiting::{Patience, Pause, Waiting};
use crate::args::{Signature, sort_call};
use crate::errors::{self, raise, status};
use crate::methods::{fast, getter, no_args};
use crate::object::{Obj, Res, attr, boolean, none, visit};
use crate::types::{TypeBuilder, free};

/// The layout of `Condition`.
#[repr(C)]
struct Condition {
    ob_base: PyObject,
    lock: SharedLock,
    place: Option<Box<Place>>,
}

const NEW: Signature<1> = Signature { func: "Condition", names: [c"lock"], positional: 1, required: 1 };
const WAIT: Signature<1> = Signature { func: "Condition.wait", names: [c"timeout"], positional: 1, required: 0 };
const NOTIFY: Signature<1> = Signature { func: "Condition.notify", names: [c"n"], positional: 1, required: 0 };
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

unsafe fn tickets<'a>(c: *mut Condition) -> Res<&'a Tickets> {
    shared_place::at(&(*c).place)
}

unsafe fn must_hold(c: *mut Condition, message: &str) -> Res<()> {
    if (*c).lock.is_mine()? { Ok(()) } else { raise(ffi::PyExc_AssertionError, message) }
}

/// Waits to be notified; returns whether it was.
unsafe fn wait(c: *mut Condition, patience: Patience) -> Res<bool> {
    must_hold(c, "must acquire() condition before using wait()")?;
    let tickets = tickets(c)?;
    let mut waiting = Waiting::new(c.cast(), patience.deadline(), LONGEST_PAUSE);
    let ticket = tickets.draw();
    let held = match (*c).lock.release_all() {
        Ok(held) => held,
        Err(raised) => {
            tickets.give_up(ticket);
            return Err(raised);
        }
    };
    let slept = sleep(&mut waiting, tickets, ticket);
    let error = slept.is_err().then(|| errors::take());
    (*c).lock.acquire_again(held)?;
    let served = tickets.is_served(ticket) || tickets.give_up(ticket);
    match error {
        None => Ok(served),
        Some(error) => {
            if served {
                // What it was told is for somebody who listens.
                tickets.serve(1);
            }
            errors::raise_object(&error)
        }
    }
}

unsafe fn sleep(waiting: &mut Waiting, tickets: &Tickets, ticket: u32) -> Res<()> {
    while !tickets.is_served(ticket) {
        if waiting.sleep(|until| tickets.sleep(ticket, until))? == Pause::Late {
            break;
        }
    }
    Ok(())
}

fast!(py_wait, |c: Condition, args| {
    let [timeout] = args.sort(&WAIT)?;
    Ok(boolean(wait(c, Patience::of(timeout)?)?))
});
fast!(py_notify, |c: Condition, args| {
    let [n] = args.sort(&NOTIFY)?;
    must_hold(c, "lock is not owned")?;
    let mut overflow = 0;
    let count = if n.is_null() { 1 } else { ffi::PyLong_AsLongLongAndOverflow(n, &mut overflow) };
    if count == -1 && !ffi::PyErr_Occurred().is_null() {
        return Err(crate::object::Raised);
    }
    let count = if overflow > 0 { i64::MAX } else { count };
    tickets(c)?.serve(u32::try_from(count.max(0)).unwrap_or(u32::MAX));
    Ok(none())
});
no_args!(py_notify_all, |c: Condition| {
    must_hold(c, "lock is not owned")?;
    tickets(c)?.serve(u32::MAX);
    Ok(none())
});
no_args!(py_enter, |c: Condition| (*c).lock.enter());
fast!(py_exit, |c: Condition, args| (*c).lock.exit(&args));
getter!(get_acquire, |c: Condition| attr((*c).lock.object()?.ptr(), &names().acquire));
getter!(get_release, |c: Condition| attr((*c).lock.object()?.ptr(), &names().release));
no_args!(py_waiting, |c: Condition| Obj::new(ffi::PyLong_FromLong(tickets(c)?.waiting().into())));
no_args!(py_share, |c: Condition| shared_place::share(&mut (*c).place));
fast!(py_attach, |c: Condition, args| {
    (*c).place = Some(shared_place::adopt(&args, size_of::<Tickets>())?);
    Ok(none())
});

unsafe extern "C" fn init(this: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> c_int {
    status(|| {
        let c: *mut Condition = this.cast();
        let [lock] = sort_call(&NEW, args, kwargs)?;
        (*c).lock.put(Obj::from(lock))?;
        if (*c).place.is_none() {
            (*c).place = Some(Place::make(size_of::<Tickets>())?);
        }
        Ok(())
    })
}

unsafe extern "C" fn traverse(this: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    match visit((*this.cast::<Condition>()).lock.held(), visitor, arg) {
        0 => visitor(ffi::Py_TYPE(this).cast(), arg),
        stop => stop,
    }
}

unsafe extern "C" fn gc_clear(this: *mut PyObject) -> c_int {
    (*this.cast::<Condition>()).lock.clear();
    0
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    ffi::PyObject_GC_UnTrack(this.cast());
    gc_clear(this);
    drop((*this.cast::<Condition>()).place.take());
    free(this);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<Condition>(c"fenshen._processes.Condition")
        .doc(c"Condition(lock)\n--\n\nA condition variable that processes share, as multiprocessing.Condition.")
        .flags(ffi::Py_TPFLAGS_BASETYPE | ffi::Py_TPFLAGS_HAVE_GC)
        .slot(ffi::Py_tp_new, ffi::PyType_GenericNew as *mut c_void)
        .slot(ffi::Py_tp_init, init as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, gc_clear as *mut c_void)
        .member(c"_lock", ffi::Py_T_OBJECT_EX, offset_of!(Condition, lock), true)
        .property(c"acquire", get_acquire, None)
        .property(c"release", get_release, None)
        .no_args(c"__enter__", py_enter, c"__enter__($self, /)\n--\n\nAcquire the lock.")
        .fast(c"__exit__", py_exit, c"__exit__($self, /, *exc_info)\n--\n\nRelease the lock.")
        .fast(c"wait", py_wait, c"wait($self, /, timeout=None)\n--\n\nLet the lock go and wait to be notified, for `timeout` seconds at most; returns whether it was, with the lock.\n\nRaises AssertionError unless this thread holds the lock.")
        .fast(c"notify", py_notify, c"notify($self, /, n=1)\n--\n\nHave up to `n` of those who wait go on; AssertionError unless this thread holds the lock.")
        .no_args(c"notify_all", py_notify_all, c"notify_all($self, /)\n--\n\nHave all who wait go on; AssertionError unless this thread holds the lock.")
        .no_args(c"_waiting", py_waiting, c"_waiting($self, /)\n--\n\nHow many wait.")
        .no_args(c"_share", py_share, c"_share($self, /)\n--\n\n`(segment, offset)`, for others.")
        .fast(c"_attach", py_attach, c"_attach($self, /, segment, offset)\n--\n\nBe what another process shares.")
        .build(None)
}
