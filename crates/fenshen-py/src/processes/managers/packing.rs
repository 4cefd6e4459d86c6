//! How what goes through a line becomes bytes: marshal for what is plain, and pickle for everything else.

use pyo3::ffi::{self, PyObject};

use super::plain::is_plain;
use crate::errors::raise;
use crate::object::{Obj, Res, attr, call};

/// The first byte of what follows.
const PLAIN: u8 = b'm';
/// What `pickle` made follows.
const PICKLED: u8 = b'p';
/// The version of marshal's format that keeps what is there twice one object.
const VERSION: i32 = 4;

/// What turns objects into bytes and back.
pub(super) struct Packing {
    /// `ForkingPickler.dumps`.
    dumps: Obj,
    loads: Obj,
}

/// The bytes of an object, and their kind.
pub(super) struct Packed {
    pub(super) kind: u8,
    view: ffi::Py_buffer,
}

impl Packed {
    unsafe fn new(kind: u8, bytes: &Obj) -> Res<Packed> {
        let mut view = std::mem::zeroed();
        crate::object::done(ffi::PyObject_GetBuffer(bytes.ptr(), &mut view, ffi::PyBUF_SIMPLE))?;
        Ok(Packed { kind, view })
    }

    /// What follows the kind.
    pub(super) fn bytes(&self) -> &[u8] {
        match self.view.len {
            0 => &[],
            // SAFETY: the buffer is held until this is dropped, and nobody else has it.
            len => unsafe { std::slice::from_raw_parts(self.view.buf.cast(), len as usize) },
        }
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        // SAFETY: it was got in `new`; the thread is attached, by the crate's contract.
        unsafe { ffi::PyBuffer_Release(&mut self.view) }
    }
}

impl Packing {
    pub(super) unsafe fn new() -> Res<Packing> {
        let get = |module: &std::ffi::CStr, names: &[&std::ffi::CStr]| {
            let mut o = Obj::new(ffi::PyImport_ImportModule(module.as_ptr()))?;
            for name in names {
                let name = Obj::new(ffi::PyUnicode_InternFromString(name.as_ptr()))?;
                o = attr(o.ptr(), &name)?;
            }
            Ok(o)
        };
        Ok(Packing {
            dumps: get(c"multiprocessing.reduction", &[c"ForkingPickler", c"dumps"])?,
            loads: get(c"pickle", &[c"loads"])?,
        })
    }

    pub(super) unsafe fn pack(&self, o: *mut PyObject) -> Res<Packed> {
        if is_plain(o) {
            return Packed::new(PLAIN, &Obj::new(ffi::PyMarshal_WriteObjectToString(o, VERSION))?);
        }
        let dumps = self.dumps.again();
        Packed::new(PICKLED, &call(dumps.ptr(), &[o])?)
    }

    pub(super) unsafe fn unpack(&self, message: &[u8]) -> Res<Obj> {
        let (start, len) = match message {
            [_, bytes @ ..] => (bytes.as_ptr().cast(), bytes.len() as isize),
            [] => return raise(ffi::PyExc_ValueError, "an empty message came through the line"),
        };
        match message[0] {
            PLAIN => Obj::new(ffi::PyMarshal_ReadObjectFromString(start, len)),
            PICKLED => {
                let bytes = Obj::new(ffi::PyBytes_FromStringAndSize(start, len))?;
                let loads = self.loads.again();
                call(loads.ptr(), &[bytes.ptr()])
            }
            _ => raise(ffi::PyExc_ValueError, "no message came through the line"),
        }
    }
}
