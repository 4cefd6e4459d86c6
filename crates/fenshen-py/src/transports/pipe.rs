//! What the transports of both ends of a pipe have in common. Sockets and character devices may stand for pipes.

use std::ffi::{c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::{Head, ending, face, waiter};
use crate::args::{Signature, sort_call};
use crate::errors::{raise, type_error};
use crate::event_loop::channels::Ops;
use crate::event_loop::{Loop, os_error};
use crate::kinds;
use crate::names::{names, transport_support};
use crate::object::{Obj, Raised, Res, call_method, clear, done, none, not_none, ptr_or_null};

/// The layout with which both begin.
#[repr(C)]
pub(super) struct Pipe {
    pub(super) head: Head,
    /// A future that ends when the protocol knows of the connection.
    waiter: Option<Obj>,
    /// The protocol knows of it.
    pub(super) begun: bool,
    /// The pipe's end is known by its becoming readable.
    pub(super) watched: bool,
    /// How many bytes the last read gave.
    pub(super) read_last: usize,
    /// A descriptor beside the pipe's own, which another transport watches already; one more than it, zero for none.
    copy: RawFd,
}

/// How one end differs from the other where it is made.
pub(super) struct Plan {
    pub(super) signature: Signature<5>,
    pub(super) ops: &'static Ops,
    /// What is said of a file that is no pipe.
    pub(super) refusal: &'static str,
    /// It is the end that is read, always watched.
    pub(super) reads: bool,
}

/// Makes either, from the arguments of its type: `(loop, pipe, protocol, waiter=None, extra=None)`. The protocol will be
/// told by [`begin_soon`].
pub(super) unsafe fn make(plan: &Plan, ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> Res<Obj> {
    let [event_loop, pipe, protocol, waiter, extra] = sort_call(&plan.signature, args, kwargs)?;
    if ffi::PyObject_TypeCheck(event_loop, kinds::event_loop()) == 0 {
        return type_error(&format!("{}() takes a fenshen.EventLoop", plan.signature.func));
    }
    let (l, fd): (*mut Loop, _) = (event_loop.cast(), descriptor(pipe)?);
    let kind = kind_of(fd)?;
    if !matches!(kind, libc::S_IFIFO | libc::S_IFSOCK | libc::S_IFCHR) {
        return raise(ffi::PyExc_ValueError, plan.refusal);
    }
    set_nonblocking(fd)?;
    let given = |o: *mut PyObject| if o.is_null() { o } else { not_none(o) };
    let extra = Obj::from_opt(given(extra)).map_or_else(|| Obj::new(ffi::PyDict_New()), Ok)?;
    done(ffi::PyDict_SetItem(extra.ptr(), names().pipe.ptr(), pipe))?;
    let copy = if (*l).channels.owner_of(fd).is_some() { copy_of(fd)? } else { fd };
    let made = Head::allocate(ty, plan.ops, l, copy, None)?;
    let t: *mut Pipe = made.ptr().cast();
    (*t).head.number = fd;
    (*t).copy = if copy == fd { 0 } else { copy + 1 };
    (*t).head.file = Some(Obj::from(pipe));
    (*t).head.protocol = Some(Obj::from(protocol));
    (*t).waiter = Obj::from_opt(given(waiter));
    (*t).watched = plan.reads || kind != libc::S_IFCHR;
    face::set_extra(t.cast(), extra.ptr())?;
    Ok(made)
}

/// `pipe.fileno()`.
unsafe fn descriptor(pipe: *mut PyObject) -> Res<RawFd> {
    let number = call_method(&names().fileno, &[pipe])?;
    let fd = ffi::PyLong_AsLong(number.ptr());
    if fd == -1 && !ffi::PyErr_Occurred().is_null() { Err(Raised) } else { Ok(fd as RawFd) }
}

/// The type of a descriptor's file, as in `st_mode`.
unsafe fn kind_of(fd: RawFd) -> Res<libc::mode_t> {
    let mut found = MaybeUninit::<libc::stat>::zeroed();
    if libc::fstat(fd, found.as_mut_ptr()) < 0 {
        return os_error(&io::Error::last_os_error());
    }
    Ok(found.assume_init_ref().st_mode & libc::S_IFMT)
}

unsafe fn set_nonblocking(fd: RawFd) -> Res<()> {
    let flags = libc::fcntl(fd, libc::F_GETFL);
    if flags < 0 || libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) < 0 {
        return os_error(&io::Error::last_os_error());
    }
    Ok(())
}

/// A second descriptor: the kernel watches one for one owner only.
unsafe fn copy_of(fd: RawFd) -> Res<RawFd> {
    match libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) {
        -1 => os_error(&io::Error::last_os_error()),
        copy => Ok(copy),
    }
}

