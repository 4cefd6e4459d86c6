//! The TLS engine of one connection: the user's `SSLObject` between two `MemoryBIO`s.
//!
//! An `ssl.SSLObject` is read and written through its C half, and asked only for records that are whole, so that it
//! never has to raise `SSLWantReadError`. Anything else (`SSLContext.sslobject_class`) is asked by its public methods.

use std::ffi::{c_int, c_void};

use fenshen_reactor::Records;
use pyo3::ffi::{self, PyObject};

use super::known::{known, ssl, words};
use crate::object::{
    Obj, Raised, Res, attr, boolean, call, call_method, call_method_kw, done, none, ptr_or_null, visit,
};

/// How many bytes one record holds at most.
const RECORD: usize = 1 << 14;
/// Below this size a copy costs less than a view.
const COPIED: usize = 4096;
/// How many bytes are asked for where nothing is known of what is there.
const MOST: usize = 256 * 1024;

/// What reading gave.
pub(super) enum Got<T> {
    Data(T),
    /// Nothing, until more comes.
    Nothing,
    /// The peer has closed its side properly.
    Closed,
}

/// The engine.
#[derive(Default)]
pub(super) struct Engine {
    pub(super) sslobj: Option<Obj>,
    /// Its C half, where that may be used.
    core: Option<Obj>,
    pub(super) incoming: Option<Obj>,
    pub(super) outgoing: Option<Obj>,
    records: Records,
    /// The C half may have something to read, though not a whole record is known to be there.
    unsure: bool,
    /// There may be something in `outgoing`.
    pub(super) dirty: bool,
    /// How many bytes `incoming` holds at most.
    pub(super) held: usize,
}

unsafe fn borrowed(o: &Option<Obj>) -> Res<Obj> {
    match Obj::from_opt(ptr_or_null(o)) {
        Some(o) => Ok(o),
        None => crate::errors::runtime_error("fenshen: the TLS connection is gone"),
    }
}

unsafe fn size(n: &Obj) -> Res<usize> {
    let n = ffi::PyLong_AsSsize_t(n.ptr());
    if n == -1 && !ffi::PyErr_Occurred().is_null() { Err(Raised) } else { Ok(n.max(0) as usize) }
}

impl Engine {
    /// `context.wrap_bio(...)` on two new `MemoryBIO`s.
    pub(super) unsafe fn new(context: &Obj, server_side: bool, hostname: Option<&Obj>) -> Res<Engine> {
        let memory_bio = &ssl()?.memory_bio;
        let (incoming, outgoing) = (call(memory_bio.ptr(), &[])?, call(memory_bio.ptr(), &[])?);
        let (side, nobody) = (boolean(server_side), none());
        let hostname = hostname.map_or(nobody.ptr(), Obj::ptr);
        let args = [context.ptr(), incoming.ptr(), outgoing.ptr(), side.ptr(), hostname];
        let sslobj = call_method_kw(&words().wrap_bio, &args, &known().wrap_keywords)?;
        let mut engine = Engine { incoming: Some(incoming), outgoing: Some(outgoing), ..Engine::default() };
        engine.put(sslobj)?;
        Ok(engine)
    }

    /// Takes another object for the one that the context made.
    pub(super) unsafe fn put(&mut self, sslobj: Obj) -> Res<()> {
        self.core = ssl()?.core_of(&sslobj);
        self.unsure = true;
        crate::object::set(&mut self.sslobj, Some(sslobj));
        Ok(())
    }

    /// What has come from the peer.
    #[inline]
    pub(super) unsafe fn feed(e: *mut Engine, data: &[u8]) -> Res<()> {
        if data.is_empty() {
            return Ok(());
        }
        let (start, len) = (data.as_ptr().cast_mut().cast(), data.len() as isize);
        let object = if data.len() <= COPIED {
            Obj::new(ffi::PyBytes_FromStringAndSize(start, len))?
        } else {
            Obj::new(ffi::PyMemoryView_FromMemory(start, len, ffi::PyBUF_READ))?
        };
        let incoming = borrowed(&(*e).incoming)?;
        call(ssl()?.bio_write.ptr(), &[incoming.ptr(), object.ptr()])?;
        (*e).held += data.len();
        (*e).records.feed(data);
        Ok(())
    }

    /// Whether there may be something to read.
    #[inline]
    pub(super) unsafe fn is_ready(e: *mut Engine) -> bool {
        (*e).records.whole() > 0 || (*e).unsure || (*e).core.is_none() || (*e).records.is_foreign()
    }

    /// Everything that came was looked at.
    unsafe fn note_nothing(e: *mut Engine) {
        (*e).records.used_all();
        (*e).unsure = false;
        (*e).held = 0;
        // What was no data may be answered: a request for new keys.
        (*e).dirty = true;
    }

    /// One read has given `n` of at most `most` bytes.
    #[inline]
    unsafe fn note_read(e: *mut Engine, core: &Obj, n: usize, most: usize) -> Res<()> {
        if n == most && size(&call(ssl()?.core_pending.ptr(), &[core.ptr()])?)? > 0 {
            (*e).unsure = true;
            return Ok(());
        }
        (*e).records.used();
        if (*e).records.whole() == 0 {
            (*e).held = 0;
        }
        Ok(())
    }

