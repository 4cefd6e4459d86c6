//! What every type of threads that programs derive from has: a `__dict__`, weak references, a place in garbage
//! collection, and the standard library's class that it stands for.

use std::ffi::{CStr, c_int, c_void};
use std::mem::offset_of;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::known::{find, import, known};
use crate::errors::entry;
use crate::object::{Obj, Raised, Res, attr, attr_opt, done, ptr_or_null, utf8};
use crate::types::{TypeBuilder, free};

/// The beginning of every such layout.
#[repr(C)]
pub(crate) struct Head {
    pub(crate) ob_base: PyObject,
    pub(crate) dict: *mut PyObject,
    pub(crate) weakrefs: *mut PyObject,
    /// None of its methods that others of its methods call is overridden.
    pub(crate) plain: bool,
}

/// A type whose layout begins with [`Head`].
pub(crate) trait Shared: Sized {
    /// The methods that its other methods call: an override of one is honoured.
    const CALLED: &'static [&'static CStr];
    /// The class that `__class__` names where the type is exactly ours.
    const STANDARD: &'static Standard;
    /// The type itself, once it is made.
    fn kind() -> *mut PyTypeObject;
    /// Fills the fields of a new object, which are zero. It is tracked already, but nobody has it yet.
    unsafe fn prepare(this: *mut Self);
    /// Visits the fields after the head.
    unsafe fn visit(this: *mut Self, visitor: ffi::visitproc, arg: *mut c_void) -> c_int;
    /// Empties the fields after the head, so that nothing is left to be dropped.
    unsafe fn release(this: *mut Self);
    /// What pickling the standard library's object stumbles over.
    unsafe fn pickled_as(_this: *mut Self) -> &'static str {
        "_thread.lock"
    }
    /// One of [`CALLED`](Shared::CALLED) was overridden in this object alone.
    unsafe fn overridden(_this: *mut Self) -> Res<()> {
        Ok(())
    }
}

/// A class of the standard library, found when it is first asked for, as its module may take long to import.
pub(crate) struct Standard {
    module: &'static CStr,
    name: &'static CStr,
    found: AtomicPtr<PyObject>,
}

impl Standard {
    /// The class `name` of `module`.
    pub(crate) const fn new(module: &'static CStr, name: &'static CStr) -> Standard {
        Standard { module, name, found: AtomicPtr::new(ptr::null_mut()) }
    }

    /// The class; borrowed, for ever.
    #[inline]
    pub(crate) unsafe fn get(&self) -> Res<*mut PyObject> {
        match self.found.load(Ordering::Acquire) {
            found if found.is_null() => self.look(),
            found => Ok(found),
        }
    }

    #[cold]
    unsafe fn look(&self) -> Res<*mut PyObject> {
        let class = find(&import(self.module)?, self.name)?.into_ptr();
        match self.found.compare_exchange(ptr::null_mut(), class, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(class),
            Err(theirs) => {
                ffi::Py_DECREF(class);
                Ok(theirs)
            }
        }
    }
}

/// Finds the standard class that `P` stands for, and has `isinstance` take its instances for ours. It is called when the
/// module of that class is about to be replaced or shown, at the latest; until then nobody can have an instance to ask for.
pub(crate) unsafe fn meet<P: Shared>() -> Res<()> {
    done(ffi::PyObject_SetAttrString(P::kind().cast(), c"__standard__".as_ptr(), P::STANDARD.get()?))
}

/// Takes old names from `P` that the standard class does not have any more.
pub(crate) unsafe fn like_standard<P: Shared>(names: &[&CStr]) -> Res<()> {
    for name in names {
        if ffi::PyObject_HasAttrString(P::STANDARD.get()?, name.as_ptr()) == 0 {
            done(ffi::PyObject_DelAttrString(P::kind().cast(), name.as_ptr()))?;
        }
    }
    Ok(())
}

