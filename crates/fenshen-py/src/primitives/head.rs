//! What every primitive has: a `__dict__`, weak references, and the loop it is bound to by its first wait.

use std::ffi::{c_int, c_void};
use std::mem::offset_of;
use std::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::waiters::Waiters;
use crate::errors::{entry, runtime_error};
use crate::event_loop::{self, Loop};
use crate::future;
use crate::methods::{getter, setter};
use crate::names::{asyncio, names};
use crate::object::{
    Obj, Raised, Res, attr_opt, call, call_method, clear, done, none, not_none, ptr_or_null, repr, set, visit,
};
pub(crate) use crate::types::shorten;
use crate::types::{TypeBuilder, free};

/// The beginning of every primitive's layout.
#[repr(C)]
pub(crate) struct Head {
    pub(crate) ob_base: PyObject,
    pub(crate) dict: *mut PyObject,
    pub(crate) weakrefs: *mut PyObject,
    /// The loop it is bound to; none before its first wait.
    event_loop: Option<Obj>,
    /// The same loop where it is one of ours, else null.
    core: *mut Loop,
    /// None of its methods that others of its methods call is overridden.
    pub(crate) plain: bool,
}

/// A type whose layout begins with [`Head`].
pub(crate) trait Primitive: Sized {
    /// The methods that its other methods call: an override of one is honoured.
    const CALLED: &'static [&'static std::ffi::CStr];
    /// The type itself, once it is made.
    fn kind() -> *mut PyTypeObject;
    /// Fills the fields of a new object, which are zero.
    unsafe fn prepare(this: *mut Self);
    /// Visits the fields after the head.
    unsafe fn visit(this: *mut Self, visitor: ffi::visitproc, arg: *mut c_void) -> c_int;
    /// Empties the fields after the head, so that nothing is left to be dropped.
    unsafe fn release(this: *mut Self);
    /// The standard library's class that `__class__` names, where the type is exactly ours.
    unsafe fn stands_for(ty: *mut PyTypeObject) -> Option<&'static Obj>;
}

impl Head {
    /// A pending future of the running loop, to which it is bound from now on.
    #[inline]
    pub(crate) unsafe fn future(h: *mut Head) -> Res<Obj> {
        let core = (*h).core;
        if !core.is_null() && Loop::runs_here(core) {
            return Ok(Obj::steal(future::on(core)?.cast()));
        }
        let running = Head::running_loop(h)?;
        if !(*h).core.is_null() {
            return Ok(Obj::steal(future::on((*h).core)?.cast()));
        }
        call_method(&names().create_future, &[running.ptr()])
    }

    /// The running loop; an error if it is bound to another.
    pub(crate) unsafe fn running_loop(h: *mut Head) -> Res<Obj> {
        let running = call(asyncio().get_running_loop.ptr(), &[])?;
        if (*h).event_loop.is_none() {
            Head::bind(h, running.ptr());
        }
        let bound = (*h).event_loop.as_ref().map_or(ffi::Py_None(), Obj::ptr);
        if bound != running.ptr() {
            return runtime_error(&format!("{} is bound to a different event loop", repr(h.cast())));
        }
        Ok(running)
    }

    /// A pending future of the loop that it is bound to, whichever runs.
    #[inline]
    pub(crate) unsafe fn own_future(h: *mut Head) -> Res<Obj> {
        if !(*h).core.is_null() {
            return Ok(Obj::steal(future::on((*h).core)?.cast()));
        }
        call_method(&names().create_future, &[Head::event_loop(h)?.ptr()])
    }

    /// The loop that it is bound to.
    pub(crate) unsafe fn event_loop(h: *mut Head) -> Res<Obj> {
        match &(*h).event_loop {
            Some(event_loop) => Ok(event_loop.again()),
            None => crate::errors::raise(
                ffi::PyExc_AttributeError,
                &format!("'{}' object has no attribute '_loop'", class_name(h.cast())?),
            ),
        }
    }

    /// Whether the loop that it is bound to is in debug mode.
    pub(crate) unsafe fn debug(h: *mut Head) -> Res<bool> {
        if !(*h).core.is_null() {
            return Ok((*(*h).core).debug);
        }
        truth(&call_method(&names().get_debug, &[Head::event_loop(h)?.ptr()])?)
    }

    /// Binds it to a loop; `None` is no loop.
    pub(crate) unsafe fn bind(h: *mut Head, event_loop: *mut PyObject) {
        (*h).core = event_loop::native(event_loop);
        set(&mut (*h).event_loop, Obj::from_opt(not_none(event_loop)));
    }
}

/// The name of an object's class.
pub(crate) unsafe fn class_name(o: *mut PyObject) -> Res<String> {
    let name = crate::object::attr(ffi::Py_TYPE(o).cast(), &names().name)?;
    crate::object::utf8(name.ptr())
}

/// Whether `ty` has the methods `names` as `base` has them.
unsafe fn same_methods(ty: *mut PyTypeObject, base: *mut PyTypeObject, names: &[&std::ffi::CStr]) -> Res<bool> {
    for name in names {
        let name = Obj::new(ffi::PyUnicode_InternFromString(name.as_ptr()))?;
        let (mine, theirs) = (attr_opt(base.cast(), &name)?, attr_opt(ty.cast(), &name)?);
        if ptr_or_null(&mine) != ptr_or_null(&theirs) {
            return Ok(false);
        }
    }
    Ok(true)
}

