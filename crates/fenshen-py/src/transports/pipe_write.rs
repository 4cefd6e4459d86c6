//! `WritePipeTransport`: the end of a pipe to which a protocol writes.
//!
//! The first write of a turn is done at once, as programs read the other end in the same breath. What else is written in
//! that turn leaves by one call of the kernel at its end, or as soon as it is more than the write limit.

use std::ffi::{c_int, c_void};
use std::io;
use std::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::outgoing::{By, Outgoing};
use super::pipe::{self, Pipe, Plan};
use super::{Head, ending, face, flow, pipe_read};
use crate::args::Signature;
use crate::errors::{entry, raise, take, wall};
use crate::event_loop::channels::{Ops, Ready};
use crate::event_loop::{Loop, os_error};
use crate::methods::{fast, no_args, one_arg};
use crate::names::{asyncio, transport_support};
use crate::object::{Obj, Res, boolean, call, done, none, repr as repr_of, text};
use crate::types::{TypeBuilder, free};

/// The layout of `WritePipeTransport`.
#[repr(C)]
struct WritePipe {
    pipe: Pipe,
    outgoing: Outgoing,
    /// How often something was written since it could not be any more; one more if a write has failed.
    ignored: u32,
}

static OPS: Ops = Ops { ready, lost: pipe::lost, flush, discard, closed: pipe::closed };

static PLAN: Plan = Plan {
    signature: Signature {
        func: "WritePipeTransport",
        names: [c"loop", c"pipe", c"protocol", c"waiter", c"extra"],
        positional: 5,
        required: 3,
    },
    ops: &OPS,
    refusal: "Pipe transport is only for pipes, sockets and character devices",
    reads: false,
};

/// How many writes to a pipe that is lost are silent, as in asyncio.
const SILENT_WRITES: u32 = 5;

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let made = pipe::make(&PLAN, ty, args, kwargs)?;
        ptr::write(&raw mut (*made.ptr().cast::<WritePipe>()).outgoing, Outgoing::default());
        pipe::begin_soon(&made)?;
        Ok(made)
    })
}

unsafe fn ready(this: *mut PyObject, ready: Ready) -> Res<()> {
    let t: *mut WritePipe = this.cast();
    if !(*t).pipe.begun {
        return pipe::begin(this.cast());
    }
    Head::in_context(this.cast(), || {
        if ready.readable && (*t).pipe.head.lost == 0 {
            return peer_closed(t);
        }
        if ready.writable && (*t).pipe.head.lost == 0 { send(t) } else { Ok(()) }
    })
}

/// Nobody reads any more: the only thing that a write end has to tell.
unsafe fn peer_closed(t: *mut WritePipe) -> Res<()> {
    pipe::note(t.cast(), c"closed_by_peer")?;
    let reason = if (*t).outgoing.is_empty() { None } else { Some(call(ffi::PyExc_BrokenPipeError, &[])?) };
    drop((*t).outgoing.take());
    ending::force_close(t.cast(), reason)
}

/// `write(data)`.
unsafe fn write_data(t: *mut WritePipe, data: *mut PyObject) -> Res<()> {
    if ffi::PyBytes_Check(data) == 0 && ffi::PyByteArray_Check(data) == 0 && ffi::PyMemoryView_Check(data) == 0 {
        return raise(ffi::PyExc_AssertionError, &repr_of(data));
    }
    let size = ffi::PyObject_Size(data);
    if size <= 0 {
        return done(size as c_int);
    }
    let head = &raw mut (*t).pipe.head;
    if (*head).closing || (*head).lost > 0 {
        if (*t).ignored >= SILENT_WRITES {
            transport_support(c"warn_lost_pipe_write", &[])?;
        }
        (*t).ignored += 1;
        return Ok(());
    }
    let l = Head::event_loop(head);
    let at_once = (*t).outgoing.is_empty() && !((*head).channel.is_flushing() && Loop::runs_here(l));
    // A derived class may run code when it goes: it is copied.
    if ffi::PyBytes_CheckExact(data) != 0 {
        (*t).outgoing.push(Obj::from(data));
    } else {
        push_changeable(t, data, at_once)?;
    }
    if (*head).channel.wants_write() {
        return flow::maybe_pause(head, (*t).outgoing.size());
    }
    if at_once || (*t).outgoing.size() as i64 > (*head).flow.high || !Loop::runs_here(l) {
        send(t)?;
        flow::maybe_pause(head, (*t).outgoing.size())?;
    }
    if Loop::runs_here(l) && (*head).lost == 0 {
        Loop::flush_later(l, t.cast(), &raw mut (*head).channel);
    }
    Ok(())
}

