//! Owned references and errors for code that speaks to CPython's C API directly.
//!
//! # The contract of every `unsafe fn` in this crate
//! The calling thread is attached to the interpreter (holds the GIL), every `*mut PyObject` it passes is either
//! alive or, where the text says so, null, and a typed pointer (`*mut Task`) points to an object of that layout.
//! A function that can run Python code may change any object: no Rust reference into one is held across it.

use std::mem;
use std::ptr::{self, NonNull};

use pyo3::ffi::{self, PyObject};

/// The interpreter's error indicator is set; what is in it is the error.
#[derive(Debug)]
pub(crate) struct Raised;

/// The outcome of anything that may leave a Python exception behind.
pub(crate) type Res<T> = Result<T, Raised>;

/// One owned reference to a Python object.
///
/// Dropping it may run arbitrary Python code. Hence fields are emptied with [`clear`] and [`set`], never by plain
/// assignment, which would drop the old value while the field still shows it.
#[repr(transparent)]
pub(crate) struct Obj(NonNull<PyObject>);

impl Obj {
    /// Takes over a new reference as the C API returns it; null means that an error is set.
    #[inline(always)]
    pub(crate) unsafe fn new(p: *mut PyObject) -> Res<Obj> {
        match NonNull::new(p) {
            Some(p) => Ok(Obj(p)),
            None => Err(Raised),
        }
    }

    /// Takes over a reference that is known not to be null.
    #[inline(always)]
    pub(crate) unsafe fn steal(p: *mut PyObject) -> Obj {
        Obj(NonNull::new_unchecked(p))
    }

    /// Takes over a reference that may be null, without an error being set.
    #[inline(always)]
    pub(crate) unsafe fn steal_opt(p: *mut PyObject) -> Option<Obj> {
        NonNull::new(p).map(Obj)
    }

    /// A new reference to a borrowed object.
    #[inline(always)]
    pub(crate) unsafe fn from(p: *mut PyObject) -> Obj {
        ffi::Py_INCREF(p);
        Obj(NonNull::new_unchecked(p))
    }

    /// A new reference to a borrowed object that may be null.
    #[inline(always)]
    pub(crate) unsafe fn from_opt(p: *mut PyObject) -> Option<Obj> {
        ffi::Py_XINCREF(p);
        NonNull::new(p).map(Obj)
    }

    /// The borrowed pointer.
    #[inline(always)]
    pub(crate) fn ptr(&self) -> *mut PyObject {
        self.0.as_ptr()
    }

    /// Gives the reference away.
    #[inline(always)]
    pub(crate) fn into_ptr(self) -> *mut PyObject {
        let p = self.0.as_ptr();
        mem::forget(self);
        p
    }

    /// Another reference to the same object.
    #[inline(always)]
    pub(crate) unsafe fn again(&self) -> Obj {
        Obj::from(self.ptr())
    }
}

impl Drop for Obj {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: an `Obj` owns one reference and lives only while the thread is attached (the crate's contract).
        unsafe { ffi::Py_DECREF(self.0.as_ptr()) }
    }
}

/// The borrowed pointer of an optional reference, null for none.
#[inline(always)]
pub(crate) fn ptr_or_null(o: &Option<Obj>) -> *mut PyObject {
    o.as_ref().map_or(ptr::null_mut(), Obj::ptr)
}

/// Puts `value` into a field, and only then lets go of the old one.
#[inline(always)]
pub(crate) fn set(field: &mut Option<Obj>, value: Option<Obj>) {
    drop(mem::replace(field, value));
}

/// Empties a field, and only then lets go of what was in it.
#[inline(always)]
pub(crate) fn clear(field: &mut Option<Obj>) {
    drop(field.take());
}

/// A new reference to `None`.
#[inline(always)]
pub(crate) unsafe fn none() -> Obj {
    Obj::from(ffi::Py_None())
}

