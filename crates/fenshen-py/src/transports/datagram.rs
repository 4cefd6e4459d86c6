//! What `DatagramTransport` does: a datagram socket and its protocol.
//!
//! A datagram is sent at once; what the kernel does not take waits its turn, in order. When a socket is ready, one
//! datagram is received after the other as long as the protocol has scheduled nothing that is to come before the next
//! one, which is the order in which asyncio's loop would do it.

use std::collections::VecDeque;
use std::ffi::{c_int, c_void};
use std::io;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::address::Address;
use super::peers::{Peers, Raw};
use super::receive::{Inflow, MOST};
use super::{Head, ending, face, flow, waiter};
use crate::errors::{is, raise, restore, take, type_error};
use crate::event_loop::channels::{Ops, Ready};
use crate::event_loop::{Loop, os_error};
use crate::names::{names, transport_support};
use crate::object::{Obj, Raised, Res, call_method, clear, done, none, ptr_or_null, set};

/// The layout of `DatagramTransport`.
#[repr(C)]
pub(crate) struct Datagram {
    pub(crate) head: Head,
    queue: VecDeque<Waiting>,
    size: usize,
    peers: Peers,
    pub(crate) own: Address,
    pub(crate) peer: Address,
    /// The only address that is sent to, where there is one.
    pub(crate) address: Option<Obj>,
    /// A future that ends when the protocol knows of the socket.
    waiter: Option<Obj>,
    goes_to: GoesTo,
    /// Reading has begun.
    begun: bool,
    /// Datagrams have come faster than one at a time.
    dense: bool,
    /// How often the socket was ready; now and then it is asked for a second datagram even so.
    turns: u8,
}

/// Where what is sent without an address goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum GoesTo {
    /// Nowhere: the socket is not connected.
    Nowhere,
    /// To a peer without a name: an address may still be given.
    Unnamed,
    /// To the peer, whatever address is given.
    Peer,
}

/// A datagram that waits to be sent.
struct Waiting {
    bytes: Obj,
    to: Obj,
}

static OPS: Ops = Ops { ready, lost, flush, discard, closed };

/// How many datagrams are received in one go.
const BATCH: usize = 32;
/// How much each that waits counts for beside its length, in the interpreters that count it.
const OVERHEAD: usize = if cfg!(Py_3_13) { 8 } else { 0 };
/// How many sends to a lost connection are silent, as in asyncio.
const SILENT_WRITES: u32 = 5;
const CALLBACK_FAILED: &str = "Exception in callback DatagramTransport._read_ready()";
const WRITE_ERROR: &str = "Fatal write error on datagram transport";

/// What a transport is made from.
pub(crate) struct Start<'a> {
    pub(crate) ty: *mut PyTypeObject,
    pub(crate) event_loop: *mut Loop,
    pub(crate) file: &'a Obj,
    pub(crate) protocol: *mut PyObject,
    pub(crate) address: Option<Obj>,
    pub(crate) waiter: Option<Obj>,
}

/// Makes a transport; its protocol will be told at the loop's next turn.
pub(crate) unsafe fn open(start: Start<'_>) -> Res<Obj> {
    let (l, fd) = (start.event_loop, ffi::PyObject_AsFileDescriptor(start.file.ptr()));
    if fd < 0 {
        return Err(Raised);
    }
    let connection_made = crate::object::attr(start.protocol, &names().connection_made)?;
    let made = Head::allocate(start.ty, &OPS, l, fd, None)?;
    let t: *mut Datagram = made.ptr().cast();
    let peer = Address::peer(fd);
    (*t).goes_to = match &peer {
        None => GoesTo::Nowhere,
        Some(peer) if peer.family() == libc::AF_UNIX && peer.is_unnamed() => GoesTo::Unnamed,
        Some(_) => GoesTo::Peer,
    };
    std::ptr::write(&raw mut (*t).queue, VecDeque::new());
    std::ptr::write(&raw mut (*t).peers, Peers::default());
    std::ptr::write(&raw mut (*t).own, Address::own(fd).unwrap_or_default());
    std::ptr::write(&raw mut (*t).peer, peer.unwrap_or_default());
    (*t).head.protocol = Some(Obj::from(start.protocol));
    (*t).head.file = Some(start.file.again());
    (*t).address = start.address;
    (*t).waiter = start.waiter;
    Loop::open_channel(l, made.ptr(), &raw mut (*t).head.channel);
    Loop::call_soon(l, connection_made.ptr(), &[made.ptr()], ptr_or_null(&(*t).head.context))?;
    Loop::push_begin(l, made.again());
    Ok(made)
}

