//! The Python face of [`Protocol`]: `StreamReaderProtocol`.

use std::ffi::{c_int, c_void};

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::known::known;
use super::protocol::{self, Protocol, drain_helper, feed_object, forget_outcome, reader_of};
use super::{bind, connect, flag_attribute, object_attribute};
use crate::args::{Signature, sort_call};
use crate::errors::{restore, status, take};
use crate::methods::{fast, getter, no_args, one_arg};
use crate::object::{Obj, Res, attr, boolean, clear, none, not_none, ptr_or_null, set};
use crate::primitives::coroutine_function::add_methods;
use crate::primitives::head::{Head, bound_builder, shorten, waiters};
use crate::primitives::waiters::Waiters;

const INIT: Signature<3> = Signature {
    func: "StreamReaderProtocol.__init__",
    names: [c"stream_reader", c"client_connected_cb", c"loop"],
    positional: 3,
    required: 1,
};
const MADE: Signature<1> =
    Signature { func: "StreamReaderProtocol.connection_made", names: [c"transport"], positional: 1, required: 1 };
const LOST: Signature<1> =
    Signature { func: "StreamReaderProtocol.connection_lost", names: [c"exc"], positional: 1, required: 1 };
const RECEIVED: Signature<1> =
    Signature { func: "StreamReaderProtocol.data_received", names: [c"data"], positional: 1, required: 1 };

