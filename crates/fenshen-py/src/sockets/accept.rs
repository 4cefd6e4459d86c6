//! `sock_accept`.

use pyo3::ffi::{self, PyObject};

use super::{attempt, check, loop_of, socket_of, sockets, wait, woken};
use crate::args::{Args, Signature};
use crate::event_loop::files::Way;
use crate::future_iter::Await;
use crate::object::{Obj, Raised, Res, call_method};
use crate::primitives::operation::{self, Operation, Plan, Resume};

const ACCEPT: Signature<1> =
    Signature { func: "BaseSelectorEventLoop.sock_accept", names: [c"sock"], positional: 1, required: 1 };

static ACCEPT_PLAN: Plan =
    Plan { name: c"sock_accept", qualname: c"BaseSelectorEventLoop.sock_accept", run: run_accept };

pub(super) unsafe fn sock_accept(l: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    let [socket] = args.sort(&ACCEPT)?;
    operation::new(&ACCEPT_PLAN, l, socket)
}

unsafe fn run_accept(op: *mut Operation, how: Resume) -> Res<Await> {
    let socket = socket_of(op);
    if matches!(how, Resume::Start) {
        check(loop_of(op), &socket)?;
    } else {
        woken(op, Way::Read, how)?;
    }
    let Some(accepted) = attempt(&sockets().accept, &[socket.ptr()])? else {
        return wait(op, Way::Read);
    };
    // A pair of any kind, from sockets of any kind; what the caller gets is a tuple.
    let pair = Obj::new(ffi::PySequence_Tuple(accepted.ptr()))?;
    let connection = ffi::PyTuple_GetItem(pair.ptr(), 0);
    if connection.is_null() {
        return Err(Raised);
    }
    let connection = Obj::from(connection);
    call_method(&sockets().setblocking, &[connection.ptr(), ffi::Py_False()])?;
    Ok(Await::Return(pair))
}