/// A new reference to `True` or `False`.
#[inline(always)]
pub(crate) unsafe fn boolean(value: bool) -> Obj {
    Obj::from(if value { ffi::Py_True() } else { ffi::Py_False() })
}

/// `None` as no object, anything else as itself.
#[inline(always)]
pub(crate) unsafe fn not_none(p: *mut PyObject) -> *mut PyObject {
    if p == ffi::Py_None() { ptr::null_mut() } else { p }
}

/// Visits an optional reference for the garbage collector.
#[inline(always)]
pub(crate) unsafe fn visit(o: &Option<Obj>, visitor: ffi::visitproc, arg: *mut std::ffi::c_void) -> std::ffi::c_int {
    match o {
        Some(o) => visitor(o.ptr(), arg),
        None => 0,
    }
}

/// A `str` from Rust text.
pub(crate) unsafe fn text(s: &str) -> Res<Obj> {
    Obj::new(ffi::PyUnicode_FromStringAndSize(s.as_ptr().cast(), s.len() as ffi::Py_ssize_t))
}

/// `repr(o)` as Rust text; an object whose `__repr__` fails is shown as `<unprintable>`.
pub(crate) unsafe fn repr(o: *mut PyObject) -> String {
    let printed = Obj::new(ffi::PyObject_Repr(o));
    match printed.and_then(|s| utf8(s.ptr())) {
        Ok(s) => s,
        Err(Raised) => {
            ffi::PyErr_Clear();
            "<unprintable>".into()
        }
    }
}

/// The text of a `str` object.
pub(crate) unsafe fn utf8(o: *mut PyObject) -> Res<String> {
    let mut len = 0;
    let p = ffi::PyUnicode_AsUTF8AndSize(o, &mut len);
    if p.is_null() {
        return Err(Raised);
    }
    let bytes = std::slice::from_raw_parts(p.cast::<u8>(), len as usize);
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

/// The result of a C call whose failure is `-1`.
#[inline(always)]
pub(crate) fn done(status: std::ffi::c_int) -> Res<()> {
    if status < 0 { Err(Raised) } else { Ok(()) }
}

/// `o.name`.
#[inline]
pub(crate) unsafe fn attr(o: *mut PyObject, name: &Obj) -> Res<Obj> {
    Obj::new(ffi::PyObject_GetAttr(o, name.ptr()))
}

/// `o.name`, or nothing where there is no such attribute.
pub(crate) unsafe fn attr_opt(o: *mut PyObject, name: &Obj) -> Res<Option<Obj>> {
    match attr(o, name) {
        Ok(v) => Ok(Some(v)),
        Err(Raised) if ffi::PyErr_ExceptionMatches(ffi::PyExc_AttributeError) != 0 => {
            ffi::PyErr_Clear();
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

/// `callable(*args)`.
#[inline]
pub(crate) unsafe fn call(callable: *mut PyObject, args: &[*mut PyObject]) -> Res<Obj> {
    Obj::new(ffi::PyObject_Vectorcall(callable, args.as_ptr(), args.len(), ptr::null_mut()))
}

/// `o.name(*args)`; `args[0]` is `o`.
#[inline]
pub(crate) unsafe fn call_method(name: &Obj, args: &[*mut PyObject]) -> Res<Obj> {
    Obj::new(ffi::PyObject_VectorcallMethod(name.ptr(), args.as_ptr(), args.len(), ptr::null_mut()))
}

/// `o.name(*args, **{kwnames: ...})`; `args[0]` is `o` and the last ones are the keywords' values.
#[inline]
pub(crate) unsafe fn call_method_kw(name: &Obj, args: &[*mut PyObject], kwnames: &Obj) -> Res<Obj> {
    let kw = ffi::PyTuple_Size(kwnames.ptr()) as usize;
    Obj::new(ffi::PyObject_VectorcallMethod(name.ptr(), args.as_ptr(), args.len() - kw, kwnames.ptr()))
}