/// Has the protocol told at the loop's next turn, and the pipe watched after that.
pub(super) unsafe fn begin_soon(made: &Obj) -> Res<()> {
    let t: *mut Pipe = made.ptr().cast();
    let l = Head::event_loop(t.cast());
    Loop::open_channel(l, made.ptr(), &raw mut (*t).head.channel);
    let protocol = Obj::from_opt(ptr_or_null(&(*t).head.protocol)).unwrap_or_else(|| none());
    let connection_made = crate::object::attr(protocol.ptr(), &names().connection_made)?;
    Loop::call_soon(l, connection_made.ptr(), &[made.ptr()], ptr_or_null(&(*t).head.context))?;
    Loop::push_begin(l, made.again());
    Ok(())
}

/// The protocol knows of the pipe: it is watched, if it still is to be, and whoever made it goes on.
pub(super) unsafe fn begin(t: *mut Pipe) -> Res<()> {
    (*t).begun = true;
    if (*t).watched
        && Head::is_reading(t.cast())
        && let Err(Raised) = Head::watch_read(t.cast(), true)
    {
        ending::report_raised(t.cast(), "Exception in callback: the pipe cannot be watched")?;
    }
    waiter::wake(&mut (*t).waiter)
}

/// In debug mode: logs what happens to a pipe, by a function of `fenshen._transports`.
#[inline]
pub(super) unsafe fn note(t: *mut Pipe, what: &std::ffi::CStr) -> Res<()> {
    let l = Head::event_loop(t.cast());
    if l.is_null() || !(*l).debug {
        return Ok(());
    }
    transport_support(what, &[t.cast()]).map(drop)
}

/// The beginning of both ends' `repr()`; whether the pipe can still be used.
pub(super) unsafe fn shown(t: *mut Pipe, name: &str, polls: bool) -> (String, bool) {
    let (open, l) = ((*t).head.channel.fd >= 0, Head::event_loop(t.cast()));
    let usable = open && !l.is_null() && !Loop::is_closed(l);
    let state = match (open, (*t).head.closing) {
        (false, _) => " closed",
        (true, true) => " closing",
        (true, false) => "",
    };
    let polling = match (open, usable, polls) {
        (false, ..) => "closed",
        (true, false, _) => "open",
        (true, true, true) => "polling",
        (true, true, false) => "idle",
    };
    (format!("<{name}{state} fd={} {polling}", (*t).head.number), usable)
}

pub(super) unsafe fn lost(this: *mut PyObject) -> Res<()> {
    ending::lost(this.cast())
}

pub(super) unsafe fn closed(this: *mut PyObject) -> Res<()> {
    let copy = std::mem::take(&mut (*this.cast::<Pipe>()).copy);
    if copy > 0 {
        libc::close(copy - 1);
    }
    Ok(())
}

pub(super) unsafe fn traverse(this: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    match Head::traverse(this.cast(), visitor, arg) {
        0 => crate::object::visit(&(*this.cast::<Pipe>()).waiter, visitor, arg),
        status => status,
    }
}

/// Lets go of everything but the pipe itself.
pub(super) unsafe fn release(t: *mut Pipe) {
    Head::clear(t.cast());
    clear(&mut (*t).waiter);
}