    /// The result of a call of `read`, of whichever kind.
    unsafe fn outcome(e: *mut Engine, result: Res<Obj>) -> Res<Option<Obj>> {
        match result {
            Ok(result) => Ok(Some(result)),
            Err(Raised) if ssl()?.wants_more() => {
                Engine::note_nothing(e);
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    /// The next bytes.
    #[inline]
    pub(super) unsafe fn read(e: *mut Engine) -> Res<Got<Obj>> {
        let Some(core) = Obj::from_opt(ptr_or_null(&(*e).core)) else {
            return Engine::read_public(e);
        };
        // Never less than a record that is alone: its plain text is shorter than it.
        let most = if (*e).records.whole() == 1 && !(*e).unsure { (*e).records.last().max(64) } else { RECORD + 1 };
        let asked = Obj::new(ffi::PyLong_FromSize_t(most))?;
        let result = call(ssl()?.core_read.ptr(), &[core.ptr(), asked.ptr()]);
        let Some(data) = Engine::outcome(e, result)? else {
            return Ok(Got::Nothing);
        };
        let n = ffi::PyBytes_Size(data.ptr());
        if n < 0 {
            return Err(Raised);
        }
        if n == 0 {
            return Ok(Got::Closed);
        }
        Engine::note_read(e, &core, n as usize, most)?;
        Ok(Got::Data(data))
    }

    unsafe fn read_public(e: *mut Engine) -> Res<Got<Obj>> {
        let sslobj = borrowed(&(*e).sslobj)?;
        let asked = Obj::new(ffi::PyLong_FromSize_t(MOST))?;
        let result = call_method(&words().read, &[sslobj.ptr(), asked.ptr()]);
        let Some(data) = Engine::outcome(e, result)? else {
            return Ok(Got::Nothing);
        };
        let truth = ffi::PyObject_IsTrue(data.ptr());
        done(truth)?;
        Ok(if truth == 0 { Got::Closed } else { Got::Data(data) })
    }

    /// The next bytes, at most `most` of them, into `buffer`; how many they are.
    pub(super) unsafe fn read_into(e: *mut Engine, buffer: &Obj, most: usize) -> Res<Got<usize>> {
        let core = Obj::from_opt(ptr_or_null(&(*e).core));
        let asked = Obj::new(ffi::PyLong_FromSize_t(most))?;
        let result = match &core {
            Some(core) => call(ssl()?.core_read.ptr(), &[core.ptr(), asked.ptr(), buffer.ptr()]),
            None => {
                let sslobj = borrowed(&(*e).sslobj)?;
                call_method(&words().read, &[sslobj.ptr(), asked.ptr(), buffer.ptr()])
            }
        };
        let Some(n) = Engine::outcome(e, result)? else {
            return Ok(Got::Nothing);
        };
        let n = size(&n)?;
        if n == 0 {
            return Ok(Got::Closed);
        }
        if let Some(core) = &core {
            Engine::note_read(e, core, n, most)?;
        }
        Ok(Got::Data(n))
    }

    /// Encrypts; how many bytes were taken, or nothing if the peer must be heard first.
    #[inline]
    pub(super) unsafe fn write(e: *mut Engine, data: *mut PyObject) -> Res<Option<usize>> {
        let result = match Obj::from_opt(ptr_or_null(&(*e).core)) {
            Some(core) => call(ssl()?.core_write.ptr(), &[core.ptr(), data]),
            None => {
                let sslobj = borrowed(&(*e).sslobj)?;
                call_method(&words().write, &[sslobj.ptr(), data])
            }
        };
        (*e).dirty = true;
        match result {
            Ok(n) => size(&n).map(Some),
            Err(Raised) if ssl()?.wants_more() => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// `do_handshake()` or `unwrap()`; whether it is over.
    pub(super) unsafe fn advance(e: *mut Engine, method: &Obj) -> Res<bool> {
        let sslobj = borrowed(&(*e).sslobj)?;
        let result = call_method(method, &[sslobj.ptr()]);
        (*e).dirty = true;
        (*e).unsure = true;
        match result {
            Ok(_) => Ok(true),
            Err(Raised) if ssl()?.wants_more() => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// What is to be sent, as `bytes`; nothing if there is nothing.
    #[inline]
    pub(super) unsafe fn drain(e: *mut Engine) -> Res<Option<Obj>> {
        (*e).dirty = false;
        let outgoing = borrowed(&(*e).outgoing)?;
        let data = call(ssl()?.bio_read.ptr(), &[outgoing.ptr()])?;
        Ok(if ffi::PyBytes_Size(data.ptr()) > 0 { Some(data) } else { None })
    }

    /// How many bytes wait to be sent.
    pub(super) unsafe fn outgoing_size(e: *mut Engine) -> Res<usize> {
        if !(*e).dirty {
            return Ok(0);
        }
        let outgoing = borrowed(&(*e).outgoing)?;
        size(&attr(outgoing.ptr(), &words().pending)?)
    }

    /// How many bytes came that are not decrypted yet.
    pub(super) unsafe fn incoming_size(e: *mut Engine) -> Res<usize> {
        let incoming = borrowed(&(*e).incoming)?;
        size(&attr(incoming.ptr(), &words().pending)?)
    }

    /// After the handshake: nothing need be tried if all that came was of the handshake.
    pub(super) unsafe fn settle(e: *mut Engine) -> Res<()> {
        if Engine::incoming_size(e)? == 0 {
            Engine::note_nothing(e);
        }
        Ok(())
    }

    pub(super) unsafe fn traverse(&self, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        let fields = [&self.sslobj, &self.core, &self.incoming, &self.outgoing];
        fields.into_iter().map(|field| visit(field, visitor, arg)).find(|status| *status != 0).unwrap_or(0)
    }

    pub(super) fn clear(&mut self) {
        for field in [&mut self.core, &mut self.sslobj, &mut self.incoming, &mut self.outgoing] {
            crate::object::clear(field);
        }
    }
}
