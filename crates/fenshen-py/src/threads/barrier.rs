//! `Barrier`: a number of threads meet, again and again.

use std::ffi::{c_int, c_void};

use fenshen_sync::graph::Target;
use fenshen_sync::{Missed, Scope, Wake, current};
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::head::{self, Head, Shared, Standard};
use super::park::PyPark;
use super::patience::{self, Patience};
use crate::args::{Signature, sort_call};
use crate::errors::{entry, status};
use crate::methods::{fast, getter, no_args, setter};
use crate::object::{Obj, Raised, Res, boolean, call, clear, done, none, ptr_or_null, set, text, visit};

/// The layout of `Barrier`.
#[repr(C)]
pub(crate) struct Barrier {
    head: Head,
    core: fenshen_sync::Barrier,
    /// As it was given.
    parties: Option<Obj>,
    /// What the last one calls before all go on.
    action: Option<Obj>,
    /// How long to wait where a call does not say; `None` in Python is for ever.
    timeout: Option<Obj>,
}

static BARRIER: Standard = Standard::new(c"threading", c"Barrier");

impl Shared for Barrier {
    const CALLED: &'static [&'static std::ffi::CStr] = &[];
    const STANDARD: &'static Standard = &BARRIER;

    fn kind() -> *mut PyTypeObject {
        super::kinds::barrier()
    }

    unsafe fn prepare(this: *mut Barrier) {
        std::ptr::write(&raw mut (*this).core, fenshen_sync::Barrier::new(0, Scope::Process));
    }

    unsafe fn visit(this: *mut Barrier, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        [&(*this).parties, &(*this).action, &(*this).timeout].into_iter().fold(0, |status, field| match status {
            0 => visit(field, visitor, arg),
            _ => status,
        })
    }

    unsafe fn release(this: *mut Barrier) {
        clear(&mut (*this).parties);
        clear(&mut (*this).action);
        clear(&mut (*this).timeout);
    }
}

/// What is raised where a barrier is broken.
static BROKEN_BARRIER: Standard = Standard::new(c"threading", c"BrokenBarrierError");

/// Waits for the others; returns how many had come before.
unsafe fn wait(b: *mut Barrier, patience: Patience) -> Res<u64> {
    let _alive = Obj::from(b.cast());
    let act = || match &(*b).action {
        Some(action) if action.ptr() != ffi::Py_None() => run(action.again()).is_ok(),
        _ => true,
    };
    let mut park = PyPark::new(b.cast(), Target::Anyone);
    match (*b).core.wait_until(current(), Wake::Thread, &mut park, patience.deadline(), act) {
        Ok(index) => Ok(index),
        Err(Missed::Broken) => {
            ffi::PyErr_SetNone(BROKEN_BARRIER.get()?);
            Err(Raised)
        }
        Err(Missed::Action | Missed::Interrupted) => Err(Raised),
    }
}

#[cold]
unsafe fn run(action: Obj) -> Res<()> {
    if head::truth(&action)? {
        call(action.ptr(), &[])?;
    }
    Ok(())
}

/// How many must come, of a number that is at least one; of anything less nobody ever does.
unsafe fn parties(given: *mut PyObject) -> Res<u64> {
    let one = Obj::new(ffi::PyLong_FromLong(1))?;
    let less = ffi::PyObject_RichCompareBool(given, one.ptr(), ffi::Py_LT);
    done(less)?;
    if less != 0 {
        // From 3.13 on that is an error; the running interpreter's own class knows, and in what words.
        call(Barrier::STANDARD.get()?, &[given])?;
        return Ok(0);
    }
    if ffi::PyFloat_Check(given) != 0 {
        let number = ffi::PyFloat_AS_DOUBLE(given);
        return Ok(if number.fract() == 0.0 { number as u64 } else { 0 });
    }
    let index = Obj::new(ffi::PyNumber_Index(given))?;
    let number = ffi::PyLong_AsUnsignedLongLong(index.ptr());
    if number == u64::MAX && !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    Ok(number)
}

