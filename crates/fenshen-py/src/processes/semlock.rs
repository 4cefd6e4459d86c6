//! `SemLock`: what the locks and semaphores of `multiprocessing` stand on, as the interpreter's own, in shared memory.
//!
//! When its last acquirer has ended without releasing it or leaving in order, those who wait are told by `OwnerDied`: a
//! recursive one is then free again; another stays as it is, since whoever it was meant to be released by may yet do so.
//! A process leaves in order when its exit functions run, [`leave_all`] among them. `os._exit` runs none, so it counts
//! as a death: a wait that ends with a reason is better than one that does not end.

use std::ffi::{c_int, c_long, c_void};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fenshen_shm::{Attempt, Fate, Lost, Semaphore};
use fenshen_sync::Deadline;
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::places::Place;
use super::segment::os_error;
use super::waiting::{Patience, Pause, Waiting};
use super::with_method;
use crate::args::{Args, Signature, sort_call};
use crate::errors::{entry, raise, raise_object, status};
use crate::methods::{fast, getter, no_args};
use crate::object::{Obj, Raised, Res, boolean, done, none};
use crate::types::{TypeBuilder, free};

/// The layout of `SemLock`.
#[repr(C)]
pub(crate) struct SemLock {
    ob_base: PyObject,
    /// Where it lies; null until it was made.
    semaphore: *const Semaphore,
    place: Option<Box<Place>>,
    kind: c_int,
    most: c_int,
    /// How often this process has acquired it and not released it, and its thread that did last.
    count: c_int,
    thread: libc::pthread_t,
    /// In which of this process' lives: a child of `multiprocessing` has not acquired what its parent has.
    life: u32,
    /// Whether it was made for children that are forked.
    for_fork: std::ffi::c_char,
    /// The neighbours in the list of all, guarded by its mutex.
    next: *mut SemLock,
    previous: *mut SemLock,
}

const RECURSIVE: c_int = 0;
const SEMAPHORE: c_int = 1;

static LIFE: AtomicU32 = AtomicU32::new(0);

struct All {
    first: *mut SemLock,
    /// What this process held when its last `SemLock` for it went.
    abandoned: Vec<Place>,
}
// SAFETY: what it points to is only touched with the mutex locked, by attached threads.
unsafe impl Send for All {}

static ALL: Mutex<All> = Mutex::new(All { first: ptr::null_mut(), abandoned: Vec::new() });

fn all() -> MutexGuard<'static, All> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child of `multiprocessing` begins: it has acquired nothing.
pub(crate) fn begin_life() {
    LIFE.fetch_add(1, Ordering::Relaxed);
}

/// The process ends in order: nobody need be told that it is gone.
pub(crate) unsafe fn leave_all() {
    let all = all();
    let mut lock = all.first;
    while !lock.is_null() {
        (*(*lock).semaphore).leave();
        lock = (*lock).next;
    }
    for place in &all.abandoned {
        place.start().cast::<Semaphore>().as_ref().leave();
    }
}

/// Its semaphore, and a count that is of this life.
#[inline]
unsafe fn made<'a>(l: *mut SemLock) -> Res<&'a Semaphore> {
    if (*l).semaphore.is_null() {
        return raise(ffi::PyExc_ValueError, "the lock was not made");
    }
    let life = LIFE.load(Ordering::Relaxed);
    if (*l).life != life {
        (*l).life = life;
        (*l).count = 0;
    }
    Ok(&*(*l).semaphore)
}

#[inline]
unsafe fn is_mine(l: *mut SemLock) -> bool {
    (*l).count > 0 && (*l).thread == libc::pthread_self()
}

/// Takes it, and waits for that as long as `patience` says; returns whether it was taken.
#[inline]
pub(super) unsafe fn acquire(l: *mut SemLock, patience: &Patience) -> Res<bool> {
    let semaphore = made(l)?;
    if (*l).kind == RECURSIVE && is_mine(l) {
        (*l).count += 1;
        return Ok(true);
    }
    let taken = semaphore.try_acquire()
        || match patience {
            Patience::None => false,
            _ => acquire_slowly(l, semaphore, patience.deadline())?,
        };
    if taken {
        (*l).count += 1;
        (*l).thread = libc::pthread_self();
    }
    Ok(taken)
}

/// How long it may take to find out that an owner died.
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

