//! `Worker`: the Python face of `worker.rs`.

use std::os::fd::{FromRawFd, OwnedFd};

use fenshen_pool::{Ends, Growth};
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::segment::os_error;
use super::worker::{self, Inner, PyWorker};
use super::worker_head::{dealloc, make, note_of};
use crate::args::{Signature, sort_call};
use crate::errors::entry;
use crate::methods::{no_args, one_arg};
use crate::object::{Obj, Raised, Res, none};
use crate::types::TypeBuilder;

const NEW: Signature<6> = Signature {
    func: "Worker",
    names: [c"segment", c"tasks", c"results", c"bell", c"helper", c"growth"],
    positional: 6,
    required: 5,
};

/// A descriptor of its own for what a number stands for.
pub(crate) unsafe fn descriptor(o: *mut PyObject) -> Res<OwnedFd> {
    let fd = ffi::PyLong_AsLong(o);
    if fd == -1 && !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    let fd = libc::fcntl(fd as i32, libc::F_DUPFD_CLOEXEC, 3);
    if fd < 0 {
        return os_error(&std::io::Error::last_os_error());
    }
    Ok(OwnedFd::from_raw_fd(fd))
}

/// By how many bytes the process may grow, where that is limited.
unsafe fn limit(o: *mut PyObject) -> Res<Option<Growth>> {
    if o.is_null() || o == ffi::Py_None() {
        return Ok(None);
    }
    let bytes = ffi::PyLong_AsUnsignedLongLong(o);
    if bytes == u64::MAX && !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    Growth::new(bytes).map(Some).or_else(|error| os_error(&error))
}

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let [segment, tasks, results, bell, helper, growth] = sort_call(&NEW, args, kwargs)?;
        let ends = [descriptor(segment)?, descriptor(tasks)?, descriptor(results)?];
        let bell = descriptor(bell)?;
        let growth = limit(growth)?;
        // Only the process that the ends were made for is handed them.
        let made = match Ends::adopt(ends).and_then(|ends| fenshen_pool::Worker::new(ends, bell)) {
            Ok(made) => made,
            Err(error) => return os_error(&error),
        };
        make(ty, Inner::new(made, Obj::from(helper), growth))
    })
}

no_args!(py_serve, |w: PyWorker| {
    worker::serve(w)?;
    Ok(none())
});
one_arg!(py_note, |w: PyWorker, bytes| {
    worker::note(w, note_of(bytes)?)?;
    Ok(none())
});

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<PyWorker>(c"fenshen._processes.Worker")
        .doc(c"Worker(segment, tasks, results, bell, helper, growth=None)\n--\n\nA worker's end of the link to its pool, from the descriptors that the pool's process made; they stay the caller's. It\nleaves when its process has grown by more than `growth` bytes since the end of its first task.\n\nRaises OSError, OverflowError.")
        .slot(ffi::Py_tp_new, new as *mut _)
        .slot(ffi::Py_tp_dealloc, dealloc::<Inner> as *mut _)
        .no_args(c"serve", py_serve, c"serve($self, /)\n--\n\nRun what comes until the pool says that it is enough.")
        .one_arg(c"note", py_note, c"note($self, pickle, /)\n--\n\nTell the pool something besides the tasks' results; from any thread.")
        .build(None)
}
