//! `Cell`: one value that processes read and replace.

use fenshen_shm::Cell;
use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::memory::Memory;
use super::os_error;
use crate::args::{Signature, sort_call};
use crate::errors::{entry, raise};
use crate::methods::{no_args, one_arg};
use crate::object::{Obj, Raised, Res, boolean, none};
use crate::types::{TypeBuilder, free};

/// The layout of `Cell`.
#[repr(C)]
pub(crate) struct PyCell {
    ob_base: PyObject,
    inner: Option<(Cell, Memory)>,
}

/// What kind of value follows; it is the first byte.
mod tag {
    pub(super) const NONE: u8 = b'n';
    pub(super) const TRUE: u8 = b't';
    pub(super) const FALSE: u8 = b'f';
    pub(super) const INT: u8 = b'i';
    pub(super) const FLOAT: u8 = b'd';
    pub(super) const TEXT: u8 = b'u';
    pub(super) const BYTES: u8 = b'b';
    pub(super) const PICKLED: u8 = b'p';
    pub(super) const ELSEWHERE: u8 = b'e';
}

const NEW: Signature<2> = Signature { func: "Cell", names: [c"memory", c"make"], positional: 2, required: 1 };

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let [memory, make] = sort_call(&NEW, args, kwargs)?;
        let memory = Memory::of(memory, Cell::SIZE)?;
        let makes = !make.is_null() && ffi::PyObject_IsTrue(make) > 0;
        let made = if makes { Cell::make(memory.start()) } else { Ok(Cell::of(memory.start())) };
        let cell = match made {
            Ok(cell) => cell,
            Err(error) => return os_error(&error),
        };
        let o = Obj::new(ffi::PyType_GenericAlloc(ty, 0))?;
        std::ptr::write(&raw mut (*o.ptr().cast::<PyCell>()).inner, Some((cell, memory)));
        Ok(o)
    })
}

unsafe extern "C" fn dealloc(o: *mut PyObject) {
    let this: *mut PyCell = o.cast();
    drop((*this).inner.take());
    free(o);
}

unsafe fn cell<'a>(this: *mut PyCell) -> Res<&'a Cell> {
    match &(*this).inner {
        Some((cell, _)) => Ok(cell),
        None => raise(ffi::PyExc_ValueError, "the cell was not made"),
    }
}

/// Stores the tag and the bytes; false if they are too many.
unsafe fn store(this: *mut PyCell, tag: u8, bytes: &[u8]) -> Res<bool> {
    let cell = cell(this)?;
    if bytes.len() >= Cell::CAPACITY {
        return Ok(false);
    }
    let mut value = [0; Cell::CAPACITY];
    value[0] = tag;
    value[1..=bytes.len()].copy_from_slice(bytes);
    match cell.set(&value[..=bytes.len()]) {
        Ok(stored) => Ok(stored),
        Err(error) => os_error(&error),
    }
}

/// Stores `o` if it is of a kind that needs no pickling.
unsafe fn store_plain(this: *mut PyCell, o: *mut PyObject) -> Res<bool> {
    let ty = ffi::Py_TYPE(o);
    if ty == &raw mut ffi::PyLong_Type {
        let mut overflow = 0;
        let n = ffi::PyLong_AsLongLongAndOverflow(o, &mut overflow);
        return if overflow == 0 { store(this, tag::INT, &n.to_ne_bytes()) } else { Ok(false) };
    }
    if ty == &raw mut ffi::PyFloat_Type {
        return store(this, tag::FLOAT, &ffi::PyFloat_AsDouble(o).to_ne_bytes());
    }
    if ty == &raw mut ffi::PyUnicode_Type {
        let mut len = 0;
        let text = ffi::PyUnicode_AsUTF8AndSize(o, &mut len);
        if text.is_null() {
            // A lone surrogate.
            ffi::PyErr_Clear();
            return Ok(false);
        }
        return store(this, tag::TEXT, std::slice::from_raw_parts(text.cast(), len as usize));
    }
    if ty == &raw mut ffi::PyBytes_Type {
        let (start, len) = (ffi::PyBytes_AsString(o), ffi::PyBytes_Size(o));
        return store(this, tag::BYTES, std::slice::from_raw_parts(start.cast(), len as usize));
    }
    let alone = [(ffi::Py_None(), tag::NONE), (ffi::Py_True(), tag::TRUE), (ffi::Py_False(), tag::FALSE)];
    match alone.iter().find(|(known, _)| *known == o) {
        Some((_, tag)) => store(this, *tag, &[]),
        None => Ok(false),
    }
}

