//! Objects to messages and back.

use std::ptr;
use std::sync::{Mutex, PoisonError};

use pyo3::ffi::{self, PyObject};

use super::super::pickling::{Dumpers, Pickle, load};
use crate::names::interned;
use crate::object::{Obj, Raised, Res, call, call_method, none};
use crate::threads::head::Standard;

interned! {
    /// Interned names.
    pub(super) struct Words {
        dumps = c"dumps",
        enter = c"__enter__",
        exit = c"__exit__",
        pickling_failed = c"_pickling_failed",
        pinned = c"_pinned",
        started_feeding = c"_started_feeding",
    }
}

/// The names, made when they are first asked for, for ever.
pub(super) unsafe fn words() -> Res<&'static Words> {
    use std::sync::atomic::{AtomicPtr, Ordering};
    static WORDS: AtomicPtr<Words> = AtomicPtr::new(ptr::null_mut());
    let mut words = WORDS.load(Ordering::Acquire);
    if words.is_null() {
        words = Box::into_raw(Box::new(Words::new()?));
        WORDS.store(words, Ordering::Release);
    }
    Ok(&*words)
}

static DUMPS: Standard = Standard::new(c"pickle", c"dumps");
static LOADS: Standard = Standard::new(c"pickle", c"loads");
static PICKLER: Standard = Standard::new(c"multiprocessing.reduction", c"ForkingPickler");
static CARRYING: Standard = Standard::new(c"fenshen._segments", c"carrying");

/// An object as it goes into a queue.
pub(in super::super) struct Pickled {
    /// A bytes-like object.
    view: Box<ffi::Py_buffer>,
    /// What must stay alive here until it is taken: a list, if it is not empty.
    pub(in super::super) pins: Option<Obj>,
}

impl Pickled {
    unsafe fn new(bytes: &Obj, pins: Option<Obj>) -> Res<Pickled> {
        let mut view: Box<ffi::Py_buffer> = Box::new(std::mem::zeroed());
        crate::object::done(ffi::PyObject_GetBuffer(bytes.ptr(), &mut *view, ffi::PyBUF_SIMPLE))?;
        Ok(Pickled { view, pins })
    }

    /// The message.
    pub(in super::super) fn bytes(&self) -> &[u8] {
        // SAFETY: the buffer is held as long as this lives, and nobody else has the object.
        unsafe { std::slice::from_raw_parts(self.view.buf.cast(), self.view.len as usize) }
    }
}

impl Drop for Pickled {
    fn drop(&mut self) {
        // SAFETY: it was filled in, and the thread is attached.
        unsafe { ffi::PyBuffer_Release(&mut *self.view) };
    }
}

/// How many items of a container are looked at: pickling more takes so long that it doesn't matter.
const LOOKS: ffi::Py_ssize_t = 16;

/// How long a text or `bytes` is that the pickler passes on by itself instead of gathering it.
const LONG: ffi::Py_ssize_t = 64 << 10;

/// What an object is to the pickler.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Nature {
    /// No reducer has a say in how it is pickled: the pickler looks at these types first.
    Plain,
    /// Nor here, and there is something long in it.
    PlainAndLong,
    Any,
}

unsafe fn nature(o: *mut PyObject, depth: u32) -> Nature {
    let ty = ffi::Py_TYPE(o);
    let of_length = |len: ffi::Py_ssize_t| if len < LONG { Nature::Plain } else { Nature::PlainAndLong };
    if ty == &raw mut ffi::PyBytes_Type {
        return of_length(ffi::Py_SIZE(o));
    }
    if ty == &raw mut ffi::PyUnicode_Type {
        return of_length(ffi::PyUnicode_GET_LENGTH(o));
    }
    if ty == &raw mut ffi::PyLong_Type
        || ty == &raw mut ffi::PyFloat_Type
        || ty == &raw mut ffi::PyBool_Type
        || o == ffi::Py_None()
    {
        return Nature::Plain;
    }
    if depth == 0 { Nature::Any } else { nature_of_items(o, ty, depth - 1) }
}

unsafe fn nature_of_items(o: *mut PyObject, ty: *mut ffi::PyTypeObject, depth: u32) -> Nature {
    let most = |natures: &mut dyn Iterator<Item = Nature>| natures.max().unwrap_or(Nature::Plain);
    if ty == &raw mut ffi::PyTuple_Type && ffi::PyTuple_GET_SIZE(o) <= LOOKS {
        return most(&mut (0..ffi::PyTuple_GET_SIZE(o)).map(|i| nature(ffi::PyTuple_GET_ITEM(o, i), depth)));
    }
    if cfg!(Py_GIL_DISABLED) {
        return Nature::Any; // another thread may change it meanwhile
    }
    if ty == &raw mut ffi::PyList_Type && ffi::PyList_GET_SIZE(o) <= LOOKS {
        return most(&mut (0..ffi::PyList_GET_SIZE(o)).map(|i| nature(ffi::PyList_GET_ITEM(o, i), depth)));
    }
    if ty == &raw mut ffi::PyDict_Type && ffi::PyDict_Size(o) <= LOOKS {
        let (mut at, mut key, mut value) = (0, ptr::null_mut(), ptr::null_mut());
        let mut found = Nature::Plain;
        while ffi::PyDict_Next(o, &mut at, &mut key, &mut value) != 0 {
            found = found.max(nature(key, depth)).max(nature(value, depth));
        }
        return found;
    }
    Nature::Any
}

