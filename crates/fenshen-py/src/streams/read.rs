//! `read`, `readexactly`, and what a reader gives to `async for`. `readuntil` and `readline` are in `until.rs`.

use pyo3::ffi::{self, PyObject};

use super::known::known;
use super::raise_given;
use super::reader::{self, Reader, maybe_resume, wait, waited};
use crate::args::{Args, Signature};
use crate::errors::{raise, restore, take};
use crate::future_iter::Await;
use crate::object::{Obj, Raised, Res, call, call_method, done, none, ptr_or_null, utf8};
use crate::primitives::operation::{self, Inner, Operation, Plan, Resume};

const READ: Signature<1> = Signature { func: "StreamReader.read", names: [c"n"], positional: 1, required: 0 };
const EXACTLY: Signature<1> = Signature { func: "StreamReader.readexactly", names: [c"n"], positional: 1, required: 1 };
const WAIT: Signature<1> =
    Signature { func: "StreamReader._wait_for_data", names: [c"func_name"], positional: 1, required: 1 };

static READ_PLAN: Plan = Plan { name: c"read", qualname: c"StreamReader.read", run: run_read };
static READ_ALL_PLAN: Plan = Plan { name: c"read", qualname: c"StreamReader.read", run: run_read_all };
static EXACTLY_PLAN: Plan = Plan { name: c"readexactly", qualname: c"StreamReader.readexactly", run: run_exactly };
static WAIT_PLAN: Plan = Plan { name: c"_wait_for_data", qualname: c"StreamReader._wait_for_data", run: run_wait };
static NEXT_PLAN: Plan = Plan { name: c"__anext__", qualname: c"StreamReader.__anext__", run: run_next };

/// The reader that an operation is on.
#[inline(always)]
pub(super) unsafe fn reader_of(op: *mut Operation) -> *mut Reader {
    ptr_or_null(&(*op).owner).cast()
}

/// The argument of an operation's call.
#[inline(always)]
pub(super) unsafe fn argument(op: *mut Operation) -> *mut PyObject {
    ptr_or_null(&(*op).arg)
}

/// The reader's exception, if it has one, raised.
#[inline]
pub(super) unsafe fn check_exception(r: *mut Reader) -> Res<()> {
    match Obj::from_opt(ptr_or_null(&(*r).exception)) {
        None => Ok(()),
        Some(exc) => raise_given(&exc),
    }
}

/// How many bytes `n` asks for, -1 for any negative number.
#[inline]
unsafe fn size(n: *mut PyObject) -> Res<isize> {
    if ffi::PyLong_CheckExact(n) != 0 {
        let size = ffi::PyLong_AsSsize_t(n);
        if size != -1 || ffi::PyErr_Occurred().is_null() {
            return Ok(size.max(-1));
        }
        ffi::PyErr_Clear();
    } else {
        // What can't be compared with a number is refused in the comparison's words.
        let zero = Obj::new(ffi::PyLong_FromLong(0))?;
        let negative = ffi::PyObject_RichCompareBool(n, zero.ptr(), ffi::Py_LT);
        done(negative)?;
        if negative != 0 {
            return Ok(-1);
        }
    }
    let index = Obj::new(ffi::PyNumber_Index(n))?;
    // Without an exception to be raised, a number too big is clipped.
    let size = ffi::PyNumber_AsSsize_t(index.ptr(), std::ptr::null_mut());
    if size == -1 && !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    Ok(size.max(-1))
}

/// `read(n)`.
pub(super) unsafe fn read(this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    let [n] = args.sort(&READ)?;
    if n.is_null() { operation::new(&READ_ALL_PLAN, this, n) } else { operation::new(&READ_PLAN, this, n) }
}

/// `readexactly(n)`.
pub(super) unsafe fn readexactly(this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    let [n] = args.sort(&EXACTLY)?;
    operation::new(&EXACTLY_PLAN, this, n)
}

/// `_wait_for_data(func_name)`.
pub(super) unsafe fn wait_for_data(this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    let [func] = args.sort(&WAIT)?;
    operation::new(&WAIT_PLAN, this, func)
}

/// `__anext__()`.
pub(super) unsafe fn anext(this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    args.none("StreamReader.__anext__")?;
    operation::new(&NEXT_PLAN, this, std::ptr::null_mut())
}

unsafe fn run_read(op: *mut Operation, how: Resume) -> Res<Await> {
    let r = reader_of(op);
    let step = if matches!(how, Resume::Start) {
        check_exception(r)?;
        let n = size(argument(op))?;
        if n == 0 {
            return Ok(Await::Return(known().empty.again()));
        }
        if n < 0 {
            // From here on it is another operation.
            (*op).plan = &READ_ALL_PLAN;
            return run_read_all(op, Resume::Start);
        }
        (*op).count = n;
        if !(*r).store.is_empty() || (*r).eof { None } else { wait(op, r, "read", 1, n as usize)? }
    } else {
        waited(op, r, how)?
    };
    match step {
        Some(waiting) => Ok(waiting),
        None => take_some(r, (*op).count as usize).map(Await::Return),
    }
}

/// What there is, up to `n` bytes.
unsafe fn take_some(r: *mut Reader, n: usize) -> Res<Obj> {
    let there = (*r).store.len();
    let taken = if there == 0 { known().empty.again() } else { (*r).store.take(n.min(there))? };
    maybe_resume(r)?;
    Ok(taken)
}