const WAIT: Signature<1> = Signature { func: "Barrier.wait", names: [c"timeout"], positional: 1, required: 0 };
const INIT: Signature<3> =
    Signature { func: "Barrier.__init__", names: [c"parties", c"action", c"timeout"], positional: 3, required: 1 };

fast!(py_wait, |b: Barrier, args| {
    let given = if args.is_empty() { std::ptr::null_mut() } else { args.sort(&WAIT)?[0] };
    // Its own may be replaced while it is looked at.
    let own = Obj::from_opt(ptr_or_null(&(*b).timeout));
    let timeout = if given.is_null() || given == ffi::Py_None() { ptr_or_null(&own) } else { given };
    let index = wait(b, patience::of_timeout(timeout)?)?;
    Obj::new(ffi::PyLong_FromUnsignedLongLong(index))
});
no_args!(py_reset, |b: Barrier| {
    (*b).core.reset();
    Ok(none())
});
no_args!(py_abort, |b: Barrier| {
    (*b).core.abort();
    Ok(none())
});
getter!(get_parties, |b: Barrier| Ok(Obj::from_opt(ptr_or_null(&(*b).parties)).unwrap_or_else(|| none())));
getter!(get_waiting, |b: Barrier| Obj::new(ffi::PyLong_FromUnsignedLongLong((*b).core.waiting())));
getter!(get_broken, |b: Barrier| Ok(boolean((*b).core.is_broken())));
getter!(get_action, |b: Barrier| Ok(Obj::from_opt(ptr_or_null(&(*b).action)).unwrap_or_else(|| none())));
setter!(set_action, |b: Barrier, action| {
    set(&mut (*b).action, Some(Obj::from(action)));
    Ok(())
});
getter!(get_timeout, |b: Barrier| Ok(Obj::from_opt(ptr_or_null(&(*b).timeout)).unwrap_or_else(|| none())));
setter!(set_timeout, |b: Barrier, timeout| {
    set(&mut (*b).timeout, Some(Obj::from(timeout)));
    Ok(())
});

unsafe extern "C" fn init(this: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> c_int {
    status(|| {
        let b: *mut Barrier = this.cast();
        let [given, action, timeout] = sort_call(&INIT, args, kwargs)?;
        (*b).core.set_parties(parties(given)?);
        set(&mut (*b).parties, Obj::from_opt(given));
        set(&mut (*b).action, Obj::from_opt(action));
        set(&mut (*b).timeout, Obj::from_opt(timeout));
        Ok(())
    })
}

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let b: *mut Barrier = this.cast();
        let state = if (*b).core.is_broken() {
            "broken".to_owned()
        } else {
            let parties = Obj::new(get_parties(this, std::ptr::null_mut()))?;
            format!("waiters={}/{}", (*b).core.waiting(), crate::object::repr(parties.ptr()))
        };
        text(&format!("<{} at {this:p}: {state}>", head::class_text::<Barrier>(this)?))
    })
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let doc = c"Barrier(parties, action=None, timeout=None)\n--\n\nWhere `parties` threads meet, again and again, as threading.Barrier.\n\nThe last one to come calls action() before all go on. `timeout`, in seconds, is that of every wait() without\nits own.";
    head::builder::<Barrier>(c"fenshen._threads.Barrier", doc)
        .slot(ffi::Py_tp_init, init as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .fast(
            c"wait",
            py_wait,
            c"wait($self, /, timeout=None)\n--\n\nWait until all have come; returns how many had come before this thread.\n\nAfter `timeout` seconds the barrier breaks. Raises BrokenBarrierError if it is broken, or reset meanwhile.",
        )
        .no_args(
            c"reset",
            py_reset,
            c"reset($self, /)\n--\n\nMake it whole again; those who wait get BrokenBarrierError.",
        )
        .no_args(
            c"abort",
            py_abort,
            c"abort($self, /)\n--\n\nBreak it: those who wait, and who come, get BrokenBarrierError.",
        )
        .property(c"parties", get_parties, None)
        .property(c"n_waiting", get_waiting, None)
        .property(c"broken", get_broken, None)
        .property(c"_parties", get_parties, None)
        .property(c"_action", get_action, Some(set_action))
        .property(c"_timeout", get_timeout, Some(set_timeout))
        .build(None)
}
