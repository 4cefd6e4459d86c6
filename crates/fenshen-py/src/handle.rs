//! `Handle` and `TimerHandle`: a callback that waits for its turn. Their Python face is in `handle_type.rs`.
//!
//! A `Handle` is not tracked by the garbage collector, which halves its cost. It lets go of everything when it has run,
//! when it is cancelled and when its loop closes, and until then the loop shows the collector what the handles that it
//! alone owns hold. A `TimerHandle`, which waits long and which its maker often keeps, is tracked from the first full
//! collection on that finds it kept.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use crate::errors::{ends_loop, restore, take};
use crate::event_loop::Loop;
use crate::kinds;
use crate::names::{asyncio, names, support};
use crate::object::{Obj, Raised, Res, call, call_method, clear, done, none, not_none, ptr_or_null, set};

/// The layout of both types. The callback's arguments follow it: `ob_size` slots, the first of which is what
/// `PY_VECTORCALL_ARGUMENTS_OFFSET` lends to the callee.
#[repr(C)]
pub(crate) struct Handle {
    ob_base: ffi::PyVarObject,
    pub(crate) weakrefs: *mut PyObject,
    pub(crate) event_loop: Option<Obj>,
    pub(crate) context: Option<Obj>,
    /// For a timer: when it is due, in seconds of `loop.time()`.
    pub(crate) when: f64,
    pub(crate) rare: Option<Box<Rare>>,
    pub(crate) callback: Option<Obj>,
    pub(crate) cancelled: bool,
    /// For a timer: it lies in the loop's heap.
    pub(crate) scheduled: bool,
    /// It runs whenever its file is ready, not once.
    pub(crate) repeats: bool,
    /// It lies on the ring: a file that is ready twice before its handle has run is ready once.
    pub(crate) queued: bool,
    pub(crate) running: bool,
    /// It came from `call_soon_threadsafe`.
    pub(crate) threadsafe: bool,
    slots: [*mut PyObject; 0],
}

/// What few handles have.
#[derive(Default)]
pub(crate) struct Rare {
    /// Where it was made, in debug mode.
    pub(crate) source_tb: Option<Obj>,
    /// How it showed itself before it was cancelled, in debug mode.
    pub(crate) shown: Option<Obj>,
    /// A timer's time as it was given, if not as a float.
    when_given: Option<Obj>,
}

/// Makes a handle of type `ty` for `callback(*args)`, in `context` or a copy of the present one.
pub(crate) unsafe fn new(
    ty: *mut PyTypeObject,
    core: *mut Loop,
    callback: *mut PyObject,
    args: &[*mut PyObject],
    context: *mut PyObject,
) -> Res<*mut Handle> {
    let h = allocate(ty, core.cast(), callback, args, context)?;
    if (*core).debug { note_source(h) } else { Ok(h) }
}

/// Handles come and go by the thousand: the memory of those with few arguments is kept and used again.
struct Kept(UnsafeCell<Vec<*mut Handle>>);
// SAFETY: used only by threads that hold the GIL (the crate's contract).
unsafe impl Sync for Kept {}
static KEPT: Kept = Kept(UnsafeCell::new(Vec::new()));
/// The same for timers, whose memory has the collector's head before it.
static KEPT_TIMERS: Kept = Kept(UnsafeCell::new(Vec::new()));
// Of CPython's API, but not of PyO3's declarations.
unsafe extern "C" {
    fn PyObject_GC_IsFinalized(o: *mut PyObject) -> c_int;
    fn PyObject_GC_IsTracked(o: *mut PyObject) -> c_int;
}
/// How many pieces of memory are kept at most,
const MOST_KEPT: usize = 16384;
/// and how many slots each of them has.
const KEPT_SLOTS: usize = 2;

