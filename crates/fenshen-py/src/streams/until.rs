//! `readuntil` and `readline`.

use std::ffi::c_int;

use fenshen_reactor::unread::find;
use pyo3::ffi::{self, PyObject};

use super::known::known;
use super::read::{argument, check_exception, incomplete, reader_of};
use super::reader::{Reader, exceeds, maybe_resume, wait, waited};
use crate::args::{Args, Signature};
use crate::errors::{is, raise, raise_object, restore, type_error};
use crate::future_iter::Await;
use crate::object::{Obj, Raised, Res, call, call_method, done, text};
use crate::primitives::head::class_name;
use crate::primitives::operation::{self, Inner, Operation, Plan, Resume};

const UNTIL: Signature<1> =
    Signature { func: "StreamReader.readuntil", names: [c"separator"], positional: 1, required: 0 };

static UNTIL_PLAN: Plan = Plan { name: c"readuntil", qualname: c"StreamReader.readuntil", run: run_until };
static LINE_PLAN: Plan = Plan { name: c"readline", qualname: c"StreamReader.readline", run: run_line };

const NOT_FOUND: &str = "Separator is not found, and chunk exceed the limit";
const TOO_LONG: &str = "Separator is found, but chunk is longer than limit";

/// `readuntil(separator)`.
pub(super) unsafe fn readuntil(this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    let [separator] = args.sort(&UNTIL)?;
    let separator = if separator.is_null() { known().newline.ptr() } else { separator };
    operation::new(&UNTIL_PLAN, this, separator)
}

/// `readline()`.
pub(super) unsafe fn readline(this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    args.none("StreamReader.readline")?;
    operation::new(&LINE_PLAN, this, known().newline.ptr())
}

/// What a look at the buffer comes to.
enum Look {
    /// The chunk ends here.
    Found(usize),
    /// It isn't there yet; up to here nothing has to be looked at again.
    NotYet(usize),
    /// The limit is exceeded, by what the buffer holds up to here: with the separator after it, or without.
    TooLong { consumed: usize, found: bool },
}

/// Looks for the separators, shortest first, from `from` on.
unsafe fn look(r: *mut Reader, separators: &[&[u8]], from: usize) -> Look {
    let bytes = (*r).store.as_slice();
    let shortest = separators.first().map_or(0, |s| s.len());
    let longest = separators.last().map_or(0, |s| s.len());
    if bytes.len() < from + shortest {
        return Look::NotYet(from);
    }
    match find(bytes, separators, from) {
        Some((start, _)) if exceeds(r, start, 1.0) => Look::TooLong { consumed: start, found: true },
        Some((_, end)) => Look::Found(end),
        None => {
            let from = (bytes.len() + 1).saturating_sub(longest);
            if exceeds(r, from, 1.0) { Look::TooLong { consumed: from, found: false } } else { Look::NotYet(from) }
        }
    }
}

/// A `LimitOverrunError`.
#[cold]
unsafe fn overrun(consumed: usize, found: bool) -> Res<Obj> {
    let message = text(if found { TOO_LONG } else { NOT_FOUND })?;
    let consumed = Obj::new(ffi::PyLong_FromSize_t(consumed))?;
    call(known().limit_overrun_error.ptr(), &[message.ptr(), consumed.ptr()])
}

/// Raises the `ValueError` that `readline` makes of it.
#[cold]
unsafe fn too_long<T>(overrun: Obj) -> Res<T> {
    let args = Obj::new(ffi::PyObject_GetAttrString(overrun.ptr(), c"args".as_ptr()))?;
    let message = Obj::new(ffi::PySequence_GetItem(args.ptr(), 0))?;
    let error = call(ffi::PyExc_ValueError, &[message.ptr()])?;
    ffi::PyException_SetContext(error.ptr(), overrun.into_ptr());
    raise_object(&error)
}

/// The chunk up to `end`, out of the buffer.
unsafe fn take(r: *mut Reader, end: usize) -> Res<Await> {
    let chunk = (*r).store.take(end)?;
    maybe_resume(r)?;
    Ok(Await::Return(chunk))
}

unsafe fn run_until(op: *mut Operation, how: Resume) -> Res<Await> {
    let r = reader_of(op);
    let mut step = if matches!(how, Resume::Start) {
        sort_separators(op)?;
        check_exception(r)?;
        (*op).count = 0;
        None
    } else {
        waited(op, r, how)?
    };
    loop {
        if let Some(waiting) = step {
            return Ok(waiting);
        }
        match with_separators(argument(op), |separators| look(r, separators, (*op).count as usize))? {
            Look::Found(end) => return take(r, end),
            Look::TooLong { consumed, found } => return raise_object(&overrun(consumed, found)?),
            Look::NotYet(from) => (*op).count = from as isize,
        }
        if (*r).eof {
            let partial = (*r).store.take_all()?;
            return incomplete(&partial, ffi::Py_None());
        }
        step = wait(op, r, "readuntil", 1, 0)?;
    }
}