/// Adds a copy of a buffer that its owner may change, but for what the kernel takes at once.
unsafe fn push_changeable(t: *mut WritePipe, data: *mut PyObject, at_once: bool) -> Res<()> {
    let mut view = ffi::Py_buffer::new();
    done(ffi::PyObject_GetBuffer(data, &mut view, ffi::PyBUF_SIMPLE))?;
    let mut sent = 0;
    if at_once {
        // An error comes back with the next attempt, which is made by the one way that there is.
        sent = libc::write((*t).pipe.head.channel.fd, view.buf, view.len as usize).max(0);
    }
    let rest = ffi::PyBytes_FromStringAndSize(view.buf.cast::<std::ffi::c_char>().offset(sent), view.len - sent);
    ffi::PyBuffer_Release(&mut view);
    (*t).outgoing.push(Obj::new(rest)?);
    Ok(())
}

/// Writes what the kernel takes, and sees to what follows from it. An error is what must end the loop.
unsafe fn send(t: *mut WritePipe) -> Res<()> {
    let head = &raw mut (*t).pipe.head;
    let (l, channel) = (Head::event_loop(head), &raw mut (*head).channel);
    match (*t).outgoing.send((*channel).fd, By::File) {
        Ok(false) => {
            if !(*channel).wants_write()
                && let Err(e) = Loop::watch_write(l, channel, true)
            {
                return failed(t, &e);
            }
            flow::maybe_resume(head, (*t).outgoing.size())
        }
        Ok(true) => {
            if (*channel).wants_write() {
                let _ = Loop::watch_write(l, channel, false);
            }
            flow::maybe_resume(head, 0)?;
            if (*head).closing && (*head).lost == 0 && (*t).outgoing.is_empty() { finish(t) } else { Ok(()) }
        }
        Err(e) => failed(t, &e),
    }
}

#[cold]
unsafe fn failed(t: *mut WritePipe, e: &io::Error) -> Res<()> {
    drop((*t).outgoing.take());
    (*t).ignored += 1;
    let _: Res<()> = os_error(e);
    ending::fatal(t.cast(), take(), "Fatal write error on pipe transport")
}

/// Everything is written after `write_eof()`.
unsafe fn finish(t: *mut WritePipe) -> Res<()> {
    Loop::forget(Head::event_loop(t.cast()), &raw mut (*t).pipe.head.channel);
    ending::end_soon(t.cast(), None)
}

/// `write_eof()`, which is all that closing takes.
unsafe fn end_writing(t: *mut WritePipe) -> Res<Obj> {
    let head = &raw mut (*t).pipe.head;
    if (*head).closing || Head::event_loop(head).is_null() {
        return Ok(none());
    }
    (*head).closing = true;
    if (*t).outgoing.is_empty() {
        finish(t)?;
    } else if !(*head).channel.wants_write() {
        send(t)?;
    }
    Ok(none())
}

/// The turn's end: writes what was written after the first time.
unsafe fn flush(this: *mut PyObject) -> Res<()> {
    let t: *mut WritePipe = this.cast();
    let head = &raw mut (*t).pipe.head;
    if (*head).lost > 0 || (*head).channel.wants_write() || (*t).outgoing.is_empty() {
        return Ok(());
    }
    Head::in_context(head, || send(t))
}