/// A new object of type `ty` with so many slots, nothing in it set but its head.
#[inline(always)]
unsafe fn memory(ty: *mut PyTypeObject, slots: usize) -> Res<*mut Handle> {
    let timer = ty == kinds::timer_handle();
    let kept = if timer { &KEPT_TIMERS } else { &KEPT };
    let h = if slots <= KEPT_SLOTS
        && let Some(kept) = (*kept.0.get()).pop()
    {
        kept
    } else if timer {
        let made: *mut Handle = ffi::PyObject_GC_NewVar(ty, slots.max(KEPT_SLOTS) as ffi::Py_ssize_t);
        if made.is_null() {
            return Err(Raised);
        }
        (*made).ob_base.ob_size = slots as ffi::Py_ssize_t;
        return Ok(made);
    } else {
        let size = size_of::<Handle>() + slots.max(KEPT_SLOTS) * size_of::<*mut PyObject>();
        let made: *mut Handle = ffi::PyObject_Malloc(size).cast();
        if made.is_null() {
            ffi::PyErr_NoMemory();
            return Err(Raised);
        }
        made
    };
    ffi::PyObject_InitVar(h.cast(), ty, slots as ffi::Py_ssize_t);
    Ok(h)
}

#[inline(always)]
unsafe fn allocate(
    ty: *mut PyTypeObject,
    event_loop: *mut PyObject,
    callback: *mut PyObject,
    args: &[*mut PyObject],
    context: *mut PyObject,
) -> Res<*mut Handle> {
    let context = match Obj::from_opt(context) {
        Some(given) => given,
        None => Obj::new(ffi::PyContext_CopyCurrent())?,
    };
    let count = args.len() + 1;
    let h = memory(ty, count)?;
    (*h).weakrefs = ptr::null_mut();
    ptr::write(&raw mut (*h).event_loop, Some(Obj::from(event_loop)));
    ptr::write(&raw mut (*h).context, Some(context));
    ptr::write(&raw mut (*h).rare, None);
    (*h).when = 0.0;
    (*h).cancelled = false;
    (*h).scheduled = false;
    (*h).repeats = false;
    (*h).queued = false;
    (*h).running = false;
    (*h).threadsafe = false;
    ptr::write(&raw mut (*h).callback, Some(Obj::from(callback)));
    let slots = slots(h);
    *slots = ptr::null_mut();
    for (i, &arg) in args.iter().enumerate() {
        ffi::Py_INCREF(arg);
        *slots.add(i + 1) = arg;
    }
    Ok(h)
}

/// Remembers where it was made, as asyncio does in debug mode.
#[cold]
unsafe fn note_source(h: *mut Handle) -> Res<*mut Handle> {
    match call(asyncio().extract_short_stack.ptr(), &[]) {
        Ok(stack) => {
            rare(h).source_tb = Some(stack);
            Ok(h)
        }
        Err(e) => {
            ffi::Py_DECREF(h.cast());
            Err(e)
        }
    }
}

/// `Handle(callback, args, loop, context=None)`, and the same after `when` for a timer: on any loop.
pub(crate) unsafe fn from_python(ty: *mut PyTypeObject, given: [*mut PyObject; 5]) -> Res<Obj> {
    let [when, callback, args, event_loop, context] = given;
    let list = Obj::new(ffi::PySequence_Tuple(args))?;
    let args: Vec<*mut PyObject> =
        (0..ffi::PyTuple_Size(list.ptr())).map(|i| ffi::PyTuple_GetItem(list.ptr(), i)).collect();
    let context = if context.is_null() { context } else { not_none(context) };
    let h = allocate(ty, event_loop, callback, &args, context)?;
    let made = Obj::steal(h.cast());
    if !when.is_null() {
        set_when(h, when)?;
    }
    if is_debugging(event_loop)? {
        rare(h).source_tb = Some(call(asyncio().extract_short_stack.ptr(), &[])?);
    }
    Ok(made)
}

/// Sets a timer's time from any real number.
pub(crate) unsafe fn set_when(h: *mut Handle, when: *mut PyObject) -> Res<()> {
    (*h).when = ffi::PyFloat_AsDouble(when);
    if (*h).when == -1.0 && !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    if ffi::PyFloat_CheckExact(when) == 0 {
        rare(h).when_given = Some(Obj::from(when));
    }
    Ok(())
}

