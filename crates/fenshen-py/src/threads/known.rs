//! What the thread types need of Python, looked up once: names, and the standard library's own classes.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;

use crate::names::interned;
use crate::object::{Obj, Res, attr};
use pyo3::ffi;

interned! {
    /// Interned names.
    pub(crate) struct Interned {
        acquire = c"acquire",
        release = c"release",
        locked = c"locked",
        is_owned = c"_is_owned",
        release_save = c"_release_save",
        acquire_restore = c"_acquire_restore",
        at_fork_reinit = c"_at_fork_reinit",
        enter = c"__enter__",
        exit = c"__exit__",
        wait = c"wait",
        notify = c"notify",
        notify_all = c"notify_all",
        is_set = c"is_set",
        judge = c"judge",
        acquired = c"acquired",
        pair = c"pair",
        gone = c"gone",
        name = c"__name__",
        module = c"__module__",
        qualname = c"__qualname__",
        add_cancelled = c"add_cancelled",
        add_exception = c"add_exception",
        add_result = c"add_result",
        adjust_thread_count = c"_adjust_thread_count",
        critical = c"critical",
        exc_info = c"exc_info",
        exception = c"exception",
        future = c"future",
        initializer_failed = c"_initializer_failed",
        invoke_callbacks = c"_invoke_callbacks",
        run = c"run",
        shutdown_lock = c"_shutdown_lock",
        submit_foreign = c"_submit_foreign",
    }
}

/// What was looked up.
pub(crate) struct Known {
    names: Interned,
    /// `_thread.allocate_lock`.
    pub(crate) allocate_lock: Obj,
    /// The interpreter's own lock types.
    pub(crate) lock_class: Obj,
    pub(crate) rlock_class: Obj,
    /// The metaclass that has `isinstance` take the standard class' instances for ours.
    pub(crate) kind: Obj,
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

/// A module, imported.
pub(crate) unsafe fn import(name: &std::ffi::CStr) -> Res<Obj> {
    Obj::new(ffi::PyImport_ImportModule(name.as_ptr()))
}

/// `module.name`.
pub(crate) unsafe fn find(module: &Obj, name: &std::ffi::CStr) -> Res<Obj> {
    Obj::new(ffi::PyObject_GetAttrString(module.ptr(), name.as_ptr()))
}

/// Looks everything up.
pub(crate) unsafe fn init() -> Res<()> {
    let thread = import(c"_thread")?;
    let kind = import(c"fenshen._kind")?;
    let known = Known {
        names: Interned::new()?,
        allocate_lock: find(&thread, c"allocate_lock")?,
        lock_class: find(&thread, c"LockType")?,
        rlock_class: find(&thread, c"RLock")?,
        kind: find(&kind, c"Kind")?,
    };
    (*KNOWN.0.get()).write(known);
    Ok(())
}

/// The name of an object's class.
pub(crate) unsafe fn class_name(o: *mut ffi::PyObject) -> Res<String> {
    let name = attr(ffi::Py_TYPE(o).cast(), &known().name)?;
    crate::object::utf8(name.ptr())
}
