//! `Waiters`: those who wait at a condition variable of processes.

use fenshen_shm::Waiters;
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::memory::Memory;
use super::os_error;
use super::patience::Patience;
use crate::args::{Signature, sort_call};
use crate::errors::{entry, raise, runtime_error};
use crate::methods::{fast, one_arg};
use crate::object::{Obj, Raised, Res, boolean};
use crate::types::{TypeBuilder, free};

/// The layout of `Waiters`.
#[repr(C)]
struct PyWaiters {
    ob_base: PyObject,
    inner: Option<(Waiters, Memory)>,
}

const NEW: Signature<1> = Signature { func: "Waiters", names: [c"memory"], positional: 1, required: 1 };
const WAIT: Signature<3> =
    Signature { func: "wait", names: [c"release", c"timeout", c"life"], positional: 3, required: 1 };

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let [memory] = sort_call(&NEW, args, kwargs)?;
        let memory = Memory::of(memory, Waiters::SIZE)?;
        let o = Obj::new(ffi::PyType_GenericAlloc(ty, 0))?;
        let this: *mut PyWaiters = o.ptr().cast();
        std::ptr::write(&raw mut (*this).inner, Some((Waiters::at(memory.start()), memory)));
        Ok(o)
    })
}

unsafe extern "C" fn dealloc(o: *mut PyObject) {
    drop((*o.cast::<PyWaiters>()).inner.take());
    free(o);
}

unsafe fn waiters<'a>(this: *mut PyWaiters) -> Res<&'a Waiters> {
    match &(*this).inner {
        Some((waiters, _)) => Ok(waiters),
        None => raise(ffi::PyExc_ValueError, "the waiters were not made"),
    }
}

fast!(py_wait, |this: PyWaiters, args| {
    let waiters = waiters(this)?;
    let [release, timeout, life] = args.sort(&WAIT)?;
    let patience = Patience::new(timeout, life)?;
    let seat = match waiters.enter() {
        Ok(seat) => seat,
        Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
            return runtime_error("too many wait at this condition variable");
        }
        Err(error) => return os_error(&error),
    };
    let waited = match crate::object::call(release, &[]) {
        Ok(_) => patience.wait(|| waiters.is_notified(&seat), |until| waiters.sleep(&seat, until)),
        Err(Raised) => Err(Raised),
    };
    let notified = waiters.leave(seat);
    waited.map(|_| boolean(notified))
});
one_arg!(py_notify, |this: PyWaiters, count| {
    let count = ffi::PyLong_AsSsize_t(count);
    if count == -1 && !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    let notified = waiters(this)?.notify(usize::try_from(count).unwrap_or(0));
    Obj::new(ffi::PyLong_FromSize_t(notified))
});

/// Makes the type.
pub(super) unsafe fn build() -> Res<*mut PyTypeObject> {
    let ty = TypeBuilder::new::<PyWaiters>(c"fenshen._processes.Waiters")
        .doc(c"Waiters(memory)\n--\n\nThose who wait at a condition variable of processes, in shared memory: all zero is nobody. `size` is how many bytes\nit takes.")
        .slot(ffi::Py_tp_new, new as *mut _)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut _)
        .fast(c"wait", py_wait, c"wait($self, /, release, timeout=None, life=None)\n--\n\nWait to be notified, for `timeout` seconds at most, after a call of `release`; whether it was. The lock is held.\n\nRaises EOFError when `life` is over, and RuntimeError where too many wait.")
        .one_arg(c"notify", py_notify, c"notify($self, count, /)\n--\n\nNotify so many of those who wait, the first first; how many there were. The lock is held.")
        .build(None)?;
    super::tell_size(ty, Waiters::SIZE)?;
    Ok(ty)
}