#[cold]
unsafe fn acquire_slowly(l: *mut SemLock, semaphore: &Semaphore, deadline: Option<Deadline>) -> Res<bool> {
    let mut waiting = Waiting::new(l.cast(), deadline, LONGEST_PAUSE);
    let mut slept = false;
    while semaphore.attempt(slept) == Attempt::None {
        let pause = waiting.sleep(|until| semaphore.sleep(until))?;
        slept = true;
        match pause {
            Pause::Perhaps => {}
            Pause::Late => return Ok(semaphore.attempt(slept) == Attempt::Acquired),
            Pause::Look => {
                if let Some(lost) = semaphore.lost() {
                    owner_died(l, semaphore, &lost)?;
                }
            }
        }
    }
    Ok(true)
}

/// Raises `OwnerDied`, unless another was told already.
unsafe fn owner_died(l: *mut SemLock, semaphore: &Semaphore, lost: &Lost) -> Res<()> {
    if (*l).kind == RECURSIVE && !semaphore.recover(lost) {
        return Ok(());
    }
    let (signal, exited) = match lost.fate {
        Fate::Killed(signal) => (signal, -1),
        Fate::Exited(status) => (0, status),
        Fate::Alive | Fate::Gone => (0, -1),
    };
    let home = Obj::new(ffi::PyImport_ImportModule(c"fenshen._owner_died".as_ptr()))?;
    let error = Obj::new(ffi::PyObject_CallMethod(
        home.ptr(),
        c"owner_died".as_ptr(),
        c"Oiii".as_ptr(),
        l,
        lost.process.number() as c_int,
        signal,
        exited,
    ))?;
    raise_object(&error)
}

/// Releases it once.
#[inline]
pub(super) unsafe fn release(l: *mut SemLock) -> Res<()> {
    let semaphore = made(l)?;
    if (*l).kind == RECURSIVE {
        if !is_mine(l) {
            let message = "attempt to release recursive lock not owned by thread";
            return raise(ffi::PyExc_AssertionError, message);
        }
        if (*l).count > 1 {
            (*l).count -= 1;
            return Ok(());
        }
    }
    // Before the others can have it: they may be this process' threads.
    (*l).count -= 1;
    if semaphore.release().is_err() {
        (*l).count += 1;
        return raise(ffi::PyExc_ValueError, "semaphore or lock released too many times");
    }
    Ok(())
}

const ACQUIRE: Signature<2> = Signature { func: "acquire", names: [c"block", c"timeout"], positional: 2, required: 0 };

#[cold]
unsafe fn patience(args: &Args<'_>) -> Res<Patience> {
    let [block, timeout] = args.sort(&ACQUIRE)?;
    let block = block.is_null() || truth(block)?;
    let patience = Patience::of(timeout)?;
    Ok(if block { patience } else { Patience::None })
}

/// The interpreter's own takes any truth from 3.12 on, and before only a number.
unsafe fn truth(o: *mut PyObject) -> Res<bool> {
    let truth = if cfg!(Py_3_12) { ffi::PyObject_IsTrue(o) } else { c_int::from(number(o)? != 0) };
    done(truth)?;
    Ok(truth != 0)
}

unsafe fn number(o: *mut PyObject) -> Res<c_int> {
    let value = ffi::PyLong_AsLong(o);
    if value == -1 && !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    c_int::try_from(value).or_else(|_| raise(ffi::PyExc_OverflowError, "Python int too large to convert to C int"))
}

/// Whether the calling thread holds it.
pub(super) unsafe fn is_held(l: *mut SemLock) -> Res<bool> {
    made(l)?;
    Ok(is_mine(l))
}

/// How often this process has acquired it and not released it.
pub(super) unsafe fn count(l: *mut SemLock) -> Res<c_int> {
    made(l)?;
    Ok((*l).count)
}

fast!(py_acquire, |l: SemLock, args| {
    let patience = if args.is_empty() { Patience::Endless } else { patience(&args)? };
    Ok(boolean(acquire(l, &patience)?))
});
no_args!(py_enter, |l: SemLock| Ok(boolean(acquire(l, &Patience::Endless)?)));
unsafe extern "C" fn with_enter(
    bound: *mut PyObject,
    args: *const *mut PyObject,
    n: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    entry(|| {
        Args::new(args, n as ffi::Py_ssize_t, names).none("__enter__")?;
        Ok(boolean(acquire(with_method::object(bound).cast(), &Patience::Endless)?))
    })
}

