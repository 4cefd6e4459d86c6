//! `loop.sock_recv` and its kin: operations on sockets without transports.
//!
//! | operation | file |
//! |---|---|
//! | `sock_recv`, `sock_recv_into` | `receive.rs` |
//! | `sock_sendall` | `send.rs` |
//! | `sock_recvfrom`, `sock_recvfrom_into`, `sock_sendto` | `datagram.rs` |
//! | `sock_connect` | `connect.rs` |
//! | `sock_accept` | `accept.rs` |
//!
//! Each tries first, waits for the loop to say that the file is ready, and tries again. Bytes go straight between the
//! descriptor and their place where the object is the standard library's socket; anything else that has its methods is
//! asked through them, and so is every socket where addresses are concerned. The loop's side of a wait, with what is
//! kept from one to the next, is `event_loop/files.rs`.

mod accept;
mod connect;
mod datagram;
mod receive;
mod send;

use std::cell::UnsafeCell;
use std::io;
use std::os::fd::RawFd;
use std::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use crate::errors::{raise, take};
use crate::event_loop::files::Way;
use crate::event_loop::{Loop, os_error};
use crate::future_iter::Await;
use crate::kinds;
use crate::object::{Obj, Raised, Res, call, call_method, done, ptr_or_null};
use crate::primitives::coroutine_function::add_methods;
use crate::primitives::operation::{self, Operation, Resume, settled};

// Of CPython's API, but not of PyO3's declarations.
unsafe extern "C" {
    fn _PyType_Lookup(ty: *mut PyTypeObject, name: *mut PyObject) -> *mut PyObject;
}

/// What we need of the standard library's sockets, found once.
struct Sockets {
    class: Obj,
    check_ssl: Obj,
    accept: Obj,
    connect: Obj,
    ensure_no_transport: Obj,
    fileno: Obj,
    getsockopt: Obj,
    gettimeout: Obj,
    recv: Obj,
    recv_into: Obj,
    recvfrom: Obj,
    recvfrom_into: Obj,
    send: Obj,
    sendto: Obj,
    setblocking: Obj,
    /// The methods that are done natively where they are these.
    fileno_method: Obj,
    recv_method: Obj,
    recv_into_method: Obj,
    send_method: Obj,
}

struct Global(UnsafeCell<Option<Sockets>>);
// SAFETY: written once, when the module is made, before any operation can run; read-only after.
unsafe impl Sync for Global {}
static SOCKETS: Global = Global(UnsafeCell::new(None));

#[inline(always)]
fn sockets() -> &'static Sockets {
    // SAFETY: `init` ran before any operation could.
    unsafe { (*SOCKETS.0.get()).as_ref().unwrap_unchecked() }
}

/// Looks everything up and gives the loop its methods. Runs once, when the module is made.
pub(crate) unsafe fn init() -> Res<()> {
    let import = |name: &std::ffi::CStr| Obj::new(ffi::PyImport_ImportModule(name.as_ptr()));
    let get = |o: &Obj, name: &std::ffi::CStr| Obj::new(ffi::PyObject_GetAttrString(o.ptr(), name.as_ptr()));
    let intern = |name: &std::ffi::CStr| Obj::new(ffi::PyUnicode_InternFromString(name.as_ptr()));
    let class = get(&import(c"socket")?, c"socket")?;
    // Not those of a class that somebody may have put in its place.
    let native = get(&import(c"_socket")?, c"socket")?;
    let found = Sockets {
        check_ssl: get(&import(c"asyncio.base_events")?, c"_check_ssl_socket")?,
        accept: intern(c"accept")?,
        connect: intern(c"connect")?,
        ensure_no_transport: intern(c"_ensure_fd_no_transport")?,
        fileno: intern(c"fileno")?,
        getsockopt: intern(c"getsockopt")?,
        gettimeout: intern(c"gettimeout")?,
        recv: intern(c"recv")?,
        recv_into: intern(c"recv_into")?,
        recvfrom: intern(c"recvfrom")?,
        recvfrom_into: intern(c"recvfrom_into")?,
        send: intern(c"send")?,
        sendto: intern(c"sendto")?,
        setblocking: intern(c"setblocking")?,
        fileno_method: get(&native, c"fileno")?,
        recv_method: get(&native, c"recv")?,
        recv_into_method: get(&native, c"recv_into")?,
        send_method: get(&native, c"send")?,
        class,
    };
    *SOCKETS.0.get() = Some(found);
    let selector_loop = get(&import(c"asyncio.selector_events")?, c"BaseSelectorEventLoop")?;
    add_methods(
        kinds::event_loop(),
        Some(&selector_loop),
        &[
            (c"sock_recv", receive::sock_recv),
            (c"sock_recv_into", receive::sock_recv_into),
            (c"sock_sendall", send::sock_sendall),
            (c"sock_recvfrom", datagram::sock_recvfrom),
            (c"sock_recvfrom_into", datagram::sock_recvfrom_into),
            (c"sock_sendto", datagram::sock_sendto),
            (c"sock_connect", connect::sock_connect),
            (c"sock_accept", accept::sock_accept),
        ],
    )
}

