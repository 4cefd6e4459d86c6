//! The Python face of [`Stream`]: `SocketTransport`.

use std::ffi::{CStr, c_int, c_void};
use std::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::stream::{self, Start, Stream};
use super::{Head, ending, face, flow};
use crate::args::{Signature, sort_call};
use crate::errors::{entry, type_error, wall};
use crate::kinds;
use crate::methods::{fast, getter, no_args, one_arg};
use crate::names::{asyncio, transport_support};
use crate::object::{Obj, Res, boolean, done, none, not_none, ptr_or_null};
use crate::types::{TypeBuilder, free};

const NEW: Signature<6> = Signature {
    func: "SocketTransport",
    names: [c"loop", c"sock", c"protocol", c"waiter", c"extra", c"server"],
    positional: 6,
    required: 3,
};

const KEYS: [&CStr; 3] = [c"socket", c"sockname", c"peername"];

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let [event_loop, sock, protocol, waiter, extra, server] = sort_call(&NEW, args, kwargs)?;
        if ffi::PyObject_TypeCheck(event_loop, kinds::event_loop()) == 0 {
            return type_error("SocketTransport() takes a fenshen.EventLoop");
        }
        let file = Obj::from(sock);
        let fd = ffi::PyObject_AsFileDescriptor(sock);
        done(fd)?;
        let given = |o: *mut PyObject| if o.is_null() { o } else { not_none(o) };
        let made = stream::open(Start {
            ty,
            event_loop: event_loop.cast(),
            fd,
            file: Some(&file),
            protocol,
            waiter: Obj::from_opt(given(waiter)),
            server: Obj::from_opt(given(server)),
            context: None,
            own: None,
            peer: None,
        })?;
        face::set_extra(made.ptr().cast(), extra)?;
        Ok(made)
    })
}

/// What it can say of itself.
unsafe fn known(t: *mut Head, key: &CStr) -> Res<Option<Obj>> {
    let s: *mut Stream = t.cast();
    match key.to_bytes() {
        b"socket" => face::wrapped_socket(&socket_of(s)?).map(Some),
        b"sockname" => (*s).own.to_python().map(Some),
        _ => (*s).peer.to_python().map(Some),
    }
}

/// The socket object, made when somebody asks for it. It owns the descriptor from then on.
unsafe fn socket_of(t: *mut Stream) -> Res<Obj> {
    if let Some(file) = &(*t).head.file {
        return Ok(file.again());
    }
    let fd = Obj::new(ffi::PyLong_FromLong((*t).head.channel.fd.into()))?;
    let file = transport_support(c"socket_of", &[fd.ptr()])?;
    if (*t).head.channel.fd >= 0 {
        (*t).head.file = Some(file.again());
    }
    Ok(file)
}

fast!(get_extra_info, |t: Stream, args| face::extra_info(t.cast(), &args, &KEYS, known));
one_arg!(set_protocol, |t: Stream, protocol| stream::set_protocol(t, protocol).map(|()| none()));
one_arg!(write, |t: Stream, data| stream::write(t, data).map(|()| none()));
one_arg!(writelines, |t: Stream, lines| stream::writelines(t, lines).map(|()| none()));
no_args!(write_eof, |t: Stream| stream::write_eof(t).map(|()| none()));
no_args!(can_write_eof, |_t: Stream| Ok(boolean(true)));
no_args!(close, |t: Stream| stream::close(t).map(|()| none()));
no_args!(abort, |t: Stream| ending::force_close(t.cast(), None).map(|()| none()));
no_args!(pause_reading, |t: Stream| stream::pause_reading(t).map(|()| none()));
no_args!(resume_reading, |t: Stream| stream::resume_reading(t).map(|()| none()));
no_args!(get_write_buffer_size, |t: Stream| Obj::new(ffi::PyLong_FromSize_t((*t).outgoing.size())));
fast!(set_write_buffer_limits, |t: Stream, args| {
    flow::set_limits(t.cast(), &args)?;
    flow::maybe_pause(t.cast(), (*t).outgoing.size())?;
    Ok(none())
});
one_arg!(private_force_close, |t: Stream, exc| {
    ending::force_close(t.cast(), Obj::from_opt(not_none(exc))).map(|()| none())
});
no_args!(make_empty_waiter, |t: Stream| stream::make_empty_waiter(t));
no_args!(reset_empty_waiter, |t: Stream| {
    stream::reset_empty_waiter(t);
    Ok(none())
});
one_arg!(lend, |t: Stream, lent| {
    let truth = ffi::PyObject_IsTrue(lent);
    done(truth)?;
    stream::lend(t, truth != 0).map(|()| none())
});

