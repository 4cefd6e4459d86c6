//! `gather`: one future for the results of many.
//!
//! Each child tells the gathering that it is done by a native callback, one turn of the loop later as in the standard
//! library. Whatever is rare is left to the standard library's own function: no arguments, awaitables that are neither
//! futures nor coroutines, and coroutines where no loop runs.

use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::hash::{BuildHasherDefault, Hasher};
use std::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use crate::args::Args;
use crate::errors::raise;
use crate::future::{self, Callback, Future, State};
use crate::future_type::{cancel_message, clear_fields, traverse_fields};
use crate::kinds;
use crate::methods::{fast, getter};
use crate::names::{asyncio, names};
use crate::object::{
    Obj, Raised, Res, attr, attr_opt, boolean, call, call_method, clear, done, none, ptr_or_null, set, visit,
};
use crate::primitives::coroutine_function;
use crate::primitives::waiters::{is_cancelled, is_done};
use crate::task::{self, Task};
use crate::types::{TypeBuilder, free};

/// The layout of `_GatheringFuture`.
#[repr(C)]
pub(crate) struct Gathering {
    future: Future,
    /// A list of the children's futures, in the order of the arguments.
    children: Option<Obj>,
    /// How many different ones there are, and how many of them are done.
    total: usize,
    finished: usize,
    return_exceptions: bool,
    cancel_requested: bool,
}

/// Objects are told apart by their address, which is as good as random above its low bits.
#[derive(Default)]
struct AddressHasher(u64);
impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*b);
        }
    }
    fn write_usize(&mut self, n: usize) {
        self.0 = (n as u64 >> 4).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}
type Places = HashMap<usize, usize, BuildHasherDefault<AddressHasher>>;

/// What an argument is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Future,
    Coroutine,
    Other,
}

unsafe fn kind_of(o: *mut PyObject) -> Res<Kind> {
    if future::is_ours(o) {
        return Ok(Kind::Future);
    }
    if ffi::PyCoro_CheckExact(o) != 0 || ffi::Py_TYPE(o) == kinds::operation() {
        return Ok(Kind::Coroutine);
    }
    if attr_opt(ffi::Py_TYPE(o).cast(), &names().blocking)?.is_none() {
        return Ok(Kind::Other);
    }
    let blocking = attr(o, &names().blocking)?;
    Ok(if blocking.ptr() == ffi::Py_None() { Kind::Other } else { Kind::Future })
}

/// What is collected while the children are made or found.
struct Collecting {
    event_loop: Option<Obj>,
    children: Obj,
    places: Places,
    /// Those that were done already.
    ended: Vec<Obj>,
    total: usize,
}

impl Collecting {
    /// The future of an argument; a coroutine gets a task.
    unsafe fn future_of(&mut self, o: *mut PyObject, kind: Kind) -> Res<Obj> {
        if kind == Kind::Future {
            let its_loop = future::loop_of(o)?;
            return match &self.event_loop {
                Some(known) if known.ptr() != its_loop.ptr() => raise(
                    ffi::PyExc_ValueError,
                    "The future belongs to a different loop than the one specified as the loop argument",
                ),
                Some(_) => Ok(Obj::from(o)),
                None => {
                    self.event_loop = Some(its_loop);
                    Ok(Obj::from(o))
                }
            };
        }
        let event_loop = match &self.event_loop {
            Some(known) => known.again(),
            None => call(asyncio().get_running_loop.ptr(), &[])?,
        };
        let made = call_method(&names().create_task, &[event_loop.ptr(), o]);
        let made = match made {
            Err(Raised) if ffi::PyErr_ExceptionMatches(ffi::PyExc_RuntimeError) != 0 => {
                let exc = crate::errors::take();
                call_method(&names().close, &[o])?;
                return crate::errors::raise_object(&exc);
            }
            other => other?,
        };
        // Nobody else holds it: that it is pending when it goes is no fault of anyone's.
        if task::is_task(made.ptr()) {
            (*made.ptr().cast::<Task>()).log_destroy_pending = false;
        } else {
            done(ffi::PyObject_SetAttr(made.ptr(), names().log_destroy_pending.ptr(), ffi::Py_False()))?;
        }
        if self.event_loop.is_none() {
            self.event_loop = Some(future::loop_of(made.ptr())?);
        }
        Ok(made)
    }

