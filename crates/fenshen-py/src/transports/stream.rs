//! What `SocketTransport` does: a connected stream socket and its protocol.
//!
//! What is written in one turn of the loop leaves by one call of the kernel at the turn's end, or at once when it is
//! more than the write limit, when the loop does not run, and before anything that must come after it.

use std::os::fd::RawFd;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::address::Address;
use super::outgoing::{By, Outgoing};
use super::protocol::{self, Lent, Manner};
use super::receive::{self, Inflow, MOST, Received};
use super::{Head, ending, flow, waiter};
use crate::errors::{runtime_error, type_error};
use crate::event_loop::channels::{Ops, Ready};
use crate::event_loop::{Loop, os_error};
use crate::future;
use crate::names::{names, transport_support};
use crate::object::{Obj, Raised, Res, call_method, clear, none, ptr_or_null, set};
use crate::streams::{self, reader::Reader};

/// The layout of `SocketTransport`.
#[repr(C)]
pub(crate) struct Stream {
    pub(crate) head: Head,
    pub(crate) outgoing: Outgoing,
    pub(crate) own: Address,
    pub(crate) peer: Address,
    /// The server that it came from.
    pub(crate) server: Option<Obj>,
    /// A future that ends when the protocol knows of the connection.
    waiter: Option<Obj>,
    /// A future that ends when everything is sent: meanwhile nothing can be written.
    empty_waiter: Option<Obj>,
    manner: Manner,
    /// Reading has begun.
    begun: bool,
    /// `write_eof` was called.
    pub(crate) eof: bool,
}

static OPS: Ops = Ops { ready, lost, flush, discard, closed };

/// From this size on, what may change under our hands is sent at once rather than copied.
const LARGE: isize = 16 * 1024;
/// How many writes to a lost connection are silent, as in asyncio.
const SILENT_WRITES: u32 = 5;

/// What a connection is made from.
pub(crate) struct Start<'a> {
    pub(crate) ty: *mut PyTypeObject,
    pub(crate) event_loop: *mut Loop,
    pub(crate) fd: RawFd,
    /// The socket object that owns the descriptor, if there is one.
    pub(crate) file: Option<&'a Obj>,
    pub(crate) protocol: *mut PyObject,
    pub(crate) waiter: Option<Obj>,
    pub(crate) server: Option<Obj>,
    pub(crate) context: Option<Obj>,
    pub(crate) own: Option<Address>,
    pub(crate) peer: Option<Address>,
}

/// Makes a transport; its protocol will be told at the loop's next turn.
pub(crate) unsafe fn open(start: Start<'_>) -> Res<Obj> {
    let l = start.event_loop;
    let manner = Manner::of(start.protocol)?;
    let connection_made = crate::object::attr(start.protocol, &names().connection_made)?;
    let made = Head::allocate(start.ty, &OPS, l, start.fd, start.context)?;
    let t: *mut Stream = made.ptr().cast();
    // Until it is whole, the descriptor is not its own.
    (*t).head.channel.fd = -1;
    (*t).head.protocol = Some(Obj::from(start.protocol));
    std::ptr::write(&raw mut (*t).outgoing, Outgoing::default());
    std::ptr::write(&raw mut (*t).own, start.own.or_else(|| Address::own(start.fd)).unwrap_or_default());
    std::ptr::write(&raw mut (*t).peer, start.peer.or_else(|| Address::peer(start.fd)).unwrap_or_default());
    (*t).waiter = start.waiter;
    (*t).manner = manner;
    if let Some(server) = &start.server {
        tell_server(server, &names().attach, &made)?;
    }
    (*t).server = start.server;
    (*t).head.channel.fd = start.fd;
    (*t).head.file = start.file.map(|file| file.again());
    Loop::open_channel(l, made.ptr(), &raw mut (*t).head.channel);
    set_nodelay(t);
    if let Err(Raised) = Loop::call_soon(l, connection_made.ptr(), &[made.ptr()], ptr_or_null(&(*t).head.context)) {
        // The descriptor stays its maker's.
        Loop::close_channel(l, &raw mut (*t).head.channel);
        (*t).head.channel.fd = -1;
        return Err(Raised);
    }
    Loop::push_begin(l, made.again());
    Ok(made)
}

/// Switches off the delay that small segments would have.
unsafe fn set_nodelay(t: *mut Stream) {
    if matches!((*t).own.family(), libc::AF_INET | libc::AF_INET6) {
        let on: i32 = 1;
        let (level, option) = (libc::IPPROTO_TCP, libc::TCP_NODELAY);
        libc::setsockopt((*t).head.channel.fd, level, option, (&raw const on).cast(), 4);
    }
}