pub(crate) unsafe fn get_when_object(h: *mut Handle) -> Res<Obj> {
    match (*h).rare.as_ref().and_then(|r| r.when_given.as_ref()) {
        Some(given) => Ok(given.again()),
        None => Obj::new(ffi::PyFloat_FromDouble((*h).when)),
    }
}

unsafe fn is_debugging(event_loop: *mut PyObject) -> Res<bool> {
    let answer = call_method(&names().get_debug, &[event_loop])?;
    let truth = ffi::PyObject_IsTrue(answer.ptr());
    done(truth)?;
    Ok(truth != 0)
}

#[inline(always)]
pub(crate) unsafe fn rare<'a>(h: *mut Handle) -> &'a mut Rare {
    (*h).rare.get_or_insert_default()
}

#[inline(always)]
pub(crate) unsafe fn slots(h: *mut Handle) -> *mut *mut PyObject {
    (&raw mut (*h).slots).cast()
}

#[inline(always)]
pub(crate) unsafe fn count(h: *mut Handle) -> usize {
    (*h).ob_base.ob_size as usize
}

/// Lets go of the callback and its arguments.
unsafe fn empty(h: *mut Handle) {
    let slots = slots(h);
    clear(&mut (*h).callback);
    for i in 1..count(h) {
        let held = ptr::replace(slots.add(i), ptr::null_mut());
        ffi::Py_XDECREF(held);
    }
    clear(&mut (*h).context);
    clear(&mut (*h).event_loop);
}

/// What a closed loop does with a handle that never ran.
pub(crate) unsafe fn abandon(h: *mut Handle) {
    (*h).scheduled = false;
    if !(*h).running {
        empty(h);
    }
}

/// `cancel()`.
pub(crate) unsafe fn cancel(h: *mut Handle) {
    if (*h).cancelled {
        return;
    }
    (*h).cancelled = true;
    if (*h).rare.as_ref().is_some_and(|r| r.source_tb.is_some()) {
        // asyncio keeps the text for debugging: the callback is gone in a moment.
        match Obj::new(ffi::PyObject_Repr(h.cast())) {
            Ok(shown) => set(&mut rare(h).shown, Some(shown)),
            Err(Raised) => ffi::PyErr_Clear(),
        }
    }
    if (*h).scheduled
        && let Some(event_loop) = &(*h).event_loop
    {
        // Only a loop of ours sets that.
        Loop::timer_cancelled(event_loop.ptr().cast());
    }
    if !(*h).running {
        empty(h);
    }
}

/// Runs the callback in its context. What it raises goes to the loop's exception handler; an error is only what
/// must end the loop.
pub(crate) unsafe fn run(h: *mut Handle) -> Res<()> {
    (*h).queued = false;
    let Some(callback) = &(*h).callback else {
        return Ok(());
    };
    if (*h).cancelled {
        return Ok(());
    }
    let callback = callback.ptr();
    // While it runs nothing empties it, so that what is borrowed here stays: not `cancel`, nor a run within the run.
    let outer = std::mem::replace(&mut (*h).running, true);
    let outcome = run_inner(h, callback);
    (*h).running = outer;
    if !outer && (!(*h).repeats || (*h).cancelled) {
        empty(h);
    }
    outcome
}

#[inline]
unsafe fn run_inner(h: *mut Handle, callback: *mut PyObject) -> Res<()> {
    let context = ptr_or_null(&(*h).context);
    if ffi::PyContext_Enter(context) < 0 {
        return failed(h);
    }
    let slots = slots(h);
    let n = (count(h) - 1) | ffi::PY_VECTORCALL_ARGUMENTS_OFFSET;
    let result = ffi::PyObject_Vectorcall(callback, slots.add(1), n, ptr::null_mut());
    if result.is_null() {
        let exc = take();
        ffi::PyContext_Exit(context);
        restore(exc);
        return failed(h);
    }
    ffi::Py_DECREF(result);
    done(ffi::PyContext_Exit(context))
}

#[cold]
unsafe fn failed(h: *mut Handle) -> Res<()> {
    let exc = take();
    if ends_loop(&exc) {
        restore(exc);
        return Err(Raised);
    }
    support(c"callback_failed", &[ptr_or_null(&(*h).event_loop), h.cast(), exc.ptr()])?;
    Ok(())
}