/// Makes the argument a list of separators, shortest first, and refuses what can be none.
unsafe fn sort_separators(op: *mut Operation) -> Res<()> {
    let given = Obj::from_opt(argument(op)).unwrap_or_else(|| known().newline.again());
    if !cfg!(Py_3_13) || ffi::PyTuple_Check(given.ptr()) == 0 {
        return check_length(ffi::PyObject_Size(given.ptr()));
    }
    let mut sorted = Vec::new();
    for i in 0..ffi::PyTuple_GET_SIZE(given.ptr()) {
        let separator = Obj::from(ffi::PyTuple_GET_ITEM(given.ptr(), i));
        let len = ffi::PyObject_Size(separator.ptr());
        if len < 0 {
            return Err(Raised);
        }
        sorted.push((len, separator));
    }
    sorted.sort_by_key(|(len, _)| *len);
    let Some((shortest, _)) = sorted.first() else {
        return raise(ffi::PyExc_ValueError, "Separator should contain at least one element");
    };
    check_length(*shortest)?;
    let tuple = Obj::new(ffi::PyTuple_New(sorted.len() as isize))?;
    for (i, (_, separator)) in sorted.into_iter().enumerate() {
        ffi::PyTuple_SetItem(tuple.ptr(), i as isize, separator.into_ptr());
    }
    crate::object::set(&mut (*op).arg, Some(tuple));
    Ok(())
}

unsafe fn check_length(len: isize) -> Res<()> {
    match len {
        0 => raise(ffi::PyExc_ValueError, "Separator should be at least one-byte string"),
        _ => done(len.clamp(-1, 0) as c_int),
    }
}

/// Calls `body` with the bytes of a separator, or of a tuple of them.
unsafe fn with_separators<T>(separators: *mut PyObject, body: impl FnOnce(&[&[u8]]) -> T) -> Res<T> {
    if ffi::PyTuple_Check(separators) == 0 {
        let view = View::of(separators)?;
        return Ok(body(&[view.as_slice()]));
    }
    let views = (0..ffi::PyTuple_GET_SIZE(separators)).map(|i| View::of(ffi::PyTuple_GET_ITEM(separators, i)));
    let views = views.collect::<Res<Vec<View>>>()?;
    let slices: Vec<&[u8]> = views.iter().map(View::as_slice).collect();
    Ok(body(&slices))
}

/// The bytes of a separator, held while this lives.
struct View(ffi::Py_buffer);

impl View {
    unsafe fn of(o: *mut PyObject) -> Res<View> {
        let mut view = ffi::Py_buffer::new();
        if ffi::PyObject_CheckBuffer(o) == 0 {
            let class = class_name(o)?;
            return type_error(&format!("argument should be integer or bytes-like object, not '{class}'"));
        }
        done(ffi::PyObject_GetBuffer(o, &mut view, ffi::PyBUF_SIMPLE))?;
        Ok(View(view))
    }

    fn as_slice(&self) -> &[u8] {
        if self.0.len == 0 {
            return &[];
        }
        // SAFETY: the buffer is filled and not yet released, and nothing changes it while the thread stays in here.
        unsafe { std::slice::from_raw_parts(self.0.buf.cast(), self.0.len as usize) }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: it was filled by `PyObject_GetBuffer`, and lives only while the thread is attached.
        unsafe { ffi::PyBuffer_Release(&mut self.0) }
    }
}

/// `readline()`: `readuntil(b"\n")` that takes a shorter last line, and gets rid of a line that is too long.
pub(super) unsafe fn run_line(op: *mut Operation, how: Resume) -> Res<Await> {
    let r = reader_of(op);
    if !(*r).head.plain {
        return line_by_method(op, r, how);
    }
    let mut step = if matches!(how, Resume::Start) {
        check_exception(r)?;
        (*op).count = 0;
        None
    } else {
        waited(op, r, how)?
    };
    loop {
        if let Some(waiting) = step {
            return Ok(waiting);
        }
        match look(r, &[b"\n"], (*op).count as usize) {
            Look::Found(end) => return take(r, end),
            Look::TooLong { consumed, found } => {
                drop_line(r, consumed)?;
                return too_long(overrun(consumed, found)?);
            }
            Look::NotYet(from) => (*op).count = from as isize,
        }
        if (*r).eof {
            return (*r).store.take_all().map(Await::Return);
        }
        step = wait(op, r, "readuntil", 1, 0)?;
    }
}

/// Lets go of a line that is too long: up to its end if that is there, else of all there is.
unsafe fn drop_line(r: *mut Reader, consumed: usize) -> Res<()> {
    if (*r).store.as_slice().get(consumed) == Some(&b'\n') {
        (*r).store.discard(consumed + 1)?;
    } else {
        (*r).store.clear()?;
    }
    maybe_resume(r)
}

/// The same through the reader's own `readuntil`, which a derived class may have replaced.
unsafe fn line_by_method(op: *mut Operation, r: *mut Reader, how: Resume) -> Res<Await> {
    if matches!(how, Resume::Start) {
        let inner = call_method(&known().readuntil, &[r.cast(), known().newline.ptr()])?;
        operation::enter(op, &inner)?;
    }
    let exc = match operation::go_on(op, how) {
        Inner::Yield(o) => return Ok(Await::Yield(o)),
        Inner::Return(line) => return Ok(Await::Return(line)),
        Inner::Raise(exc) => exc,
    };
    if is(&exc, known().incomplete_read_error.ptr()) {
        return Obj::new(ffi::PyObject_GetAttrString(exc.ptr(), c"partial".as_ptr())).map(Await::Return);
    }
    if !is(&exc, known().limit_overrun_error.ptr()) {
        restore(exc);
        return Err(Raised);
    }
    let consumed = Obj::new(ffi::PyObject_GetAttrString(exc.ptr(), c"consumed".as_ptr()))?;
    let consumed = ffi::PyNumber_AsSsize_t(consumed.ptr(), std::ptr::null_mut());
    if consumed == -1 && !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    drop_line(r, consumed.max(0) as usize)?;
    too_long(exc)
}