/// Pickles an object as the standard library's queues do, reducers for child processes included. `by_reference` is whether
/// the receiver can open what is shared, as a process of this machine can that knows us.
pub(in super::super) unsafe fn dumps(o: *mut PyObject, by_reference: bool) -> Res<Pickled> {
    if nature(o, 2) < Nature::Any {
        return Pickled::new(&call(DUMPS.get()?, &[o])?, None);
    }
    let words = words()?;
    if !by_reference {
        return Pickled::new(&call_method(&words.dumps, &[PICKLER.get()?, o])?, None);
    }
    let carrying = call(CARRYING.get()?, &[])?;
    let pins = call_method(&words.enter, &[carrying.ptr()])?;
    let bytes = call_method(&words.dumps, &[PICKLER.get()?, o]);
    let error = if bytes.is_err() { Some(crate::errors::take()) } else { None };
    let nothing = none();
    call_method(&words.exit, &[carrying.ptr(), nothing.ptr(), nothing.ptr(), nothing.ptr()])?;
    if let Some(error) = error {
        crate::errors::restore(error);
        return Err(Raised);
    }
    let pins = if ffi::PyList_GET_SIZE(pins.ptr()) > 0 { Some(pins) } else { None };
    Pickled::new(&bytes?, pins)
}

/// What long messages are pickled with; taken out while it is used.
static DUMPERS: Mutex<Dumpers> = Mutex::new(Dumpers::new());

fn exchange(dumpers: Dumpers) -> Dumpers {
    std::mem::replace(&mut *DUMPERS.lock().unwrap_or_else(PoisonError::into_inner), dumpers)
}

/// The pickle of what has something long in it, which stays where it is; nothing for any other object.
pub(super) unsafe fn dumps_long(o: *mut PyObject) -> Res<Option<Pickle>> {
    if nature(o, 2) != Nature::PlainAndLong {
        return Ok(None);
    }
    let mut dumpers = exchange(Dumpers::new());
    let pickle = Dumpers::dump(&mut dumpers, o);
    drop(exchange(dumpers));
    pickle.map(Some)
}

/// The object of a message.
pub(in super::super) unsafe fn loads(bytes: &Obj) -> Res<Obj> {
    call(LOADS.get()?, &[bytes.ptr()])
}

/// A `bytes` object that a message is copied into.
pub(in super::super) struct Buffer(Obj, usize);

impl Buffer {
    /// One of that length; nothing, and an error is set, if there is no memory for it.
    pub(in super::super) unsafe fn new(len: usize) -> Option<Buffer> {
        Obj::new(ffi::PyBytes_FromStringAndSize(ptr::null(), len as ffi::Py_ssize_t)).ok().map(|o| Buffer(o, len))
    }

    pub(in super::super) fn into_bytes(self) -> Obj {
        self.0
    }
}

/// Memory that messages of some length are copied into on their way to an object, again and again: fresh memory for each
/// would cost more than to copy them.
static SPARE: Mutex<Vec<u8>> = Mutex::new(Vec::new());
const SPARED: std::ops::Range<usize> = 16 << 10..1 << 20;

/// Where a message is copied to that is only to be loaded.
pub(super) enum Space {
    Object(Buffer),
    /// So many bytes of what is given back afterwards.
    Spare(Vec<u8>, usize),
}

impl Space {
    /// As [`Buffer::new`].
    pub(super) unsafe fn new(len: usize) -> Option<Space> {
        if !SPARED.contains(&len) {
            return Buffer::new(len).map(Space::Object);
        }
        let mut spare = std::mem::take(&mut *SPARE.lock().unwrap_or_else(PoisonError::into_inner));
        if spare.len() < len {
            spare.resize(len.next_power_of_two(), 0);
        }
        Some(Space::Spare(spare, len))
    }

    /// The object of the message that was copied there.
    pub(super) unsafe fn load(self) -> Res<Obj> {
        match self {
            Space::Object(buffer) => loads(&buffer.into_bytes()),
            Space::Spare(spare, len) => {
                let loaded = load(&spare[..len], &[]);
                *SPARE.lock().unwrap_or_else(PoisonError::into_inner) = spare;
                loaded
            }
        }
    }
}

impl AsMut<[u8]> for Space {
    fn as_mut(&mut self) -> &mut [u8] {
        match self {
            Space::Object(buffer) => buffer.as_mut(),
            Space::Spare(spare, len) => &mut spare[..*len],
        }
    }
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        // SAFETY: the object is new and nobody else's, and that long.
        unsafe { std::slice::from_raw_parts_mut(ffi::PyBytes_AS_STRING(self.0.ptr()) as *mut u8, self.1) }
    }
}