/// Whether `ty` has the methods `names` as `base` has them.
unsafe fn same_methods(ty: *mut PyTypeObject, base: *mut PyTypeObject, names: &[&CStr]) -> Res<bool> {
    for name in names {
        let name = Obj::new(ffi::PyUnicode_InternFromString(name.as_ptr()))?;
        let (mine, theirs) = (attr_opt(base.cast(), &name)?, attr_opt(ty.cast(), &name)?);
        if ptr_or_null(&mine) != ptr_or_null(&theirs) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A new object of type `ty`, which is `P`'s or derived from it, before its `__init__`.
pub(crate) unsafe fn allocate<P: Shared>(ty: *mut PyTypeObject) -> Res<Obj> {
    let plain = ty == P::kind() || same_methods(ty, P::kind(), P::CALLED)?;
    let alloc = (*ty).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
    let this = alloc(ty, 0);
    if this.is_null() {
        return Err(Raised);
    }
    (*this.cast::<Head>()).plain = plain;
    P::prepare(this.cast());
    Ok(Obj::steal(this))
}

unsafe extern "C" fn new<P: Shared>(ty: *mut PyTypeObject, _: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    entry(|| allocate::<P>(ty))
}

unsafe extern "C" fn traverse<P: Shared>(this: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    let h: *mut Head = this.cast();
    let mut status = visitor(ffi::Py_TYPE(this).cast(), arg);
    if status == 0 && !(*h).dict.is_null() {
        status = visitor((*h).dict, arg);
    }
    if status == 0 { P::visit(this.cast(), visitor, arg) } else { status }
}

unsafe extern "C" fn gc_clear<P: Shared>(this: *mut PyObject) -> c_int {
    let h: *mut Head = this.cast();
    P::release(this.cast());
    let dict = ptr::replace(&raw mut (*h).dict, ptr::null_mut());
    ffi::Py_XDECREF(dict);
    0
}

unsafe extern "C" fn dealloc<P: Shared>(this: *mut PyObject) {
    if (*ffi::Py_TYPE(this)).tp_finalize.is_some() && ffi::PyObject_CallFinalizerFromDealloc(this) < 0 {
        return;
    }
    ffi::PyObject_GC_UnTrack(this.cast());
    if !(*this.cast::<Head>()).weakrefs.is_null() {
        ffi::PyObject_ClearWeakRefs(this);
    }
    gc_clear::<P>(this);
    free(this);
}

/// An attribute set on one object may override a method too.
unsafe extern "C" fn setattro<P: Shared>(this: *mut PyObject, name: *mut PyObject, value: *mut PyObject) -> c_int {
    let status = ffi::PyObject_GenericSetAttr(this, name, value);
    if status == 0 && P::CALLED.iter().any(|c| ffi::PyUnicode_CompareWithASCIIString(name, c.as_ptr()) == 0) {
        (*this.cast::<Head>()).plain = false;
        return crate::errors::status(|| P::overridden(this.cast()));
    }
    status
}

/// The truth of an object.
pub(crate) unsafe fn truth(o: &Obj) -> Res<bool> {
    let truth = ffi::PyObject_IsTrue(o.ptr());
    done(truth)?;
    Ok(truth != 0)
}

/// What an object shows as its class: the standard one if its type is exactly ours.
pub(crate) unsafe fn class_of<P: Shared>(this: *mut PyObject) -> Res<*mut PyObject> {
    let ty = ffi::Py_TYPE(this);
    if ty == P::kind() { P::STANDARD.get() } else { Ok(ty.cast()) }
}

/// `module.name` of what an object shows as its class, for its repr.
pub(crate) unsafe fn class_text<P: Shared>(this: *mut PyObject) -> Res<String> {
    let class = class_of::<P>(this)?;
    let module = attr(class, &known().module)?;
    let name = attr(class, &known().qualname)?;
    Ok(format!("{}.{}", utf8(module.ptr())?, utf8(name.ptr())?))
}

unsafe extern "C" fn get_class<P: Shared>(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    entry(|| Ok(Obj::from(class_of::<P>(this)?)))
}

unsafe extern "C" fn getstate<P: Shared>(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    entry(|| super::refuse_pickling(P::pickled_as(this.cast())))
}

/// What the types have in common. A type that is made needs [`stand_for_later`](super::kinds::stand_for_later), after
/// those that derive from it natively are made too, and [`meet`].
pub(crate) fn builder<P: Shared>(name: &'static CStr, doc: &'static CStr) -> TypeBuilder {
    TypeBuilder::new::<P>(name)
        .doc(doc)
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE)
        .weakrefs(offset_of!(Head, weakrefs))
        .dict(offset_of!(Head, dict))
        .slot(ffi::Py_tp_new, new::<P> as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse::<P> as *mut c_void)
        .slot(ffi::Py_tp_clear, gc_clear::<P> as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc::<P> as *mut c_void)
        .slot(ffi::Py_tp_setattro, setattro::<P> as *mut c_void)
        .stand_in(get_class::<P>)
        .no_args(c"__getstate__", getstate::<P>, super::GETSTATE_DOC)
}
