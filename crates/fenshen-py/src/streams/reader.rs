//! `StreamReader`: what it does with what arrives. Its coroutines are in `read.rs`, its attributes in `reader_type.rs`.
//!
//! Where no method is overridden ("plain"), everything is done here; else every method that the standard library calls
//! on `self` is called, and the base class' own are here.

use std::ffi::{c_int, c_void};

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::known::known;
use super::store::{Store, bytes_of};
use super::{assertion_error, derives, fulfil};
use crate::errors::restore;
use crate::future_iter::Await;
use crate::kinds;
use crate::object::{Obj, Raised, Res, call_method, clear, ptr_or_null, set, text, visit};
use crate::primitives::head::{Head, Primitive};
use crate::primitives::operation::{self, Inner, Operation, Resume, settled};
use crate::primitives::waiters;

/// The layout of `fenshen.StreamReader`.
#[repr(C)]
pub(crate) struct Reader {
    pub(crate) head: Head,
    pub(crate) store: Store,
    pub(crate) transport: Option<Obj>,
    pub(crate) exception: Option<Obj>,
    /// The future that a coroutine waits for data with.
    pub(crate) waiter: Option<Obj>,
    /// The limit as it was given.
    pub(crate) limit: Option<Obj>,
    pub(crate) source_tb: Option<Obj>,
    /// The limit as a number of bytes.
    pub(crate) bytes: f64,
    /// With how many bytes the waiting coroutine can go on,
    pub(crate) least: usize,
    /// and how many it can take away at most.
    pub(crate) most: usize,
    pub(crate) eof: bool,
    pub(crate) paused: bool,
}

impl Primitive for Reader {
    const CALLED: &'static [&'static std::ffi::CStr] = &[
        c"_maybe_resume_transport",
        c"_wait_for_data",
        c"_wakeup_waiter",
        c"exception",
        c"feed_data",
        c"feed_eof",
        c"read",
        c"readline",
        c"readuntil",
        c"set_exception",
        c"set_transport",
    ];
    fn kind() -> *mut PyTypeObject {
        kinds::stream_reader()
    }
    unsafe fn prepare(this: *mut Reader) {
        std::ptr::write(&raw mut (*this).store, Store::empty());
    }
    unsafe fn visit(this: *mut Reader, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        let r = &*this;
        let status = r.store.traverse(visitor, arg);
        if status != 0 {
            return status;
        }
        let fields = [&r.transport, &r.exception, &r.waiter, &r.limit, &r.source_tb];
        fields.into_iter().map(|field| visit(field, visitor, arg)).find(|status| *status != 0).unwrap_or(0)
    }
    unsafe fn release(this: *mut Reader) {
        (*this).store.release();
        clear(&mut (*this).transport);
        clear(&mut (*this).exception);
        clear(&mut (*this).waiter);
        clear(&mut (*this).limit);
        clear(&mut (*this).source_tb);
    }
    unsafe fn stands_for(ty: *mut PyTypeObject) -> Option<&'static Obj> {
        (ty == kinds::stream_reader()).then(|| &known().reader_class)
    }
}

/// `o` as a reader of ours with nothing overridden; null for any other object.
#[inline]
pub(crate) unsafe fn plain(o: *mut PyObject) -> *mut Reader {
    if derives(o, kinds::stream_reader()) && (*o.cast::<Head>()).plain { o.cast() } else { std::ptr::null_mut() }
}

/// Whether so many bytes are more than `times` the limit.
#[inline]
pub(crate) unsafe fn exceeds(r: *mut Reader, len: usize, times: f64) -> bool {
    len as f64 > times * (*r).bytes
}

