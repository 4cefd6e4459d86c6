//! `LoopWorker`: the Python face of `loop_worker.rs`.

use std::os::fd::AsRawFd;

use fenshen_pool::Ends;
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::loop_worker::{self, Inner, PyLoopWorker, inner};
use super::segment::os_error;
use super::worker_head::{dealloc, make, note_of};
use super::worker_type::descriptor;
use crate::args::{Signature, sort_call};
use crate::errors::entry;
use crate::methods::{getter, no_args, one_arg};
use crate::object::{Obj, Res, boolean, none};
use crate::types::TypeBuilder;

const NEW: Signature<6> = Signature {
    func: "LoopWorker",
    names: [c"segment", c"tasks", c"results", c"doorbell", c"bell", c"helper"],
    positional: 6,
    required: 6,
};

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let [segment, tasks, results, doorbell, bell, helper] = sort_call(&NEW, args, kwargs)?;
        let ends = [descriptor(segment)?, descriptor(tasks)?, descriptor(results)?];
        let (doorbell, bell) = (descriptor(doorbell)?, descriptor(bell)?);
        // Only the process that the ends were made for is handed them.
        let made = Ends::adopt(ends).and_then(|ends| fenshen_pool::LoopWorker::new(ends, doorbell, bell));
        let made = match made {
            Ok(made) => made,
            Err(error) => return os_error(&error),
        };
        make(ty, Inner::new(made, Obj::from(helper)))
    })
}

one_arg!(py_start, |w: PyLoopWorker, create_task| {
    let ended = Obj::new(ffi::PyObject_GetAttrString(w.cast(), c"_ended".as_ptr()))?;
    loop_worker::start(w, Obj::from(create_task), ended)?;
    Ok(none())
});
no_args!(py_turn, |w: PyLoopWorker| {
    loop_worker::turn(w)?;
    Ok(boolean(!inner(w)?.stopped))
});
one_arg!(py_ended, |w: PyLoopWorker, task| {
    loop_worker::ended(w, &Obj::from(task))?;
    Ok(none())
});
no_args!(py_see_off, |w: PyLoopWorker| {
    loop_worker::see_off(w)?;
    Ok(none())
});
one_arg!(py_note, |w: PyLoopWorker, bytes| {
    loop_worker::note(w, note_of(bytes)?)?;
    Ok(none())
});
no_args!(py_fileno, |w: PyLoopWorker| {
    Obj::new(ffi::PyLong_FromLong(inner(w)?.worker.doorbell().as_raw_fd().into()))
});
getter!(get_stopped, |w: PyLoopWorker| Ok(boolean(inner(w)?.stopped)));

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<PyLoopWorker>(c"fenshen._processes.LoopWorker")
        .doc(c"LoopWorker(segment, tasks, results, doorbell, bell, helper)\n--\n\nA worker that runs many coroutines at once on an event loop, from the descriptors that the pool's process made; they\nstay the caller's.\n\nRaises OSError.")
        .slot(ffi::Py_tp_new, new as *mut _)
        .slot(ffi::Py_tp_dealloc, dealloc::<Inner> as *mut _)
        .property(c"stopped", get_stopped, None)
        .one_arg(c"start", py_start, c"start($self, create_task, /)\n--\n\nTell the pool that coroutines can come; `create_task` makes tasks of them.")
        .no_args(c"turn", py_turn, c"turn($self, /)\n--\n\nBegin and cancel what the pool says; False once it says that this is enough.")
        .one_arg(c"_ended", py_ended, c"_ended($self, task, /)\n--\n\nSend what became of a task.")
        .no_args(c"see_off", py_see_off, c"see_off($self, /)\n--\n\nWait until the pool has everything that it opens from here.")
        .one_arg(c"note", py_note, c"note($self, pickle, /)\n--\n\nTell the pool something besides the tasks' results; from any thread.")
        .no_args(c"fileno", py_fileno, c"fileno($self, /)\n--\n\nWhat is readable when there is a turn to take.")
        .build(None)
}
