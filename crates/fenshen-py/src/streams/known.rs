//! Names and classes of asyncio that streams need, looked up once.

use std::cell::UnsafeCell;
use std::ffi::CStr;

use pyo3::ffi;

use crate::object::{Obj, Res};

macro_rules! known {
    ($($name:ident = $text:literal,)*) => {
        /// What streams need of asyncio.
        pub(crate) struct Known {
            $(pub(crate) $name: Obj,)*
            pub(crate) reader_class: Obj,
            pub(crate) writer_class: Obj,
            pub(crate) protocol_class: Obj,
            /// What asyncio's own protocol derives from.
            pub(crate) protocol_base: Obj,
            pub(crate) incomplete_read_error: Obj,
            pub(crate) limit_overrun_error: Obj,
            /// `bytes.join` of nothing: `b"".join`.
            pub(crate) empty: Obj,
            /// A newline, what `readline` reads until.
            pub(crate) newline: Obj,
            pub(crate) sslcontext: Obj,
            /// Our Python half.
            pub(crate) helpers: Obj,
            /// Whether this version's writers speak up when they are dropped without being closed.
            pub(crate) writers_warn: bool,
        }

        unsafe fn find() -> Res<Known> {
            let streams = import(c"asyncio.streams")?;
            let exceptions = import(c"asyncio.exceptions")?;
            let writer_class = get(&streams, c"StreamWriter")?;
            let writers_warn = ffi::PyObject_HasAttrString(writer_class.ptr(), c"__del__".as_ptr()) != 0;
            Ok(Known {
                $($name: intern($text)?,)*
                reader_class: get(&streams, c"StreamReader")?,
                writer_class,
                protocol_class: get(&streams, c"StreamReaderProtocol")?,
                protocol_base: get(&import(c"asyncio.protocols")?, c"Protocol")?,
                incomplete_read_error: get(&exceptions, c"IncompleteReadError")?,
                limit_overrun_error: get(&exceptions, c"LimitOverrunError")?,
                empty: Obj::new(ffi::PyBytes_FromStringAndSize(std::ptr::null(), 0))?,
                newline: Obj::new(ffi::PyBytes_FromStringAndSize(c"\n".as_ptr(), 1))?,
                sslcontext: intern(c"sslcontext")?,
                helpers: import(c"fenshen._streams")?,
                writers_warn,
            })
        }
    };
}

known! {
    abort = c"abort",
    can_write_eof = c"can_write_eof",
    drain_helper = c"_drain_helper",
    exception = c"exception",
    feed_data = c"feed_data",
    feed_eof = c"feed_eof",
    get_close_waiter = c"_get_close_waiter",
    get_extra_info = c"get_extra_info",
    is_closed = c"is_closed",
    is_closing = c"is_closing",
    join = c"join",
    maybe_resume_transport = c"_maybe_resume_transport",
    pause_reading = c"pause_reading",
    read = c"read",
    readline = c"readline",
    readuntil = c"readuntil",
    replace_transport = c"_replace_transport",
    resume_reading = c"resume_reading",
    set_exception = c"set_exception",
    set_transport = c"set_transport",
    source_traceback = c"_source_traceback",
    wait_for_data = c"_wait_for_data",
    wakeup_waiter = c"_wakeup_waiter",
    write = c"write",
    write_eof = c"write_eof",
    writelines = c"writelines",
}

struct Global(UnsafeCell<Option<Known>>);
// SAFETY: written once, when the module is made, before any stream can be; read-only after.
unsafe impl Sync for Global {}
static KNOWN: Global = Global(UnsafeCell::new(None));

/// What was looked up.
#[inline(always)]
pub(crate) fn known() -> &'static Known {
    // SAFETY: `init` ran before any type of this module could be reached.
    unsafe { (*KNOWN.0.get()).as_ref().unwrap_unchecked() }
}

unsafe fn import(module: &CStr) -> Res<Obj> {
    Obj::new(ffi::PyImport_ImportModule(module.as_ptr()))
}

unsafe fn get(o: &Obj, name: &CStr) -> Res<Obj> {
    Obj::new(ffi::PyObject_GetAttrString(o.ptr(), name.as_ptr()))
}

unsafe fn intern(name: &CStr) -> Res<Obj> {
    Obj::new(ffi::PyUnicode_InternFromString(name.as_ptr()))
}

/// Looks everything up. Runs once, when the module is made.
pub(super) unsafe fn init() -> Res<()> {
    *KNOWN.0.get() = Some(find()?);
    Ok(())
}

/// Calls a function of `fenshen._streams`.
pub(crate) unsafe fn helper(name: &CStr, args: &[*mut ffi::PyObject]) -> Res<Obj> {
    let function = get(&known().helpers, name)?;
    crate::object::call(function.ptr(), args)
}
