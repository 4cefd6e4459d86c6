//! `sock_recv` and `sock_recv_into`.

use std::io;
use std::os::fd::RawFd;

use pyo3::ffi::{self, PyObject};

use super::{
    Buffer, attempt, check, descriptor, held, identity, is_plain, length, loop_of, socket_of, sockets, wait, wait_on,
    woken, would_block,
};
use crate::args::{Args, Signature};
use crate::errors::{raise, type_error};
use crate::event_loop::files::Way;
use crate::event_loop::{Loop, os_error};
use crate::future_iter::Await;
use crate::object::{Obj, Raised, Res, attr, utf8};
use crate::primitives::operation::{self, Operation, Plan, Resume};

const RECV: Signature<2> =
    Signature { func: "BaseSelectorEventLoop.sock_recv", names: [c"sock", c"n"], positional: 2, required: 2 };
const RECV_INTO: Signature<2> =
    Signature { func: "BaseSelectorEventLoop.sock_recv_into", names: [c"sock", c"buf"], positional: 2, required: 2 };

static RECV_PLAN: Plan = Plan { name: c"sock_recv", qualname: c"BaseSelectorEventLoop.sock_recv", run: run_recv };
static RECV_INTO_PLAN: Plan =
    Plan { name: c"sock_recv_into", qualname: c"BaseSelectorEventLoop.sock_recv_into", run: run_recv_into };

/// How much is received into the loop's own buffer, to be copied out at its size.
const SCRATCH: usize = 64 * 1024;
/// From how much on that is known to be there, it goes straight to its place.
const DIRECT: usize = 32 * 1024;

// Of CPython's API, but not of PyO3's declarations.
unsafe extern "C" {
    fn _PyBytes_Resize(bytes: *mut *mut PyObject, size: ffi::Py_ssize_t) -> std::ffi::c_int;
}

/// The phase of an operation that does without the socket's methods.
const NATIVE: u8 = 1;

pub(super) unsafe fn sock_recv(l: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    let [socket, n] = args.sort(&RECV)?;
    let op = operation::new(&RECV_PLAN, l, socket)?;
    (*op.ptr().cast::<Operation>()).held = Some(Obj::from(n));
    Ok(op)
}

pub(super) unsafe fn sock_recv_into(l: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    let [socket, buf] = args.sort(&RECV_INTO)?;
    let op = operation::new(&RECV_INTO_PLAN, l, socket)?;
    (*op.ptr().cast::<Operation>()).held = Some(Obj::from(buf));
    Ok(op)
}

/// How many bytes `socket.recv` is asked for, with its errors.
unsafe fn size(n: &Obj) -> Res<isize> {
    let index = Obj::new(ffi::PyNumber_Index(n.ptr()))?;
    let size = ffi::PyLong_AsSsize_t(index.ptr());
    if size < 0 {
        if !ffi::PyErr_Occurred().is_null() {
            return Err(Raised);
        }
        return raise(ffi::PyExc_ValueError, "negative buffersize in recv");
    }
    Ok(size)
}

unsafe fn run_recv(op: *mut Operation, how: Resume) -> Res<Await> {
    let (l, socket) = (loop_of(op), socket_of(op));
    if matches!(how, Resume::Start) {
        check(l, &socket)?;
        if is_plain(&socket, &sockets().recv, &sockets().recv_method) {
            (*op).phase = NATIVE;
            (*op).count = size(&held(op))?;
            if (*op).count > 0 {
                let (fd, known) = (descriptor(&socket)?, identity(&socket));
                if (*l).files.is_drained(fd, &known) {
                    return wait_on(op, Way::Read, fd, known);
                }
            }
        }
    } else {
        woken(op, Way::Read, how)?;
    }
    let received = if (*op).phase == NATIVE {
        receive(l, descriptor(&socket)?, (*op).count as usize)?
    } else {
        attempt(&sockets().recv, &[socket.ptr(), held(op).ptr()])?
    };
    match received {
        Some(bytes) => Ok(Await::Return(bytes)),
        None => wait(op, Way::Read),
    }
}