/// The loop that an operation is of.
#[inline(always)]
unsafe fn loop_of(op: *mut Operation) -> *mut Loop {
    ptr_or_null(&(*op).owner).cast()
}

/// The socket that an operation is on.
#[inline(always)]
unsafe fn socket_of(op: *mut Operation) -> Obj {
    Obj::from_opt(ptr_or_null(&(*op).arg)).unwrap_or_else(|| crate::object::none())
}

/// The first argument after the socket.
#[inline(always)]
unsafe fn held(op: *mut Operation) -> Obj {
    Obj::from_opt(ptr_or_null(&(*op).held)).unwrap_or_else(|| crate::object::none())
}

/// The checks that every operation begins with.
#[inline]
unsafe fn check(l: *mut Loop, socket: &Obj) -> Res<()> {
    let known = sockets();
    if ffi::Py_TYPE(socket.ptr()).cast() != known.class.ptr() {
        call(known.check_ssl.ptr(), &[socket.ptr()])?;
    }
    if (*l).debug { check_blocking(socket) } else { Ok(()) }
}

#[cold]
unsafe fn check_blocking(socket: &Obj) -> Res<()> {
    let timeout = call_method(&sockets().gettimeout, &[socket.ptr()])?;
    let zero = Obj::new(ffi::PyLong_FromLong(0))?;
    let blocks = ffi::PyObject_RichCompareBool(timeout.ptr(), zero.ptr(), ffi::Py_NE);
    done(blocks)?;
    if blocks != 0 {
        return raise(ffi::PyExc_ValueError, "the socket must be non-blocking");
    }
    Ok(())
}

/// Whether a method of this object is the standard library's, so that its work may be done without it.
#[inline]
unsafe fn is_plain(socket: &Obj, name: &Obj, method: &Obj) -> bool {
    // The class has no `__dict__` in its instances, so a method can only be replaced in the class.
    let ty = ffi::Py_TYPE(socket.ptr());
    ty.cast() == sockets().class.ptr() && _PyType_Lookup(ty, name.ptr()) == method.ptr()
}

/// `socket.fileno()`: -1 of a socket that is closed.
#[inline]
unsafe fn descriptor(socket: &Obj) -> Res<RawFd> {
    let known = sockets();
    let number = if is_plain(socket, &known.fileno, &known.fileno_method) {
        call(known.fileno_method.ptr(), &[socket.ptr()])?
    } else {
        call_method(&known.fileno, &[socket.ptr()])?
    };
    let value = ffi::PyLong_AsLong(number.ptr());
    if value == -1 && !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    Ok(RawFd::try_from(value).unwrap_or(-1))
}

/// A weak reference by which the loop knows the socket again; none of an object that has no such.
#[inline]
unsafe fn identity(socket: &Obj) -> Option<Obj> {
    let weak = Obj::new(ffi::PyWeakref_NewRef(socket.ptr(), ptr::null_mut()));
    if weak.is_err() {
        ffi::PyErr_Clear();
    }
    weak.ok()
}