unsafe extern "C" fn with_exit(
    bound: *mut PyObject,
    _: *const *mut PyObject,
    _: usize,
    _: *mut PyObject,
) -> *mut PyObject {
    entry(|| release(with_method::object(bound).cast()).map(|()| none()))
}

no_args!(py_release, |l: SemLock| release(l).map(|()| none()));
fast!(py_exit, |l: SemLock, _args| release(l).map(|()| none()));
no_args!(py_count, |l: SemLock| Obj::new(ffi::PyLong_FromLong(count(l)?.into())));
no_args!(py_is_mine, |l: SemLock| Ok(boolean(is_held(l)?)));
no_args!(py_get_value, |l: SemLock| Obj::new(ffi::PyLong_FromLong(made(l)?.value().into())));
no_args!(py_is_zero, |l: SemLock| Ok(boolean(made(l)?.value() == 0)));
no_args!(py_after_fork, |l: SemLock| {
    (*l).count = 0;
    Ok(none())
});
getter!(get_handle, |l: SemLock| Obj::new(ffi::PyLong_FromVoidPtr((*l).semaphore as *mut c_void)));
getter!(get_name, |_l: SemLock| Ok(none()));

// What another process needs: `(segment, offset)`.
no_args!(py_share, |l: SemLock| {
    made(l)?;
    match (*l).place.as_mut() {
        Some(place) => {
            let (segment, offset) = place.share();
            Obj::new(ffi::Py_BuildValue(c"(On)".as_ptr(), segment.ptr(), offset as ffi::Py_ssize_t))
        }
        None => raise(ffi::PyExc_ValueError, "the lock was not made"),
    }
});

const NEW: Signature<5> = Signature {
    func: "SemLock",
    names: [c"kind", c"value", c"maxvalue", c"name", c"unlink"],
    positional: 5,
    required: 3,
};