unsafe extern "C" fn init(this: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> c_int {
    status(|| {
        let p: *mut Protocol = this.cast();
        let [reader, connected, event_loop] = sort_call(&INIT, args, kwargs)?;
        bind(this.cast(), event_loop)?;
        (*p).paused = false;
        (*p).lost = false;
        (*p).rejects = false;
        (*p).over_ssl = false;
        drop(std::mem::replace(&mut (*p).drain_waiters, Waiters::empty()));
        let reader = Obj::from_opt(not_none(reader));
        let weak = match &reader {
            None => None,
            Some(reader) => Some(Obj::new(ffi::PyWeakref_NewRef(reader.ptr(), std::ptr::null_mut()))?),
        };
        if let Some(reader) = &reader {
            let source = attr(reader.ptr(), &known().source_traceback)?;
            set(&mut (*p).source_tb, Obj::from_opt(not_none(source.ptr())));
        }
        set(&mut (*p).reader, weak);
        let connected = if connected.is_null() { None } else { Obj::from_opt(not_none(connected)) };
        set(&mut (*p).strong_reader, if connected.is_some() { reader } else { None });
        set(&mut (*p).connected, connected);
        clear(&mut (*p).task);
        clear(&mut (*p).writer);
        clear(&mut (*p).transport);
        let closed = Head::own_future(this.cast())?;
        set(&mut (*p).closed, Some(closed));
        Ok(())
    })
}

unsafe extern "C" fn finalize(this: *mut PyObject) {
    let kept = if ffi::PyErr_Occurred().is_null() { None } else { Some(take()) };
    if crate::errors::wall(-1, || forget_outcome(this.cast()).map(|()| 0)) < 0 {
        ffi::PyErr_WriteUnraisable(this);
    }
    if let Some(kept) = kept {
        restore(kept);
    }
}

fast!(connection_made, |p: Protocol, args| {
    let [transport] = args.sort(&MADE)?;
    connect::made(p, transport).map(|()| none())
});
fast!(connection_lost, |p: Protocol, args| {
    let [exc] = args.sort(&LOST)?;
    connect::lost(p, exc).map(|()| none())
});
fast!(data_received, |p: Protocol, args| {
    let [data] = args.sort(&RECEIVED)?;
    feed_object(p, data).map(|()| none())
});
no_args!(eof_received, |p: Protocol| protocol::feed_eof(p).map(|keep| boolean(keep)));
no_args!(pause_writing, |p: Protocol| protocol::pause_writing(p).map(|()| none()));
no_args!(resume_writing, |p: Protocol| protocol::resume_writing(p).map(|()| none()));
one_arg!(get_close_waiter, |p: Protocol, _stream| {
    Ok(Obj::from_opt(ptr_or_null(&(*p).closed)).unwrap_or_else(|| none()))
});
one_arg!(replace_transport, |p: Protocol, transport| connect::replace_transport(p, transport).map(|()| none()));
one_arg!(replace_writer, |p: Protocol, writer| {
    let transport = Obj::new(ffi::PyObject_GetAttrString(writer, c"transport".as_ptr()))?;
    set(&mut (*p).writer, Some(Obj::from(writer)));
    connect::replace_transport(p, transport.ptr()).map(|()| none())
});

getter!(get_reader, |p: Protocol| Ok(reader_of(p)?.unwrap_or_else(|| none())));
object_attribute!(get_weak, set_weak, Protocol, reader);
object_attribute!(get_strong, set_strong, Protocol, strong_reader);
object_attribute!(get_writer, set_writer, Protocol, writer);
object_attribute!(get_transport, set_transport, Protocol, transport);
object_attribute!(get_connected, set_connected, Protocol, connected);
object_attribute!(get_task, set_task, Protocol, task);
object_attribute!(get_closed, set_closed, Protocol, closed);
object_attribute!(get_source, set_source, Protocol, source_tb);
flag_attribute!(get_paused, set_paused, Protocol, paused);
flag_attribute!(get_lost, set_lost, Protocol, lost);
flag_attribute!(get_rejects, set_rejects, Protocol, rejects);
flag_attribute!(get_over_ssl, set_over_ssl, Protocol, over_ssl);
waiters!(get_drain_waiters, set_drain_waiters, Protocol, drain_waiters);

/// Makes `StreamReaderProtocol`.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let doc = c"StreamReaderProtocol(stream_reader, client_connected_cb=None, loop=None)\n--\n\nWhat a transport feeds a StreamReader through, as asyncio.StreamReaderProtocol.\n\nclient_connected_cb: of a server, called with the reader and a writer for the new connection.\nloop: the event loop it belongs to; by default the running or current one.";
    let mut builder = bound_builder::<Protocol>(c"fenshen._fenshen.StreamReaderProtocol", doc)
        .slot(ffi::Py_tp_init, init as *mut c_void)
        .slot(ffi::Py_tp_finalize, finalize as *mut c_void)
        .fast(c"connection_made", connection_made, c"connection_made($self, transport)\n--\n\nThe connection is there.")
        .fast(
            c"connection_lost",
            connection_lost,
            c"connection_lost($self, exc)\n--\n\nThe connection is gone, by `exc` unless that is None.",
        )
        .fast(c"data_received", data_received, c"data_received($self, data)\n--\n\nGive data to the reader.")
        .no_args(
            c"eof_received",
            eof_received,
            c"eof_received($self, /)\n--\n\nThe peer sends no more; true if the transport is to stay open.",
        )
        .no_args(
            c"pause_writing",
            pause_writing,
            c"pause_writing($self, /)\n--\n\nThe transport's buffer is full: whoever drains waits.",
        )
        .no_args(
            c"resume_writing",
            resume_writing,
            c"resume_writing($self, /)\n--\n\nThe transport takes more: whoever drains goes on.",
        )
        .one_arg(
            c"_get_close_waiter",
            get_close_waiter,
            c"_get_close_waiter($self, stream, /)\n--\n\nThe future that is done once the connection is lost.",
        )
        .property(c"_stream_reader", get_reader, None)
        .property(c"_stream_reader_wr", get_weak, Some(set_weak))
        .property(c"_strong_reader", get_strong, Some(set_strong))
        .property(c"_stream_writer", get_writer, Some(set_writer))
        .property(c"_transport", get_transport, Some(set_transport))
        .property(c"_client_connected_cb", get_connected, Some(set_connected))
        .property(c"_task", get_task, Some(set_task))
        .property(c"_closed", get_closed, Some(set_closed))
        .property(c"_source_traceback", get_source, Some(set_source))
        .property(c"_paused", get_paused, Some(set_paused))
        .property(c"_connection_lost", get_lost, Some(set_lost))
        .property(c"_reject_connection", get_rejects, Some(set_rejects))
        .property(c"_over_ssl", get_over_ssl, Some(set_over_ssl))
        .property(c"_drain_waiters", get_drain_waiters, Some(set_drain_waiters));
    builder = if cfg!(Py_3_13) {
        builder.one_arg(
            c"_replace_transport",
            replace_transport,
            c"_replace_transport($self, transport, /)\n--\n\nAnother transport goes on with the connection.",
        )
    } else {
        builder.one_arg(
            c"_replace_writer",
            replace_writer,
            c"_replace_writer($self, writer, /)\n--\n\nAnother transport, the writer's, goes on with the connection.",
        )
    };
    let ty = builder.build(Some(known().protocol_base.ptr().cast()))?;
    shorten(ty);
    add_methods(ty, Some(&known().protocol_class), &[(c"_drain_helper", drain_helper)])?;
    Ok(ty)
}