    unsafe fn add(&mut self, outer: &Obj, o: *mut PyObject, index: usize, kind: Kind) -> Res<()> {
        if let Some(&place) = self.places.get(&(o as usize)) {
            let known = Obj::from(ffi::PyList_GET_ITEM(self.children.ptr(), place as isize));
            return done(ffi::PyList_SetItem(self.children.ptr(), index as isize, known.into_ptr()));
        }
        let f = self.future_of(o, kind)?;
        self.places.insert(o as usize, index);
        self.total += 1;
        // Since 3.12 what is done already counts before gather() returns.
        if cfg!(Py_3_12) && is_done(&f)? {
            self.ended.push(f.again());
        } else if future::is_exact(f.ptr()) {
            future::add_callback(f.ptr().cast(), Callback::Child(outer.again()))?;
        } else {
            let told = told_function(outer.ptr())?;
            call_method(&names().add_done_callback, &[f.ptr(), told.ptr()])?;
        }
        done(ffi::PyList_SetItem(self.children.ptr(), index as isize, f.into_ptr()))
    }
}

/// `gather(*coros_or_futures, return_exceptions=False)`.
unsafe fn gather(_this: *mut PyObject, args: &Args<'_>) -> Res<Obj> {
    let all = args.positional();
    let return_exceptions = args.flag_only("return_exceptions", "gather")?;
    let mut kinds_of = Vec::with_capacity(all.len());
    for &o in all {
        kinds_of.push(kind_of(o)?);
    }
    let needs_loop = kinds_of.first() != Some(&Kind::Future);
    if all.is_empty()
        || kinds_of.contains(&Kind::Other)
        || (needs_loop && call(asyncio().get_running_loop.ptr(), &[])?.ptr() == ffi::Py_None())
    {
        return by_standard(all, return_exceptions);
    }
    let g: *mut Gathering = future::allocate(kinds::gathering())?.cast();
    let outer = Obj::steal(g.cast());
    (*g).return_exceptions = return_exceptions;
    let children = Obj::new(ffi::PyList_New(all.len() as isize))?;
    let places = Places::with_capacity_and_hasher(all.len(), BuildHasherDefault::default());
    let mut collecting = Collecting { event_loop: None, children, places, ended: Vec::new(), total: 0 };
    for (index, (&o, &kind)) in all.iter().zip(&kinds_of).enumerate() {
        if let Err(e) = collecting.add(&outer, o, index, kind) {
            // Those that run already have nobody to tell.
            (*g).future.state = State::Cancelled;
            return Err(e);
        }
    }
    future::initialise(g.cast(), ptr_or_null(&collecting.event_loop))?;
    (*g).total = collecting.total;
    set(&mut (*g).children, Some(collecting.children));
    for f in &collecting.ended {
        child_done(&outer, f)?;
    }
    Ok(outer)
}

#[cold]
unsafe fn by_standard(all: &[*mut PyObject], return_exceptions: bool) -> Res<Obj> {
    let args = Obj::new(ffi::PyTuple_New(all.len() as isize))?;
    for (i, &o) in all.iter().enumerate() {
        ffi::PyTuple_SetItem(args.ptr(), i as isize, Obj::from(o).into_ptr());
    }
    let kwargs = Obj::new(ffi::PyDict_New())?;
    let flag = boolean(return_exceptions);
    done(ffi::PyDict_SetItemString(kwargs.ptr(), c"return_exceptions".as_ptr(), flag.ptr()))?;
    Obj::new(ffi::PyObject_Call(asyncio().gather.ptr(), args.ptr(), kwargs.ptr()))
}

/// A child's exception, which counts as looked at from now on; nothing if it has a result.
pub(crate) unsafe fn exception_of(f: &Obj) -> Res<Option<Obj>> {
    let exc = if future::is_exact(f.ptr()) {
        future::get_exception(f.ptr().cast())?
    } else {
        call_method(&names().exception, &[f.ptr()])?
    };
    Ok(if exc.ptr() == ffi::Py_None() { None } else { Some(exc) })
}

unsafe fn cancelled_error(f: &Obj) -> Res<Obj> {
    if future::is_exact(f.ptr()) {
        return future::cancelled_error(f.ptr().cast());
    }
    call_method(&names().make_cancelled_error, &[f.ptr()])
}

/// What stands for a child in the list of results.
unsafe fn entry_of(f: &Obj) -> Res<Obj> {
    if is_cancelled(f)? {
        let message = attr(f.ptr(), &names().cancel_message)?;
        let message = if message.ptr() == ffi::Py_None() { crate::object::text("")? } else { message };
        return call(asyncio().cancelled_error.ptr(), &[message.ptr()]);
    }
    match exception_of(f)? {
        Some(exc) => Ok(exc),
        None if future::is_exact(f.ptr()) => future::get_result(f.ptr().cast()),
        None => call_method(&names().result, &[f.ptr()]),
    }
}

