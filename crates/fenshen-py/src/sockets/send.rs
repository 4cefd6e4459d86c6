//! `sock_sendall`.

use std::os::fd::RawFd;

use pyo3::ffi::{self, PyObject};

use super::{
    Buffer, attempt, check, descriptor, held, is_plain, length, loop_of, socket_of, sockets, wait, woken, would_block,
};
use crate::args::{Args, Signature};
use crate::event_loop::files::Way;
use crate::event_loop::os_error;
use crate::future_iter::Await;
use crate::object::{Obj, Raised, Res, call_method, none, set};
use crate::primitives::operation::{self, Operation, Plan, Resume};

const SENDALL: Signature<2> =
    Signature { func: "BaseSelectorEventLoop.sock_sendall", names: [c"sock", c"data"], positional: 2, required: 2 };

static SENDALL_PLAN: Plan =
    Plan { name: c"sock_sendall", qualname: c"BaseSelectorEventLoop.sock_sendall", run: run_sendall };

/// The phases of an operation: by the descriptor, or by the socket's methods.
const NATIVE: u8 = 1;
const METHODS: u8 = 2;

pub(super) unsafe fn sock_sendall(l: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    let [socket, data] = args.sort(&SENDALL)?;
    let made = operation::new(&SENDALL_PLAN, l, socket)?;
    let op: *mut Operation = made.ptr().cast();
    (*op).held = Some(Obj::from(data));
    (*op).count = 0;
    Ok(made)
}

unsafe fn run_sendall(op: *mut Operation, how: Resume) -> Res<Await> {
    let socket = socket_of(op);
    let first = matches!(how, Resume::Start);
    if first {
        check(loop_of(op), &socket)?;
        let native = is_plain(&socket, &sockets().send, &sockets().send_method);
        (*op).phase = if native { NATIVE } else { METHODS };
    } else {
        woken(op, Way::Write, how)?;
    }
    let data = held(op);
    let sent_all = if (*op).phase == NATIVE {
        send(op, &data, descriptor(&socket)?)?
    } else if first {
        send_first(op, &socket, &data)?
    } else {
        send_more(op, &socket, &data)?
    };
    if sent_all {
        return Ok(Await::Return(none()));
    }
    if first && ffi::PyBytes_CheckExact(data.ptr()) == 0 {
        keep(op, &data)?;
    }
    wait(op, Way::Write)
}

/// Sends what is left, by the descriptor; whether that was all.
unsafe fn send(op: *mut Operation, data: &Obj, fd: RawFd) -> Res<bool> {
    let view = Buffer::of(data, ffi::PyBUF_SIMPLE)?;
    let done = (*op).count as usize;
    let left = view.len().saturating_sub(done);
    let start = view.start().add(done);
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    match length(|| libc::send(fd, start.cast(), left, flags)) {
        Ok(sent) => {
            (*op).count += sent as isize;
            Ok(sent == left)
        }
        Err(e) if would_block(&e) => Ok(false),
        Err(e) => os_error(&e),
    }
}

/// Holds on to the data while the operation waits, as bytes, so that nothing resizes them.
unsafe fn keep(op: *mut Operation, data: &Obj) -> Res<()> {
    let view = Obj::new(ffi::PyMemoryView_FromObject(data.ptr()))?;
    let cast = Obj::new(ffi::PyUnicode_InternFromString(c"cast".as_ptr()))?;
    let kind = crate::object::text("B")?;
    set(&mut (*op).held, Some(call_method(&cast, &[view.ptr(), kind.ptr()])?));
    Ok(())
}

unsafe fn count(sent: &Obj) -> Res<isize> {
    let n = ffi::PyLong_AsSsize_t(sent.ptr());
    if n == -1 && !ffi::PyErr_Occurred().is_null() { Err(Raised) } else { Ok(n) }
}

/// The first try by the socket's own method.
unsafe fn send_first(op: *mut Operation, socket: &Obj, data: &Obj) -> Res<bool> {
    if let Some(sent) = attempt(&sockets().send, &[socket.ptr(), data.ptr()])? {
        (*op).count = count(&sent)?;
    }
    let view = Buffer::of(data, ffi::PyBUF_SIMPLE)?;
    Ok((*op).count as usize == view.len())
}

unsafe fn send_more(op: *mut Operation, socket: &Obj, data: &Obj) -> Res<bool> {
    let len = Buffer::of(data, ffi::PyBUF_SIMPLE)?.len() as isize;
    let rest = Obj::new(ffi::PySequence_GetSlice(data.ptr(), (*op).count, len))?;
    if let Some(sent) = attempt(&sockets().send, &[socket.ptr(), rest.ptr()])? {
        (*op).count += count(&sent)?;
    }
    Ok((*op).count >= len)
}
