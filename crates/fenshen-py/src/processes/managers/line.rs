//! `Line`: calls to another process and its answers, as Python objects.

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use fenshen_shm::{Incoming, Line, Outgoing, Segment, Side, Woken};
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::os_error;
use super::plain::is_plain;
use crate::args::{Signature, sort_call};
use crate::errors::{entry, raise};
use crate::methods::{getter, no_args, one_arg};
use crate::object::{Obj, Raised, Res, attr, boolean, call, none};
use crate::types::{TypeBuilder, free};

/// The layout of `Line`.
#[repr(C)]
pub(crate) struct PyLine {
    ob_base: PyObject,
    line: Option<Arc<Line>>,
    incoming: Option<Incoming>,
    /// A message is on its way through it.
    busy: bool,
    pickling: Option<Pickling>,
}

/// What turns objects into bytes and back.
struct Pickling {
    /// `pickle.dumps`, for what is plain.
    dumps: Obj,
    /// `ForkingPickler.dumps`, for everything else.
    dumps_any: Obj,
    loads: Obj,
}

impl Pickling {
    unsafe fn new() -> Res<Pickling> {
        let get = |module: &std::ffi::CStr, names: &[&std::ffi::CStr]| {
            let mut o = Obj::new(ffi::PyImport_ImportModule(module.as_ptr()))?;
            for name in names {
                let name = Obj::new(ffi::PyUnicode_InternFromString(name.as_ptr()))?;
                o = attr(o.ptr(), &name)?;
            }
            Ok(o)
        };
        Ok(Pickling {
            dumps: get(c"pickle", &[c"dumps"])?,
            dumps_any: get(c"multiprocessing.reduction", &[c"ForkingPickler", c"dumps"])?,
            loads: get(c"pickle", &[c"loads"])?,
        })
    }
}

/// The bytes of an object that has a buffer.
struct Bytes(ffi::Py_buffer);

impl Bytes {
    unsafe fn of(o: &Obj) -> Res<Bytes> {
        let mut view = std::mem::zeroed();
        crate::object::done(ffi::PyObject_GetBuffer(o.ptr(), &mut view, ffi::PyBUF_SIMPLE))?;
        Ok(Bytes(view))
    }

    fn slice(&self) -> &[u8] {
        match self.0.len {
            0 => &[],
            // SAFETY: the buffer is held until this is dropped, and nobody else has it.
            len => unsafe { std::slice::from_raw_parts(self.0.buf.cast(), len as usize) },
        }
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        // SAFETY: it was got in `of`; the thread is attached, by the crate's contract.
        unsafe { ffi::PyBuffer_Release(&mut self.0) }
    }
}

const NEW: Signature<2> = Signature { func: "Line", names: [c"bell", c"memory"], positional: 2, required: 1 };

unsafe fn descriptor(o: *mut PyObject) -> Res<OwnedFd> {
    let fd = ffi::PyLong_AsLong(o) as c_int;
    if !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    match libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) {
        ..0 => os_error(&std::io::Error::last_os_error()),
        fd => Ok(OwnedFd::from_raw_fd(fd)),
    }
}

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let [bell, memory] = sort_call(&NEW, args, kwargs)?;
        let bell = descriptor(bell)?;
        let made = match memory.is_null() || memory == ffi::Py_None() {
            true => Line::segment().and_then(|segment| Line::new(segment, bell, Side::Answerer)),
            false => {
                let memory = descriptor(memory)?;
                Segment::adopt(memory).and_then(|segment| Line::new(segment, bell, Side::Caller))
            }
        };
        let line = match made {
            Ok(line) => line,
            Err(error) => return os_error(&error),
        };
        let pickling = Pickling::new()?;
        let o = Obj::new(ffi::PyType_GenericAlloc(ty, 0))?;
        let this: *mut PyLine = o.ptr().cast();
        std::ptr::write(&raw mut (*this).line, Some(Arc::new(line)));
        std::ptr::write(&raw mut (*this).incoming, Some(Incoming::default()));
        std::ptr::write(&raw mut (*this).pickling, Some(pickling));
        Ok(o)
    })
}

unsafe extern "C" fn dealloc(o: *mut PyObject) {
    let this: *mut PyLine = o.cast();
    drop((*this).line.take());
    drop((*this).incoming.take());
    drop((*this).pickling.take());
    free(o);
}

unsafe fn open(this: *mut PyLine) -> Res<Arc<Line>> {
    match &(*this).line {
        Some(_) if (*this).busy => raise(ffi::PyExc_BlockingIOError, "the line is in use"),
        Some(line) => Ok(Arc::clone(line)),
        // As a connection says whose other end is gone.
        None => os_error(&std::io::Error::from_raw_os_error(libc::EPIPE)),
    }
}