/// Adds data, as `feed_data` does, without an object made for it.
#[inline]
pub(crate) unsafe fn feed(r: *mut Reader, data: &[u8]) -> Res<()> {
    if (*r).eof {
        return assertion_error("feed_data after feed_eof");
    }
    if data.is_empty() {
        return Ok(());
    }
    let fits = (*r).waiter.is_some() && (*r).least <= data.len() && data.len() <= (*r).most;
    if fits && (*r).store.is_empty() && (*r).store.lend().is_none() {
        // It will leave as it comes: this is the object that the coroutine returns.
        let bytes = bytes_of(data)?;
        (*r).store.push_object(bytes)?;
    } else {
        (*r).store.push(data)?;
    }
    fed(r)
}

/// For less than this a transport receives elsewhere, and what comes after it too.
const DIRECT: usize = 32 * 1024;

/// Where a coroutine that waits will have what comes next, and how many bytes of it, where they are many: a transport
/// may put them there itself, and say so with [`filled`].
#[inline]
pub(crate) unsafe fn lend(r: *mut Reader) -> Option<(*mut u8, usize)> {
    if (*r).eof || (*r).waiter.is_none() {
        return None;
    }
    (*r).store.lend().filter(|(_, room)| *room >= DIRECT)
}

/// So many bytes were put where [`lend`] said.
#[inline]
pub(crate) unsafe fn filled(r: *mut Reader, n: usize) -> Res<()> {
    (*r).store.filled(n);
    fed(r)
}

/// Adds data that is a `bytes` object, and not empty.
pub(crate) unsafe fn feed_object(r: *mut Reader, bytes: Obj) -> Res<()> {
    (*r).store.push_object(bytes)?;
    fed(r)
}

/// There is more data than before: wakes who waits for it, and stops the transport where it is too much.
#[inline]
pub(crate) unsafe fn fed(r: *mut Reader) -> Res<()> {
    let len = (*r).store.len();
    let too_much = (*r).transport.is_some() && !(*r).paused && exceeds(r, len, 2.0);
    if !(*r).head.plain || len >= (*r).least || (*r).paused || too_much {
        wake(r)?;
    }
    if too_much { pause(r) } else { Ok(()) }
}

#[cold]
unsafe fn pause(r: *mut Reader) -> Res<()> {
    let Some(transport) = Obj::from_opt(ptr_or_null(&(*r).transport)) else {
        return Ok(());
    };
    match call_method(&known().pause_reading, &[transport.ptr()]) {
        Ok(_) => (*r).paused = true,
        Err(Raised) if ffi::PyErr_ExceptionMatches(ffi::PyExc_NotImplementedError) != 0 => {
            ffi::PyErr_Clear();
            clear(&mut (*r).transport);
        }
        Err(e) => return Err(e),
    }
    Ok(())
}

/// Has the transport go on if it was stopped.
unsafe fn resume_transport(r: *mut Reader) -> Res<()> {
    (*r).paused = false;
    let transport = Obj::from_opt(ptr_or_null(&(*r).transport)).unwrap_or_else(|| crate::object::none());
    call_method(&known().resume_reading, &[transport.ptr()]).map(drop)
}

/// `_maybe_resume_transport()`.
#[inline]
pub(crate) unsafe fn maybe_resume(r: *mut Reader) -> Res<()> {
    if !(*r).head.plain {
        return call_method(&known().maybe_resume_transport, &[r.cast()]).map(drop);
    }
    resume_if_small(r)
}

/// What `_maybe_resume_transport()` of the base class does.
#[inline]
pub(crate) unsafe fn resume_if_small(r: *mut Reader) -> Res<()> {
    if (*r).paused && !exceeds(r, (*r).store.len(), 1.0) { resume_transport(r) } else { Ok(()) }
}

/// `_wakeup_waiter()`.
#[inline]
unsafe fn wake(r: *mut Reader) -> Res<()> {
    if !(*r).head.plain {
        return call_method(&known().wakeup_waiter, &[r.cast()]).map(drop);
    }
    wake_waiter(r)
}

/// What `_wakeup_waiter()` of the base class does.
#[inline]
pub(crate) unsafe fn wake_waiter(r: *mut Reader) -> Res<()> {
    match (*r).waiter.take() {
        Some(f) if !waiters::is_cancelled(&f)? => waiters::wake(&f, ffi::Py_None()),
        _ => Ok(()),
    }
}