/// A tuple of the arguments.
pub(crate) unsafe fn args(h: *mut Handle) -> Res<Obj> {
    let n = count(h) - 1;
    let tuple = Obj::new(ffi::PyTuple_New(n as ffi::Py_ssize_t))?;
    for i in 0..n {
        let arg = Obj::from_opt(*slots(h).add(i + 1)).unwrap_or_else(|| none());
        ffi::PyTuple_SetItem(tuple.ptr(), i as ffi::Py_ssize_t, arg.into_ptr());
    }
    Ok(tuple)
}

/// The pair of callback and arguments.
pub(crate) unsafe fn parts(h: *mut Handle) -> Res<Obj> {
    let args = args(h)?;
    let callback = Obj::from_opt(ptr_or_null(&(*h).callback)).unwrap_or_else(|| none());
    Obj::new(ffi::PyTuple_Pack(2, callback.ptr(), args.ptr()))
}

/// Has the garbage collector track a timer that others keep beside its loop.
pub(crate) unsafe fn track_kept(timer: *mut Handle) {
    if ffi::Py_REFCNT(timer.cast()) > 1 && PyObject_GC_IsTracked(timer.cast()) == 0 {
        ffi::PyObject_GC_Track(timer.cast());
    }
}

/// Shows the garbage collector a handle that the loop holds: a tracked timer itself, or what a handle holds that the
/// loop alone owns.
pub(crate) unsafe fn traverse_owned(h: *mut Handle, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    if ffi::Py_TYPE(h.cast()) == kinds::timer_handle() && PyObject_GC_IsTracked(h.cast()) != 0 {
        return visitor(h.cast(), arg);
    }
    if ffi::Py_REFCNT(h.cast()) == 1 { traverse_fields(h, visitor, arg) } else { 0 }
}

pub(crate) unsafe extern "C" fn traverse(this: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    match visitor(ffi::Py_TYPE(this).cast(), arg) {
        0 => traverse_fields(this.cast(), visitor, arg),
        status => status,
    }
}

pub(crate) unsafe extern "C" fn gc_clear(this: *mut PyObject) -> c_int {
    let h: *mut Handle = this.cast();
    if !(*h).running && !(*h).scheduled {
        empty(h);
    }
    0
}

unsafe fn traverse_fields(h: *mut Handle, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    let slots = slots(h);
    let status = crate::object::visit(&(*h).callback, visitor, arg);
    if status != 0 {
        return status;
    }
    for i in 1..count(h) {
        let held = *slots.add(i);
        if !held.is_null() {
            let status = visitor(held, arg);
            if status != 0 {
                return status;
            }
        }
    }
    match crate::object::visit(&(*h).event_loop, visitor, arg) {
        0 => crate::object::visit(&(*h).context, visitor, arg),
        status => status,
    }
}

/// Frees a handle, or keeps its memory.
pub(crate) unsafe extern "C" fn dealloc(this: *mut PyObject) {
    let h: *mut Handle = this.cast();
    let timer = ffi::Py_TYPE(this) == kinds::timer_handle();
    if timer {
        // Whether or not it was tracked.
        ffi::PyObject_GC_UnTrack(this.cast());
    }
    if !(*h).weakrefs.is_null() {
        ffi::PyObject_ClearWeakRefs(this);
    }
    empty(h);
    clear(&mut (*h).event_loop);
    drop((*h).rare.take());
    let ty = ffi::Py_TYPE(this);
    let kept = &mut *(if timer { &KEPT_TIMERS } else { &KEPT }).0.get();
    // Not an object that the collector has marked: it would take the mark into its next life.
    if count(h) <= KEPT_SLOTS && kept.len() < MOST_KEPT && (!timer || PyObject_GC_IsFinalized(this) == 0) {
        kept.push(h);
    } else if timer {
        ffi::PyObject_GC_Del(this.cast());
    } else {
        ffi::PyObject_Free(this.cast());
    }
    ffi::Py_DECREF(ty.cast());
}