/// `recv(2)` of up to `n` bytes as a `bytes` object; nothing if there is nothing yet.
unsafe fn receive(l: *mut Loop, fd: RawFd, n: usize) -> Res<Option<Obj>> {
    if n == 0 {
        // As `socket.recv(0)`: not even a closed socket is noticed.
        return Obj::new(ffi::PyBytes_FromStringAndSize(std::ptr::null(), 0)).map(Some);
    }
    if n > SCRATCH {
        match available(fd) {
            // What is there may be a datagram, which must be received whole.
            Some(there) if there <= DIRECT => {}
            Some(there) => return receive_direct(l, fd, n.min(there)),
            None => return receive_direct(l, fd, n),
        }
    }
    let scratch = &mut (*l).scratch;
    if scratch.is_empty() {
        scratch.resize(SCRATCH, 0);
    }
    let (start, most) = (scratch.as_mut_ptr(), n.min(SCRATCH));
    match length(|| libc::recv(fd, start.cast(), most, libc::MSG_DONTWAIT)) {
        Ok(got) => {
            if got > 0 && got < most {
                (*l).files.note_drained(fd);
            }
            Obj::new(ffi::PyBytes_FromStringAndSize(start.cast(), got as isize)).map(Some)
        }
        Err(e) if would_block(&e) => Ok(None),
        Err(e) => os_error(&e),
    }
}

/// The same without a copy.
unsafe fn receive_direct(l: *mut Loop, fd: RawFd, n: usize) -> Res<Option<Obj>> {
    let mut bytes = ffi::PyBytes_FromStringAndSize(std::ptr::null(), n as isize);
    if bytes.is_null() {
        return Err(Raised);
    }
    let start = ffi::PyBytes_AsString(bytes);
    match length(|| libc::recv(fd, start.cast(), n, libc::MSG_DONTWAIT)) {
        Ok(got) => {
            if got < n {
                crate::object::done(_PyBytes_Resize(&mut bytes, got as isize))?;
                (*l).files.note_drained(fd);
            }
            Ok(Some(Obj::steal(bytes)))
        }
        Err(e) => {
            drop(Obj::steal(bytes));
            if would_block(&e) { Ok(None) } else { os_error(&e) }
        }
    }
}

/// How many bytes can be read at once, where the kernel says.
fn available(fd: RawFd) -> Option<usize> {
    let mut there: libc::c_int = 0;
    // SAFETY: this request writes one int.
    let status = unsafe { libc::ioctl(fd, libc::FIONREAD, &raw mut there) };
    if status < 0 { None } else { usize::try_from(there).ok() }
}

unsafe fn run_recv_into(op: *mut Operation, how: Resume) -> Res<Await> {
    let (l, socket) = (loop_of(op), socket_of(op));
    if matches!(how, Resume::Start) {
        check(l, &socket)?;
        if is_plain(&socket, &sockets().recv_into, &sockets().recv_into_method) {
            (*op).phase = NATIVE;
        }
    } else {
        woken(op, Way::Read, how)?;
    }
    let buf = held(op);
    let received = if (*op).phase == NATIVE {
        receive_into(&buf, descriptor(&socket)?)?
    } else {
        attempt(&sockets().recv_into, &[socket.ptr(), buf.ptr()])?
    };
    match received {
        Some(n) => Ok(Await::Return(n)),
        None => wait(op, Way::Read),
    }
}

unsafe fn receive_into(buf: &Obj, fd: RawFd) -> Res<Option<Obj>> {
    let Ok(view) = Buffer::of(buf, ffi::PyBUF_WRITABLE) else {
        ffi::PyErr_Clear();
        let class = attr(ffi::Py_TYPE(buf.ptr()).cast(), &crate::names::names().name)?;
        let class = utf8(class.ptr())?;
        return type_error(&format!("recv_into() argument 1 must be read-write bytes-like object, not {class}"));
    };
    let got: io::Result<usize> = match view.len() {
        0 => Ok(0),
        most => length(|| libc::recv(fd, view.start().cast(), most, libc::MSG_DONTWAIT)),
    };
    match got {
        Ok(got) => Obj::new(ffi::PyLong_FromSize_t(got)).map(Some),
        Err(e) if would_block(&e) => Ok(None),
        Err(e) => os_error(&e),
    }
}