/// `feed_eof()`.
pub(crate) unsafe fn feed_eof(r: *mut Reader) -> Res<()> {
    (*r).eof = true;
    wake(r)
}

/// `set_exception(exc)`.
pub(crate) unsafe fn set_exception(r: *mut Reader, exc: *mut PyObject) -> Res<()> {
    set(&mut (*r).exception, Obj::from_opt(crate::object::not_none(exc)));
    match (*r).waiter.take() {
        Some(f) if !waiters::is_cancelled(&f)? => fulfil(&f, exc),
        _ => Ok(()),
    }
}

/// `set_transport(transport)`.
pub(crate) unsafe fn set_transport(r: *mut Reader, transport: *mut PyObject) -> Res<()> {
    if (*r).transport.is_some() {
        return assertion_error("Transport already set");
    }
    set(&mut (*r).transport, Obj::from_opt(crate::object::not_none(transport)));
    Ok(())
}

/// An operation's phases, as far as waiting goes.
const WAITS: u8 = 1;
const INSIDE: u8 = 2;

/// Begins to wait for data within `op`: what to yield, or nothing if it is over at once.
///
/// The coroutine can go on with `least` bytes and takes `most` at most.
pub(crate) unsafe fn wait(
    op: *mut Operation,
    r: *mut Reader,
    func: &str,
    least: usize,
    most: usize,
) -> Res<Option<Await>> {
    if !(*r).head.plain {
        let func = text(func)?;
        let inner = call_method(&known().wait_for_data, &[r.cast(), func.ptr()])?;
        operation::enter(op, &inner)?;
        (*op).phase = INSIDE;
        return inside(op, Resume::Start);
    }
    wait_here(op, r, func, least, most).map(Some)
}

/// What `_wait_for_data()` of the base class does.
pub(crate) unsafe fn wait_here(
    op: *mut Operation,
    r: *mut Reader,
    func: &str,
    least: usize,
    most: usize,
) -> Res<Await> {
    if (*r).waiter.is_some() {
        return crate::errors::runtime_error(&format!(
            "{func}() called while another coroutine is already waiting for incoming data"
        ));
    }
    if (*r).eof {
        return assertion_error("_wait_for_data after EOF");
    }
    if (*r).paused {
        // Nothing would come otherwise.
        resume_transport(r)?;
    }
    (*r).store.reserve(if least == most { least } else { 0 })?;
    let future = Head::own_future(r.cast())?;
    (*r).least = least;
    (*r).most = most;
    set(&mut (*r).waiter, Some(future.again()));
    (*op).phase = WAITS;
    operation::wait(op, future)
}

/// Goes on after a wait: what to yield next, or nothing if it is over. Raises what it ended with.
pub(crate) unsafe fn waited(op: *mut Operation, r: *mut Reader, how: Resume) -> Res<Option<Await>> {
    if (*op).phase == INSIDE {
        return inside(op, how);
    }
    let Some(future) = (*op).waiter.take() else {
        return crate::errors::runtime_error("fenshen: a waiter is lost");
    };
    // Not another's, who may have begun to wait since this one was woken.
    if ptr_or_null(&(*r).waiter) == future.ptr() {
        clear(&mut (*r).waiter);
    }
    match settled(&future, how) {
        Ok(()) => Ok(None),
        Err(exc) => {
            restore(exc);
            Err(Raised)
        }
    }
}

/// Drives what was entered; nothing when it is over.
pub(crate) unsafe fn inside(op: *mut Operation, how: Resume) -> Res<Option<Await>> {
    match operation::go_on(op, how) {
        Inner::Yield(o) => Ok(Some(Await::Yield(o))),
        Inner::Return(_) => Ok(None),
        Inner::Raise(exc) => {
            restore(exc);
            Err(Raised)
        }
    }
}
