//! `StreamWriter`: what it does. Its attributes are in `writer_type.rs`.

use std::ffi::{c_int, c_void};

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::known::known;
use super::protocol::{self, Protocol};
use super::{raise_given, reader};
use crate::args::Args;
use crate::errors::{raise, restore};
use crate::future_iter::Await;
use crate::kinds;
use crate::object::{Obj, Raised, Res, call_method, clear, none, not_none, ptr_or_null, visit};
use crate::primitives::head::{Head, Primitive, truth};
use crate::primitives::operation::{self, Inner, Operation, Plan, Resume};
use crate::transports::stream::{self, Stream};

/// The layout of `fenshen.StreamWriter`.
#[repr(C)]
pub(crate) struct Writer {
    pub(crate) head: Head,
    pub(crate) transport: Option<Obj>,
    pub(crate) protocol: Option<Obj>,
    pub(crate) reader: Option<Obj>,
    /// A future that is done; made when somebody asks for it.
    pub(crate) complete: Option<Obj>,
}

impl Primitive for Writer {
    const CALLED: &'static [&'static std::ffi::CStr] = &[c"close"];
    fn kind() -> *mut PyTypeObject {
        kinds::stream_writer()
    }
    unsafe fn prepare(_this: *mut Writer) {}
    unsafe fn visit(this: *mut Writer, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        let w = &*this;
        let fields = [&w.transport, &w.protocol, &w.reader, &w.complete];
        fields.into_iter().map(|field| visit(field, visitor, arg)).find(|status| *status != 0).unwrap_or(0)
    }
    unsafe fn release(this: *mut Writer) {
        clear(&mut (*this).transport);
        clear(&mut (*this).protocol);
        clear(&mut (*this).reader);
        clear(&mut (*this).complete);
    }
    unsafe fn stands_for(ty: *mut PyTypeObject) -> Option<&'static Obj> {
        (ty == kinds::stream_writer()).then(|| &known().writer_class)
    }
}

/// A new writer: `StreamWriter(transport, protocol, reader, loop)`, of our class.
pub(crate) unsafe fn make(
    transport: *mut PyObject,
    protocol: *mut PyObject,
    reader: *mut PyObject,
    event_loop: *mut PyObject,
) -> Res<Obj> {
    let made = crate::primitives::head::allocate::<Writer>(kinds::stream_writer())?;
    fill(made.ptr().cast(), transport, protocol, reader, event_loop);
    Ok(made)
}

/// `__init__`.
pub(crate) unsafe fn fill(
    w: *mut Writer,
    transport: *mut PyObject,
    protocol: *mut PyObject,
    reader: *mut PyObject,
    event_loop: *mut PyObject,
) {
    Head::bind(w.cast(), event_loop);
    for (field, value) in
        [(&raw mut (*w).transport, transport), (&raw mut (*w).protocol, protocol), (&raw mut (*w).reader, reader)]
    {
        crate::object::set(&mut *field, Obj::from_opt(not_none(value)));
    }
    clear(&mut (*w).complete);
}

/// The transport; held, for a call on it may put another in its place.
#[inline]
pub(crate) unsafe fn transport(w: *mut Writer) -> Obj {
    Obj::from_opt(ptr_or_null(&(*w).transport)).unwrap_or_else(|| none())
}

/// A transport that may be used without its methods: a socket's native one, with nothing overridden.
#[inline]
unsafe fn native(transport: &Obj) -> Option<*mut Stream> {
    let t: *mut Stream = transport.ptr().cast();
    (ffi::Py_TYPE(transport.ptr()) == kinds::socket_transport() && (*t).head.dict.is_null()).then_some(t)
}

/// `write(data)`.
#[inline]
pub(crate) unsafe fn write(w: *mut Writer, data: *mut PyObject) -> Res<()> {
    let transport = transport(w);
    match native(&transport) {
        Some(t) => stream::write(t, data),
        None => call_method(&known().write, &[transport.ptr(), data]).map(drop),
    }
}

/// `is_closing()`, as a truth.
#[inline]
pub(crate) unsafe fn is_closing(w: *mut Writer) -> Res<bool> {
    let transport = transport(w);
    if let Some(t) = native(&transport) {
        return Ok((*t).head.closing);
    }
    truth(&call_method(&known().is_closing, &[transport.ptr()])?)
}

static DRAIN: Plan = Plan { name: c"drain", qualname: c"StreamWriter.drain", run: run_drain };
static WAIT_CLOSED: Plan = Plan { name: c"wait_closed", qualname: c"StreamWriter.wait_closed", run: run_wait_closed };

