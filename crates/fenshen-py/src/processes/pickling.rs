//! Pickling what goes from one process to another: as `multiprocessing` does, but into pieces, and with large buffers left
//! where they are.
//!
//! One pickler of CPython's is used again and again. What it writes goes to a [`Sink`]: short pieces are gathered, long
//! ones (the contents of `bytes`, as a rule) are only referred to, and buffers that can travel beside the pickle are kept.

use std::any::Any;
use std::ffi::c_int;
use std::sync::Arc;

use fenshen_shm::{Message, Part};
use pyo3::ffi::{self, PyObject, PyTypeObject};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::known::known;
use super::{carry, kinds};
use crate::errors;
use crate::methods::{no_args, one_arg};
use crate::object::{Obj, Raised, Res, call, call_method, done, none};
use crate::types::{TypeBuilder, free};

/// From this many bytes on, what the pickler writes is not copied.
const LONG: usize = 16 << 10;
/// From this many bytes on, a buffer travels beside the pickle.
const ASIDE: isize = 16 << 10;

/// A piece of a pickle.
enum Piece {
    /// A range of the gathered bytes.
    Short(usize, usize),
    /// A `bytes` object.
    Long(Obj),
}

/// A held buffer of another object.
pub(crate) struct Held(Box<ffi::Py_buffer>);

impl Held {
    unsafe fn of(o: *mut PyObject) -> Res<Held> {
        let mut view: Box<ffi::Py_buffer> = Box::new(std::mem::zeroed());
        done(ffi::PyObject_GetBuffer(o, &mut *view, ffi::PyBUF_SIMPLE))?;
        Ok(Held(view))
    }

    pub(crate) fn part(&self) -> Part<'_> {
        let bytes = match self.0.len {
            0 => &[][..],
            // SAFETY: the buffer is held.
            len => unsafe { std::slice::from_raw_parts(self.0.buf.cast(), len as usize) },
        };
        Part { bytes, writable: self.0.readonly == 0 }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: it was got by `of`; the thread is attached, by the crate's contract.
        unsafe { ffi::PyBuffer_Release(&mut *self.0) }
    }
}

/// A pickle, and what travels beside it.
#[derive(Default)]
pub(crate) struct Pickle {
    gathered: Vec<u8>,
    pieces: Vec<Piece>,
    pub(crate) buffers: Vec<Held>,
    /// Segments that the receiver opens from here, where there are any.
    pins: Option<Obj>,
}

impl Pickle {
    /// One that is there already.
    pub(crate) fn ready(bytes: Vec<u8>) -> Pickle {
        let len = bytes.len();
        Pickle { gathered: bytes, pieces: vec![Piece::Short(0, len)], ..Pickle::default() }
    }

    unsafe fn write(&mut self, bytes: *mut PyObject) -> Res<usize> {
        let held = if ffi::PyBytes_Check(bytes) != 0 { None } else { Some(Held::of(bytes)?) };
        let slice = match &held {
            Some(held) => held.part().bytes,
            None => {
                let len = ffi::PyBytes_Size(bytes) as usize;
                std::slice::from_raw_parts(ffi::PyBytes_AsString(bytes).cast(), len)
            }
        };
        if held.is_none() && slice.len() >= LONG {
            self.pieces.push(Piece::Long(Obj::from(bytes)));
            return Ok(slice.len());
        }
        let begin = self.gathered.len();
        self.gathered.extend_from_slice(slice);
        let end = self.gathered.len();
        match self.pieces.last_mut() {
            Some(Piece::Short(_, last)) if *last == begin => *last = end,
            _ => self.pieces.push(Piece::Short(begin, end)),
        }
        Ok(slice.len())
    }

    /// Whether it must be kept until the receiver has loaded it.
    pub(crate) fn has_pins(&self) -> bool {
        self.pins.is_some()
    }

    /// Its pieces behind `first`, and its parts.
    pub(crate) fn with<T>(&self, first: &[u8], use_them: impl FnOnce(&[&[u8]], &[Part<'_>]) -> T) -> T {
        if let ([Piece::Short(begin, end)], []) = (self.pieces.as_slice(), self.buffers.as_slice()) {
            return use_them(&[first, &self.gathered[*begin..*end]], &[]);
        }
        let mut body = vec![first];
        body.extend(self.pieces.iter().map(|piece| match piece {
            Piece::Short(begin, end) => &self.gathered[*begin..*end],
            // SAFETY: it is a `bytes`, which never changes.
            Piece::Long(o) => unsafe {
                std::slice::from_raw_parts(ffi::PyBytes_AsString(o.ptr()).cast(), ffi::PyBytes_Size(o.ptr()) as usize)
            },
        }));
        let parts: Vec<Part<'_>> = self.buffers.iter().map(Held::part).collect();
        use_them(&body, &parts)
    }

    /// How many bytes it has, with what travels beside it.
    pub(crate) fn bytes(&self) -> u64 {
        self.with(&[], |body, parts| {
            let beside = parts.iter().map(|part| part.bytes.len());
            body.iter().map(|piece| piece.len()).chain(beside).sum::<usize>() as u64
        })
    }

    /// All of it in one, where nothing travels beside.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        if let [Piece::Short(..)] = self.pieces.as_slice() {
            return self.gathered;
        }
        self.with(&[], |body, _| body.concat())
    }
}