unsafe extern "C" fn new<P: Primitive>(ty: *mut PyTypeObject, _: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    entry(|| allocate::<P>(ty))
}

/// A new object of type `ty`, which is `P`'s or derived from it, before its `__init__`.
pub(crate) unsafe fn allocate<P: Primitive>(ty: *mut PyTypeObject) -> Res<Obj> {
    let plain = P::stands_for(ty).is_some() || same_methods(ty, P::kind(), P::CALLED)?;
    let alloc = (*ty).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
    let this = alloc(ty, 0);
    if this.is_null() {
        return Err(Raised);
    }
    (*this.cast::<Head>()).plain = plain;
    P::prepare(this.cast());
    Ok(Obj::steal(this))
}

unsafe extern "C" fn traverse<P: Primitive>(this: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    let h: *mut Head = this.cast();
    let mut status = visitor(ffi::Py_TYPE(this).cast(), arg);
    if status == 0 && !(*h).dict.is_null() {
        status = visitor((*h).dict, arg);
    }
    if status == 0 {
        status = visit(&(*h).event_loop, visitor, arg);
    }
    if status == 0 { P::visit(this.cast(), visitor, arg) } else { status }
}

unsafe extern "C" fn gc_clear<P: Primitive>(this: *mut PyObject) -> c_int {
    let h: *mut Head = this.cast();
    (*h).core = ptr::null_mut();
    P::release(this.cast());
    clear(&mut (*h).event_loop);
    let dict = ptr::replace(&raw mut (*h).dict, ptr::null_mut());
    ffi::Py_XDECREF(dict);
    0
}

unsafe extern "C" fn dealloc<P: Primitive>(this: *mut PyObject) {
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
unsafe extern "C" fn setattro<P: Primitive>(this: *mut PyObject, name: *mut PyObject, value: *mut PyObject) -> c_int {
    let status = ffi::PyObject_GenericSetAttr(this, name, value);
    if status == 0 && P::CALLED.iter().any(|c| ffi::PyUnicode_CompareWithASCIIString(name, c.as_ptr()) == 0) {
        (*this.cast::<Head>()).plain = false;
    }
    status
}

unsafe extern "C" fn get_class<P: Primitive>(this: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    let ty = ffi::Py_TYPE(this);
    entry(|| Ok(P::stands_for(ty).map_or_else(|| Obj::from(ty.cast()), |class| class.again())))
}

getter!(get_loop, |h: Head| Ok(Obj::from_opt(ptr_or_null(&(*h).event_loop)).unwrap_or_else(|| none())));
setter!(set_loop, |h: Head, value| {
    Head::bind(h, value);
    Ok(())
});
crate::methods::no_args!(private_get_loop, |h: Head| Head::running_loop(h));

/// What the types of all primitives have in common.
pub(crate) fn builder<P: Primitive>(name: &'static std::ffi::CStr, doc: &'static std::ffi::CStr) -> TypeBuilder {
    bound_builder::<P>(name, doc)
        .no_args(c"_get_loop", private_get_loop, c"_get_loop($self, /)\n--\n\nThe running loop, to which it is bound from now on; RuntimeError if it is bound to another.")
}

/// The same for what is made for one loop, and does not ask which one runs.
pub(crate) fn bound_builder<P: Primitive>(name: &'static std::ffi::CStr, doc: &'static std::ffi::CStr) -> TypeBuilder {
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
        .property(c"_loop", get_loop, Some(set_loop))
}

/// `<... [extra]>`, as the standard library shows a primitive.
pub(crate) unsafe fn show(this: *mut PyObject, extra: &str, waiters: *mut Waiters) -> Res<Obj> {
    let Some(plain) = ffi::PyBaseObject_Type.tp_repr else {
        return runtime_error("fenshen: object has no repr");
    };
    let shown = Obj::new(plain(this))?;
    let shown = crate::object::utf8(shown.ptr())?;
    let inner = shown.trim_start_matches('<').trim_end_matches('>');
    let count = if waiters.is_null() { String::new() } else { Waiters::count_text(waiters)? };
    crate::object::text(&format!("<{inner} [{extra}{count}]>"))
}

/// The truth of an object.
pub(crate) unsafe fn truth(o: &Obj) -> Res<bool> {
    let truth = ffi::PyObject_IsTrue(o.ptr());
    done(truth)?;
    Ok(truth != 0)
}

/// The arguments of an `__init__` that takes none. Python 3.10 has its own words for `loop=`.
pub(crate) unsafe fn init_args<const N: usize>(
    signature: &crate::args::Signature<N>,
    class: &str,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> Res<[*mut PyObject; N]> {
    if cfg!(not(Py_3_11)) && !kwargs.is_null() && !ffi::PyDict_GetItemString(kwargs, c"loop".as_ptr()).is_null() {
        return crate::errors::type_error(&format!(
            "As of 3.10, the *loop* parameter was removed from {class}() since it is no longer necessary"
        ));
    }
    crate::args::sort_call(signature, args, kwargs)
}

/// The getter and setter of `_waiters` and its like.
macro_rules! waiters {
    ($get:ident, $set:ident, $ty:ty, $field:ident) => {
        $crate::methods::getter!($get, |p: $ty| $crate::primitives::waiters::Waiters::show(&raw mut (*p).$field));
        $crate::methods::setter!($set, |p: $ty, value| {
            $crate::primitives::waiters::Waiters::put(&raw mut (*p).$field, value);
            Ok(())
        });
    };
}
pub(crate) use waiters;