getter!(get_extra, |t: Stream| face::whole_extra(t.cast(), &KEYS, known));
getter!(get_sock, |t: Stream| if (*t).head.channel.fd < 0 { Ok(none()) } else { socket_of(t) });
getter!(get_eof, |t: Stream| Ok(boolean((*t).eof)));
getter!(get_server, |t: Stream| Ok(Obj::from_opt(ptr_or_null(&(*t).server)).unwrap_or_else(|| none())));

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    entry(|| face::socket_repr(this.cast(), "SocketTransport", (*this.cast::<Stream>()).outgoing.size()))
}

unsafe extern "C" fn traverse(this: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    match Head::traverse(this.cast(), visitor, arg) {
        0 => face::visit_all(stream::fields(this.cast()), visitor, arg),
        status => status,
    }
}

unsafe extern "C" fn gc_clear(this: *mut PyObject) -> c_int {
    wall(0, || {
        stream::release(this.cast());
        Ok(0)
    })
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    if !face::begin_dealloc(this) {
        return;
    }
    gc_clear(this);
    let t: *mut Stream = this.cast();
    drop((*t).head.file.take());
    ptr::drop_in_place(&raw mut (*t).outgoing);
    ptr::drop_in_place(&raw mut (*t).own);
    ptr::drop_in_place(&raw mut (*t).peer);
    free(this);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    face::check_layout()?;
    let builder = TypeBuilder::new::<Stream>(c"fenshen._fenshen.SocketTransport")
        .doc(c"SocketTransport(loop, sock, protocol, waiter=None, extra=None, server=None)\n--\n\nThe transport of a connected stream socket (asyncio.Transport).\n\nMade by the loop: create_connection(), create_server() and their kin. What is written in one turn of the loop\nis sent at its end.")
        .slot(ffi::Py_tp_new, new as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, gc_clear as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .fast(c"get_extra_info", get_extra_info, c"get_extra_info($self, name, default=None)\n--\n\nWhat is known of the connection: 'socket', 'sockname', 'peername', and what it was given.")
        .one_arg(c"set_protocol", set_protocol, c"set_protocol($self, protocol, /)\n--\n\nHave another protocol take what arrives.")
        .one_arg(c"write", write, c"write($self, data, /)\n--\n\nSend bytes. TypeError for anything but bytes, bytearray or memoryview; RuntimeError after write_eof().")
        .one_arg(c"writelines", writelines, c"writelines($self, list_of_data, /)\n--\n\nSend an iterable of bytes.")
        .no_args(c"write_eof", write_eof, c"write_eof($self, /)\n--\n\nClose the writing side once everything is sent.")
        .no_args(c"can_write_eof", can_write_eof, c"can_write_eof($self, /)\n--\n\nTrue.")
        .no_args(c"close", close, c"close($self, /)\n--\n\nClose it once everything is sent; nothing more is received.")
        .no_args(c"abort", abort, c"abort($self, /)\n--\n\nClose it at once; what the kernel has not taken is lost.")
        .no_args(c"pause_reading", pause_reading, c"pause_reading($self, /)\n--\n\nPass nothing more to the protocol until resume_reading().")
        .no_args(c"resume_reading", resume_reading, c"resume_reading($self, /)\n--\n\nGo on after pause_reading().")
        .no_args(c"get_write_buffer_size", get_write_buffer_size, c"get_write_buffer_size($self, /)\n--\n\nHow many bytes wait to be sent.")
        .fast(c"set_write_buffer_limits", set_write_buffer_limits, c"set_write_buffer_limits($self, high=None, low=None)\n--\n\nSet when the protocol is told to pause and to resume writing, in bytes.\n\nhigh: by default 64 KiB, or four times low; low: by default a quarter of high. ValueError unless high >= low >= 0.")
        .one_arg(c"_force_close", private_force_close, c"_force_close($self, exc, /)\n--\n\nabort(), with the exception for connection_lost().")
        .no_args(c"_make_empty_waiter", make_empty_waiter, c"_make_empty_waiter($self, /)\n--\n\nA future that ends when everything is sent; nothing can be written meanwhile.")
        .no_args(c"_reset_empty_waiter", reset_empty_waiter, c"_reset_empty_waiter($self, /)\n--\n\nLet writes through again.")
        .one_arg(c"_lend", lend, c"_lend($self, lent, /)\n--\n\nLeave the descriptor to somebody else, or take it back.")
        .property(c"_extra", get_extra, None)
        .property(c"_sock", get_sock, None)
        .property(c"_eof", get_eof, None)
        .property(c"_server", get_server, None);
    let builder = face::stream_socket(face::writing(face::reading(face::common(builder))));
    builder.build(Some(asyncio().flow_control_mixin.ptr().cast()))
}
