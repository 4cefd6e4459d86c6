//! asyncio's streams in Rust: readers, writers and the protocol between them and a transport. They work on any event
//! loop and with any transport.
//!
//! | type | what it does | its Python face |
//! |---|---|---|
//! | `StreamReader` | `reader.rs`, `store.rs` (its buffer), `read.rs` and `until.rs` (its coroutines) | `reader_type.rs` |
//! | `StreamReaderProtocol` | `protocol.rs`, `connect.rs` | `protocol_type.rs` |
//! | `StreamWriter` | `writer.rs` | `writer_type.rs` |
//!
//! What happens once a connection or less often, and is not on the way of its data, is `fenshen._streams`.

mod connect;
mod known;
pub(crate) mod protocol;
mod protocol_type;
mod read;
pub(crate) mod reader;
mod reader_type;
mod store;
mod until;
pub(crate) mod writer;
mod writer_type;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use crate::event_loop::Loop;
use crate::names::asyncio;
use crate::object::{Obj, Raised, Res, call, not_none};
use crate::primitives::head::Head;

pub(crate) use known::known;
pub(crate) use protocol_type::build as build_protocol;
pub(crate) use reader_type::build as build_reader;
pub(crate) use writer_type::build as build_writer;

/// Looks up what the types need, before they are made.
pub(crate) unsafe fn init() -> Res<()> {
    known::init()
}

/// Binds a new stream to the loop given, or to the current one where that is `None` or null.
unsafe fn bind(h: *mut Head, event_loop: *mut PyObject) -> Res<()> {
    if !event_loop.is_null() && event_loop != ffi::Py_None() {
        Head::bind(h, event_loop);
        return Ok(());
    }
    let current = if cfg!(Py_3_12) {
        call(asyncio().get_event_loop.ptr(), &[])?
    } else {
        // Its warning, if there is one, is about our caller: no frame of Python's lies between.
        let level = Obj::new(ffi::PyLong_FromLong(2))?;
        call(asyncio().get_event_loop.ptr(), &[level.ptr()])?
    };
    Head::bind(h, current.ptr());
    Ok(())
}

/// Raises an exception that was handed to a stream: an object, or a class as `raise` takes it.
#[cold]
unsafe fn raise_given<T>(exc: &Obj) -> Res<T> {
    if ffi::PyExceptionClass_Check(exc.ptr()) != 0 {
        ffi::PyErr_SetNone(exc.ptr());
        return Err(Raised);
    }
    if ffi::PyExceptionInstance_Check(exc.ptr()) == 0 {
        return crate::errors::type_error("exceptions must derive from BaseException");
    }
    crate::errors::raise_object(exc)
}

/// Raises `AssertionError(message)`, without words where there are none.
#[cold]
unsafe fn assertion_error<T>(message: &str) -> Res<T> {
    if message.is_empty() {
        ffi::PyErr_SetNone(ffi::PyExc_AssertionError);
        return Err(Raised);
    }
    crate::errors::raise(ffi::PyExc_AssertionError, message)
}

/// Ends a future of any kind with nothing, or with an exception.
unsafe fn fulfil(f: &Obj, exc: *mut PyObject) -> Res<()> {
    use crate::{future, primitives::waiters};
    if not_none(exc).is_null() {
        return waiters::wake(f, ffi::Py_None());
    }
    if future::is_exact(f.ptr()) {
        return future::set_exception(f.ptr().cast(), exc);
    }
    crate::object::call_method(&known().set_exception, &[f.ptr(), exc]).map(drop)
}

/// The core of a type's `kind`: whether an object's class is that type, or derived from it.
#[inline]
unsafe fn derives(o: *mut PyObject, kind: *mut PyTypeObject) -> bool {
    let ty = ffi::Py_TYPE(o);
    ty == kind || ffi::PyType_IsSubtype(ty, kind) != 0
}

/// The getter and setter of an attribute that is an object; none is `None`.
macro_rules! object_attribute {
    ($get:ident, $set:ident, $ty:ty, $field:ident) => {
        $crate::methods::getter!($get, |o: $ty| {
            Ok($crate::object::Obj::from_opt($crate::object::ptr_or_null(&(*o).$field))
                .unwrap_or_else(|| $crate::object::none()))
        });
        $crate::methods::setter!($set, |o: $ty, value| {
            $crate::object::set(&mut (*o).$field, $crate::object::Obj::from_opt($crate::object::not_none(value)));
            Ok(())
        });
    };
}

/// The getter and setter of an attribute that is true or false.
macro_rules! flag_attribute {
    ($get:ident, $set:ident, $ty:ty, $field:ident) => {
        $crate::methods::getter!($get, |o: $ty| Ok($crate::object::boolean((*o).$field)));
        $crate::methods::setter!($set, |o: $ty, value| {
            let value = $crate::primitives::head::truth(&$crate::object::Obj::from(value))?;
            (*o).$field = value;
            Ok(())
        });
    };
}

use {flag_attribute, object_attribute};

/// `transport.get_extra_info(name)`.
unsafe fn extra_info(transport: *mut PyObject, name: &Obj) -> Res<Obj> {
    crate::object::call_method(&known().get_extra_info, &[transport, name.ptr()])
}

/// Whether a loop is closed.
unsafe fn is_closed(event_loop: &Obj) -> Res<bool> {
    if !crate::event_loop::native(event_loop.ptr()).is_null() {
        return Ok(Loop::check_closed(event_loop.ptr().cast()).map_err(|Raised| ffi::PyErr_Clear()).is_err());
    }
    crate::primitives::head::truth(&crate::object::call_method(&known().is_closed, &[event_loop.ptr()])?)
}
