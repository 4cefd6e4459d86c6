//! `Line`: calls to another process and its answers, as Python objects.

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use fenshen_shm::{Incoming, Line, Outgoing, Segment, Side, Woken};
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::os_error;
use super::packing::{Packed, Packing};
use super::serving::Desk;
use crate::args::{Signature, sort_call};
use crate::errors::{entry, raise, take, type_error};
use crate::methods::{fast, getter, no_args, one_arg};
use crate::object::{Obj, Raised, Res, attr, boolean, call, call_method, none};
use crate::types::{TypeBuilder, free};

/// The layout of `Line`.
#[repr(C)]
pub(crate) struct PyLine {
    ob_base: PyObject,
    line: Option<Arc<Line>>,
    incoming: Option<Incoming>,
    /// A message is on its way through it.
    busy: bool,
    packing: Option<Packing>,
    /// It was given up half-way, and not by the other end.
    interrupted: bool,
}

const NEW: Signature<2> = Signature { func: "Line", names: [c"bell", c"memory"], positional: 2, required: 1 };

const REQUEST: Signature<4> =
    Signature { func: "request", names: [c"proxy", c"method", c"args", c"kwds"], positional: 4, required: 4 };
const SERVE: Signature<4> = Signature {
    func: "serve",
    names: [c"objects", c"otherwise", c"proxied", c"unpackable"],
    positional: 4,
    required: 4,
};

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
        let packing = Packing::new()?;
        let o = Obj::new(ffi::PyType_GenericAlloc(ty, 0))?;
        let this: *mut PyLine = o.ptr().cast();
        std::ptr::write(&raw mut (*this).line, Some(Arc::new(line)));
        std::ptr::write(&raw mut (*this).incoming, Some(Incoming::default()));
        std::ptr::write(&raw mut (*this).packing, Some(packing));
        Ok(o)
    })
}