/// `server._attach(transport)` or `_detach`, which up to 3.12 take nothing.
unsafe fn tell_server(server: &Obj, method: &Obj, transport: &Obj) -> Res<()> {
    if cfg!(Py_3_13) {
        call_method(method, &[server.ptr(), transport.ptr()]).map(drop)
    } else {
        call_method(method, &[server.ptr()]).map(drop)
    }
}

unsafe fn ready(this: *mut PyObject, ready: Ready) -> Res<()> {
    let t: *mut Stream = this.cast();
    if !(*t).begun {
        return begin(t);
    }
    Head::in_context(this.cast(), || {
        if ready.readable && Head::is_reading(this.cast()) && (*t).head.lost == 0 {
            read(t)?;
        }
        if ready.writable && (*t).head.lost == 0 { send(t) } else { Ok(()) }
    })
}

/// The protocol knows of the connection: reading begins, and whoever made it goes on.
unsafe fn begin(t: *mut Stream) -> Res<()> {
    (*t).begun = true;
    if Head::is_reading(t.cast())
        && let Err(Raised) = Head::watch_read(t.cast(), true)
    {
        ending::report_raised(t.cast(), "Exception in callback: the socket cannot be watched")?;
    }
    waiter::wake(&mut (*t).waiter)
}

/// One `recv(2)`, and the protocol is told. An error is what must end the loop.
unsafe fn read(t: *mut Stream) -> Res<()> {
    let Some(protocol) = Obj::from_opt(ptr_or_null(&(*t).head.protocol)) else {
        return Ok(());
    };
    match (*t).manner {
        Manner::Buffered => read_buffered(t, &protocol),
        Manner::Plain => match protocol::lender(&protocol) {
            Ok(Some(reader)) => read_into(t, &protocol, &reader),
            Ok(None) => read_plain(t, &protocol),
            Err(Raised) => ending::fatal_raised(t.cast(), DATA_RECEIVED_FAILED),
        },
    }
}

/// The same into the object that a coroutine of a native reader waits for.
unsafe fn read_into(t: *mut Stream, protocol: &Obj, reader: &Obj) -> Res<()> {
    let r: *mut Reader = reader.ptr().cast();
    let Some((start, room)) = streams::reader::lend(r) else {
        return Ok(());
    };
    match receive::recv((*t).head.channel.fd, start, room) {
        Ok(Received::Some(n)) => match streams::reader::filled(r, n) {
            Ok(()) => Ok(()),
            Err(Raised) => ending::fatal_raised(t.cast(), DATA_RECEIVED_FAILED),
        },
        Ok(Received::End) => on_eof(t, protocol),
        Ok(Received::Nothing) => Ok(()),
        Err(Raised) => ending::fatal_raised(t.cast(), READ_ERROR),
    }
}

const DATA_RECEIVED_FAILED: &str = "Fatal error: protocol.data_received() call failed.";
const READ_ERROR: &str = "Fatal read error on socket transport";

unsafe fn read_plain(t: *mut Stream, protocol: &Obj) -> Res<()> {
    let l = Head::event_loop(t.cast());
    let inflow = Inflow::of(l)?;
    match receive::recv((*t).head.channel.fd, inflow.start(), MOST) {
        Ok(Received::Some(n)) => match protocol::deliver(protocol, l, inflow, n) {
            Ok(()) => Ok(()),
            Err(Raised) => ending::fatal_raised(t.cast(), DATA_RECEIVED_FAILED),
        },
        Ok(other) => {
            inflow.give_back(l);
            if matches!(other, Received::End) { on_eof(t, protocol) } else { Ok(()) }
        }
        Err(Raised) => {
            inflow.give_back(l);
            ending::fatal_raised(t.cast(), READ_ERROR)
        }
    }
}

unsafe fn read_buffered(t: *mut Stream, protocol: &Obj) -> Res<()> {
    let buffer = match protocol::get_buffer(protocol, -1) {
        Ok(buffer) => buffer,
        Err(Raised) => return ending::fatal_raised(t.cast(), "Fatal error: protocol.get_buffer() call failed."),
    };
    let received = match Lent::of(&buffer) {
        Ok(mut lent) => receive::recv((*t).head.channel.fd, lent.start(), lent.len()),
        Err(Raised) => Err(Raised),
    };
    drop(buffer);
    match received {
        Ok(Received::Some(n)) => match protocol::buffer_updated(protocol, n) {
            Ok(()) => Ok(()),
            Err(Raised) => ending::fatal_raised(t.cast(), "Fatal error: protocol.buffer_updated() call failed."),
        },
        Ok(Received::End) => on_eof(t, protocol),
        Ok(Received::Nothing) => Ok(()),
        Err(Raised) => ending::fatal_raised(t.cast(), READ_ERROR),
    }
}

