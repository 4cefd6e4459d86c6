//! `CoroutineFunction`: a native function that stands for one of the standard library's `async def`.
//!
//! It is called natively and returns an [`Operation`](super::operation). Whatever else is asked of it, it answers as
//! the function it stands for, so that `inspect.iscoroutinefunction(lock.acquire)`, signatures and mocks work.

use std::ffi::CStr;
use std::mem::offset_of;
use std::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use crate::args::Args;
use crate::errors::{entry, type_error};
use crate::kinds;
use crate::methods::no_args;
use crate::object::{Obj, Res, attr, clear, done, text, utf8};
use crate::types::{TypeBuilder, free};

// Of CPython's API, but not of PyO3's declarations.
unsafe extern "C" {
    fn PyMethod_New(function: *mut PyObject, this: *mut PyObject) -> *mut PyObject;
}

/// What it does: `this` is null for a plain function.
pub(crate) type Body = unsafe fn(*mut PyObject, &Args<'_>) -> Res<Obj>;

/// The layout of a coroutine function.
#[repr(C)]
pub(crate) struct Function {
    ob_base: PyObject,
    vectorcall: Option<ffi::vectorcallfunc>,
    body: Body,
    /// The type whose method it is; null for a plain function.
    owner: *mut PyTypeObject,
    name: &'static CStr,
    /// The standard library's function; none where it has no such one.
    original: Option<Obj>,
}

/// Makes one that stands for `original`.
pub(crate) unsafe fn new(name: &'static CStr, owner: *mut PyTypeObject, body: Body, original: Option<Obj>) -> Res<Obj> {
    let f: *mut Function = ffi::PyType_GenericAlloc(kinds::coroutine_function(), 0).cast();
    let made = Obj::new(f.cast())?;
    (*f).vectorcall = Some(vectorcall);
    (*f).owner = owner;
    ptr::write(&raw mut (*f).body, body);
    ptr::write(&raw mut (*f).name, name);
    (*f).original = original;
    Ok(made)
}

/// Gives `ty` the coroutine methods of `methods`, each standing for the one of `stands_for` by the same name.
pub(crate) unsafe fn add_methods(
    ty: *mut PyTypeObject,
    stands_for: Option<&Obj>,
    methods: &[(&'static CStr, Body)],
) -> Res<()> {
    for &(name, body) in methods {
        let original = match stands_for {
            Some(class) => Obj::new(ffi::PyObject_GetAttrString(class.ptr(), name.as_ptr())).ok(),
            None => None,
        };
        ffi::PyErr_Clear();
        let f = new(name, ty, body, original)?;
        done(ffi::PyObject_SetAttrString(ty.cast(), name.as_ptr(), f.ptr()))?;
    }
    Ok(())
}

unsafe extern "C" fn vectorcall(
    this: *mut PyObject,
    args: *const *mut PyObject,
    n: usize,
    names: *mut PyObject,
) -> *mut PyObject {
    entry(|| {
        let f: *mut Function = this.cast();
        let n = (n & !ffi::PY_VECTORCALL_ARGUMENTS_OFFSET) as ffi::Py_ssize_t;
        if (*f).owner.is_null() {
            return ((*f).body)(ptr::null_mut(), &Args::new(args, n, names));
        }
        let of_owner = n > 0 && {
            let ty = ffi::Py_TYPE(*args);
            ty == (*f).owner || ffi::PyType_IsSubtype(ty, (*f).owner) != 0
        };
        if !of_owner {
            let class = attr((*f).owner.cast(), &crate::names::names().name)?;
            let (class, name) = (utf8(class.ptr())?, (*f).name.to_string_lossy());
            return type_error(&format!("{class}.{name}() needs a {class} object as its first argument"));
        }
        ((*f).body)(*args, &Args::new(args.add(1), n - 1, names))
    })
}

unsafe extern "C" fn bind(this: *mut PyObject, o: *mut PyObject, _ty: *mut PyObject) -> *mut PyObject {
    if o.is_null() || o == ffi::Py_None() {
        ffi::Py_INCREF(this);
        return this;
    }
    PyMethod_New(this, o)
}

/// What it answers for itself.
const OWN: [&CStr; 5] = [c"__call__", c"__get__", c"__reduce__", c"__reduce_ex__", c"__repr__"];

unsafe extern "C" fn getattro(this: *mut PyObject, name: *mut PyObject) -> *mut PyObject {
    let f: *mut Function = this.cast();
    let own = OWN.iter().any(|own| ffi::PyUnicode_CompareWithASCIIString(name, own.as_ptr()) == 0);
    if let (Some(original), false) = (&(*f).original, own) {
        return ffi::PyObject_GetAttr(original.ptr(), name);
    }
    let named =
        [c"__name__", c"__qualname__"].iter().any(|n| ffi::PyUnicode_CompareWithASCIIString(name, n.as_ptr()) == 0);
    if named {
        return entry(|| text(&(*f).name.to_string_lossy()));
    }
    ffi::PyObject_GenericGetAttr(this, name)
}

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let f: *mut Function = this.cast();
        let name = if (*f).owner.is_null() {
            (*f).name.to_string_lossy().into_owned()
        } else {
            let class = attr((*f).owner.cast(), &crate::names::names().name)?;
            format!("{}.{}", utf8(class.ptr())?, (*f).name.to_string_lossy())
        };
        text(&format!("<coroutine function {name}>"))
    })
}

// Pickled and copied as functions are: by name.
no_args!(reduce, |f: Function| { Obj::new(ffi::PyObject_GetAttrString(f.cast(), c"__qualname__".as_ptr())) });

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    clear(&mut (*this.cast::<Function>()).original);
    free(this);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<Function>(c"fenshen._fenshen.CoroutineFunction")
        .flags(ffi::Py_TPFLAGS_HAVE_VECTORCALL | ffi::Py_TPFLAGS_METHOD_DESCRIPTOR)
        // The interpreter looks an attribute up anew each time unless its descriptor's type can't change.
        .flags(ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION | ffi::Py_TPFLAGS_IMMUTABLETYPE)
        .member(c"__vectorcalloffset__", ffi::Py_T_PYSSIZET, offset_of!(Function, vectorcall), true)
        .slot(ffi::Py_tp_call, ffi::PyVectorcall_Call as *mut std::ffi::c_void)
        .slot(ffi::Py_tp_descr_get, bind as *mut std::ffi::c_void)
        .slot(ffi::Py_tp_getattro, getattro as *mut std::ffi::c_void)
        .slot(ffi::Py_tp_repr, repr as *mut std::ffi::c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut std::ffi::c_void)
        .no_args(c"__reduce__", reduce, c"__reduce__($self, /)\n--\n\nIts name.")
        .build(None)
}