/// What the pickler writes to. It is shown to nobody.
#[repr(C)]
pub(crate) struct Sink {
    ob_base: PyObject,
    pickle: Option<Box<Pickle>>,
}

one_arg!(py_write, |s: Sink, bytes| {
    let Some(pickle) = &mut (*s).pickle else {
        return errors::runtime_error("nothing is being pickled");
    };
    let len = pickle.write(bytes)?;
    Obj::new(ffi::PyLong_FromSize_t(len))
});

one_arg!(py_buffer, |s: Sink, buffer| {
    let Some(pickle) = &mut (*s).pickle else {
        return errors::runtime_error("nothing is being pickled");
    };
    match Held::of(buffer) {
        Ok(held) if held.0.len >= ASIDE => pickle.buffers.push(held),
        // A short one goes into the pickle, and so does one that is not contiguous: the pickler says what is wrong with it.
        Ok(_) => return Ok(crate::object::boolean(true)),
        Err(Raised) => {
            ffi::PyErr_Clear();
            return Ok(crate::object::boolean(true));
        }
    }
    Ok(none())
});

unsafe extern "C" fn dealloc(o: *mut PyObject) {
    drop((*o.cast::<Sink>()).pickle.take());
    free(o);
}

pub(crate) unsafe fn build_sink() -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<Sink>(c"fenshen._processes.Sink")
        .slot(ffi::Py_tp_dealloc, dealloc as *mut _)
        .flags(ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION)
        .one_arg(c"write", py_write, c"write($self, data, /)\n--\n\n")
        .one_arg(c"buffer", py_buffer, c"buffer($self, buffer, /)\n--\n\n")
        .build(None)
}

/// A pickler and what it writes to.
pub(crate) struct Dumper {
    pickler: Obj,
    sink: Obj,
}

impl Dumper {
    pub(crate) unsafe fn new() -> Res<Dumper> {
        let sink = Obj::new(ffi::PyType_GenericAlloc(kinds::sink(), 0))?;
        let callback = Obj::new(ffi::PyObject_GetAttrString(sink.ptr(), c"buffer".as_ptr()))?;
        let protocol = Obj::new(ffi::PyLong_FromLong(5))?;
        let args = [known().pickler.ptr(), sink.ptr(), protocol.ptr(), callback.ptr()];
        let pickler = call(known().make_pickler.ptr(), &args)?;
        Ok(Dumper { pickler, sink })
    }

    /// The pickle of `o`.
    pub(crate) unsafe fn dump(&self, o: *mut PyObject) -> Res<Pickle> {
        let sink: *mut Sink = self.sink.ptr().cast();
        std::ptr::write(&raw mut (*sink).pickle, Some(Box::default()));
        let carried = carry::begin()?;
        let dumped = call_method(&known().dump, &[self.pickler.ptr(), o]);
        let mut pickle = (*sink).pickle.take();
        let failed = if dumped.is_err() { Some(errors::take()) } else { None };
        let pins = carry::end(carried)?;
        if let Some(pickle) = &mut pickle {
            pickle.pins = pins;
        }
        drop(call_method(&known().clear_memo, &[self.pickler.ptr()]));
        if let Some(exc) = failed {
            drop(pickle);
            errors::restore(exc);
            return Err(Raised);
        }
        pickle.map(|p| *p).ok_or(Raised)
    }
}

/// What pickles are made with; `dump` may run code that pickles something, so the dumper is taken out meanwhile.
#[derive(Default)]
pub(crate) struct Dumpers(Option<Dumper>);

// SAFETY: what it holds is only used by attached threads.
unsafe impl Send for Dumpers {}

impl Dumpers {
    pub(crate) const fn new() -> Dumpers {
        Dumpers(None)
    }

    pub(crate) unsafe fn dump(this: *mut Dumpers, o: *mut PyObject) -> Res<Pickle> {
        let dumper = match (*this).0.take() {
            Some(dumper) => dumper,
            None => Dumper::new()?,
        };
        let pickle = dumper.dump(o);
        if pickle.is_ok() {
            let other = (*this).0.replace(dumper);
            drop(other);
        }
        pickle
    }
}