unsafe fn on_eof(t: *mut Stream, protocol: &Obj) -> Res<()> {
    match protocol::eof_received(protocol) {
        Ok(true) => Head::watch_read(t.cast(), false),
        Ok(false) => close(t),
        Err(Raised) => ending::fatal_raised(t.cast(), "Fatal error: protocol.eof_received() call failed."),
    }
}

/// `write(data)`.
#[inline]
pub(crate) unsafe fn write(t: *mut Stream, data: *mut PyObject) -> Res<()> {
    if ffi::PyBytes_Check(data) == 0 && ffi::PyByteArray_Check(data) == 0 && ffi::PyMemoryView_Check(data) == 0 {
        let kind = crate::object::repr(crate::object::attr(ffi::Py_TYPE(data).cast(), &names().name)?.ptr());
        return type_error(&format!("data argument must be a bytes-like object, not {kind}"));
    }
    if (*t).eof {
        return runtime_error("Cannot call write() after write_eof()");
    }
    if (*t).empty_waiter.is_some() {
        return runtime_error("unable to write; sendfile is in progress");
    }
    write_checked(t, data)
}

/// The same for what is known to be bytes-like, on a transport that takes it.
unsafe fn write_checked(t: *mut Stream, data: *mut PyObject) -> Res<()> {
    let size = ffi::PyObject_Size(data);
    if size <= 0 {
        return crate::object::done(size as i32);
    }
    if (*t).head.lost > 0 {
        if (*t).head.lost >= SILENT_WRITES {
            transport_support(c"warn_lost_write", &[])?;
        }
        (*t).head.lost += 1;
        return Ok(());
    }
    let l = Head::event_loop(t.cast());
    let running = (*l).running;
    // A derived class may run code when it goes: it is copied.
    if ffi::PyBytes_CheckExact(data) != 0 {
        (*t).outgoing.push(Obj::from(data));
    } else {
        if size >= LARGE && !(*t).head.channel.wants_write() {
            flush_now(t)?;
        }
        push_changeable(t, data)?;
    }
    let over = (*t).outgoing.size() as i64 > (*t).head.flow.high;
    if (*t).head.channel.wants_write() {
        return flow::maybe_pause(t.cast(), (*t).outgoing.size());
    }
    if over || !running {
        flush_now(t)?;
        return flow::maybe_pause(t.cast(), (*t).outgoing.size());
    }
    Loop::flush_later(l, t.cast(), &raw mut (*t).head.channel);
    Ok(())
}

/// Adds a copy of a buffer that its owner may change; what the kernel takes at once is not copied.
unsafe fn push_changeable(t: *mut Stream, data: *mut PyObject) -> Res<()> {
    let size = ffi::PyObject_Size(data);
    if size < LARGE || !(*t).outgoing.is_empty() || (*t).head.lost > 0 {
        (*t).outgoing.push(Obj::new(ffi::PyBytes_FromObject(data))?);
        return Ok(());
    }
    let mut view = ffi::Py_buffer::new();
    if ffi::PyObject_GetBuffer(data, &mut view, ffi::PyBUF_SIMPLE) < 0 {
        // A view with gaps.
        ffi::PyErr_Clear();
        (*t).outgoing.push(Obj::new(ffi::PyBytes_FromObject(data))?);
        return Ok(());
    }
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    let sent = libc::send((*t).head.channel.fd, view.buf, view.len as usize, flags);
    let error = if sent < 0 { Some(std::io::Error::last_os_error()) } else { None };
    if let Some(e) = error.filter(|e| !matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::EINTR))) {
        ffi::PyBuffer_Release(&mut view);
        return failed(t, &e);
    }
    let sent = sent.max(0);
    let rest = ffi::PyBytes_FromStringAndSize(view.buf.cast::<std::ffi::c_char>().offset(sent), view.len - sent);
    ffi::PyBuffer_Release(&mut view);
    (*t).outgoing.push(Obj::new(rest)?);
    Ok(())
}

