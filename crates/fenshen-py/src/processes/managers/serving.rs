//! The answering end of a line: a request is a call of a method of an object that the server has by a name.
//!
//! What goes well is answered here; everything else, such as a method that is not exposed, is for the server's own words.

use pyo3::ffi::{self, PyObject};

use crate::errors::take;
use crate::object::{Obj, Raised, Res, call, text};

/// What the server has, and what answers in its stead.
pub(super) struct Desk {
    /// Objects by name: each with the methods that may be called, and those that return proxies.
    pub(super) objects: *mut PyObject,
    /// Called with a request; returns the answer.
    pub(super) otherwise: *mut PyObject,
    /// Called with an object's name, a method's name and its result, where that is to be a proxy; returns the answer.
    pub(super) proxied: *mut PyObject,
}

/// An answer: its kind and what goes with it.
unsafe fn answer(kind: &str, what: &Obj) -> Res<Obj> {
    let kind = text(kind)?;
    Obj::new(ffi::PyTuple_Pack(2, kind.ptr(), what.ptr()))
}

impl Desk {
    /// The answer to a request.
    pub(super) unsafe fn answer(&self, request: &Obj) -> Res<Obj> {
        match self.find(request.ptr())? {
            Some((function, args, kwds, proxied)) => match Obj::new(ffi::PyObject_Call(function.ptr(), args, kwds)) {
                Ok(result) if proxied.is_null() => answer("#RETURN", &result),
                Ok(result) => call(self.proxied, &[proxied, result.ptr()]),
                Err(Raised) if ffi::PyErr_ExceptionMatches(ffi::PyExc_Exception) != 0 => answer("#ERROR", &take()),
                Err(Raised) => Err(Raised),
            },
            None => call(self.otherwise, &[request.ptr()]),
        }
    }

    /// The method, its arguments, and of what kind the proxy of its result is to be (null for none); nothing where the
    /// request is not an ordinary one.
    unsafe fn find(&self, request: *mut PyObject) -> Res<Option<(Obj, *mut PyObject, *mut PyObject, *mut PyObject)>> {
        if ffi::PyTuple_CheckExact(request) == 0 || ffi::PyTuple_GET_SIZE(request) != 4 {
            return Ok(None);
        }
        let part = |i| ffi::PyTuple_GET_ITEM(request, i);
        let (name, method, args, kwds) = (part(0), part(1), part(2), part(3));
        if ffi::PyTuple_CheckExact(args) == 0 || ffi::PyDict_CheckExact(kwds) == 0 {
            return Ok(None);
        }
        if ffi::PyUnicode_CheckExact(name) == 0 || ffi::PyUnicode_CheckExact(method) == 0 {
            return Ok(None);
        }
        let Some(entry) = Obj::from_opt(ffi::PyDict_GetItemWithError(self.objects, name)) else {
            return if ffi::PyErr_Occurred().is_null() { Ok(None) } else { Err(Raised) };
        };
        if ffi::PyTuple_CheckExact(entry.ptr()) == 0 || ffi::PyTuple_GET_SIZE(entry.ptr()) != 3 {
            return Ok(None);
        }
        let of = |i| ffi::PyTuple_GET_ITEM(entry.ptr(), i);
        let (object, exposed, proxies) = (of(0), of(1), of(2));
        if ffi::PyAnySet_Check(exposed) == 0 || ffi::PySet_Contains(exposed, method) != 1 {
            return Ok(None);
        }
        let proxied = match ffi::PyDict_Check(proxies) {
            0 => std::ptr::null_mut(),
            _ => ffi::PyDict_GetItemWithError(proxies, method),
        };
        match Obj::new(ffi::PyObject_GetAttr(object, method)) {
            Ok(function) => Ok(Some((function, args, kwds, proxied))),
            Err(Raised) if ffi::PyErr_ExceptionMatches(ffi::PyExc_Exception) != 0 => {
                ffi::PyErr_Clear();
                Ok(None)
            }
            Err(Raised) => Err(Raised),
        }
    }
}