unsafe fn ready(this: *mut PyObject, ready: Ready) -> Res<()> {
    let t: *mut Datagram = this.cast();
    if !(*t).begun {
        return begin(t);
    }
    Head::in_context(this.cast(), || {
        if ready.readable && (*t).head.lost == 0 && Head::is_reading(this.cast()) {
            read(t)?;
        }
        if ready.writable && (*t).head.lost == 0 { send_waiting(t) } else { Ok(()) }
    })
}

/// The protocol knows of the socket: reading begins, and whoever made it goes on.
unsafe fn begin(t: *mut Datagram) -> Res<()> {
    (*t).begun = true;
    if Head::is_reading(t.cast())
        && let Err(Raised) = watch_read(t)
    {
        ending::report_raised(t.cast(), "Exception in callback: the socket cannot be watched")?;
    }
    waiter::wake(&mut (*t).waiter)
}

unsafe fn watch_read(t: *mut Datagram) -> Res<()> {
    let l = Head::event_loop(t.cast());
    Loop::check_closed(l)?;
    Loop::check_owner(l)?;
    match Loop::watch_read(l, &raw mut (*t).head.channel, true) {
        Ok(()) => Ok(()),
        Err(e) => os_error(&e),
    }
}

/// Receives what is there. An error is what must end the loop.
unsafe fn read(t: *mut Datagram) -> Res<()> {
    let l = Head::event_loop(t.cast());
    (*t).turns = (*t).turns.wrapping_add(1);
    // A second try costs a call of the kernel where datagrams come one at a time.
    let most = if (*t).dense || (*t).turns.is_multiple_of(16) { BATCH } else { 1 };
    for count in 0..most {
        let ahead = Loop::ready_len(l);
        if !receive(t, l)? {
            if count == 1 {
                (*t).dense = false;
            }
            return Ok(());
        }
        if count == 1 {
            (*t).dense = true;
        }
        if (*t).head.lost > 0 || !Head::is_reading(t.cast()) || Loop::ready_len(l) != ahead {
            return Ok(());
        }
    }
    Ok(())
}

/// One `recvfrom(2)`, and the protocol is told; whether another datagram may be there.
unsafe fn receive(t: *mut Datagram, l: *mut Loop) -> Res<bool> {
    let inflow = Inflow::of(l)?;
    let mut from = Raw::room();
    let (fd, flags) = ((*t).head.channel.fd, libc::MSG_DONTWAIT);
    let got = libc::recvfrom(fd, inflow.start().cast(), MOST, flags, from.ptr_mut(), &raw mut from.len);
    let Ok(got) = usize::try_from(got) else {
        let e = io::Error::last_os_error();
        inflow.give_back(l);
        receive_failed(t, &e)?;
        return Ok(false);
    };
    let data = inflow.into_bytes(l, got)?;
    let from = (*t).peers.object(&from)?;
    let protocol = Obj::from_opt(ptr_or_null(&(*t).head.protocol)).unwrap_or_else(|| none());
    let told = call_method(&names().datagram_received, &[protocol.ptr(), data.ptr(), from.ptr()]);
    if told.is_err() {
        // As a callback's own affair: the socket stays open.
        ending::report_raised(t.cast(), CALLBACK_FAILED)?;
    }
    Ok(true)
}

#[cold]
unsafe fn receive_failed(t: *mut Datagram, e: &io::Error) -> Res<()> {
    if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) {
        return Ok(());
    }
    let _: Res<()> = os_error(e);
    let exc = take();
    match error_received(t, &exc) {
        Ok(()) => Ok(()),
        Err(Raised) => ending::report_raised(t.cast(), CALLBACK_FAILED),
    }
}

/// `protocol.error_received(exc)`.
#[cold]
unsafe fn error_received(t: *mut Datagram, exc: &Obj) -> Res<()> {
    match Obj::from_opt(ptr_or_null(&(*t).head.protocol)) {
        Some(protocol) => call_method(&names().error_received, &[protocol.ptr(), exc.ptr()]).map(drop),
        None => Ok(()),
    }
}

