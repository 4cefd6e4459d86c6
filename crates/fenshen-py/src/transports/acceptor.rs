//! A listening socket: what connects to it becomes transports.

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::RawFd;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::address::Address;
use super::stream::{self, Start};
use super::{Head, face};
use crate::args::{Signature, sort_call};
use crate::errors::{ends_loop, entry, restore, take, type_error, wall};
use crate::event_loop::channels::{Ops, Ready};
use crate::event_loop::{Loop, os_error};
use crate::kinds;
use crate::methods::no_args;
use crate::names::transport_support;
use crate::object::{Obj, Raised, Res, call, clear, none, not_none, ptr_or_null};
use crate::types::{TypeBuilder, free};

/// The layout of `Acceptor`. Its head's `file` is the listening socket, its `protocol` the protocols' factory.
#[repr(C)]
struct Acceptor {
    head: Head,
    server: Option<Obj>,
    /// Takes a connected socket and its peer's address where transports are not made here: for TLS.
    elsewhere: Option<Obj>,
    /// How many connections are taken in one turn at most.
    backlog: isize,
}

static OPS: Ops = Ops { ready, lost: nothing, flush: nothing, discard: no_discard, closed: nothing };

const NEW: Signature<6> = Signature {
    func: "Acceptor",
    names: [c"loop", c"sock", c"protocol_factory", c"server", c"backlog", c"elsewhere"],
    positional: 6,
    required: 6,
};

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let [event_loop, sock, factory, server, backlog, elsewhere] = sort_call(&NEW, args, kwargs)?;
        if ffi::PyObject_TypeCheck(event_loop, kinds::event_loop()) == 0 {
            return type_error("Acceptor() takes a fenshen.EventLoop");
        }
        let l: *mut Loop = event_loop.cast();
        let backlog = ffi::PyLong_AsSsize_t(backlog);
        let fd = ffi::PyObject_AsFileDescriptor(sock);
        if fd < 0 || (backlog == -1 && !ffi::PyErr_Occurred().is_null()) {
            return Err(Raised);
        }
        let made = Head::allocate(ty, &OPS, l, fd, None)?;
        let a: *mut Acceptor = made.ptr().cast();
        (*a).head.file = Some(Obj::from(sock));
        (*a).head.protocol = Some(Obj::from(factory));
        (*a).server = Obj::from_opt(not_none(server));
        (*a).elsewhere = Obj::from_opt(not_none(elsewhere));
        (*a).backlog = backlog;
        Loop::open_channel(l, made.ptr(), &raw mut (*a).head.channel);
        Head::watch_read(a.cast(), true)?;
        Ok(made)
    })
}

/// Takes the connections that wait.
unsafe fn ready(this: *mut PyObject, _ready: Ready) -> Res<()> {
    let a: *mut Acceptor = this.cast();
    for _ in 0..(*a).backlog {
        if (*a).head.closing {
            return Ok(());
        }
        match accept((*a).head.channel.fd) {
            Ok((fd, peer)) => begin(a, fd, peer)?,
            Err(e) => return refused(a, &e),
        }
    }
    Ok(())
}

fn accept(listening: RawFd) -> io::Result<(RawFd, Address)> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: the kernel writes an address of at most the length that it is given.
    let outcome = Address::from_call(|addr, len| unsafe { libc::accept4(listening, addr, len, flags) });
    outcome.ok_or_else(io::Error::last_os_error)
}

/// Makes a transport of a connection. An error is what must end the loop.
unsafe fn begin(a: *mut Acceptor, fd: RawFd, peer: Address) -> Res<()> {
    let context = match (*a).head.context.as_ref() {
        Some(context) => Obj::new(ffi::PyContext_Copy(context.ptr()))?,
        None => Obj::new(ffi::PyContext_CopyCurrent())?,
    };
    if ffi::PyContext_Enter(context.ptr()) < 0 {
        libc::close(fd);
        return Err(Raised);
    }
    let mut outcome = if (*a).elsewhere.is_some() { hand_over(a, fd, &peer) } else { open(a, fd, peer, &context) };
    let exc = if outcome.is_err() { Some(take()) } else { None };
    ffi::PyContext_Exit(context.ptr());
    if let Some(exc) = exc {
        if ends_loop(&exc) {
            restore(exc);
            return Err(Raised);
        }
        outcome = failed(a, &exc);
    }
    outcome
}