/// `writelines(lines)`.
pub(crate) unsafe fn writelines(t: *mut Stream, lines: *mut PyObject) -> Res<()> {
    if cfg!(not(Py_3_12)) {
        let empty = Obj::new(ffi::PyBytes_FromStringAndSize(std::ptr::null(), 0))?;
        let joined = Obj::new(_PyBytes_Join(empty.ptr(), lines))?;
        return write(t, joined.ptr());
    }
    if (*t).eof {
        return runtime_error("Cannot call writelines() after write_eof()");
    }
    if (*t).empty_waiter.is_some() {
        return runtime_error("unable to writelines; sendfile is in progress");
    }
    let any = ffi::PyObject_IsTrue(lines);
    crate::object::done(any)?;
    if any == 0 {
        return Ok(());
    }
    let lines = Obj::new(ffi::PySequence_List(lines))?;
    for i in 0..ffi::PyList_Size(lines.ptr()) {
        let line = Obj::from(ffi::PyList_GetItem(lines.ptr(), i));
        if ffi::PyBytes_Check(line.ptr()) != 0 {
            write_checked(t, line.ptr())?;
        } else {
            let view = Obj::new(ffi::PyMemoryView_FromObject(line.ptr()))?;
            write_checked(t, view.ptr())?;
        }
    }
    Ok(())
}

// Of CPython's API, but not of PyO3's declarations.
unsafe extern "C" {
    fn _PyBytes_Join(separator: *mut PyObject, items: *mut PyObject) -> *mut PyObject;
}

/// The turn's end: sends what was written in it.
unsafe fn flush(this: *mut PyObject) -> Res<()> {
    let t: *mut Stream = this.cast();
    if (*t).head.lost > 0 || (*t).head.channel.wants_write() || (*t).outgoing.is_empty() {
        return Ok(());
    }
    // Where nobody is to be told of it, the kernel is enough.
    let quiet = !(*t).head.flow.paused && !(*t).head.closing && !(*t).eof && (*t).empty_waiter.is_none();
    if quiet {
        match (*t).outgoing.send((*t).head.channel.fd, By::Socket) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            // It is told once: the next call would give another.
            Err(e) => return Head::in_context(this.cast(), || failed(t, &e)),
        }
    }
    Head::in_context(this.cast(), || send(t))
}

/// Sends what waits, if the kernel isn't known to be full.
unsafe fn flush_now(t: *mut Stream) -> Res<()> {
    if (*t).outgoing.is_empty() || (*t).head.channel.wants_write() || (*t).head.lost > 0 {
        return Ok(());
    }
    send(t)
}

/// Sends what the kernel takes, and sees to what follows from it. An error is what must end the loop.
unsafe fn send(t: *mut Stream) -> Res<()> {
    let l = Head::event_loop(t.cast());
    let channel = &raw mut (*t).head.channel;
    match (*t).outgoing.send((*channel).fd, By::Socket) {
        Ok(false) => {
            if !(*channel).wants_write()
                && let Err(e) = Loop::watch_write(l, channel, true)
            {
                return failed(t, &e);
            }
            flow::maybe_resume(t.cast(), (*t).outgoing.size())
        }
        Ok(true) => {
            if (*channel).wants_write() {
                let _ = Loop::watch_write(l, channel, false);
            }
            flow::maybe_resume(t.cast(), 0)?;
            if (*t).outgoing.is_empty() { emptied(t) } else { Ok(()) }
        }
        Err(e) => failed(t, &e),
    }
}

#[cold]
unsafe fn failed(t: *mut Stream, e: &std::io::Error) -> Res<()> {
    drop((*t).outgoing.take());
    let _: Res<()> = os_error(e);
    let exc = crate::errors::take();
    let waiter = (*t).empty_waiter.take();
    ending::fatal(t.cast(), exc.again(), "Fatal write error on socket transport")?;
    match waiter {
        Some(waiter) => transport_support(c"set_exception_unless_done", &[waiter.ptr(), exc.ptr()]).map(drop),
        None => Ok(()),
    }
}

/// Everything is sent.
unsafe fn emptied(t: *mut Stream) -> Res<()> {
    if let Some(waiter) = &(*t).empty_waiter {
        let waiter = waiter.again();
        transport_support(c"set_result_unless_cancelled", &[waiter.ptr()])?;
    }
    if (*t).head.closing {
        if (*t).head.lost == 0 {
            return ending::end_soon(t.cast(), None);
        }
    } else if (*t).eof {
        libc::shutdown((*t).head.channel.fd, libc::SHUT_WR);
    }
    Ok(())
}