/// `sendto(data, addr)`; null for no address.
pub(crate) unsafe fn sendto(t: *mut Datagram, data: *mut PyObject, addr: *mut PyObject) -> Res<()> {
    if ffi::PyBytes_Check(data) == 0 && ffi::PyByteArray_Check(data) == 0 && ffi::PyMemoryView_Check(data) == 0 {
        let kind = crate::object::repr(crate::object::attr(ffi::Py_TYPE(data).cast(), &names().name)?.ptr());
        return type_error(&format!("data argument must be a bytes-like object, not {kind}"));
    }
    if cfg!(not(Py_3_13)) && ffi::PyObject_Size(data) == 0 {
        return Ok(());
    }
    let to = destination(t, addr)?;
    if (*t).head.lost > 0 && ((*t).address.is_some() || (*t).head.channel.fd < 0) {
        if (*t).head.lost >= SILENT_WRITES {
            transport_support(c"warn_lost_write", &[])?;
        }
        (*t).head.lost += 1;
        return Ok(());
    }
    if (*t).queue.is_empty() && transmit(t, data, &to)? != Outcome::Full {
        return Ok(());
    }
    if (*t).queue.is_empty() {
        let l = Head::event_loop(t.cast());
        Loop::check_closed(l)?;
        if let Err(e) = Loop::watch_write(l, &raw mut (*t).head.channel, true) {
            return os_error(&e);
        }
    }
    let bytes = Obj::new(ffi::PyBytes_FromObject(data))?;
    (*t).size += weight(&bytes);
    (*t).queue.push_back(Waiting { bytes, to });
    flow::maybe_pause(t.cast(), (*t).size)
}

/// Where a datagram is to go: `None` leaves that to the socket.
unsafe fn destination(t: *mut Datagram, addr: *mut PyObject) -> Res<Obj> {
    let given = if addr.is_null() { none() } else { Obj::from(addr) };
    let Some(only) = &(*t).address else {
        return Ok(given);
    };
    let only = only.again();
    if given.ptr() != ffi::Py_None() {
        let same = ffi::PyObject_RichCompareBool(given.ptr(), only.ptr(), ffi::Py_EQ);
        done(same)?;
        if same == 0 {
            let shown = Obj::new(ffi::PyObject_Str(only.ptr()))?;
            let shown = crate::object::utf8(shown.ptr())?;
            return raise(ffi::PyExc_ValueError, &format!("Invalid address: must be None or {shown}"));
        }
    }
    Ok(only)
}

unsafe fn weight(bytes: &Obj) -> usize {
    ffi::PyBytes_Size(bytes.ptr()) as usize + OVERHEAD
}

/// What became of a datagram.
#[derive(PartialEq, Eq)]
enum Outcome {
    /// It has gone, or the protocol knows why not.
    Over,
    /// The kernel has no room for it.
    Full,
}

/// Sends one datagram, or tells the protocol why not. What the protocol raises is an error.
unsafe fn transmit(t: *mut Datagram, data: *mut PyObject, to: &Obj) -> Res<Outcome> {
    let addressed = to.ptr() != ffi::Py_None() && (*t).goes_to != GoesTo::Peer;
    let raw = if addressed { (*t).peers.raw((*t).own.family(), to.ptr()) } else { None };
    if raw.is_none() && (addressed || (*t).goes_to == GoesTo::Nowhere) {
        return transmit_by_socket(t, data, to);
    }
    match transmit_raw(t, data, raw.as_ref()) {
        Ok(Ok(())) => Ok(Outcome::Over),
        Ok(Err(e)) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(Outcome::Full),
        Ok(Err(e)) => {
            let _: Res<()> = os_error(&e);
            error_received(t, &take()).map(|()| Outcome::Over)
        }
        Err(Raised) => ending::fatal_raised(t.cast(), WRITE_ERROR).map(|()| Outcome::Over),
    }
}

#[inline]
unsafe fn transmit_raw(t: *mut Datagram, data: *mut PyObject, to: Option<&Raw>) -> Res<io::Result<()>> {
    let mut view = ffi::Py_buffer::new();
    done(ffi::PyObject_GetBuffer(data, &mut view, ffi::PyBUF_SIMPLE))?;
    let (fd, len, flags) = ((*t).head.channel.fd, view.len as usize, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL);
    let sent = match to {
        Some(to) => libc::sendto(fd, view.buf, len, flags, to.ptr(), to.len),
        None => libc::send(fd, view.buf, len, flags),
    };
    let outcome = if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
    ffi::PyBuffer_Release(&mut view);
    Ok(outcome)
}