unsafe fn open(a: *mut Acceptor, fd: RawFd, peer: Address, context: &Obj) -> Res<()> {
    let l = Head::event_loop(a.cast());
    let made = call(ptr_or_null(&(*a).head.protocol), &[]).and_then(|protocol| {
        stream::open(Start {
            ty: kinds::socket_transport(),
            event_loop: l,
            fd,
            file: None,
            protocol: protocol.ptr(),
            waiter: None,
            server: Obj::from_opt(ptr_or_null(&(*a).server)),
            context: Some(context.again()),
            own: None,
            peer: Some(peer),
        })
    });
    if made.is_err() {
        libc::close(fd);
    }
    made.map(drop)
}

/// Has Python go on with a connection.
unsafe fn hand_over(a: *mut Acceptor, fd: RawFd, peer: &Address) -> Res<()> {
    let number = Obj::new(ffi::PyLong_FromLong(fd.into()))?;
    let socket = match transport_support(c"socket_of", &[number.ptr()]) {
        Ok(socket) => socket,
        Err(e) => {
            libc::close(fd);
            return Err(e);
        }
    };
    let peer = peer.to_python()?;
    call(ptr_or_null(&(*a).elsewhere), &[socket.ptr(), peer.ptr()]).map(drop)
}

/// A connection that could not be begun, for whatever reason: it alone is closed.
#[cold]
unsafe fn failed(a: *mut Acceptor, exc: &Obj) -> Res<()> {
    if !(*Head::event_loop(a.cast())).debug {
        return Ok(());
    }
    transport_support(c"accepting_failed", &[ptr_or_null(&(*a).head.event_loop), exc.ptr()]).map(drop)
}

/// `accept(2)` gives nothing.
#[cold]
unsafe fn refused(a: *mut Acceptor, e: &io::Error) -> Res<()> {
    match e.raw_os_error() {
        Some(libc::EAGAIN | libc::EINTR | libc::ECONNABORTED) => Ok(()),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
            // The kernel would go on reporting the connection that cannot be taken.
            Loop::forget(Head::event_loop(a.cast()), &raw mut (*a).head.channel);
            let _: Res<()> = os_error(e);
            let exc = take();
            let parts = [ptr_or_null(&(*a).head.event_loop), a.cast(), ptr_or_null(&(*a).head.file), exc.ptr()];
            transport_support(c"accepting_paused", &parts).map(drop)
        }
        _ => {
            let _: Res<()> = os_error(e);
            let exc = take();
            let parts = [ptr_or_null(&(*a).head.event_loop), a.cast(), exc.ptr()];
            transport_support(c"accepting_refused", &parts).map(drop)
        }
    }
}

no_args!(close, |a: Acceptor| {
    (*a).head.closing = true;
    if (*a).head.event_loop.is_some() {
        Loop::close_channel(Head::event_loop(a.cast()), &raw mut (*a).head.channel);
    }
    Ok(none())
});
no_args!(resume, |a: Acceptor| {
    if !(*a).head.closing {
        Head::watch_read(a.cast(), true)?;
    }
    Ok(none())
});

unsafe fn nothing(_: *mut PyObject) -> Res<()> {
    Ok(())
}

unsafe fn no_discard(_: *mut PyObject) {}

unsafe extern "C" fn traverse(this: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    let a: *mut Acceptor = this.cast();
    match Head::traverse(this.cast(), visitor, arg) {
        0 => face::visit_all([&(*a).server, &(*a).elsewhere], visitor, arg),
        status => status,
    }
}

unsafe extern "C" fn gc_clear(this: *mut PyObject) -> c_int {
    wall(0, || {
        let a: *mut Acceptor = this.cast();
        Head::clear(a.cast());
        clear(&mut (*a).server);
        clear(&mut (*a).elsewhere);
        Ok(0)
    })
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    ffi::PyObject_GC_UnTrack(this.cast());
    gc_clear(this);
    drop((*this.cast::<Head>()).file.take());
    free(this);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<Acceptor>(c"fenshen._fenshen.Acceptor")
        .doc(c"Acceptor(loop, sock, protocol_factory, server, backlog, elsewhere)\n--\n\nTakes what connects to a listening socket: up to `backlog` connections a turn.\n\nEach gets a protocol from protocol_factory() and a SocketTransport; with `elsewhere`, that is called with the\nconnected socket and the peer's address instead.")
        .flags(ffi::Py_TPFLAGS_HAVE_GC)
        .slot(ffi::Py_tp_new, new as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, gc_clear as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .no_args(c"close", close, c"close($self, /)\n--\n\nTake no more connections. The socket stays open.")
        .no_args(c"resume", resume, c"resume($self, /)\n--\n\nGo on after a failure.")
        .build(None)
}
