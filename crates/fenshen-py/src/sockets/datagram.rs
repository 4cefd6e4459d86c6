//! `sock_recvfrom`, `sock_recvfrom_into` and `sock_sendto`: by the socket's own methods, which know its addresses.

use std::ptr;

use pyo3::ffi::{self, PyObject};

use super::{attempt, check, held, loop_of, socket_of, sockets, wait, woken};
use crate::args::{Args, Signature};
use crate::event_loop::files::Way;
use crate::future_iter::Await;
use crate::object::{Obj, Raised, Res, set};
use crate::primitives::operation::{self, Operation, Plan, Resume};

const RECVFROM: Signature<2> =
    Signature { func: "BaseSelectorEventLoop.sock_recvfrom", names: [c"sock", c"bufsize"], positional: 2, required: 2 };
const RECVFROM_INTO: Signature<3> = Signature {
    func: "BaseSelectorEventLoop.sock_recvfrom_into",
    names: [c"sock", c"buf", c"nbytes"],
    positional: 3,
    required: 2,
};
const SENDTO: Signature<3> = Signature {
    func: "BaseSelectorEventLoop.sock_sendto",
    names: [c"sock", c"data", c"address"],
    positional: 3,
    required: 3,
};

static RECVFROM_PLAN: Plan =
    Plan { name: c"sock_recvfrom", qualname: c"BaseSelectorEventLoop.sock_recvfrom", run: run_recvfrom };
static RECVFROM_INTO_PLAN: Plan =
    Plan { name: c"sock_recvfrom_into", qualname: c"BaseSelectorEventLoop.sock_recvfrom_into", run: run_recvfrom_into };
static SENDTO_PLAN: Plan =
    Plan { name: c"sock_sendto", qualname: c"BaseSelectorEventLoop.sock_sendto", run: run_sendto };

/// An operation that holds a tuple of its arguments.
unsafe fn make(plan: &'static Plan, l: *mut PyObject, socket: *mut PyObject, rest: &[*mut PyObject]) -> Res<Obj> {
    let made = operation::new(plan, l, socket)?;
    let tuple = Obj::new(ffi::PyTuple_New(rest.len() as isize))?;
    for (i, &o) in rest.iter().enumerate() {
        ffi::PyTuple_SetItem(tuple.ptr(), i as isize, Obj::from(o).into_ptr());
    }
    (*made.ptr().cast::<Operation>()).held = Some(tuple);
    Ok(made)
}

unsafe fn part(o: &Obj, i: isize) -> Res<Obj> {
    let part = ffi::PyTuple_GetItem(o.ptr(), i);
    if part.is_null() { Err(Raised) } else { Ok(Obj::from(part)) }
}

pub(super) unsafe fn sock_recvfrom(l: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    let [socket, size] = args.sort(&RECVFROM)?;
    make(&RECVFROM_PLAN, l, socket, &[size])
}

pub(super) unsafe fn sock_recvfrom_into(l: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    let [socket, buf, size] = args.sort(&RECVFROM_INTO)?;
    let size = if size.is_null() { ffi::Py_False() } else { size };
    make(&RECVFROM_INTO_PLAN, l, socket, &[buf, size])
}

pub(super) unsafe fn sock_sendto(l: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    let [socket, data, address] = args.sort(&SENDTO)?;
    make(&SENDTO_PLAN, l, socket, &[data, address])
}

unsafe fn begin(op: *mut Operation, way: Way, how: Resume) -> Res<bool> {
    let first = matches!(how, Resume::Start);
    if first {
        check(loop_of(op), &socket_of(op))?
    } else {
        woken(op, way, how)?
    }
    Ok(first)
}

unsafe fn finish(op: *mut Operation, way: Way, outcome: Option<Obj>) -> Res<Await> {
    match outcome {
        Some(result) => Ok(Await::Return(result)),
        None => wait(op, way),
    }
}

unsafe fn run_recvfrom(op: *mut Operation, how: Resume) -> Res<Await> {
    begin(op, Way::Read, how)?;
    let size = part(&held(op), 0)?;
    let received = attempt(&sockets().recvfrom, &[socket_of(op).ptr(), size.ptr()])?;
    finish(op, Way::Read, received)
}

unsafe fn run_recvfrom_into(op: *mut Operation, how: Resume) -> Res<Await> {
    let first = begin(op, Way::Read, how)?;
    let held = held(op);
    let (buf, mut size) = (part(&held, 0)?, part(&held, 1)?);
    if first {
        let given = ffi::PyObject_IsTrue(size.ptr());
        crate::object::done(given)?;
        if given == 0 {
            let len = ffi::PyObject_Size(buf.ptr());
            crate::object::done(len.min(0) as i32)?;
            size = Obj::new(ffi::PyLong_FromSsize_t(len))?;
            let tuple = Obj::new(ffi::PyTuple_Pack(2, buf.ptr(), size.ptr(), ptr::null_mut::<PyObject>()))?;
            set(&mut (*op).held, Some(tuple));
        }
    }
    let received = attempt(&sockets().recvfrom_into, &[socket_of(op).ptr(), buf.ptr(), size.ptr()])?;
    finish(op, Way::Read, received)
}

unsafe fn run_sendto(op: *mut Operation, how: Resume) -> Res<Await> {
    begin(op, Way::Write, how)?;
    let held = held(op);
    let (data, address) = (part(&held, 0)?, part(&held, 1)?);
    let sent = attempt(&sockets().sendto, &[socket_of(op).ptr(), data.ptr(), address.ptr()])?;
    finish(op, Way::Write, sent)
}
