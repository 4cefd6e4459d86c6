//! `Semaphore` and `BoundedSemaphore`: a number of units that threads take and give back.

use std::ffi::{c_int, c_void};

use fenshen_sync::graph::Target;
use fenshen_sync::{Failed, Scope, Wake, current};
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::head::{self, Head, Shared, Standard};
use super::known::known;
use super::park::PyPark;
use super::patience::{self, Patience};
use super::shown_condition::ShownCondition;
use crate::args::{Args, Signature, sort_call};
use crate::errors::{entry, raise, status};
use crate::methods::{fast, getter, setter};
use crate::object::{Obj, Raised, Res, boolean, call_method, clear, done, none, set, text, visit};

/// The layout of `Semaphore`.
#[repr(C)]
pub(crate) struct Semaphore {
    head: Head,
    core: fenshen_sync::Semaphore,
    /// A value that is no number of units, an infinite one say: it never runs out.
    endless: Option<Obj>,
    /// What the count may not exceed.
    limit: u64,
    shown: ShownCondition,
}

/// A semaphore that does not take more than it gave.
#[repr(transparent)]
pub(crate) struct Bounded(Semaphore);

static SEMAPHORE: Standard = Standard::new(c"threading", c"Semaphore");

impl Shared for Semaphore {
    const CALLED: &'static [&'static std::ffi::CStr] = &[c"release"];
    const STANDARD: &'static Standard = &SEMAPHORE;

    fn kind() -> *mut PyTypeObject {
        super::kinds::semaphore()
    }

    unsafe fn prepare(this: *mut Semaphore) {
        std::ptr::write(&raw mut (*this).core, fenshen_sync::Semaphore::new(1, Scope::Process));
        (*this).limit = fenshen_sync::Semaphore::MAX;
    }

    unsafe fn visit(this: *mut Semaphore, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        match visit(&(*this).endless, visitor, arg) {
            0 => (*this).shown.visit(visitor, arg),
            status => status,
        }
    }

    unsafe fn release(this: *mut Semaphore) {
        clear(&mut (*this).endless);
        (*this).shown.clear();
    }
}

static BOUNDED_SEMAPHORE: Standard = Standard::new(c"threading", c"BoundedSemaphore");

impl Shared for Bounded {
    const CALLED: &'static [&'static std::ffi::CStr] = Semaphore::CALLED;
    const STANDARD: &'static Standard = &BOUNDED_SEMAPHORE;

    fn kind() -> *mut PyTypeObject {
        super::kinds::bounded_semaphore()
    }

    unsafe fn prepare(this: *mut Bounded) {
        Semaphore::prepare(this.cast());
    }

    unsafe fn visit(this: *mut Bounded, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        Semaphore::visit(this.cast(), visitor, arg)
    }

    unsafe fn release(this: *mut Bounded) {
        <Semaphore as Shared>::release(this.cast());
    }
}

const ACQUIRE: Signature<2> =
    Signature { func: "Semaphore.acquire", names: [c"blocking", c"timeout"], positional: 2, required: 0 };
const RELEASE: Signature<1> = Signature { func: "Semaphore.release", names: [c"n"], positional: 1, required: 0 };
const INIT: Signature<1> = Signature { func: "Semaphore.__init__", names: [c"value"], positional: 1, required: 0 };

/// Takes a unit as `acquire(blocking=True, timeout=None)` asks; returns whether it was taken.
#[inline]
unsafe fn acquire(s: *mut Semaphore, args: &Args<'_>) -> Res<bool> {
    if args.is_empty() {
        return Ok((*s).core.try_acquire() || acquire_slowly(s, Patience::Endless)?);
    }
    let [blocking, timeout] = args.sort(&ACQUIRE)?;
    let blocking = blocking.is_null() || head::truth(&Obj::from(blocking))?;
    let timed = !timeout.is_null() && timeout != ffi::Py_None();
    if !blocking && timed {
        return raise(ffi::PyExc_ValueError, "can't specify timeout for non-blocking acquire");
    }
    if (*s).core.try_acquire() {
        return Ok(true);
    }
    acquire_slowly(s, if blocking { patience::of_timeout(timeout)? } else { Patience::None })
}