unsafe extern "C" fn init(this: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> c_int {
    status(|| {
        let [kind, value, most, _name, _unlink] = sort_call(&NEW, args, kwargs)?;
        let (kind, value, most) = (number(kind)?, number(value)?, number(most)?);
        if kind != RECURSIVE && kind != SEMAPHORE {
            return raise(ffi::PyExc_ValueError, "unrecognized kind");
        }
        let (Ok(units), Ok(limit)) = (u32::try_from(value), u32::try_from(most)) else {
            return os_error(&std::io::Error::from_raw_os_error(libc::EINVAL));
        };
        let place = Place::make(size_of::<Semaphore>())?;
        // One that begins without units tells of events, and nobody holds those.
        place.start().cast::<Semaphore>().as_ref().reset(units, limit, units > 0);
        place_at(this.cast(), place, kind, most)
    })
}

/// `(segment, offset), kind, maxvalue, name`: what was pickled.
const ATTACH: Signature<4> =
    Signature { func: "_attach", names: [c"handle", c"kind", c"maxvalue", c"name"], positional: 4, required: 3 };

fast!(py_attach, |l: SemLock, args| {
    attach(l, &args)?;
    Ok(none())
});

unsafe fn attach(l: *mut SemLock, args: &Args<'_>) -> Res<()> {
    let [handle, kind, most, _name] = args.sort(&ATTACH)?;
    if ffi::PyTuple_Check(handle) == 0 || ffi::PyTuple_GET_SIZE(handle) != 2 {
        return raise(ffi::PyExc_TypeError, "a handle is (segment, offset)");
    }
    let offset = ffi::PyLong_AsSize_t(ffi::PyTuple_GET_ITEM(handle, 1));
    if !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    let (kind, most) = (number(kind)?, number(most)?);
    let place = Place::adopt(Obj::from(ffi::PyTuple_GET_ITEM(handle, 0)), offset, size_of::<Semaphore>())?;
    place_at(l, place, kind, most)
}

unsafe extern "C" fn rebuild(
    ty: *mut PyObject,
    args: *const *mut PyObject,
    n: ffi::Py_ssize_t,
    names: *mut PyObject,
) -> *mut PyObject {
    entry(|| {
        let this = Obj::new(ffi::PyType_GenericNew(ty.cast(), ptr::null_mut(), ptr::null_mut()))?;
        attach(this.ptr().cast(), &Args::new(args, n, names))?;
        Ok(this)
    })
}

/// Gives it its place, and makes it one of all.
unsafe fn place_at(l: *mut SemLock, place: Box<Place>, kind: c_int, most: c_int) -> Res<()> {
    unlink(l);
    (*l).semaphore = place.start().cast().as_ptr();
    let old = (*l).place.replace(place);
    ((*l).kind, (*l).most, (*l).count) = (kind, most, 0);
    (*l).life = LIFE.load(Ordering::Relaxed);
    let mut all = all();
    (*l).next = all.first;
    (*l).previous = ptr::null_mut();
    if !all.first.is_null() {
        (*all.first).previous = l;
    }
    all.first = l;
    drop(all);
    drop(old);
    Ok(())
}

unsafe fn unlink(l: *mut SemLock) {
    if (*l).semaphore.is_null() {
        return;
    }
    let mut all = all();
    let (next, previous) = ((*l).next, (*l).previous);
    if !next.is_null() {
        (*next).previous = previous;
    }
    if previous.is_null() {
        all.first = next;
    } else {
        (*previous).next = next;
    }
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    let l: *mut SemLock = this.cast();
    unlink(l);
    if let Some(place) = (*l).place.take() {
        if place.is_known() && (*(*l).semaphore).is_held_here() {
            // Others are told if this process is killed, and are not if it leaves in order.
            all().abandoned.push(*place);
        } else {
            drop(place);
        }
    }
    free(this);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let int = ffi::Py_T_INT;
    let ty = TypeBuilder::new::<SemLock>(c"fenshen._processes.SemLock")
        .doc(c"SemLock(kind, value, maxvalue, name=None, unlink=True)\n--\n\nA recursive mutex or a semaphore that processes share, as the interpreter's own; it has no name.")
        .flags(ffi::Py_TPFLAGS_BASETYPE)
        .slot(ffi::Py_tp_new, ffi::PyType_GenericNew as *mut c_void)
        .slot(ffi::Py_tp_init, init as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .fast(c"acquire", py_acquire, c"acquire($self, /, block=True, timeout=None)\n--\n\nAcquire the semaphore/lock; `timeout` is in seconds.\n\nReturns whether it was acquired. Raises OwnerDied if the last process that acquired it has died.")
        .no_args(c"release", py_release, c"release($self, /)\n--\n\nRelease the semaphore/lock.")
        .no_args(c"__enter__", py_enter, c"__enter__($self, /)\n--\n\nEnter the semaphore/lock.")
        .fast(c"__exit__", py_exit, c"__exit__($self, /, *exc_info)\n--\n\nExit the semaphore/lock.")
        .no_args(c"_count", py_count, c"_count($self, /)\n--\n\nNum of `acquire()`s minus num of `release()`s for this process.")
        .no_args(c"_is_mine", py_is_mine, c"_is_mine($self, /)\n--\n\nWhether the lock is owned by this thread.")
        .no_args(c"_get_value", py_get_value, c"_get_value($self, /)\n--\n\nGet the value of the semaphore.")
        .no_args(c"_is_zero", py_is_zero, c"_is_zero($self, /)\n--\n\nReturn whether semaphore has value zero.")
        .no_args(c"_after_fork", py_after_fork, c"_after_fork($self, /)\n--\n\nRezero the net acquisition count after fork().")
        .no_args(c"_share", py_share, c"_share($self, /)\n--\n\n`(segment, offset)`, for others.")
        .fast(c"_attach", py_attach, c"_attach($self, /, handle, kind, maxvalue, name=None)\n--\n\nBe what another process shares.")
        .class_fast(c"_rebuild", rebuild, c"_rebuild($type, /, handle, kind, maxvalue, name=None)\n--\n\nWhat another process shares.")
        .property(c"handle", get_handle, None)
        .property(c"name", get_name, None)
        .member(c"kind", int, std::mem::offset_of!(SemLock, kind), true)
        .member(c"_is_fork_ctx", ffi::Py_T_BOOL, std::mem::offset_of!(SemLock, for_fork), false)
        .member(c"maxvalue", int, std::mem::offset_of!(SemLock, most), true)
        .build(None)?;
    if cfg!(not(Py_3_14)) {
        with_method::replace(ty, c"__enter__", with_enter)?;
        with_method::replace(ty, c"__exit__", with_exit)?;
    }
    let most = Obj::new(ffi::PyLong_FromLong(c_long::from(Semaphore::MOST)))?;
    done(ffi::PyObject_SetAttrString(ty.cast(), c"SEM_VALUE_MAX".as_ptr(), most.ptr()))?;
    Ok(ty)
}
