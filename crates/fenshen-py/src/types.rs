//! Making heap types from slots, methods and attributes.

use std::ffi::{CStr, c_int, c_uint, c_void};

use pyo3::ffi::{self, PyObject, PyTypeObject};

use crate::methods::no_args;
use crate::object::{Obj, Res, attr_opt, done};

/// A type under construction.
pub(crate) struct TypeBuilder {
    name: &'static CStr,
    basic: usize,
    item: usize,
    flags: u64,
    slots: Vec<ffi::PyType_Slot>,
    methods: Vec<ffi::PyMethodDef>,
    getset: Vec<ffi::PyGetSetDef>,
    members: Vec<ffi::PyMemberDef>,
}

/// The signature of a getter.
pub(crate) type Getter = unsafe extern "C" fn(*mut PyObject, *mut c_void) -> *mut PyObject;
/// The signature of a setter; a null value means deletion.
pub(crate) type Setter = unsafe extern "C" fn(*mut PyObject, *mut PyObject, *mut c_void) -> c_int;
/// The signature of a method without arguments.
pub(crate) type NoArgs = unsafe extern "C" fn(*mut PyObject, *mut PyObject) -> *mut PyObject;
/// The signature of a method called by the fast convention.
pub(crate) type Fast =
    unsafe extern "C" fn(*mut PyObject, *const *mut PyObject, ffi::Py_ssize_t, *mut PyObject) -> *mut PyObject;

impl TypeBuilder {
    /// A type named `name` (with its module), whose instances have the layout of `T`.
    pub(crate) fn new<T>(name: &'static CStr) -> TypeBuilder {
        TypeBuilder {
            name,
            basic: size_of::<T>(),
            item: 0,
            flags: ffi::Py_TPFLAGS_DEFAULT,
            slots: Vec::new(),
            methods: Vec::new(),
            getset: Vec::new(),
            members: Vec::new(),
        }
    }

    /// Adds type flags.
    pub(crate) fn flags(mut self, flags: u64) -> Self {
        self.flags |= flags;
        self
    }

    /// Instances have a variable number of pointers at their end.
    pub(crate) fn variable(mut self) -> Self {
        self.item = size_of::<*mut PyObject>();
        self
    }

    /// Fills a slot.
    pub(crate) fn slot(mut self, slot: c_int, function: *mut c_void) -> Self {
        self.slots.push(ffi::PyType_Slot { slot, pfunc: function });
        self
    }

    /// The type's docstring.
    pub(crate) fn doc(self, doc: &'static CStr) -> Self {
        self.slot(ffi::Py_tp_doc, doc.as_ptr() as *mut c_void)
    }

    /// A method without arguments.
    pub(crate) fn no_args(mut self, name: &'static CStr, f: NoArgs, doc: &'static CStr) -> Self {
        self.methods.push(ffi::PyMethodDef {
            ml_name: name.as_ptr(),
            ml_meth: ffi::PyMethodDefPointer { PyCFunction: f },
            ml_flags: ffi::METH_NOARGS,
            ml_doc: doc.as_ptr(),
        });
        self
    }

    /// A method with exactly one positional argument.
    pub(crate) fn one_arg(mut self, name: &'static CStr, f: NoArgs, doc: &'static CStr) -> Self {
        self.methods.push(ffi::PyMethodDef {
            ml_name: name.as_ptr(),
            ml_meth: ffi::PyMethodDefPointer { PyCFunction: f },
            ml_flags: ffi::METH_O,
            ml_doc: doc.as_ptr(),
        });
        self
    }

