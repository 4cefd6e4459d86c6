//! `sock_connect`: finds the address out where it is a host's name, connects, and waits for the outcome.

use pyo3::ffi::{self, PyObject};

use super::{attempt, check, held, loop_of, socket_of, sockets, wait, woken};
use crate::args::{Args, Signature};
use crate::errors::restore;
use crate::event_loop::files::Way;
use crate::future_iter::Await;
use crate::names::support;
use crate::object::{Obj, Raised, Res, call, done, none, set, text};
use crate::primitives::operation::{self, Inner, Operation, Plan, Resume};

const CONNECT: Signature<2> =
    Signature { func: "BaseSelectorEventLoop.sock_connect", names: [c"sock", c"address"], positional: 2, required: 2 };

static CONNECT_PLAN: Plan =
    Plan { name: c"sock_connect", qualname: c"BaseSelectorEventLoop.sock_connect", run: run_connect };

/// The phases after the start: an address is being found, the connection is being made.
const RESOLVES: u8 = 1;
const CONNECTS: u8 = 2;

pub(super) unsafe fn sock_connect(l: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    let [socket, address] = args.sort(&CONNECT)?;
    let made = operation::new(&CONNECT_PLAN, l, socket)?;
    (*made.ptr().cast::<Operation>()).held = Some(Obj::from(address));
    Ok(made)
}

unsafe fn run_connect(op: *mut Operation, how: Resume) -> Res<Await> {
    let socket = socket_of(op);
    if (*op).phase == CONNECTS {
        woken(op, Way::Write, how)?;
        return check_outcome(op, &socket);
    }
    if matches!(how, Resume::Start) {
        check(loop_of(op), &socket)?;
        let resolving = support(c"resolve", &[loop_of(op).cast(), socket.ptr(), held(op).ptr()])?;
        operation::enter(op, &resolving)?;
        (*op).phase = RESOLVES;
    }
    match operation::go_on(op, how) {
        Inner::Yield(future) => Ok(Await::Yield(future)),
        Inner::Raise(exc) => {
            restore(exc);
            Err(Raised)
        }
        Inner::Return(address) => connect(op, &socket, address),
    }
}

unsafe fn connect(op: *mut Operation, socket: &Obj, address: Obj) -> Res<Await> {
    let connected = attempt(&sockets().connect, &[socket.ptr(), address.ptr()])?;
    set(&mut (*op).held, Some(address));
    match connected {
        Some(_) => Ok(Await::Return(none())),
        None => {
            (*op).phase = CONNECTS;
            wait(op, Way::Write)
        }
    }
}

unsafe fn check_outcome(op: *mut Operation, socket: &Obj) -> Res<Await> {
    let level = Obj::new(ffi::PyLong_FromLong(libc::SOL_SOCKET.into()))?;
    let name = Obj::new(ffi::PyLong_FromLong(libc::SO_ERROR.into()))?;
    let Some(number) = attempt(&sockets().getsockopt, &[socket.ptr(), level.ptr(), name.ptr()])? else {
        return wait(op, Way::Write);
    };
    let failed = ffi::PyObject_IsTrue(number.ptr());
    done(failed)?;
    if failed == 0 {
        return Ok(Await::Return(none()));
    }
    let shown = Obj::new(ffi::PyObject_Str(held(op).ptr()))?;
    let message = text(&format!("Connect call failed {}", crate::object::utf8(shown.ptr())?))?;
    let exc = call(ffi::PyExc_OSError, &[number.ptr(), message.ptr()])?;
    crate::errors::raise_object(&exc)
}