/// Raises if a transport uses the descriptor.
unsafe fn ensure_no_transport(l: *mut Loop, fd: RawFd) -> Res<()> {
    match (*l).channels.owner_of(fd) {
        Some(_) => {
            let fd = Obj::new(ffi::PyLong_FromLong(fd.into()))?;
            call_method(&sockets().ensure_no_transport, &[l.cast(), fd.ptr()]).map(drop)
        }
        None => Ok(()),
    }
}

/// Waits until the socket is ready: what a [`Run`](operation::Run) returns to do so.
unsafe fn wait(op: *mut Operation, way: Way) -> Res<Await> {
    let socket = socket_of(op);
    let fd = descriptor(&socket)?;
    wait_on(op, way, fd, identity(&socket))
}

unsafe fn wait_on(op: *mut Operation, way: Way, fd: RawFd, identity: Option<Obj>) -> Res<Await> {
    let l = loop_of(op);
    if fd < 0 {
        return raise(ffi::PyExc_ValueError, &format!("Invalid file descriptor: {fd}"));
    }
    if !(*l).files.is_armed(fd, way, &identity) {
        Loop::check_closed(l)?;
        ensure_no_transport(l, fd)?;
    }
    Loop::check_owner(l)?;
    let future = Loop::create_future(l)?;
    let Some(kernel) = (*l).kernel.as_ref() else {
        Loop::check_closed(l)?;
        return crate::errors::runtime_error("Event loop is closed");
    };
    if let Err(e) = (*l).files.wait(kernel.epoll(), fd, way, identity, future.again()) {
        return os_error(&e);
    }
    (*op).fd = fd;
    operation::wait(op, future)
}

/// Goes on after a wait; raises what was thrown into it.
#[inline]
unsafe fn woken(op: *mut Operation, way: Way, how: Resume) -> Res<()> {
    let Some(future) = (*op).waiter.take() else {
        return crate::errors::runtime_error("fenshen: a waiter is lost");
    };
    let l = loop_of(op);
    if let Some(kernel) = (*l).kernel.as_ref() {
        (*l).files.leave(kernel.epoll(), (*op).fd, way, &future);
    }
    settled(&future, how).map_err(|exc| {
        crate::errors::restore(exc);
        Raised
    })
}

/// Whether an error is only that the socket isn't ready.
fn would_block(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::WouldBlock)
}

/// The result of a system call that gives a length; it is called again where a signal came.
#[inline]
fn length(mut call: impl FnMut() -> isize) -> io::Result<usize> {
    loop {
        if let Ok(n) = usize::try_from(call()) {
            return Ok(n);
        }
        let e = io::Error::last_os_error();
        if e.kind() != io::ErrorKind::Interrupted {
            return Err(e);
        }
    }
}

/// Calls a method of the socket; nothing if it isn't ready.
unsafe fn attempt(name: &Obj, args: &[*mut PyObject]) -> Res<Option<Obj>> {
    match call_method(name, args) {
        Ok(result) => Ok(Some(result)),
        Err(Raised) => not_ready().map(|()| None),
    }
}

/// Swallows the exception that says that a socket isn't ready.
unsafe fn not_ready() -> Res<()> {
    for kind in [ffi::PyExc_BlockingIOError, ffi::PyExc_InterruptedError] {
        if ffi::PyErr_ExceptionMatches(kind) != 0 {
            drop(take());
            return Ok(());
        }
    }
    Err(Raised)
}

/// A buffer of a Python object, held while this lives.
pub(crate) struct Buffer(ffi::Py_buffer);

impl Buffer {
    pub(crate) unsafe fn of(o: &Obj, flags: std::ffi::c_int) -> Res<Buffer> {
        let mut view = ffi::Py_buffer::new();
        done(ffi::PyObject_GetBuffer(o.ptr(), &mut view, flags))?;
        Ok(Buffer(view))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len as usize
    }

    pub(crate) fn start(&self) -> *mut u8 {
        self.0.buf.cast()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: it was filled by `PyObject_GetBuffer`, and lives only while the thread is attached.
        unsafe { ffi::PyBuffer_Release(&mut self.0) }
    }
}