/// What was written in this turn has a last chance to leave, for asyncio would have written it at once.
unsafe fn discard(this: *mut PyObject) {
    let t: *mut WritePipe = this.cast();
    let channel = &(*t).pipe.head.channel;
    if !(*t).outgoing.is_empty() && !channel.wants_write() && channel.fd >= 0 {
        let _ = (*t).outgoing.send(channel.fd, By::File);
    }
    drop((*t).outgoing.take());
}

one_arg!(write, |t: WritePipe, data| write_data(t, data).map(|()| none()));
no_args!(write_eof, |t: WritePipe| end_writing(t));
no_args!(can_write_eof, |_t: WritePipe| Ok(boolean(true)));
no_args!(abort, |t: Head| ending::force_close(t, None).map(|()| none()));
no_args!(get_write_buffer_size, |t: WritePipe| Obj::new(ffi::PyLong_FromSize_t((*t).outgoing.size())));
fast!(set_write_buffer_limits, |t: WritePipe, args| {
    flow::set_limits(t.cast(), &args)?;
    flow::maybe_pause(t.cast(), (*t).outgoing.size())?;
    Ok(none())
});

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let t: *mut WritePipe = this.cast();
        let (mut shown, usable) = pipe::shown(this.cast(), "WritePipeTransport", (*t).pipe.head.channel.wants_write());
        if usable {
            shown += &format!(" bufsize={}", (*t).outgoing.size());
        }
        text(&(shown + ">"))
    })
}

unsafe extern "C" fn gc_clear(this: *mut PyObject) -> c_int {
    wall(0, || {
        pipe::release(this.cast());
        drop((*this.cast::<WritePipe>()).outgoing.take());
        Ok(0)
    })
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    if !face::begin_dealloc(this) {
        return;
    }
    gc_clear(this);
    drop((*this.cast::<Head>()).file.take());
    ptr::drop_in_place(&raw mut (*this.cast::<WritePipe>()).outgoing);
    free(this);
}

unsafe extern "C" fn traverse(this: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    pipe::traverse(this, visitor, arg)
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let builder = TypeBuilder::new::<WritePipe>(c"fenshen._fenshen.WritePipeTransport")
        .doc(c"WritePipeTransport(loop, pipe, protocol, waiter=None, extra=None)\n--\n\nThe transport of the writing end of a pipe (asyncio.WriteTransport).\n\nMade by loop.connect_write_pipe(). pipe: a file object that wraps a pipe, a socket or a character device, and\nis closed with the transport; ValueError for any other.")
        .slot(ffi::Py_tp_new, new as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, gc_clear as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .one_arg(c"write", write, c"write($self, data, /)\n--\n\nWrite bytes: bytes, bytearray or memoryview.")
        .no_args(c"write_eof", write_eof, c"write_eof($self, /)\n--\n\nClose the pipe once everything is written.")
        .no_args(c"can_write_eof", can_write_eof, c"can_write_eof($self, /)\n--\n\nTrue.")
        .no_args(c"close", write_eof, c"close($self, /)\n--\n\nClose the pipe once everything is written.")
        .no_args(c"abort", abort, c"abort($self, /)\n--\n\nClose the pipe at once, and drop what waits to be written.")
        .no_args(c"get_write_buffer_size", get_write_buffer_size, c"get_write_buffer_size($self, /)\n--\n\nHow many bytes wait to be written.")
        .fast(c"set_write_buffer_limits", set_write_buffer_limits, c"set_write_buffer_limits($self, high=None, low=None)\n--\n\nSet when the protocol is told to pause and to resume writing, in bytes.\n\nhigh: by default 64 KiB, or four times low; low: by default a quarter of high. ValueError unless high >= low >= 0.");
    let builder = pipe_read::piped(face::writing(face::common(builder)));
    builder.build(Some(asyncio().flow_control_mixin.ptr().cast()))
}