unsafe fn run_exactly(op: *mut Operation, how: Resume) -> Res<Await> {
    let r = reader_of(op);
    let mut step = if matches!(how, Resume::Start) {
        let n = size(argument(op))?;
        if n < 0 {
            return raise(ffi::PyExc_ValueError, "readexactly size can not be less than zero");
        }
        check_exception(r)?;
        if n == 0 {
            return Ok(Await::Return(known().empty.again()));
        }
        (*op).count = n;
        None
    } else {
        waited(op, r, how)?
    };
    let n = (*op).count as usize;
    loop {
        if let Some(waiting) = step {
            return Ok(waiting);
        }
        if (*r).store.len() >= n {
            let taken = (*r).store.take(n)?;
            maybe_resume(r)?;
            return Ok(Await::Return(taken));
        }
        if (*r).eof {
            let partial = (*r).store.take_all()?;
            return incomplete(&partial, argument(op));
        }
        step = wait(op, r, "readexactly", n, n)?;
    }
}

/// Raises `IncompleteReadError`.
#[cold]
pub(super) unsafe fn incomplete<T>(partial: &Obj, expected: *mut PyObject) -> Res<T> {
    let exc = call(known().incomplete_read_error.ptr(), &[partial.ptr(), expected])?;
    crate::errors::raise_object(&exc)
}

/// `read()`: everything up to the end, in blocks of the limit's size, so that the transport is never stopped for good.
///
/// Where it fails or is cancelled, what it has taken goes back to where it was.
unsafe fn run_read_all(op: *mut Operation, how: Resume) -> Res<Await> {
    let r = reader_of(op);
    let outcome = read_blocks(op, r, how);
    if outcome.is_err()
        && let Some(blocks) = (*op).held.take()
    {
        let exc = take();
        let joined = join(&blocks)?;
        let len = ffi::PyBytes_Size(joined.ptr()) as usize;
        let data = std::slice::from_raw_parts(ffi::PyBytes_AsString(joined.ptr()).cast::<u8>(), len);
        if (*r).store.put_back(data).is_err() {
            ffi::PyErr_Clear();
        }
        restore(exc);
    }
    outcome
}

unsafe fn join(blocks: &Obj) -> Res<Obj> {
    call_method(&known().join, &[known().empty.ptr(), blocks.ptr()])
}

unsafe fn read_blocks(op: *mut Operation, r: *mut Reader, how: Resume) -> Res<Await> {
    let mut step = if matches!(how, Resume::Start) {
        check_exception(r)?;
        None
    } else if (*r).head.plain {
        waited(op, r, how)?
    } else {
        return read_blocks_by_method(op, r, how);
    };
    if !(*r).head.plain {
        return read_blocks_by_method(op, r, Resume::Start);
    }
    loop {
        if let Some(waiting) = step {
            return Ok(waiting);
        }
        check_exception(r)?;
        let limit = (*r).bytes.min(isize::MAX as f64) as usize;
        if !(*r).store.is_empty() {
            let block = take_some(r, limit.max(1))?;
            keep(op, &block)?;
            step = None;
        } else if (*r).eof {
            maybe_resume(r)?;
            return finish(op);
        } else {
            step = wait(op, r, "read", 1, limit)?;
        }
    }
}

unsafe fn keep(op: *mut Operation, block: &Obj) -> Res<()> {
    if (*op).held.is_none() {
        (*op).held = Some(Obj::new(ffi::PyList_New(0))?);
    }
    done(ffi::PyList_Append(ptr_or_null(&(*op).held), block.ptr()))
}

unsafe fn finish(op: *mut Operation) -> Res<Await> {
    let Some(blocks) = (*op).held.take() else {
        return Ok(Await::Return(known().empty.again()));
    };
    join(&blocks).map(Await::Return)
}

/// The same through the reader's own `read(limit)`, which a derived class may have replaced.
unsafe fn read_blocks_by_method(op: *mut Operation, r: *mut Reader, how: Resume) -> Res<Await> {
    let mut how = Some(how);
    loop {
        if (*op).waiter.is_none() {
            let limit = Obj::from_opt(ptr_or_null(&(*r).limit)).unwrap_or_else(|| none());
            let inner = call_method(&known().read, &[r.cast(), limit.ptr()])?;
            operation::enter(op, &inner)?;
            how = Some(Resume::Start);
        }
        match operation::go_on(op, how.take().unwrap_or(Resume::Start)) {
            Inner::Yield(o) => return Ok(Await::Yield(o)),
            Inner::Raise(exc) => {
                restore(exc);
                return Err(Raised);
            }
            Inner::Return(block) => {
                if !crate::primitives::head::truth(&block)? {
                    return finish(op);
                }
                keep(op, &block)?;
            }
        }
    }
}

unsafe fn run_wait(op: *mut Operation, how: Resume) -> Res<Await> {
    let r = reader_of(op);
    if matches!(how, Resume::Start) {
        let func = Obj::new(ffi::PyObject_Str(argument(op)))?;
        return reader::wait_here(op, r, &utf8(func.ptr())?, 0, 0);
    }
    Ok(waited(op, r, how)?.unwrap_or_else(|| Await::Return(none())))
}

unsafe fn run_next(op: *mut Operation, how: Resume) -> Res<Await> {
    let r = reader_of(op);
    let outcome = if (*r).head.plain {
        super::until::run_line(op, how)?
    } else {
        if matches!(how, Resume::Start) {
            let inner = call_method(&known().readline, &[r.cast()])?;
            operation::enter(op, &inner)?;
        }
        match operation::go_on(op, how) {
            Inner::Yield(o) => Await::Yield(o),
            Inner::Return(line) => Await::Return(line),
            Inner::Raise(exc) => {
                restore(exc);
                return Err(Raised);
            }
        }
    };
    if let Await::Return(line) = &outcome {
        let over = ffi::PyObject_RichCompareBool(line.ptr(), known().empty.ptr(), ffi::Py_EQ);
        done(over)?;
        if over != 0 {
            ffi::PyErr_SetNone(ffi::PyExc_StopAsyncIteration);
            return Err(Raised);
        }
    }
    Ok(outcome)
}