unsafe extern "C" fn dealloc(o: *mut PyObject) {
    let this: *mut PyLine = o.cast();
    drop((*this).line.take());
    drop((*this).incoming.take());
    drop((*this).packing.take());
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

unsafe fn packing<'a>(this: *mut PyLine) -> Res<&'a Packing> {
    match &(*this).packing {
        Some(packing) => Ok(packing),
        None => raise(ffi::PyExc_ValueError, "the line was not made"),
    }
}

unsafe fn push(line: &Line, packed: &Packed) -> Res<()> {
    let mut message = Outgoing::new(packed.kind, packed.bytes());
    loop {
        match line.send(&mut message) {
            Ok(true) => return Ok(()),
            Ok(false) => wait(line, true)?,
            Err(error) => return os_error(&error),
        }
    }
}

unsafe fn pull(line: &Line, message: &mut Incoming) -> Res<()> {
    message.clear();
    loop {
        match line.receive(message) {
            Ok(true) => return Ok(()),
            Ok(false) => wait(line, false)?,
            Err(error) => return os_error(&error),
        }
    }
}

/// Has the line to itself while `work` goes on. Whatever stops it half-way leaves the two ends out of step: it is closed.
unsafe fn alone(this: *mut PyLine, work: impl FnOnce(&Line, &mut Incoming) -> Res<()>) -> Res<Incoming> {
    let line = open(this)?;
    let mut incoming = (*this).incoming.take().unwrap_or_default();
    (*this).busy = true;
    let out = work(&line, &mut incoming);
    (*this).busy = false;
    if out.is_err() {
        (*this).line = None;
        (*this).interrupted = ffi::PyErr_ExceptionMatches(ffi::PyExc_EOFError) == 0
            && ffi::PyErr_ExceptionMatches(ffi::PyExc_OSError) == 0;
    }
    out.map(|()| incoming)
}

/// What came, as an object; the room for it is kept for the next one.
unsafe fn unpack(this: *mut PyLine, incoming: Incoming) -> Res<Obj> {
    let object = packing(this)?.unpack(incoming.body());
    (*this).incoming = Some(incoming);
    object
}

unsafe fn exchange(this: *mut PyLine, request: *mut PyObject) -> Res<Obj> {
    let packed = packing(this)?.pack(request)?;
    let came = alone(this, |line, incoming| {
        push(line, &packed)?;
        pull(line, incoming)
    })?;
    unpack(this, came)
}

one_arg!(py_call, |this: PyLine, request| exchange(this, request));

// `line.request(proxy, method, args, kwds)`: a call of a method of what the proxy stands for.
fast!(py_request, |this: PyLine, args| {
    let [proxy, method, args, kwds] = args.sort(&REQUEST)?;
    if (*this).busy {
        return call_method(&name(c"_call_apart")?, &[proxy, method, args, kwds]);
    }
    let id = attr(proxy, &name(c"_id")?)?;
    let request = Obj::new(ffi::PyTuple_Pack(4, id.ptr(), method, args, kwds))?;
    let answer = exchange(this, request.ptr())?;
    if ffi::PyTuple_CheckExact(answer.ptr()) != 0 && ffi::PyTuple_GET_SIZE(answer.ptr()) == 2 {
        let (kind, result) = (ffi::PyTuple_GET_ITEM(answer.ptr(), 0), ffi::PyTuple_GET_ITEM(answer.ptr(), 1));
        let is_text = ffi::PyUnicode_CheckExact(kind) != 0;
        if is_text && ffi::PyUnicode_CompareWithASCIIString(kind, c"#RETURN".as_ptr()) == 0 {
            return Ok(Obj::from(result));
        }
    }
    call_method(&name(c"_understand")?, &[proxy, answer.ptr()])
});

unsafe fn name(text: &'static std::ffi::CStr) -> Res<Obj> {
    Obj::new(ffi::PyUnicode_InternFromString(text.as_ptr()))
}

// `line.serve(objects, otherwise, proxied, unpackable)`: answers until the other end is gone, which raises EOFError.
fast!(py_serve, |this: PyLine, args| {
    let [objects, otherwise, proxied, unpackable] = args.sort(&SERVE)?;
    if ffi::PyDict_Check(objects) == 0 {
        return type_error("a dict of objects is required");
    }
    let desk = Desk { objects, otherwise, proxied };
    loop {
        let came = alone(this, |line, incoming| pull(line, incoming))?;
        let answer = match unpack(this, came) {
            Ok(request) => desk.answer(&request)?,
            Err(Raised) => call(unpackable, &[take_error()?.ptr()])?,
        };
        let packed = match packing(this)?.pack(answer.ptr()) {
            Ok(packed) => packed,
            Err(Raised) => {
                let answer = call(unpackable, &[take_error()?.ptr(), answer.ptr()])?;
                packing(this)?.pack(answer.ptr())?
            }
        };
        drop(answer);
        (*this).incoming = Some(alone(this, |line, _| push(line, &packed))?);
    }
});

/// The error that is set, unless it is one that ends the thread.
unsafe fn take_error() -> Res<Obj> {
    match ffi::PyErr_ExceptionMatches(ffi::PyExc_Exception) {
        0 => Err(Raised),
        _ => Ok(take()),
    }
}

no_args!(py_close, |this: PyLine| {
    (*this).line = None;
    Ok(none())
});
getter!(get_interrupted, |this: PyLine| Ok(boolean((*this).interrupted)));
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
        .fast(c"request", py_request, c"request($self, /, proxy, method, args, kwds)\n--\n\nCall a method of what a proxy stands for, and return its result, or what the proxy understands by the answer.")
        .fast(c"serve", py_serve, c"serve($self, /, objects, otherwise, proxied, unpackable)\n--\n\nAnswer requests, by calls of methods of `objects`, or by what `otherwise` returns for a request.\n\nRaises EOFError when the other end is gone.")
        .no_args(c"close", py_close, c"close($self, /)\n--\n\nLet go of it.")
        .property(c"closed", get_closed, None)
        .property(c"interrupted", get_interrupted, None)
        .property(c"memory", get_memory, None)
        .build(None)
}
