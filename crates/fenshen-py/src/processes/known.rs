//! What the process types need of Python, looked up once.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;

use pyo3::ffi;

use crate::names::interned;
use crate::object::{Obj, Res};

interned! {
    /// Interned names.
    pub(crate) struct Interned {
        dump = c"dump",
        clear_memo = c"clear_memo",
        enter = c"__enter__",
        exit = c"__exit__",
        release = c"release",
        add_done_callback = c"add_done_callback",
        by_value = c"by_value",
        cancel = c"cancel",
        cancelled = c"cancelled",
        close = c"close",
        collect = c"collect",
        corrupt = c"corrupt",
        failed = c"failed",
        gone = c"gone",
        note = c"note",
        ready = c"ready",
        result = c"result",
        retiring = c"retiring",
        timed_out = c"timed_out",
        not_pickled = c"not_pickled",
        not_loaded = c"not_loaded",
        refused = c"refused",
        traceback_of = c"traceback_of",
    }
}

/// What was looked up.
pub(crate) struct Known {
    names: Interned,
    /// CPython's own `pickle.Pickler`.
    pub(crate) pickler: Obj,
    /// `pickle.loads`.
    pub(crate) loads: Obj,
    /// Makes a pickler that knows the reducers of `multiprocessing`.
    pub(crate) make_pickler: Obj,
    /// `("buffers",)`.
    pub(crate) buffers_name: Obj,
}

impl std::ops::Deref for Known {
    type Target = Interned;
    fn deref(&self) -> &Interned {
        &self.names
    }
}

struct Cell(UnsafeCell<MaybeUninit<Known>>);

// SAFETY: it is written once, while the module is made, and only read afterwards.
unsafe impl Sync for Cell {}

static KNOWN: Cell = Cell(UnsafeCell::new(MaybeUninit::uninit()));

/// What was looked up when the module was made.
#[inline(always)]
pub(crate) fn known() -> &'static Known {
    // SAFETY: nothing of the module can be reached before `init` is done.
    unsafe { (*KNOWN.0.get()).assume_init_ref() }
}

unsafe fn import(name: &std::ffi::CStr) -> Res<Obj> {
    Obj::new(ffi::PyImport_ImportModule(name.as_ptr()))
}

unsafe fn find(module: &Obj, name: &std::ffi::CStr) -> Res<Obj> {
    Obj::new(ffi::PyObject_GetAttrString(module.ptr(), name.as_ptr()))
}

/// Looks everything up.
pub(crate) unsafe fn init() -> Res<()> {
    let pickle = import(c"_pickle")?;
    let name = Obj::new(ffi::PyUnicode_InternFromString(c"buffers".as_ptr()))?;
    let known = Known {
        names: Interned::new()?,
        pickler: find(&pickle, c"Pickler")?,
        loads: find(&pickle, c"loads")?,
        make_pickler: find(&import(c"fenshen._pickling")?, c"make_pickler")?,
        buffers_name: Obj::new(ffi::PyTuple_Pack(1, name.ptr()))?,
    };
    (*KNOWN.0.get()).write(known);
    Ok(())
}
