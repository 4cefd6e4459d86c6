//! Transports: what carries bytes between a file and a protocol.
//!
//! | type | what it does | its Python face |
//! |---|---|---|
//! | `SocketTransport` | `stream.rs` | `stream_type.rs` |
//! | `ReadPipeTransport`, `WritePipeTransport` | `pipe.rs`, `pipe_read.rs`, `pipe_write.rs` | `pipe_read.rs`, `pipe_write.rs` |
//! | `DatagramTransport` | `datagram.rs`, `peers.rs` | `datagram_type.rs` |
//! | `Acceptor` | `acceptor.rs` | `acceptor.rs` |
//!
//! The types derive from asyncio's abstract ones, and what is theirs alone begins where those end.
//!
//! They share [`Head`] (this file), the queue of what is to be sent (`outgoing.rs`), flow control (`flow.rs`), the ways to
//! call a protocol (`protocol.rs`) and the end of a connection (`ending.rs`). A transport watches its file through a
//! [`Channel`]: the loop puts it on the ring when the file is ready, and calls its [`Ops`].

pub(crate) mod acceptor;
pub(crate) mod address;
pub(crate) mod datagram;
pub(crate) mod datagram_type;
pub(crate) mod ending;
pub(crate) mod face;
pub(crate) mod flow;
pub(crate) mod outgoing;
mod peers;
mod pipe;
pub(crate) mod pipe_read;
pub(crate) mod pipe_write;
pub(crate) mod protocol;
pub(crate) mod receive;
pub(crate) mod stream;
pub(crate) mod stream_type;
mod waiter;

use std::ffi::{c_int, c_void};
use std::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use crate::errors::{restore, take};
use crate::event_loop::channels::{Channel, Ops};
use crate::event_loop::{Loop, os_error};
use crate::object::{Obj, Raised, Res, clear, ptr_or_null, visit};
use flow::Flow;

/// The layout with which every native transport begins, and a listening socket too.
///
/// The first fields are those of asyncio's abstract transports, from which the types derive: `_extra`, and the four
/// slots of its flow control, which stay empty.
#[repr(C)]
pub(crate) struct Head {
    ob_base: PyObject,
    pub(crate) extra: *mut PyObject,
    standard: [*mut PyObject; 4],
    pub(crate) weakrefs: *mut PyObject,
    pub(crate) dict: *mut PyObject,
    pub(crate) channel: Channel,
    /// The descriptor's number, which outlives its being open.
    pub(crate) number: std::os::fd::RawFd,
    /// The loop, until the connection is over.
    pub(crate) event_loop: Option<Obj>,
    pub(crate) protocol: Option<Obj>,
    /// What the protocol's methods run in.
    pub(crate) context: Option<Obj>,
    /// The Python object that owns the descriptor, where there is one.
    pub(crate) file: Option<Obj>,
    /// What `connection_lost` is to be told.
    pub(crate) reason: Option<Obj>,
    pub(crate) flow: Flow,
    /// How often something was written since the connection was lost, and one.
    pub(crate) lost: u32,
    pub(crate) closing: bool,
    /// `pause_reading` was called.
    pub(crate) paused: bool,
    /// Somebody else uses the file for a while.
    pub(crate) lent: bool,
}

impl Head {
    /// A new object of type `ty` for `fd`, with nothing in it but what every transport has.
    pub(crate) unsafe fn allocate(
        ty: *mut PyTypeObject,
        ops: &'static Ops,
        l: *mut Loop,
        fd: std::os::fd::RawFd,
        context: Option<Obj>,
    ) -> Res<Obj> {
        let context = match context {
            Some(context) => context,
            None => Obj::new(ffi::PyContext_CopyCurrent())?,
        };
        let alloc = (*ty).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
        let made = Obj::new(alloc(ty, 0))?;
        let t: *mut Head = made.ptr().cast();
        ptr::write(&raw mut (*t).channel, Channel::new(ops, fd));
        (*t).number = fd;
        ptr::write(&raw mut (*t).context, Some(context));
        ptr::write(&raw mut (*t).event_loop, Some(Obj::from(l.cast())));
        ptr::write(&raw mut (*t).flow, Flow::default());
        Ok(made)
    }

    /// Its loop; null once the connection is over.
    #[inline(always)]
    pub(crate) unsafe fn event_loop(t: *mut Head) -> *mut Loop {
        ptr_or_null(&(*t).event_loop).cast()
    }

    /// Has the object told when its file can be read, or not any more. Nothing happens once the connection is over.
    pub(crate) unsafe fn watch_read(t: *mut Head, wanted: bool) -> Res<()> {
        let l = Head::event_loop(t);
        if l.is_null() {
            return Ok(());
        }
        if wanted {
            Loop::check_closed(l)?;
            Loop::check_owner(l)?;
        }
        match Loop::watch_read(l, &raw mut (*t).channel, wanted) {
            Ok(()) => Ok(()),
            Err(e) => os_error(&e),
        }
    }

    /// Whether what arrives is to be passed on.
    #[inline(always)]
    pub(crate) unsafe fn is_reading(t: *mut Head) -> bool {
        !(*t).closing && !(*t).paused
    }

    /// Runs `body` in the transport's context.
    #[inline]
    pub(crate) unsafe fn in_context(t: *mut Head, body: impl FnOnce() -> Res<()>) -> Res<()> {
        let Some(context) = Obj::from_opt(ptr_or_null(&(*t).context)) else {
            return body();
        };
        if ffi::PyContext_Enter(context.ptr()) < 0 {
            // A callback of this transport runs the loop again: it is in the context already.
            ffi::PyErr_Clear();
            return body();
        }
        let outcome = body();
        if outcome.is_ok() {
            return crate::object::done(ffi::PyContext_Exit(context.ptr()));
        }
        let exc = take();
        ffi::PyContext_Exit(context.ptr());
        restore(exc);
        Err(Raised)
    }

    /// Visits the fields for the garbage collector.
    pub(crate) unsafe fn traverse(t: *mut Head, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        for o in [ffi::Py_TYPE(t.cast()).cast(), (*t).extra, (*t).dict] {
            let status = if o.is_null() { 0 } else { visitor(o, arg) };
            if status != 0 {
                return status;
            }
        }
        let fields = [&(*t).event_loop, &(*t).protocol, &(*t).context, &(*t).file, &(*t).reason];
        fields.into_iter().map(|field| visit(field, visitor, arg)).find(|status| *status != 0).unwrap_or(0)
    }

    /// Lets go of what the garbage collector may break a cycle at.
    pub(crate) unsafe fn clear(t: *mut Head) {
        if (*t).event_loop.is_some() {
            Loop::close_channel(Head::event_loop(t), &raw mut (*t).channel);
        }
        // Whatever is called from here on finds a connection that is over.
        (*t).closing = true;
        (*t).lost = (*t).lost.max(1);
        clear(&mut (*t).protocol);
        clear(&mut (*t).context);
        clear(&mut (*t).reason);
        clear(&mut (*t).event_loop);
        for field in [&raw mut (*t).extra, &raw mut (*t).dict] {
            ffi::Py_XDECREF(ptr::replace(field, ptr::null_mut()));
        }
        for field in &mut (*t).standard {
            ffi::Py_XDECREF(ptr::replace(field, ptr::null_mut()));
        }
    }
}

/// Whether a native object still has its file for itself.
pub(crate) unsafe fn is_open(owner: *mut PyObject) -> bool {
    let t: *mut Head = owner.cast();
    !(*t).closing && !(*t).lent
}
