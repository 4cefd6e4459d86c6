//! `ReadPipeTransport`: the end of a pipe from which a protocol reads.

use std::ffi::{c_int, c_long, c_void};
use std::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::pipe::{self, Pipe, Plan};
use super::receive::{self, Inflow, MOST, Received};
use super::{Head, ending, face, protocol};
use crate::args::Signature;
use crate::errors::{entry, restore, take, wall};
use crate::event_loop::Loop;
use crate::event_loop::channels::{Ops, Ready};
use crate::methods::{fast, getter, no_args, one_arg, setter};
use crate::names::{asyncio, names};
use crate::object::{Obj, Raised, Res, none, not_none, ptr_or_null, set, text};
use crate::types::{TypeBuilder, free};

static OPS: Ops = Ops { ready, lost: pipe::lost, flush: nothing, discard: nothing_to_discard, closed: pipe::closed };

static PLAN: Plan = Plan {
    signature: Signature {
        func: "ReadPipeTransport",
        names: [c"loop", c"pipe", c"protocol", c"waiter", c"extra"],
        positional: 5,
        required: 3,
    },
    ops: &OPS,
    refusal: "Pipe transport is for pipes/sockets only.",
    reads: true,
};

/// From how much on a read is worth a question for the exact size, which saves the copy.
const LARGE: usize = 32 * 1024;
const CALLBACK_FAILED: &str = "Exception in callback ReadPipeTransport._read_ready()";
const READ_ERROR: &str = "Fatal read error on pipe transport";

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let made = pipe::make(&PLAN, ty, args, kwargs)?;
        pipe::begin_soon(&made)?;
        Ok(made)
    })
}

unsafe fn nothing(_this: *mut PyObject) -> Res<()> {
    Ok(())
}

unsafe fn nothing_to_discard(_this: *mut PyObject) {}

unsafe fn ready(this: *mut PyObject, ready: Ready) -> Res<()> {
    let t: *mut Pipe = this.cast();
    if !(*t).begun {
        return pipe::begin(t);
    }
    if !ready.readable || !Head::is_reading(this.cast()) || (*t).head.lost > 0 {
        return Ok(());
    }
    Head::in_context(this.cast(), || read(t))
}

/// One `read(2)`, and the protocol is told. An error is what must end the loop.
unsafe fn read(t: *mut Pipe) -> Res<()> {
    let Some(protocol) = Obj::from_opt(ptr_or_null(&(*t).head.protocol)) else {
        return Ok(());
    };
    let received = if (*t).read_last < LARGE { None } else { read_at_size(t) };
    let received = match received {
        Some(received) => received,
        None => read_and_copy(t),
    };
    let data = match received {
        Ok(Some(data)) => data,
        Ok(None) => return Ok(()),
        Err(Raised) => return failed(t),
    };
    (*t).read_last = ffi::PyBytes_Size(data.ptr()) as usize;
    if (*t).read_last == 0 {
        return ended(t, &protocol);
    }
    match protocol::data_received(&protocol, data) {
        Ok(()) => Ok(()),
        // As a callback's own affair: the pipe stays open.
        Err(Raised) => ending::report_raised(t.cast(), CALLBACK_FAILED),
    }
}

/// Reads into the loop's buffer. Nothing if there is nothing yet, and no bytes at the end.
unsafe fn read_and_copy(t: *mut Pipe) -> Res<Option<Obj>> {
    let l = Head::event_loop(t.cast());
    let inflow = Inflow::of(l)?;
    let received = receive::outcome(libc::read((*t).head.channel.fd, inflow.start().cast(), MOST));
    if let Ok(Received::Some(n)) = received {
        let data = bytes(inflow.start(), n);
        inflow.give_back(l);
        return data.map(Some);
    }
    inflow.give_back(l);
    match received? {
        Received::End => bytes(ptr::null(), 0).map(Some),
        _ => Ok(None),
    }
}

/// Reads what is known to be there straight into an object of that size; nothing where that is little or not known.
unsafe fn read_at_size(t: *mut Pipe) -> Option<Res<Option<Obj>>> {
    let (fd, mut there): (_, c_int) = ((*t).head.channel.fd, 0);
    if libc::ioctl(fd, libc::FIONREAD, &raw mut there) < 0 || (there as usize) < LARGE {
        return None;
    }
    let n = (there as usize).min(MOST);
    let data = match bytes(ptr::null(), n) {
        Ok(data) => data,
        Err(e) => return Some(Err(e)),
    };
    match receive::outcome(libc::read(fd, ffi::PyBytes_AsString(data.ptr()).cast(), n)) {
        Ok(Received::Some(got)) if got == n => Some(Ok(Some(data))),
        // Somebody else reads the pipe too.
        Ok(Received::Some(got)) => Some(bytes(ffi::PyBytes_AsString(data.ptr()).cast(), got).map(Some)),
        Ok(Received::End) => Some(bytes(ptr::null(), 0).map(Some)),
        Ok(Received::Nothing) => Some(Ok(None)),
        Err(e) => Some(Err(e)),
    }
}

unsafe fn bytes(start: *const u8, n: usize) -> Res<Obj> {
    Obj::new(ffi::PyBytes_FromStringAndSize(start.cast(), n as isize))
}