/// `close()`.
pub(crate) unsafe fn close(t: *mut Stream) -> Res<()> {
    if (*t).head.closing {
        return Ok(());
    }
    (*t).head.closing = true;
    Head::watch_read(t.cast(), false)?;
    if (*t).outgoing.is_empty() {
        Loop::forget(Head::event_loop(t.cast()), &raw mut (*t).head.channel);
        return ending::end_soon(t.cast(), None);
    }
    // It goes on when everything is sent.
    flush_now(t)
}

/// `write_eof()`.
pub(crate) unsafe fn write_eof(t: *mut Stream) -> Res<()> {
    if (*t).head.closing || (*t).eof {
        return Ok(());
    }
    (*t).eof = true;
    if !(*t).outgoing.is_empty() {
        return flush_now(t);
    }
    if libc::shutdown((*t).head.channel.fd, libc::SHUT_WR) < 0 {
        return os_error(&std::io::Error::last_os_error());
    }
    Ok(())
}

/// `set_protocol(protocol)`.
pub(crate) unsafe fn set_protocol(t: *mut Stream, protocol: *mut PyObject) -> Res<()> {
    (*t).manner = Manner::of(protocol)?;
    set(&mut (*t).head.protocol, Some(Obj::from(protocol)));
    Ok(())
}

/// `pause_reading()`.
pub(crate) unsafe fn pause_reading(t: *mut Stream) -> Res<()> {
    if !Head::is_reading(t.cast()) {
        return Ok(());
    }
    (*t).head.paused = true;
    Head::watch_read(t.cast(), false)
}

/// `resume_reading()`.
pub(crate) unsafe fn resume_reading(t: *mut Stream) -> Res<()> {
    if (*t).head.closing || !(*t).head.paused {
        return Ok(());
    }
    (*t).head.paused = false;
    if (*t).begun { Head::watch_read(t.cast(), true) } else { Ok(()) }
}

/// A future that ends when everything is sent; until it is taken back, nothing can be written.
pub(crate) unsafe fn make_empty_waiter(t: *mut Stream) -> Res<Obj> {
    if (*t).empty_waiter.is_some() {
        return runtime_error("Empty waiter is already set");
    }
    flush_now(t)?;
    let l = Head::event_loop(t.cast());
    if l.is_null() {
        return runtime_error("Transport is closed");
    }
    Loop::check_closed(l)?;
    let waiter = Loop::create_future(l)?;
    if (*t).outgoing.is_empty() {
        future::set_result(waiter.ptr().cast(), none())?;
    }
    set(&mut (*t).empty_waiter, Some(waiter.again()));
    Ok(waiter)
}

/// Ends what [`make_empty_waiter`] began.
pub(crate) unsafe fn reset_empty_waiter(t: *mut Stream) {
    clear(&mut (*t).empty_waiter);
}

/// Lets somebody else watch the descriptor, or takes it back.
pub(crate) unsafe fn lend(t: *mut Stream, lent: bool) -> Res<()> {
    let l = Head::event_loop(t.cast());
    (*t).head.lent = lent;
    if l.is_null() {
        return Ok(());
    }
    if lent {
        Loop::forget(l, &raw mut (*t).head.channel);
        return Ok(());
    }
    if (*t).begun && Head::is_reading(t.cast()) { Head::watch_read(t.cast(), true) } else { Ok(()) }
}

unsafe fn lost(this: *mut PyObject) -> Res<()> {
    ending::lost(this.cast())
}

/// What was written in this turn has a last chance to leave, for asyncio would have sent it at once.
unsafe fn discard(this: *mut PyObject) {
    let t: *mut Stream = this.cast();
    if !(*t).outgoing.is_empty() && !(*t).head.channel.wants_write() {
        let _ = (*t).outgoing.send((*t).head.channel.fd, By::Socket);
    }
    drop((*t).outgoing.take());
}

unsafe fn closed(this: *mut PyObject) -> Res<()> {
    let t: *mut Stream = this.cast();
    match (*t).server.take() {
        Some(server) => tell_server(&server, &names().detach, &Obj::from(this)),
        None => Ok(()),
    }
}

/// Visits the fields for the garbage collector.
pub(crate) unsafe fn fields<'a>(t: *mut Stream) -> [&'a Option<Obj>; 3] {
    [&(*t).server, &(*t).waiter, &(*t).empty_waiter]
}

/// Lets go of everything.
pub(crate) unsafe fn release(t: *mut Stream) {
    Head::clear(t.cast());
    clear(&mut (*t).server);
    clear(&mut (*t).waiter);
    clear(&mut (*t).empty_waiter);
    drop((*t).outgoing.take());
}