/// The same by the socket object's own method, which knows every kind of address, and what to say of the others.
#[cold]
unsafe fn transmit_by_socket(t: *mut Datagram, data: *mut PyObject, to: &Obj) -> Res<Outcome> {
    let Some(file) = Obj::from_opt(ptr_or_null(&(*t).head.file)) else {
        return Ok(Outcome::Over);
    };
    if call_method(&names().sendto, &[file.ptr(), data, to.ptr()]).is_ok() {
        return Ok(Outcome::Over);
    }
    let exc = take();
    if is(&exc, ffi::PyExc_BlockingIOError) || is(&exc, ffi::PyExc_InterruptedError) {
        return Ok(Outcome::Full);
    }
    if is(&exc, ffi::PyExc_OSError) {
        return error_received(t, &exc).map(|()| Outcome::Over);
    }
    restore(exc);
    ending::fatal_raised(t.cast(), WRITE_ERROR).map(|()| Outcome::Over)
}

/// Sends what waits, as far as the kernel takes it. An error is what must end the loop.
unsafe fn send_waiting(t: *mut Datagram) -> Res<()> {
    while let Some(next) = (*t).queue.pop_front() {
        (*t).size -= weight(&next.bytes);
        match transmit(t, next.bytes.ptr(), &next.to) {
            Ok(Outcome::Over) => {}
            Ok(Outcome::Full) => {
                (*t).size += weight(&next.bytes);
                (*t).queue.push_front(next);
                break;
            }
            Err(Raised) => ending::report_raised(t.cast(), "Exception in callback DatagramTransport._sendto_ready()")?,
        }
        if (*t).head.lost > 0 {
            return Ok(());
        }
    }
    flow::maybe_resume(t.cast(), (*t).size)?;
    if (*t).queue.is_empty() && (*t).head.lost == 0 {
        let _ = Loop::watch_write(Head::event_loop(t.cast()), &raw mut (*t).head.channel, false);
        if (*t).head.closing {
            return finish(t);
        }
    }
    Ok(())
}

unsafe fn finish(t: *mut Datagram) -> Res<()> {
    Loop::forget(Head::event_loop(t.cast()), &raw mut (*t).head.channel);
    ending::end_soon(t.cast(), None)
}

/// `close()`: what waits is sent first.
pub(crate) unsafe fn close(t: *mut Datagram) -> Res<()> {
    let l = Head::event_loop(t.cast());
    if (*t).head.closing || l.is_null() {
        return Ok(());
    }
    (*t).head.closing = true;
    let _ = Loop::watch_read(l, &raw mut (*t).head.channel, false);
    if (*t).queue.is_empty() { finish(t) } else { Ok(()) }
}

/// How many bytes wait to be sent, with what each datagram counts for.
pub(crate) unsafe fn size(t: *mut Datagram) -> usize {
    (*t).size
}

/// `set_protocol(protocol)`.
pub(crate) unsafe fn set_protocol(t: *mut Datagram, protocol: *mut PyObject) {
    set(&mut (*t).head.protocol, Some(Obj::from(protocol)));
}

unsafe fn lost(this: *mut PyObject) -> Res<()> {
    ending::lost(this.cast())
}

unsafe fn flush(_this: *mut PyObject) -> Res<()> {
    Ok(())
}

unsafe fn discard(this: *mut PyObject) {
    let t: *mut Datagram = this.cast();
    (*t).size = 0;
    drop(std::mem::take(&mut (*t).queue));
}

unsafe fn closed(_this: *mut PyObject) -> Res<()> {
    Ok(())
}

pub(crate) unsafe fn traverse(t: *mut Datagram, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    let status = Head::traverse(t.cast(), visitor, arg);
    if status != 0 {
        return status;
    }
    for waiting in &(*t).queue {
        let status = visitor(waiting.to.ptr(), arg);
        if status != 0 {
            return status;
        }
    }
    face::visit_all([&(*t).address, &(*t).waiter], visitor, arg)
}

/// Lets go of everything but the socket.
pub(crate) unsafe fn release(t: *mut Datagram) {
    Head::clear(t.cast());
    clear(&mut (*t).address);
    clear(&mut (*t).waiter);
    discard(t.cast());
}

/// Frees what is not Python's.
pub(crate) unsafe fn drop_fields(t: *mut Datagram) {
    drop((*t).head.file.take());
    std::ptr::drop_in_place(&raw mut (*t).queue);
    std::ptr::drop_in_place(&raw mut (*t).peers);
    std::ptr::drop_in_place(&raw mut (*t).own);
    std::ptr::drop_in_place(&raw mut (*t).peer);
}
