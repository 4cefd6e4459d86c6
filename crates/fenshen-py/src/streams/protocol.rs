//! `StreamReaderProtocol`: what it does with data and with flow control. How a connection begins and ends is in
//! `connect.rs`, the attributes are in `protocol_type.rs`.
//!
//! A native transport calls [`feed`] and [`feed_eof`] where [`is_native`] says that it may; anything else drives it
//! through its methods.

use std::ffi::{c_int, c_void};

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::known::{helper, known};
use super::store::bytes_of;
use super::{assertion_error, derives, fulfil, reader};
use crate::errors::{raise, restore, runtime_error};
use crate::future_iter::Await;
use crate::kinds;
use crate::object::{Obj, Raised, Res, call, call_method, clear, none, not_none, ptr_or_null, visit};
use crate::primitives::head::{Head, Primitive};
use crate::primitives::operation::{self, Operation, Plan, Resume, settled};
use crate::primitives::waiters::{self, Waiters};

/// The layout of `fenshen.StreamReaderProtocol`.
#[repr(C)]
pub(crate) struct Protocol {
    pub(crate) head: Head,
    /// A weak reference to its reader: data for a reader that nobody holds any more is let go.
    pub(crate) reader: Option<Obj>,
    /// A server's reader, until the one who handles the connection has got it.
    pub(crate) strong_reader: Option<Obj>,
    pub(crate) writer: Option<Obj>,
    pub(crate) transport: Option<Obj>,
    /// Who handles a server's connection,
    pub(crate) connected: Option<Obj>,
    /// and the task in which that is done.
    pub(crate) task: Option<Obj>,
    /// The future that is done once the connection is lost.
    pub(crate) closed: Option<Obj>,
    pub(crate) source_tb: Option<Obj>,
    pub(crate) drain_waiters: Waiters,
    pub(crate) paused: bool,
    pub(crate) lost: bool,
    pub(crate) rejects: bool,
    pub(crate) over_ssl: bool,
}

impl Primitive for Protocol {
    const CALLED: &'static [&'static std::ffi::CStr] = &[
        c"_drain_helper",
        c"_get_close_waiter",
        c"_stream_reader",
        c"connection_lost",
        c"connection_made",
        c"data_received",
        c"eof_received",
        c"pause_writing",
        c"resume_writing",
    ];
    fn kind() -> *mut PyTypeObject {
        kinds::stream_reader_protocol()
    }
    unsafe fn prepare(this: *mut Protocol) {
        std::ptr::write(&raw mut (*this).drain_waiters, Waiters::empty());
    }
    unsafe fn visit(this: *mut Protocol, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        let p = &*this;
        let status = p.drain_waiters.traverse(visitor, arg);
        if status != 0 {
            return status;
        }
        let fields =
            [&p.reader, &p.strong_reader, &p.writer, &p.transport, &p.connected, &p.task, &p.closed, &p.source_tb];
        fields.into_iter().map(|field| visit(field, visitor, arg)).find(|status| *status != 0).unwrap_or(0)
    }
    unsafe fn release(this: *mut Protocol) {
        (*this).drain_waiters.clear();
        let fields = [
            &raw mut (*this).reader,
            &raw mut (*this).strong_reader,
            &raw mut (*this).writer,
            &raw mut (*this).transport,
            &raw mut (*this).connected,
            &raw mut (*this).task,
            &raw mut (*this).closed,
            &raw mut (*this).source_tb,
        ];
        for field in fields {
            clear(&mut *field);
        }
    }
    unsafe fn stands_for(ty: *mut PyTypeObject) -> Option<&'static Obj> {
        (ty == kinds::stream_reader_protocol()).then(|| &known().protocol_class)
    }
}

/// `o` as a protocol of ours whose methods are its own; null for any other object.
#[inline]
pub(crate) unsafe fn plain(o: *mut PyObject) -> *mut Protocol {
    if derives(o, kinds::stream_reader_protocol()) && (*o.cast::<Head>()).plain {
        o.cast()
    } else {
        std::ptr::null_mut()
    }
}

/// Whether a native transport may call [`feed`] and [`feed_eof`] instead of the protocol's methods.
#[inline]
pub(crate) unsafe fn is_native(o: *mut PyObject) -> bool {
    ffi::Py_TYPE(o) == kinds::stream_reader_protocol() && (*o.cast::<Head>()).plain
}

/// `_stream_reader`: its reader, if that still lives.
#[inline]
pub(crate) unsafe fn reader_of(p: *mut Protocol) -> Res<Option<Obj>> {
    let Some(weak) = &(*p).reader else {
        return Ok(None);
    };
    if ffi::PyWeakref_CheckRefExact(weak.ptr()) == 0 {
        let weak = weak.again();
        let found = call(weak.ptr(), &[])?;
        return Ok(Obj::from_opt(not_none(found.ptr())));
    }
    let mut found = std::ptr::null_mut();
    if ffi::compat::PyWeakref_GetRef(weak.ptr(), &mut found) < 0 {
        return Err(Raised);
    }
    Ok(Obj::steal_opt(found))
}

/// What `data_received` does, without an object made for the data, which is used only during the call.
#[inline]
pub(crate) unsafe fn feed(p: *mut Protocol, data: &[u8]) -> Res<()> {
    let Some(r) = reader_of(p)? else {
        return Ok(());
    };
    let native = reader::plain(r.ptr());
    if !native.is_null() {
        return reader::feed(native, data);
    }
    let data = bytes_of(data)?;
    call_method(&known().feed_data, &[r.ptr(), data.ptr()]).map(drop)
}