/// Nobody writes any more.
unsafe fn ended(t: *mut Pipe, protocol: &Obj) -> Res<()> {
    pipe::note(t, c"closed_by_peer")?;
    let l = Head::event_loop(t.cast());
    (*t).head.closing = true;
    Loop::forget(l, &raw mut (*t).head.channel);
    let told = crate::object::attr(protocol.ptr(), &names().eof_received)
        .and_then(|eof_received| Loop::call_soon(l, eof_received.ptr(), &[], ptr_or_null(&(*t).head.context)));
    if told.is_err() {
        ending::report_raised(t.cast(), CALLBACK_FAILED)?;
    }
    ending::end_soon(t.cast(), None)
}

/// Ends it because of what a read raised. The loop's exception handler is told, unless it is a terminal that has gone.
#[cold]
unsafe fn failed(t: *mut Pipe) -> Res<()> {
    let exc = take();
    let number = crate::object::attr(exc.ptr(), &names().errno)?;
    if ffi::PyLong_Check(number.ptr()) != 0 && ffi::PyLong_AsLong(number.ptr()) == c_long::from(libc::EIO) {
        return ending::fatal(t.cast(), exc, READ_ERROR);
    }
    restore(exc.again());
    ending::report_raised(t.cast(), READ_ERROR)?;
    ending::force_close(t.cast(), Some(exc))
}

/// `close()`.
unsafe fn close_pipe(t: *mut Pipe) -> Res<Obj> {
    if !(*t).head.closing {
        ending::force_close(t.cast(), None)?;
    }
    Ok(none())
}

/// `pause_reading()`.
unsafe fn pause(t: *mut Pipe) -> Res<Obj> {
    if Head::is_reading(t.cast()) {
        (*t).head.paused = true;
        Head::watch_read(t.cast(), false)?;
        pipe::note(t, c"pauses_reading")?;
    }
    Ok(none())
}

/// `resume_reading()`.
unsafe fn resume(t: *mut Pipe) -> Res<Obj> {
    if (*t).head.closing || !(*t).head.paused {
        return Ok(none());
    }
    (*t).head.paused = false;
    if (*t).begun {
        Head::watch_read(t.cast(), true)?;
    }
    pipe::note(t, c"resumes_reading")?;
    Ok(none())
}

unsafe fn nothing_known(_t: *mut Head, _key: &std::ffi::CStr) -> Res<Option<Obj>> {
    Ok(None)
}

fast!(get_extra_info, |t: Head, args| face::extra_info(t, &args, &[], nothing_known));
one_arg!(set_protocol, |t: Head, protocol| {
    set(&mut (*t).protocol, Some(Obj::from(protocol)));
    Ok(none())
});
no_args!(close, |t: Pipe| close_pipe(t));
no_args!(pause_reading, |t: Pipe| pause(t));
no_args!(resume_reading, |t: Pipe| resume(t));
getter!(get_extra, |t: Head| face::whole_extra(t, &[], nothing_known));
getter!(get_pipe, |t: Head| Ok(Obj::from_opt(ptr_or_null(&(*t).file)).unwrap_or_else(|| none())));
setter!(set_pipe, |t: Head, value| {
    // Whoever takes the pipe away sees to its end.
    if (*t).event_loop.is_some() {
        Loop::close_channel(Head::event_loop(t), &raw mut (*t).channel);
    }
    (*t).channel.fd = -1;
    set(&mut (*t).file, Obj::from_opt(not_none(value)));
    Ok(())
});
getter!(get_fileno, |t: Head| Obj::new(ffi::PyLong_FromLong((*t).number.into())));

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let t: *mut Pipe = this.cast();
        let (shown, _) = pipe::shown(t, "ReadPipeTransport", (*t).head.channel.wants_read());
        text(&(shown + ">"))
    })
}

unsafe extern "C" fn gc_clear(this: *mut PyObject) -> c_int {
    wall(0, || {
        pipe::release(this.cast());
        Ok(0)
    })
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    if !face::begin_dealloc(this) {
        return;
    }
    gc_clear(this);
    drop((*this.cast::<Head>()).file.take());
    free(this);
}

unsafe extern "C" fn traverse(this: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    pipe::traverse(this, visitor, arg)
}

/// Adds what only pipes have.
pub(super) fn piped(builder: TypeBuilder) -> TypeBuilder {
    builder
        .fast(
            c"get_extra_info",
            get_extra_info,
            c"get_extra_info($self, name, default=None)\n--\n\nWhat it was given, and 'pipe', the file object.",
        )
        .one_arg(
            c"set_protocol",
            set_protocol,
            c"set_protocol($self, protocol, /)\n--\n\nHave another protocol told of what happens.",
        )
        .property(c"_extra", get_extra, None)
        .property(c"_pipe", get_pipe, Some(set_pipe))
        .property(c"_fileno", get_fileno, None)
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let builder = TypeBuilder::new::<Pipe>(c"fenshen._fenshen.ReadPipeTransport")
        .doc(c"ReadPipeTransport(loop, pipe, protocol, waiter=None, extra=None)\n--\n\nThe transport of the reading end of a pipe (asyncio.ReadTransport).\n\nMade by loop.connect_read_pipe(). pipe: a file object that wraps a pipe, a socket or a character device, and\nis closed with the transport; ValueError for any other.")
        .slot(ffi::Py_tp_new, new as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, gc_clear as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .no_args(c"close", close, c"close($self, /)\n--\n\nRead no more; connection_lost(None) follows.")
        .no_args(c"pause_reading", pause_reading, c"pause_reading($self, /)\n--\n\nPass nothing to the protocol until resume_reading().")
        .no_args(c"resume_reading", resume_reading, c"resume_reading($self, /)\n--\n\nGo on reading after pause_reading().");
    piped(face::reading(face::common(builder))).build(Some(asyncio().read_transport.ptr().cast()))
}