/// `drain()`.
pub(super) unsafe fn drain(this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    args.none("StreamWriter.drain")?;
    operation::new(&DRAIN, this, std::ptr::null_mut())
}

/// `wait_closed()`.
pub(super) unsafe fn wait_closed(this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    args.none("StreamWriter.wait_closed")?;
    operation::new(&WAIT_CLOSED, this, std::ptr::null_mut())
}

const START: u8 = 0;
const ONE_TURN: u8 = 1;
const DRAINS: u8 = 2;
const INSIDE: u8 = 3;

unsafe fn run_drain(op: *mut Operation, how: Resume) -> Res<Await> {
    let w: *mut Writer = ptr_or_null(&(*op).owner).cast();
    match ((*op).phase, how) {
        (START, _) => {
            check_reader(w)?;
            if is_closing(w)? {
                // Whoever writes in a circle would never hear of the connection's end otherwise.
                (*op).phase = ONE_TURN;
                return Ok(Await::Yield(none()));
            }
            begin_drain(op, w)
        }
        (ONE_TURN, Resume::Thrown(exc)) => {
            restore(exc);
            Err(Raised)
        }
        (ONE_TURN, _) => begin_drain(op, w),
        (DRAINS, how) => {
            // Held by the operation: the writer may have got another protocol meanwhile.
            protocol::drained(op, ptr_or_null(&(*op).held).cast(), how)
        }
        (_, how) => inside(op, how),
    }
}

/// The exception of the writer's reader, raised.
#[inline]
unsafe fn check_reader(w: *mut Writer) -> Res<()> {
    let Some(r) = Obj::from_opt(ptr_or_null(&(*w).reader)) else {
        return Ok(());
    };
    let native = reader::plain(r.ptr());
    let exc = if native.is_null() {
        let exc = call_method(&known().exception, &[r.ptr()])?;
        Obj::from_opt(not_none(exc.ptr()))
    } else {
        Obj::from_opt(ptr_or_null(&(*native).exception))
    };
    match exc {
        None => Ok(()),
        Some(exc) => raise_given(&exc),
    }
}

unsafe fn begin_drain(op: *mut Operation, w: *mut Writer) -> Res<Await> {
    let p = Obj::from_opt(ptr_or_null(&(*w).protocol)).unwrap_or_else(|| none());
    let native: *mut Protocol = protocol::plain(p.ptr());
    if !native.is_null() {
        (*op).phase = DRAINS;
        let outcome = protocol::begin_drain(op, native)?;
        if matches!(outcome, Await::Yield(_)) {
            (*op).held = Some(p);
        }
        return Ok(outcome);
    }
    (*op).phase = INSIDE;
    let inner = call_method(&known().drain_helper, &[p.ptr()])?;
    operation::enter(op, &inner)?;
    inside(op, Resume::Start)
}

/// Drives what was entered; its result is nobody's business.
unsafe fn inside(op: *mut Operation, how: Resume) -> Res<Await> {
    match operation::go_on(op, how) {
        Inner::Yield(o) => Ok(Await::Yield(o)),
        Inner::Return(_) => Ok(Await::Return(none())),
        Inner::Raise(exc) => {
            restore(exc);
            Err(Raised)
        }
    }
}

unsafe fn run_wait_closed(op: *mut Operation, how: Resume) -> Res<Await> {
    if matches!(how, Resume::Start) {
        let w: *mut Writer = ptr_or_null(&(*op).owner).cast();
        let p = Obj::from_opt(ptr_or_null(&(*w).protocol)).unwrap_or_else(|| none());
        let native: *mut Protocol = protocol::plain(p.ptr());
        let closed = if native.is_null() { None } else { Obj::from_opt(ptr_or_null(&(*native).closed)) };
        let closed = match closed {
            Some(closed) => closed,
            None => call_method(&known().get_close_waiter, &[p.ptr(), w.cast()])?,
        };
        operation::enter(op, &closed)?;
    }
    inside(op, how)
}

/// The future that `_complete_fut` shows.
pub(super) unsafe fn complete(w: *mut Writer) -> Res<Obj> {
    if (*w).complete.is_none() {
        let future = Head::own_future(w.cast())?;
        super::fulfil(&future, ffi::Py_None())?;
        (*w).complete = Some(future);
    }
    match &(*w).complete {
        Some(future) => Ok(future.again()),
        None => raise(ffi::PyExc_AttributeError, "_complete_fut"),
    }
}