/// The reader, where what arrives may be put straight into the object that a coroutine waits for; see
/// [`reader::lend`].
#[inline]
pub(crate) unsafe fn lender(p: *mut Protocol) -> Res<Option<Obj>> {
    Ok(reader_of(p)?.filter(|r| {
        let native = reader::plain(r.ptr());
        !native.is_null() && reader::lend(native).is_some()
    }))
}

/// `data_received(data)`.
pub(crate) unsafe fn feed_object(p: *mut Protocol, data: *mut PyObject) -> Res<()> {
    let Some(r) = reader_of(p)? else {
        return Ok(());
    };
    let native = reader::plain(r.ptr());
    if !native.is_null() {
        return super::reader_type::feed_any(native, data);
    }
    call_method(&known().feed_data, &[r.ptr(), data]).map(drop)
}

/// What `eof_received` does: whether the transport is to be kept open.
pub(crate) unsafe fn feed_eof(p: *mut Protocol) -> Res<bool> {
    if let Some(r) = reader_of(p)? {
        tell_eof(&r)?;
    }
    Ok(!(*p).over_ssl)
}

/// `reader.feed_eof()`.
pub(super) unsafe fn tell_eof(r: &Obj) -> Res<()> {
    let native = reader::plain(r.ptr());
    if !native.is_null() {
        return reader::feed_eof(native);
    }
    call_method(&known().feed_eof, &[r.ptr()]).map(drop)
}

/// `reader.set_exception(exc)`.
pub(super) unsafe fn tell_exception(r: &Obj, exc: *mut PyObject) -> Res<()> {
    let native = reader::plain(r.ptr());
    if !native.is_null() {
        return reader::set_exception(native, exc);
    }
    call_method(&known().set_exception, &[r.ptr(), exc]).map(drop)
}

/// `pause_writing()`.
pub(crate) unsafe fn pause_writing(p: *mut Protocol) -> Res<()> {
    if (*p).paused {
        return assertion_error("");
    }
    (*p).paused = true;
    if Head::debug(p.cast())? {
        helper(c"log_writing", &[p.cast(), ffi::Py_True()])?;
    }
    Ok(())
}

/// `resume_writing()`.
pub(crate) unsafe fn resume_writing(p: *mut Protocol) -> Res<()> {
    if !(*p).paused {
        return assertion_error("");
    }
    (*p).paused = false;
    if Head::debug(p.cast())? {
        helper(c"log_writing", &[p.cast(), ffi::Py_False()])?;
    }
    Waiters::wake_some(&raw mut (*p).drain_waiters, isize::MAX, ffi::Py_None())
}

/// Whoever waits for the transport to go on will wait no longer: the connection is lost.
pub(super) unsafe fn release_drains(p: *mut Protocol, exc: *mut PyObject) -> Res<()> {
    (*p).lost = true;
    if !(*p).paused {
        return Ok(());
    }
    if not_none(exc).is_null() {
        return Waiters::wake_some(&raw mut (*p).drain_waiters, isize::MAX, ffi::Py_None());
    }
    for waiter in Waiters::all(&raw mut (*p).drain_waiters)? {
        if !waiters::is_done(&waiter)? {
            fulfil(&waiter, exc)?;
        }
    }
    Ok(())
}

static DRAIN_HELPER: Plan =
    Plan { name: c"_drain_helper", qualname: c"FlowControlMixin._drain_helper", run: run_drain_helper };

/// `_drain_helper()`.
pub(super) unsafe fn drain_helper(this: *mut PyObject, args: &crate::args::Args<'_>) -> Res<Obj> {
    args.none("FlowControlMixin._drain_helper")?;
    operation::new(&DRAIN_HELPER, this, std::ptr::null_mut())
}

unsafe fn run_drain_helper(op: *mut Operation, how: Resume) -> Res<Await> {
    let p: *mut Protocol = ptr_or_null(&(*op).owner).cast();
    if matches!(how, Resume::Start) { begin_drain(op, p) } else { drained(op, p, how) }
}

/// Waits within `op` until the transport takes more, if it does not.
#[inline]
pub(crate) unsafe fn begin_drain(op: *mut Operation, p: *mut Protocol) -> Res<Await> {
    if (*p).lost {
        return raise(ffi::PyExc_ConnectionResetError, "Connection lost");
    }
    if !(*p).paused {
        return Ok(Await::Return(none()));
    }
    let future = Head::own_future(p.cast())?;
    Waiters::push(&raw mut (*p).drain_waiters, future.again())?;
    operation::wait(op, future)
}

/// Goes on after that wait.
pub(crate) unsafe fn drained(op: *mut Operation, p: *mut Protocol, how: Resume) -> Res<Await> {
    let Some(future) = (*op).waiter.take() else {
        return runtime_error("fenshen: a waiter is lost");
    };
    let outcome = settled(&future, how);
    Waiters::remove(&raw mut (*p).drain_waiters, &future)?;
    match outcome {
        Ok(()) => Ok(Await::Return(none())),
        Err(exc) => {
            restore(exc);
            Err(Raised)
        }
    }
}

/// What happens when it is let go of: nobody is to be told of the connection's end who did not ask.
pub(super) unsafe fn forget_outcome(p: *mut Protocol) -> Res<()> {
    let Some(closed) = Obj::from_opt(ptr_or_null(&(*p).closed)) else {
        return Ok(());
    };
    if crate::future::is_exact(closed.ptr()) {
        (*closed.ptr().cast::<crate::future::Future>()).log_traceback = false;
        return Ok(());
    }
    if waiters::is_done(&closed)? && !waiters::is_cancelled(&closed)? {
        call_method(&known().exception, &[closed.ptr()])?;
    }
    Ok(())
}

/// Whether a transport is one over TLS.
pub(super) unsafe fn over_ssl(transport: *mut PyObject) -> Res<bool> {
    Ok(!not_none(super::extra_info(transport, &known().sslcontext)?.ptr()).is_null())
}