#[cold]
unsafe fn acquire_slowly(s: *mut Semaphore, patience: Patience) -> Res<bool> {
    if (*s).endless.is_some() {
        return Ok(true);
    }
    if patience == Patience::None {
        return Ok(false);
    }
    let _alive = Obj::from(s.cast());
    let mut park = PyPark::new(s.cast(), Target::Anyone);
    match (*s).core.acquire_slowly(current(), Wake::Thread, &mut park, patience.deadline()) {
        Ok(()) => Ok(true),
        Err(Failed::TimedOut) => Ok(false),
        Err(Failed::Interrupted) => Err(Raised),
    }
}

#[inline]
unsafe fn release(s: *mut Semaphore, units: u64) -> Res<()> {
    if !(*s).core.release_within(units, (*s).limit) {
        return too_many(s);
    }
    (*s).shown.tell(units)
}

#[cold]
unsafe fn too_many(s: *mut Semaphore) -> Res<()> {
    match () {
        () if (*s).endless.is_some() => Ok(()),
        () if (*s).limit < fenshen_sync::Semaphore::MAX => {
            raise(ffi::PyExc_ValueError, "Semaphore released too many times")
        }
        () => raise(ffi::PyExc_OverflowError, "semaphore value is too large"),
    }
}

/// `n` of `release`.
unsafe fn how_many(n: *mut PyObject) -> Res<u64> {
    let one = Obj::new(ffi::PyLong_FromLong(1))?;
    let less = ffi::PyObject_RichCompareBool(n, one.ptr(), ffi::Py_LT);
    done(less)?;
    if less != 0 {
        return raise(ffi::PyExc_ValueError, "n must be one or more");
    }
    let index = Obj::new(ffi::PyNumber_Index(n))?;
    let units = ffi::PyLong_AsUnsignedLongLong(index.ptr());
    if units == u64::MAX && !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    Ok(units)
}

/// The number of units that a value is; `None` if it is none.
unsafe fn units(value: *mut PyObject) -> Option<u64> {
    let units = if ffi::PyFloat_Check(value) != 0 {
        let number = ffi::PyFloat_AS_DOUBLE(value);
        if number.fract() != 0.0 || number > fenshen_sync::Semaphore::MAX as f64 {
            return None;
        }
        number as u64
    } else {
        let index = Obj::new(ffi::PyNumber_Index(value));
        let units = index.map(|index| ffi::PyLong_AsUnsignedLongLong(index.ptr()));
        if !ffi::PyErr_Occurred().is_null() {
            ffi::PyErr_Clear();
            return None;
        }
        units.ok()?
    };
    (units < fenshen_sync::Semaphore::MAX).then_some(units)
}

unsafe fn set_value(s: *mut Semaphore, value: *mut PyObject) {
    match units(value) {
        Some(units) => {
            (*s).core.set_count(units);
            clear(&mut (*s).endless);
        }
        None => {
            // Those who wait all pass, and nothing that is given back counts.
            set(&mut (*s).endless, Some(Obj::from(value)));
            (*s).core.set_count(fenshen_sync::Semaphore::MAX);
            (*s).core.set_count(0);
        }
    }
}

fast!(py_acquire, |s: Semaphore, args| Ok(boolean(acquire(s, &args)?)));
fast!(py_release, |s: Semaphore, args| {
    let units = match args.is_empty() {
        true => 1,
        false => how_many(args.sort(&RELEASE)?[0])?,
    };
    release(s, units)?;
    Ok(none())
});
fast!(py_exit, |s: Semaphore, _args| {
    if (*s).head.plain {
        release(s, 1)?;
        return Ok(none());
    }
    call_method(&known().release, &[s.cast()])?;
    Ok(none())
});
getter!(get_value, |s: Semaphore| value(s));
setter!(set_value_attribute, |s: Semaphore, value| {
    set_value(s, value);
    Ok(())
});
getter!(get_initial, |s: Semaphore| {
    match &(*s).endless {
        Some(value) => Ok(value.again()),
        None => Obj::new(ffi::PyLong_FromUnsignedLongLong((*s).limit)),
    }
});
setter!(set_initial, |s: Semaphore, value| {
    (*s).limit = units(value).unwrap_or(fenshen_sync::Semaphore::MAX);
    Ok(())
});
getter!(get_cond, |s: Semaphore| (*s).shown.get());

