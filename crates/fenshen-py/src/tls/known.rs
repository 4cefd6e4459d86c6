//! What TLS needs of the standard library, looked up once when the module is made.

use std::cell::UnsafeCell;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use crate::object::{Obj, Raised, Res, call_method, ptr_or_null};

// Of CPython's API, but not of PyO3's declarations.
unsafe extern "C" {
    fn _PyType_Lookup(ty: *mut PyTypeObject, name: *mut PyObject) -> *mut PyObject;
}

crate::names::interned! {
    /// Interned names.
    pub(super) struct Words {
        abort = c"abort",
        buffer_updated = c"buffer_updated",
        call_exception_handler = c"call_exception_handler",
        call_later = c"call_later",
        call_soon = c"call_soon",
        cancel = c"cancel",
        cancelled = c"cancelled",
        check_handshake_timeout = c"_check_handshake_timeout",
        check_shutdown_timeout = c"_check_shutdown_timeout",
        cipher = c"cipher",
        close = c"close",
        compression = c"compression",
        connection_lost = c"connection_lost",
        connection_made = c"connection_made",
        core = c"_sslobj",
        data_received = c"data_received",
        debug = c"debug",
        do_handshake = c"do_handshake",
        do_read = c"_do_read",
        eof_received = c"eof_received",
        exc_info = c"exc_info",
        force_close = c"_force_close",
        get_buffer = c"get_buffer",
        get_debug = c"get_debug",
        get_extra_info = c"get_extra_info",
        getpeercert = c"getpeercert",
        is_closing = c"is_closing",
        pause_reading = c"pause_reading",
        pause_writing = c"pause_writing",
        peercert = c"peercert",
        pending = c"pending",
        read = c"read",
        resume = c"_resume",
        resume_reading = c"resume_reading",
        resume_writing = c"resume_writing",
        server_hostname = c"server_hostname",
        server_side = c"server_side",
        set_exception = c"set_exception",
        set_result = c"set_result",
        ssl_object = c"ssl_object",
        sslcontext = c"sslcontext",
        time = c"time",
        unwrap = c"unwrap",
        warning = c"warning",
        wrap_bio = c"wrap_bio",
        write = c"write",
    }
}

/// The module `ssl`.
pub(super) struct Ssl {
    /// `SSLWantReadError` and `SSLSyscallError`: what means that more must come first.
    pub(super) again: Obj,
    pub(super) error: Obj,
    pub(super) certificate_error: Obj,
    pub(super) memory_bio: Obj,
    pub(super) bio_read: Obj,
    pub(super) bio_write: Obj,
    sslobject: Obj,
    core: Obj,
    pub(super) core_read: Obj,
    pub(super) core_write: Obj,
    pub(super) core_pending: Obj,
    /// The two methods of `SSLObject` that its C half is asked for directly, while they are these.
    object_read: Obj,
    object_write: Obj,
}

/// All of it.
pub(super) struct Known {
    pub(super) words: Words,
    /// None where the interpreter was built without it.
    pub(super) ssl: Option<Ssl>,
    pub(super) sslproto: Obj,
    pub(super) constants: Obj,
    pub(super) logger: Obj,
    pub(super) buffered_protocol: Obj,
    pub(super) transport_base: Obj,
    pub(super) timeout_error: Obj,
    pub(super) warn: Obj,
    /// `("server_side", "server_hostname")`.
    pub(super) wrap_keywords: Obj,
    /// `("exc_info",)`.
    pub(super) exc_info_keyword: Obj,
}

struct Global(UnsafeCell<Option<Known>>);
// SAFETY: written once, when the module is made, before any of its types can be reached; read-only after.
unsafe impl Sync for Global {}
static KNOWN: Global = Global(UnsafeCell::new(None));

#[inline(always)]
pub(super) fn known() -> &'static Known {
    // SAFETY: `init` ran before any type of this module could be reached.
    unsafe { (*KNOWN.0.get()).as_ref().unwrap_unchecked() }
}

#[inline(always)]
pub(super) fn words() -> &'static Words {
    &known().words
}

/// Raises RuntimeError where `asyncio.sslproto` has no `ssl`.
pub(super) unsafe fn check_ssl() -> Res<()> {
    ssl()?;
    let theirs = Obj::new(ffi::PyObject_GetAttrString(known().sslproto.ptr(), c"ssl".as_ptr()))?;
    if theirs.ptr() == ffi::Py_None() {
        return crate::errors::runtime_error("stdlib ssl module not available");
    }
    Ok(())
}

/// The module `ssl`; RuntimeError where there is none.
#[inline(always)]
pub(super) unsafe fn ssl() -> Res<&'static Ssl> {
    match &known().ssl {
        Some(ssl) => Ok(ssl),
        None => crate::errors::runtime_error("stdlib ssl module not available"),
    }
}

unsafe fn import(name: &std::ffi::CStr) -> Res<Obj> {
    Obj::new(ffi::PyImport_ImportModule(name.as_ptr()))
}