/// A child is done: the last one, or the first that failed, ends the gathering.
pub(crate) unsafe fn child_done(outer: &Obj, f: &Obj) -> Res<()> {
    let g: *mut Gathering = outer.ptr().cast();
    (*g).finished += 1;
    if (*g).future.state != State::Pending {
        if !is_cancelled(f)? {
            exception_of(f)?;
        }
        return Ok(());
    }
    if !(*g).return_exceptions {
        let failed = if is_cancelled(f)? { Some(cancelled_error(f)?) } else { exception_of(f)? };
        if let Some(exc) = failed {
            return future::set_exception(g.cast(), exc.ptr());
        }
    }
    if (*g).finished == (*g).total { end(g) } else { Ok(()) }
}

unsafe fn end(g: *mut Gathering) -> Res<()> {
    let Some(children) = Obj::from_opt(ptr_or_null(&(*g).children)) else {
        return Ok(());
    };
    let count = ffi::PyList_Size(children.ptr());
    let results = Obj::new(ffi::PyList_New(count))?;
    for i in 0..count {
        let f = Obj::from(ffi::PyList_GetItem(children.ptr(), i));
        ffi::PyList_SetItem(results.ptr(), i, entry_of(&f)?.into_ptr());
    }
    if (*g).cancel_requested {
        let last = Obj::from(ffi::PyList_GetItem(children.ptr(), count - 1));
        let exc = cancelled_error(&last)?;
        return future::set_exception(g.cast(), exc.ptr());
    }
    future::set_result(g.cast(), results)
}

fast!(cancel, |g: Gathering, args| {
    let message = cancel_message(&args)?;
    let Some(children) = Obj::from_opt(ptr_or_null(&(*g).children)) else {
        return Ok(boolean(false));
    };
    if (*g).future.state != State::Pending {
        return Ok(boolean(false));
    }
    let mut any = false;
    let mut i = 0;
    while i < ffi::PyList_Size(children.ptr()) {
        let child = Obj::from(ffi::PyList_GetItem(children.ptr(), i));
        any |= future::cancel_any(child.ptr(), &message)?;
        i += 1;
    }
    (*g).cancel_requested |= any;
    Ok(boolean(any))
});

/// The done-callback by which a future that isn't ours tells gathering `g`.
pub(crate) unsafe fn told_function(g: *mut PyObject) -> Res<Obj> {
    Obj::new(ffi::PyCFunction_NewEx(TOLD.get(), g, ptr::null_mut()))
}

static TOLD: task::Entry = task::Entry::new(ffi::PyMethodDef {
    ml_name: c"_done_callback".as_ptr(),
    ml_meth: ffi::PyMethodDefPointer { PyCFunction: told },
    ml_flags: ffi::METH_O,
    ml_doc: ptr::null(),
});

unsafe extern "C" fn told(g: *mut PyObject, f: *mut PyObject) -> *mut PyObject {
    crate::errors::entry(|| child_done(&Obj::from(g), &Obj::from(f)).map(|()| none()))
}

getter!(get_class, |_g: Gathering| Ok(asyncio().gathering_class.again()));
getter!(get_children, |g: Gathering| Ok(Obj::from_opt(ptr_or_null(&(*g).children)).unwrap_or_else(|| none())));
getter!(get_cancel_requested, |g: Gathering| Ok(boolean((*g).cancel_requested)));

unsafe extern "C" fn traverse(this: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    let mut status = visitor(ffi::Py_TYPE(this).cast(), arg);
    if status == 0 {
        status = visit(&(*this.cast::<Gathering>()).children, visitor, arg);
    }
    if status == 0 { traverse_fields(this.cast(), visitor, arg) } else { status }
}

unsafe extern "C" fn gc_clear(this: *mut PyObject) -> c_int {
    clear(&mut (*this.cast::<Gathering>()).children);
    clear_fields(this.cast());
    0
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    if ffi::PyObject_CallFinalizerFromDealloc(this) < 0 {
        return;
    }
    ffi::PyObject_GC_UnTrack(this.cast());
    if !(*this.cast::<Future>()).weakrefs.is_null() {
        ffi::PyObject_ClearWeakRefs(this);
    }
    gc_clear(this);
    free(this);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    TypeBuilder::new::<Gathering>(c"fenshen._fenshen._GatheringFuture")
        .doc(c"The future that gather() returns; cancelling it cancels its children.")
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, gc_clear as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .fast(
            c"cancel",
            cancel,
            c"cancel($self, /, msg=None)\n--\n\nCancel every child that isn't done; False if there is none.",
        )
        .stand_in(get_class)
        .property(c"_children", get_children, None)
        .property(c"_cancel_requested", get_cancel_requested, None)
        .build(Some(kinds::future()))
}

/// Makes `gather`.
pub(crate) unsafe fn build_function() -> Res<Obj> {
    coroutine_function::new(c"gather", ptr::null_mut(), gather, Some(asyncio().gather.again()))
}