/// What there is left.
unsafe fn value(s: *mut Semaphore) -> Res<Obj> {
    match &(*s).endless {
        Some(value) => Ok(value.again()),
        None => Obj::new(ffi::PyLong_FromUnsignedLongLong((*s).core.count())),
    }
}

/// The `__init__` of both; returns the initial value.
unsafe fn init(s: *mut Semaphore, args: *mut PyObject, kwargs: *mut PyObject) -> Res<Obj> {
    let [value] = sort_call(&INIT, args, kwargs)?;
    let value = if value.is_null() { Obj::new(ffi::PyLong_FromLong(1))? } else { Obj::from(value) };
    let zero = Obj::new(ffi::PyLong_FromLong(0))?;
    let negative = ffi::PyObject_RichCompareBool(value.ptr(), zero.ptr(), ffi::Py_LT);
    done(negative)?;
    if negative != 0 {
        return raise(ffi::PyExc_ValueError, "semaphore initial value must be >= 0");
    }
    (*s).limit = fenshen_sync::Semaphore::MAX;
    set_value(s, value.ptr());
    Ok(value)
}

unsafe extern "C" fn init_plain(this: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> c_int {
    status(|| init(this.cast(), args, kwargs).map(|_| ()))
}

unsafe extern "C" fn init_bounded(this: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> c_int {
    status(|| {
        let s: *mut Semaphore = this.cast();
        let value = init(s, args, kwargs)?;
        (*s).limit = units(value.ptr()).unwrap_or(fenshen_sync::Semaphore::MAX);
        Ok(())
    })
}

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let value = crate::object::repr(value(this.cast())?.ptr());
        text(&format!("<{} at {this:p}: value={value}>", head::class_text::<Semaphore>(this)?))
    })
}

unsafe extern "C" fn repr_bounded(this: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let value = crate::object::repr(value(this.cast())?.ptr());
        let initial = crate::object::repr(Obj::new(get_initial(this, std::ptr::null_mut()))?.ptr());
        text(&format!("<{} at {this:p}: value={value}/{initial}>", head::class_text::<Bounded>(this)?))
    })
}

/// Makes the type `Semaphore`.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let doc = c"Semaphore(value=1)\n--\n\nA number of units that threads take and give back, as threading.Semaphore.\n\nThose who wait are served in the order in which they came. Raises ValueError for a negative `value`.";
    let acquire = c"acquire($self, /, blocking=True, timeout=None)\n--\n\nTake a unit, and wait for one unless `blocking` is false, at most `timeout` seconds.\n\nReturns whether one was taken. Raises ValueError for a timeout with blocking=False.";
    head::builder::<Semaphore>(c"fenshen._threads.Semaphore", doc)
        .slot(ffi::Py_tp_init, init_plain as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .fast(c"acquire", py_acquire, acquire)
        .fast(c"__enter__", py_acquire, c"__enter__($self, /, blocking=True, timeout=None)\n--\n\nTake a unit.")
        .fast(
            c"release",
            py_release,
            c"release($self, /, n=1)\n--\n\nGive `n` units back. Raises ValueError if `n` is less than one.",
        )
        .fast(c"__exit__", py_exit, c"__exit__($self, /, t, v, tb)\n--\n\nGive a unit back.")
        .property(c"_value", get_value, Some(set_value_attribute))
        .property(c"_cond", get_cond, None)
        .build(None)
}

/// Makes the type `BoundedSemaphore`.
pub(crate) unsafe fn build_bounded() -> Res<*mut PyTypeObject> {
    let doc = c"BoundedSemaphore(value=1)\n--\n\nA semaphore that does not take more units than it gave, as threading.BoundedSemaphore.\n\nrelease() raises ValueError.";
    head::builder::<Bounded>(c"fenshen._threads.BoundedSemaphore", doc)
        .slot(ffi::Py_tp_init, init_bounded as *mut c_void)
        .slot(ffi::Py_tp_repr, repr_bounded as *mut c_void)
        .fast(
            c"release",
            py_release,
            c"release($self, /, n=1)\n--\n\nGive `n` units back. Raises ValueError if `n` is less than one, or more than were taken.",
        )
        .property(c"_initial_value", get_initial, Some(set_initial))
        .build(Some(super::kinds::semaphore()))
}