unsafe fn get(o: &Obj, name: &std::ffi::CStr) -> Res<Obj> {
    Obj::new(ffi::PyObject_GetAttrString(o.ptr(), name.as_ptr()))
}

unsafe fn find_ssl(words: &Words) -> Res<Ssl> {
    let (ssl, native) = (import(c"ssl")?, import(c"_ssl")?);
    let want_read = get(&ssl, c"SSLWantReadError")?;
    let syscall = get(&ssl, c"SSLSyscallError")?;
    let sslobject = get(&ssl, c"SSLObject")?;
    let memory_bio = get(&ssl, c"MemoryBIO")?;
    let core = get(&native, c"_SSLSocket")?;
    let lookup = |name: &Obj| Obj::from_opt(_PyType_Lookup(sslobject.ptr().cast(), name.ptr())).ok_or(Raised);
    Ok(Ssl {
        again: Obj::new(ffi::PyTuple_Pack(2, want_read.ptr(), syscall.ptr()))?,
        error: get(&ssl, c"SSLError")?,
        certificate_error: get(&ssl, c"CertificateError")?,
        bio_read: get(&memory_bio, c"read")?,
        bio_write: get(&memory_bio, c"write")?,
        core_read: get(&core, c"read")?,
        core_write: get(&core, c"write")?,
        core_pending: get(&core, c"pending")?,
        object_read: lookup(&words.read)?,
        object_write: lookup(&words.write)?,
        memory_bio,
        sslobject,
        core,
    })
}

/// Looks everything up. Runs once, when the module is made.
pub(super) unsafe fn init() -> Res<()> {
    let words = Words::new()?;
    let ssl = find_ssl(&words).ok();
    if ssl.is_none() {
        ffi::PyErr_Clear();
    }
    let found = Known {
        ssl,
        sslproto: import(c"asyncio.sslproto")?,
        constants: import(c"asyncio.constants")?,
        logger: get(&import(c"asyncio.log")?, c"logger")?,
        buffered_protocol: get(&import(c"asyncio.protocols")?, c"BufferedProtocol")?,
        transport_base: get(&import(c"asyncio.transports")?, c"_FlowControlMixin")?,
        timeout_error: get(&import(c"asyncio.exceptions")?, c"TimeoutError")?,
        warn: get(&import(c"warnings")?, c"warn")?,
        wrap_keywords: Obj::new(ffi::PyTuple_Pack(2, words.server_side.ptr(), words.server_hostname.ptr()))?,
        exc_info_keyword: Obj::new(ffi::PyTuple_Pack(1, words.exc_info.ptr()))?,
        words,
    };
    *KNOWN.0.get() = Some(found);
    Ok(())
}

impl Ssl {
    /// The C half of an `ssl.SSLObject` whose reading and writing may be done without it: no class derived from it, and
    /// no method of it replaced.
    pub(super) unsafe fn core_of(&self, sslobj: &Obj) -> Option<Obj> {
        let ty = ffi::Py_TYPE(sslobj.ptr());
        let is = |name: &Obj, method: &Obj| _PyType_Lookup(ty, name.ptr()) == method.ptr();
        let plain = ty.cast() == self.sslobject.ptr()
            && is(&words().read, &self.object_read)
            && is(&words().write, &self.object_write);
        if !plain {
            return None;
        }
        let core = crate::object::attr(sslobj.ptr(), &words().core).ok();
        if core.is_none() {
            ffi::PyErr_Clear();
        }
        core.filter(|core| ffi::Py_TYPE(core.ptr()).cast() == self.core.ptr())
    }

    /// Whether what is raised means that more must come first; it is swallowed then.
    pub(super) unsafe fn wants_more(&self) -> bool {
        let matches = ffi::PyErr_ExceptionMatches(self.again.ptr()) != 0;
        if matches {
            ffi::PyErr_Clear();
        }
        matches
    }
}

/// `asyncio.constants.NAME` as it is now.
pub(super) unsafe fn constant(name: &std::ffi::CStr) -> Res<Obj> {
    get(&known().constants, name)
}

/// `logger.warning(message)`.
#[cold]
pub(super) unsafe fn warn_log(message: &str) -> Res<()> {
    let message = crate::object::text(message)?;
    call_method(&words().warning, &[known().logger.ptr(), message.ptr()]).map(drop)
}

/// `loop.get_debug()`.
pub(super) unsafe fn debugs(event_loop: &Option<Obj>) -> Res<bool> {
    let event_loop = ptr_or_null(event_loop);
    if event_loop.is_null() {
        return Ok(false);
    }
    let answer = call_method(&words().get_debug, &[event_loop])?;
    let truth = ffi::PyObject_IsTrue(answer.ptr());
    crate::object::done(truth)?;
    Ok(truth != 0)
}

/// `logger.debug(message, *args)`.
#[cold]
pub(super) unsafe fn debug_log(message: &str, args: &[*mut PyObject]) -> Res<()> {
    let message = crate::object::text(message)?;
    let mut all = vec![known().logger.ptr(), message.ptr()];
    all.extend(args);
    call_method(&words().debug, &all).map(drop)
}