    /// A method called by the fast convention, with keywords.
    pub(crate) fn fast(mut self, name: &'static CStr, f: Fast, doc: &'static CStr) -> Self {
        self.methods.push(ffi::PyMethodDef {
            ml_name: name.as_ptr(),
            ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: f },
            ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
            ml_doc: doc.as_ptr(),
        });
        self
    }

    /// A method of the class, called by the fast convention, with keywords.
    pub(crate) fn class_fast(mut self, name: &'static CStr, f: Fast, doc: &'static CStr) -> Self {
        self = self.fast(name, f, doc);
        if let Some(method) = self.methods.last_mut() {
            method.ml_flags |= ffi::METH_CLASS;
        }
        self
    }

    /// `__class_getitem__`, which makes `Type[int]` a `types.GenericAlias`.
    pub(crate) fn generic(mut self) -> Self {
        self.methods.push(ffi::PyMethodDef {
            ml_name: c"__class_getitem__".as_ptr(),
            ml_meth: ffi::PyMethodDefPointer { PyCFunction: ffi::Py_GenericAlias },
            ml_flags: ffi::METH_O | ffi::METH_CLASS,
            ml_doc: c"See PEP 585".as_ptr(),
        });
        self
    }

    /// A computed attribute.
    pub(crate) fn property(mut self, name: &'static CStr, get: Getter, set: Option<Setter>) -> Self {
        self.getset.push(ffi::PyGetSetDef {
            name: name.as_ptr(),
            get: Some(get),
            set,
            doc: std::ptr::null(),
            closure: std::ptr::null_mut(),
        });
        self
    }

    /// `__class__` is what `class` says, and not the type itself; `dir()` lists what is here all the same.
    pub(crate) fn stand_in(self, class: Getter) -> Self {
        self.property(c"__class__", class, None).no_args(
            c"__dir__",
            py_dir,
            c"__dir__($self, /)\n--\n\nThe names of the attributes.",
        )
    }

    /// A stored attribute of C type `kind` at `offset`.
    pub(crate) fn member(mut self, name: &'static CStr, kind: c_int, offset: usize, read_only: bool) -> Self {
        self.members.push(ffi::PyMemberDef {
            name: name.as_ptr(),
            type_code: kind,
            offset: offset as ffi::Py_ssize_t,
            flags: if read_only { ffi::Py_READONLY } else { 0 },
            doc: std::ptr::null(),
        });
        self
    }

    /// Instances can be weakly referenced through the pointer at `offset`.
    pub(crate) fn weakrefs(self, offset: usize) -> Self {
        self.member(c"__weaklistoffset__", ffi::Py_T_PYSSIZET, offset, true)
    }

    /// Instances have a `__dict__` at `offset`.
    pub(crate) fn dict(self, offset: usize) -> Self {
        self.member(c"__dictoffset__", ffi::Py_T_PYSSIZET, offset, true).property(
            c"__dict__",
            ffi::PyObject_GenericGetDict,
            Some(ffi::PyObject_GenericSetDict),
        )
    }

    /// Makes the type, derived from `base` where one is given. What the interpreter keeps pointers to lives for ever.
    pub(crate) unsafe fn build(self, base: Option<*mut PyTypeObject>) -> Res<*mut PyTypeObject> {
        self.build_on(base.as_slice())
    }

    /// The same, derived from any number of types.
    pub(crate) unsafe fn build_on(mut self, bases: &[*mut PyTypeObject]) -> Res<*mut PyTypeObject> {
        if !self.methods.is_empty() {
            self.methods.push(std::mem::zeroed());
            let table = self.methods.leak().as_mut_ptr().cast();
            self.slots.push(ffi::PyType_Slot { slot: ffi::Py_tp_methods, pfunc: table });
        }
        if !self.getset.is_empty() {
            self.getset.push(std::mem::zeroed());
            let table = self.getset.leak().as_mut_ptr().cast();
            self.slots.push(ffi::PyType_Slot { slot: ffi::Py_tp_getset, pfunc: table });
        }
        if !self.members.is_empty() {
            self.members.push(std::mem::zeroed());
            let table = self.members.leak().as_mut_ptr().cast();
            self.slots.push(ffi::PyType_Slot { slot: ffi::Py_tp_members, pfunc: table });
        }
        self.slots.push(ffi::PyType_Slot { slot: 0, pfunc: std::ptr::null_mut() });
        let mut spec = ffi::PyType_Spec {
            name: self.name.as_ptr(),
            basicsize: self.basic as c_int,
            itemsize: self.item as c_int,
            flags: self.flags as c_uint,
            slots: self.slots.leak().as_mut_ptr(),
        };
        let tuple = Obj::new(ffi::PyTuple_New(bases.len() as ffi::Py_ssize_t))?;
        for (i, &base) in bases.iter().enumerate() {
            ffi::PyTuple_SetItem(tuple.ptr(), i as ffi::Py_ssize_t, Obj::from(base.cast()).into_ptr());
        }
        let tuple = if bases.is_empty() { None } else { Some(tuple) };
        let made = ffi::PyType_FromSpecWithBases(&mut spec, crate::object::ptr_or_null(&tuple));
        Obj::new(made).map(|t| t.into_ptr().cast())
    }
}

// The names that `object.__dir__` gives are those of `__class__`, which are not all here: whoever walks them would fail.
no_args!(py_dir, |o: PyObject| {
    let names = Obj::new(ffi::PyObject_Dir(ffi::Py_TYPE(o).cast()))?;
    let dict = Obj::new(ffi::PyUnicode_InternFromString(c"__dict__".as_ptr()))?;
    if let Some(dict) = attr_opt(o, &dict)?.filter(|d| ffi::PyDict_Check(d.ptr()) != 0) {
        let own = Obj::new(ffi::PyDict_Keys(dict.ptr()))?;
        for i in 0..ffi::PyList_GET_SIZE(own.ptr()) {
            let name = ffi::PyList_GET_ITEM(own.ptr(), i);
            let known = ffi::PySequence_Contains(names.ptr(), name);
            done(known)?;
            if known == 0 {
                done(ffi::PyList_Append(names.ptr(), name))?;
            }
        }
    }
    Ok(names)
});

/// Frees an instance of a heap type, after its fields were let go.
pub(crate) unsafe fn free(o: *mut PyObject) {
    let ty = ffi::Py_TYPE(o);
    if let Some(free) = (*ty).tp_free {
        free(o.cast());
    }
    ffi::Py_DECREF(ty.cast());
}

/// Has the interpreter's own messages name a type without its module, as they name classes made in Python.
pub(crate) unsafe fn shorten(ty: *mut PyTypeObject) {
    let full = CStr::from_ptr((*ty).tp_name).to_bytes();
    if let Some(dot) = full.iter().rposition(|b| *b == b'.') {
        (*ty).tp_name = (*ty).tp_name.add(dot + 1);
    }
}