/// What a pickle, and the parts beside it, stand for.
pub(crate) unsafe fn load(body: &[u8], parts: &[Obj]) -> Res<Obj> {
    let view =
        Obj::new(ffi::PyMemoryView_FromMemory(body.as_ptr().cast_mut().cast(), body.len() as isize, ffi::PyBUF_READ))?;
    let loaded = if parts.is_empty() {
        call(known().loads.ptr(), &[view.ptr()])
    } else {
        let buffers = Obj::new(ffi::PyTuple_New(parts.len() as isize))?;
        for (i, part) in parts.iter().enumerate() {
            ffi::PyTuple_SetItem(buffers.ptr(), i as isize, part.again().into_ptr());
        }
        let args = [view.ptr(), buffers.ptr()];
        Obj::new(ffi::PyObject_Vectorcall(known().loads.ptr(), args.as_ptr(), 1, known().buffers_name.ptr()))
    };
    // Nobody may look there once the message is gone.
    let failed = if loaded.is_err() { Some(errors::take()) } else { None };
    drop(call_method(&known().release, &[view.ptr()]));
    if let Some(exc) = failed {
        ffi::PyErr_Clear();
        errors::restore(exc);
    }
    loaded
}

/// Memory that came beside a pickle: a buffer.
#[repr(C)]
pub(crate) struct PartObject {
    ob_base: PyObject,
    start: *mut u8,
    len: isize,
    read_only: bool,
    keep: Option<Box<dyn Any>>,
}

/// What a message says behind its first `skip` bytes. What lies in parts stays where it is, as long as anything uses it.
pub(crate) unsafe fn unpack(message: Message, skip: usize) -> Res<Obj> {
    if message.parts().len() == 0 {
        return load(body(&message, skip), &[]);
    }
    let message = Arc::new(message);
    let mut parts = Vec::new();
    for (bytes, writable) in message.parts() {
        let (start, keep): (_, Box<dyn Any>) = if message.is_passing() {
            let copied = bytes.as_ref().to_vec().into_boxed_slice();
            (copied.as_ptr().cast_mut(), Box::new(copied))
        } else {
            (bytes.cast().as_ptr(), Box::new(message.clone()))
        };
        let o = Obj::new(ffi::PyType_GenericAlloc(kinds::part(), 0))?;
        let part: *mut PartObject = o.ptr().cast();
        ((*part).start, (*part).len, (*part).read_only) = (start, bytes.len() as isize, !writable);
        std::ptr::write(&raw mut (*part).keep, Some(keep));
        parts.push(o);
    }
    load(body(&message, skip), &parts)
}

/// What was received stays as it is in a forked child, too.
#[pyfunction]
fn own_pages() {
    fenshen_shm::before_fork();
}

pub(crate) fn add_to(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let before = PyDict::new(m.py());
    before.set_item("before", wrap_pyfunction!(own_pages, m)?)?;
    m.py().import("os")?.call_method("register_at_fork", (), Some(&before)).map(drop)
}

/// A message's body behind its first bytes.
pub(crate) unsafe fn body(message: &Message, skip: usize) -> &[u8] {
    message.body().as_ref().get(skip..).unwrap_or_default()
}

unsafe extern "C" fn part_dealloc(o: *mut PyObject) {
    drop((*o.cast::<PartObject>()).keep.take());
    free(o);
}

unsafe extern "C" fn part_buffer(o: *mut PyObject, view: *mut ffi::Py_buffer, flags: c_int) -> c_int {
    let part: *mut PartObject = o.cast();
    ffi::PyBuffer_FillInfo(view, o, (*part).start.cast(), (*part).len, c_int::from((*part).read_only), flags)
}

pub(crate) unsafe fn build_part() -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<PartObject>(c"fenshen._processes.Part")
        .doc(c"Memory that came from another process, beside a pickle: a buffer.")
        .slot(ffi::Py_tp_dealloc, part_dealloc as *mut _)
        .slot(ffi::Py_bf_getbuffer, part_buffer as *mut _)
        .slot(ffi::Py_sq_length, part_length as *mut _)
        .flags(ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION)
        .no_args(c"__reduce__", py_reduce_part, c"__reduce__($self, /)\n--\n\n")
        .build(None)
}

unsafe extern "C" fn part_length(o: *mut PyObject) -> ffi::Py_ssize_t {
    (*o.cast::<PartObject>()).len
}

// Pickled on, it is what it holds: `bytes` or `bytearray`, as the pickler would have written it.
no_args!(py_reduce_part, |o: PartObject| {
    let kind: *mut PyObject =
        if (*o).read_only { (&raw mut ffi::PyBytes_Type).cast() } else { (&raw mut ffi::PyByteArray_Type).cast() };
    let bytes = Obj::new(ffi::PyBytes_FromStringAndSize((*o).start.cast(), (*o).len))?;
    Obj::new(ffi::Py_BuildValue(c"(O(O))".as_ptr(), kind, bytes.ptr()))
});