unsafe fn number(bytes: &[u8]) -> Res<[u8; 8]> {
    bytes.try_into().or_else(|_| spoilt())
}

unsafe fn spoilt<T>() -> Res<T> {
    raise(ffi::PyExc_ValueError, "what lies in the shared memory is no value")
}

unsafe fn load(this: *mut PyCell) -> Res<Obj> {
    let mut buffer = [0; Cell::CAPACITY];
    let value = match cell(this)?.get(&mut buffer) {
        Ok(value) => value,
        Err(_) => return spoilt(),
    };
    let Some((&kind, bytes)) = value.split_first() else {
        return spoilt();
    };
    let (start, len) = (bytes.as_ptr().cast(), bytes.len() as isize);
    match kind {
        tag::NONE => Ok(none()),
        tag::TRUE => Ok(boolean(true)),
        tag::FALSE => Ok(boolean(false)),
        tag::INT => Obj::new(ffi::PyLong_FromLongLong(i64::from_ne_bytes(number(bytes)?))),
        tag::FLOAT => Obj::new(ffi::PyFloat_FromDouble(f64::from_ne_bytes(number(bytes)?))),
        tag::TEXT => Obj::new(ffi::PyUnicode_FromStringAndSize(start, len)),
        tag::BYTES => Obj::new(ffi::PyBytes_FromStringAndSize(start, len)),
        tag::PICKLED => {
            let packed = Obj::new(ffi::PyBytes_FromStringAndSize(start, len))?;
            let pickle = Obj::new(ffi::PyImport_ImportModule(c"pickle".as_ptr()))?;
            let name = Obj::new(ffi::PyUnicode_InternFromString(c"loads".as_ptr()))?;
            crate::object::call_method(&name, &[pickle.ptr(), packed.ptr()])
        }
        tag::ELSEWHERE => Ok(Obj::from(ffi::Py_NotImplemented())),
        _ => spoilt(),
    }
}

no_args!(py_get, |this: PyCell| load(this));
one_arg!(py_set, |this: PyCell, value| Ok(boolean(store_plain(this, value)?)));
one_arg!(py_set_pickled, |this: PyCell, packed| {
    let (mut start, mut len) = (std::ptr::null_mut(), 0);
    if ffi::PyBytes_AsStringAndSize(packed, &mut start, &mut len) < 0 {
        return Err(Raised);
    }
    Ok(boolean(store(this, tag::PICKLED, std::slice::from_raw_parts(start.cast(), len as usize))?))
});
no_args!(py_set_elsewhere, |this: PyCell| {
    store(this, tag::ELSEWHERE, &[])?;
    Ok(none())
});
/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let ty = TypeBuilder::new::<PyCell>(c"fenshen._processes.Cell")
        .doc(c"Cell(memory, make=False)\n--\n\nOne small value in shared memory, that any process may read and replace; the death of one that does so leaves what\nwas there. With make=True where all is zero, and otherwise the one that is there.")
        .slot(ffi::Py_tp_new, new as *mut _)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut _)
        .no_args(c"get", py_get, c"get($self, /)\n--\n\nThe value; NotImplemented if it is elsewhere.")
        .one_arg(c"set", py_set, c"set($self, value, /)\n--\n\nReplace the value by a number, text or bytes, a bool or None; False if it is none of these, or too large.")
        .one_arg(c"set_pickled", py_set_pickled, c"set_pickled($self, packed, /)\n--\n\nReplace the value by what was pickled; False if it is too large.")
        .no_args(c"set_elsewhere", py_set_elsewhere, c"set_elsewhere($self, /)\n--\n\nLet go of the value: it is elsewhere.")
        .build(None)?;
    super::tell_size(ty, Cell::SIZE)?;
    Ok(ty)
}