/// Waits, without the interpreter, for news or (when `sending`) for room.
unsafe fn wait(line: &Line, sending: bool) -> Res<()> {
    crate::exit::arm();
    let state = ffi::PyEval_SaveThread();
    let woken = if line.look(sending) { Ok(Woken::Rung) } else { line.sleep(sending) };
    crate::exit::restore_thread(state);
    match woken {
        Ok(Woken::Rung) => Ok(()),
        Ok(Woken::Interrupted) => crate::object::done(ffi::PyErr_CheckSignals()),
        Ok(Woken::Hangup) if sending => os_error(&std::io::Error::from_raw_os_error(libc::EPIPE)),
        Ok(Woken::Hangup) => {
            ffi::PyErr_SetNone(ffi::PyExc_EOFError);
            Err(Raised)
        }
        Err(error) => os_error(&error),
    }
}

unsafe fn pack(this: *mut PyLine, o: *mut PyObject) -> Res<Obj> {
    let Some(pickling) = &(*this).pickling else {
        return raise(ffi::PyExc_OSError, "handle is closed");
    };
    let dumps = if is_plain(o) { pickling.dumps.again() } else { pickling.dumps_any.again() };
    call(dumps.ptr(), &[o])
}

unsafe fn push(line: &Line, packed: &Obj) -> Res<()> {
    let bytes = Bytes::of(packed)?;
    let mut message = Outgoing::new(bytes.slice());
    loop {
        match line.send(&mut message) {
            Ok(true) => return Ok(()),
            Ok(false) => wait(line, true)?,
            Err(error) => return os_error(&error),
        }
    }
}

unsafe fn pull(line: &Line, message: &mut Incoming) -> Res<Obj> {
    message.clear();
    loop {
        match line.receive(message) {
            Ok(true) => {
                let body = message.body();
                return Obj::new(ffi::PyBytes_FromStringAndSize(body.as_ptr().cast(), body.len() as isize));
            }
            Ok(false) => wait(line, false)?,
            Err(error) => return os_error(&error),
        }
    }
}

/// Has the line to itself while `work` goes on. Whatever stops it half-way leaves the two ends out of step: it is closed.
unsafe fn alone<T>(this: *mut PyLine, work: impl FnOnce(&Line, &mut Incoming) -> Res<T>) -> Res<T> {
    let line = open(this)?;
    let mut incoming = (*this).incoming.take().unwrap_or_default();
    (*this).busy = true;
    let out = work(&line, &mut incoming);
    (*this).busy = false;
    (*this).incoming = Some(incoming);
    if out.is_err() {
        (*this).line = None;
    }
    out
}

unsafe fn load(this: *mut PyLine, bytes: &Obj) -> Res<Obj> {
    match &(*this).pickling {
        Some(pickling) => call(pickling.loads.again().ptr(), &[bytes.ptr()]),
        None => raise(ffi::PyExc_OSError, "handle is closed"),
    }
}

one_arg!(py_call, |this: PyLine, request| {
    let packed = pack(this, request)?;
    let answer = alone(this, |line, incoming| {
        push(line, &packed)?;
        pull(line, incoming)
    })?;
    load(this, &answer)
});
one_arg!(py_send, |this: PyLine, object| {
    let packed = pack(this, object)?;
    alone(this, |line, _| push(line, &packed))?;
    Ok(none())
});
no_args!(py_receive, |this: PyLine| {
    let packed = alone(this, |line, incoming| pull(line, incoming))?;
    load(this, &packed)
});
no_args!(py_close, |this: PyLine| {
    (*this).line = None;
    Ok(none())
});
getter!(get_closed, |this: PyLine| Ok(boolean((*this).line.is_none())));
getter!(get_memory, |this: PyLine| {
    let line = open(this)?;
    Obj::new(ffi::PyLong_FromLong(line.memory().as_fd().as_raw_fd().into()))
});

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<PyLine>(c"fenshen._processes.Line")
        .doc(c"Line(bell, memory=None)\n--\n\nOne end of a line between two processes: calls and answers go through shared memory, and `bell`, a connected\nstream socket that nobody else reads or writes, wakes who sleeps. Without `memory` it is the answering end of a new\nline; with the descriptor of the other end's, the calling one. Both are duplicated. One thread at a time uses it.")
        .slot(ffi::Py_tp_new, new as *mut _)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut _)
        .one_arg(c"call", py_call, c"call($self, request, /)\n--\n\nSend a request and return its answer.\n\nRaises BrokenPipeError or EOFError when the other end is gone, and BlockingIOError where a call is going on.")
        .one_arg(c"send", py_send, c"send($self, object, /)\n--\n\nSend an object.")
        .no_args(c"recv", py_receive, c"recv($self, /)\n--\n\nWait for an object and return it.\n\nRaises EOFError when the other end is gone.")
        .no_args(c"close", py_close, c"close($self, /)\n--\n\nLet go of it.")
        .property(c"closed", get_closed, None)
        .property(c"memory", get_memory, None)
        .build(None)
}
