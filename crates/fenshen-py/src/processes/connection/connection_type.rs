//! The Python face of `Connection`.

use std::ffi::{c_int, c_void};
use std::{mem, slice};

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::super::queue::{Pickled, dumps, loads, without_interpreter};
use super::super::segment::os_error;
use super::stream::{self, Received, receive};
use crate::args::{Signature, sort_call};
use crate::errors::{entry, raise, status};
use crate::methods::{fast, getter, no_args, one_arg, setter};
use crate::names::interned;
use crate::object::{Obj, Raised, Res, boolean, call, call_method, done, none};
use crate::threads::head::Standard;
use crate::threads::patience::{Patience, of_timeout};
use crate::types::{TypeBuilder, free};

/// The layout of `Connection`.
#[repr(C)]
struct Connection {
    ob_base: PyObject,
    weakrefs: *mut PyObject,
    /// The descriptor; -1 if it is closed.
    handle: c_int,
    readable: bool,
    writable: bool,
    /// The other end is a process of this machine that was given it: it can be sent what goes by reference.
    local: bool,
}

interned! {
    struct Words {
        index = c"__index__",
        pinned = c"_pinned",
    }
}

unsafe fn words() -> Res<&'static Words> {
    use std::sync::atomic::{AtomicPtr, Ordering};
    static WORDS: AtomicPtr<Words> = AtomicPtr::new(std::ptr::null_mut());
    let mut words = WORDS.load(Ordering::Acquire);
    if words.is_null() {
        words = Box::into_raw(Box::new(Words::new()?));
        WORDS.store(words, Ordering::Release);
    }
    Ok(&*words)
}

static TOO_SHORT: Standard = Standard::new(c"multiprocessing.context", c"BufferTooShort");

const INIT: Signature<3> =
    Signature { func: "Connection", names: [c"handle", c"readable", c"writable"], positional: 3, required: 1 };
const SEND_BYTES: Signature<3> =
    Signature { func: "_ConnectionBase.send_bytes", names: [c"buf", c"offset", c"size"], positional: 3, required: 1 };
const RECV_BYTES: Signature<1> =
    Signature { func: "_ConnectionBase.recv_bytes", names: [c"maxlength"], positional: 1, required: 0 };
const RECV_INTO: Signature<2> =
    Signature { func: "_ConnectionBase.recv_bytes_into", names: [c"buf", c"offset"], positional: 2, required: 1 };
const POLL: Signature<1> = Signature { func: "_ConnectionBase.poll", names: [c"timeout"], positional: 1, required: 0 };

unsafe extern "C" fn new(ty: *mut PyTypeObject, _args: *mut PyObject, _kwargs: *mut PyObject) -> *mut PyObject {
    let alloc = (*ty).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
    entry(|| {
        let o = Obj::new(alloc(ty, 0))?;
        (*o.ptr().cast::<Connection>()).handle = -1;
        Ok(o)
    })
}

unsafe fn truth(o: *mut PyObject) -> Res<bool> {
    if o.is_null() {
        return Ok(true);
    }
    let truth = ffi::PyObject_IsTrue(o);
    done(truth)?;
    Ok(truth != 0)
}

unsafe extern "C" fn init(this: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> c_int {
    status(|| {
        let c: *mut Connection = this.cast();
        let [handle, readable, writable] = sort_call(&INIT, args, kwargs)?;
        let handle = call_method(&words()?.index, &[handle])?;
        let handle = ffi::PyLong_AsLong(handle.ptr());
        if handle == -1 && !ffi::PyErr_Occurred().is_null() {
            return Err(Raised);
        }
        let Some(handle) = c_int::try_from(handle).ok().filter(|&handle| handle >= 0) else {
            return raise(ffi::PyExc_ValueError, "invalid handle");
        };
        let (readable, writable) = (truth(readable)?, truth(writable)?);
        if !readable && !writable {
            let words = "at least one of `readable` and `writable` must be True";
            return raise(ffi::PyExc_ValueError, words);
        }
        ((*c).handle, (*c).readable, (*c).writable) = (handle, readable, writable);
        Ok(())
    })
}

// The interpreter calls it before it looks for a `__del__` further up, which would close the descriptor again.
unsafe extern "C" fn finalize(o: *mut PyObject) {
    let c: *mut Connection = o.cast();
    let handle = mem::replace(&mut (*c).handle, -1);
    if handle >= 0 {
        libc::close(handle);
    }
}

unsafe extern "C" fn dealloc(o: *mut PyObject) {
    if ffi::PyObject_CallFinalizerFromDealloc(o) < 0 {
        return;
    }
    if !(*o.cast::<Connection>()).weakrefs.is_null() {
        ffi::PyObject_ClearWeakRefs(o);
    }
    free(o);
}

#[inline]
unsafe fn open(c: *mut Connection) -> Res<c_int> {
    if (*c).handle < 0 { raise(ffi::PyExc_OSError, "handle is closed") } else { Ok((*c).handle) }
}

#[inline]
unsafe fn readable(c: *mut Connection) -> Res<c_int> {
    let handle = open(c)?;
    if (*c).readable { Ok(handle) } else { raise(ffi::PyExc_OSError, "connection is write-only") }
}

#[inline]
unsafe fn writable(c: *mut Connection) -> Res<c_int> {
    let handle = open(c)?;
    if (*c).writable { Ok(handle) } else { raise(ffi::PyExc_OSError, "connection is read-only") }
}

unsafe fn close(c: *mut Connection) -> Res<()> {
    let handle = mem::replace(&mut (*c).handle, -1);
    if handle >= 0 && without_interpreter(|| libc::close(handle)) < 0 {
        return os_error(&std::io::Error::last_os_error());
    }
    Ok(())
}

one_arg!(py_send, |c: Connection, o| {
    let handle = writable(c)?;
    let pickled: Pickled = dumps(o, (*c).local)?;
    stream::send(handle, pickled.bytes())?;
    if let Some(pins) = &pickled.pins {
        call_method(&words()?.pinned, &[c.cast(), pins.ptr()])?;
    }
    Ok(none())
});

/// The bytes of an object, as long as this lives.
struct View(Box<ffi::Py_buffer>);

impl View {
    unsafe fn new(o: *mut PyObject, flags: c_int) -> Res<View> {
        let mut view: Box<ffi::Py_buffer> = Box::new(mem::zeroed());
        done(ffi::PyObject_GetBuffer(o, &mut *view, flags))?;
        Ok(View(view))
    }

    fn len(&self) -> isize {
        self.0.len
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: it was filled in, and the thread is attached.
        unsafe { ffi::PyBuffer_Release(&mut *self.0) };
    }
}

unsafe fn number(o: *mut PyObject, default: isize) -> Res<isize> {
    if o.is_null() {
        return Ok(default);
    }
    let number = ffi::PyNumber_AsSsize_t(o, ffi::PyExc_OverflowError);
    if number == -1 && !ffi::PyErr_Occurred().is_null() { Err(Raised) } else { Ok(number) }
}

unsafe fn value_error<T>(words: &str) -> Res<T> {
    raise(ffi::PyExc_ValueError, words)
}

fast!(py_send_bytes, |c: Connection, args| {
    let [buf, offset, size] = args.sort(&SEND_BYTES)?;
    let handle = writable(c)?;
    let view = View::new(buf, ffi::PyBUF_SIMPLE)?;
    let offset = number(offset, 0)?;
    if offset < 0 {
        return value_error("offset is negative");
    }
    if view.len() < offset {
        return value_error("buffer length < offset");
    }
    let left = view.len() - offset;
    let size = if size == ffi::Py_None() { left } else { number(size, left)? };
    if size < 0 {
        return value_error("size is negative");
    }
    if size > left {
        return value_error("buffer length < offset + size");
    }
    let start: *const u8 = if size == 0 { [].as_ptr() } else { view.0.buf.cast::<u8>().offset(offset) };
    stream::send(handle, slice::from_raw_parts(start, size as usize))?;
    Ok(none())
});

unsafe fn receive_whole(handle: c_int) -> Res<Obj> {
    match receive(handle, None)? {
        Received::Message(bytes) => Ok(bytes),
        Received::TooLong => raise(ffi::PyExc_OSError, "bad message length"),
    }
}

no_args!(py_recv, |c: Connection| loads(&receive_whole(readable(c)?)?));

fast!(py_recv_bytes, |c: Connection, args| {
    let [most] = args.sort(&RECV_BYTES)?;
    let handle = readable(c)?;
    let most = match most.is_null() || most == ffi::Py_None() {
        true => None,
        false => match number(most, 0)? {
            most if most < 0 => return value_error("negative maxlength"),
            most => Some(most as usize),
        },
    };
    match receive(handle, most)? {
        Received::Message(bytes) => Ok(bytes),
        Received::TooLong => {
            // What is left in the stream makes no sense to anyone.
            if (*c).writable {
                (*c).readable = false;
            } else {
                close(c)?;
            }
            raise(ffi::PyExc_OSError, "bad message length")
        }
    }
});

fast!(py_recv_bytes_into, |c: Connection, args| {
    let [buf, offset] = args.sort(&RECV_INTO)?;
    let handle = readable(c)?;
    let view = View::new(buf, ffi::PyBUF_CONTIG)?;
    let offset = number(offset, 0)?;
    if offset < 0 {
        return value_error("negative offset");
    }
    if offset > view.len() {
        return value_error("offset too large");
    }
    let message = receive_whole(handle)?;
    let size = ffi::PyBytes_Size(message.ptr());
    if size > view.len() - offset {
        let error = call(TOO_SHORT.get()?, &[message.ptr()])?;
        return crate::errors::raise_object(&error);
    }
    let from = ffi::PyBytes_AS_STRING(message.ptr());
    view.0.buf.cast::<u8>().offset(offset).copy_from_nonoverlapping(from.cast(), size as usize);
    Obj::new(ffi::PyLong_FromSsize_t(size))
});

fast!(py_poll, |c: Connection, args| {
    let handle = readable(c)?;
    let patience = match args.is_empty() {
        true => Patience::None,
        false => match args.sort(&POLL)? {
            [timeout] if timeout.is_null() => Patience::None,
            [timeout] => of_timeout(timeout)?,
        },
    };
    stream::poll(handle, patience).map(|there| boolean(there))
});

no_args!(py_fileno, |c: Connection| Obj::new(ffi::PyLong_FromLong(open(c)?.into())));
no_args!(py_close, |c: Connection| close(c).map(|()| none()));
no_args!(py_enter, |c: Connection| Ok(Obj::from(c.cast())));
fast!(py_exit, |c: Connection, _args| close(c).map(|()| none()));
no_args!(py_unread, |c: Connection| Obj::new(ffi::PyLong_FromSize_t(stream::unread(open(c)?))));

getter!(get_handle, |c: Connection| {
    if (*c).handle < 0 { Ok(none()) } else { Obj::new(ffi::PyLong_FromLong((*c).handle.into())) }
});
setter!(set_handle, |c: Connection, value| {
    let handle = if value == ffi::Py_None() { -1 } else { ffi::PyLong_AsLong(value) };
    if handle == -1 && !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    (*c).handle = handle as c_int;
    Ok(())
});
getter!(get_closed, |c: Connection| Ok(boolean((*c).handle < 0)));
getter!(get_readable, |c: Connection| Ok(boolean((*c).readable)));
getter!(get_writable, |c: Connection| Ok(boolean((*c).writable)));
setter!(set_readable, |c: Connection, value| {
    (*c).readable = truth(value)?;
    Ok(())
});
setter!(set_writable, |c: Connection, value| {
    (*c).writable = truth(value)?;
    Ok(())
});
getter!(get_local, |c: Connection| Ok(boolean((*c).local)));
setter!(set_local, |c: Connection, value| {
    (*c).local = truth(value)?;
    Ok(())
});

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let doc = c"Connection(handle, readable=True, writable=True)\n--\n\nMessages over a descriptor, which it closes; see multiprocessing.connection.Connection.";
    TypeBuilder::new::<Connection>(c"fenshen._processes.Connection")
        .doc(doc)
        .flags(ffi::Py_TPFLAGS_BASETYPE)
        .slot(ffi::Py_tp_new, new as *mut c_void)
        .slot(ffi::Py_tp_init, init as *mut c_void)
        .slot(ffi::Py_tp_finalize, finalize as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .weakrefs(mem::offset_of!(Connection, weakrefs))
        .one_arg(c"send", py_send, c"send($self, obj)\n--\n\nSend an object. Raises OSError if this end is closed, BrokenPipeError if the other one is.")
        .fast(c"send_bytes", py_send_bytes, c"send_bytes($self, /, buf, offset=0, size=None)\n--\n\nSend the bytes of a bytes-like object, or `size` of them from `offset` on.")
        .no_args(c"recv", py_recv, c"recv($self, /)\n--\n\nReceive an object, and wait for one. Raises EOFError if there is none and the other end is closed.")
        .fast(c"recv_bytes", py_recv_bytes, c"recv_bytes($self, /, maxlength=None)\n--\n\nReceive a message as bytes. One that is longer than `maxlength` raises OSError, and nothing more can be received.")
        .fast(c"recv_bytes_into", py_recv_bytes_into, c"recv_bytes_into($self, /, buf, offset=0)\n--\n\nReceive a message into a writable buffer, from `offset` on, and return its length.\n\nRaises BufferTooShort, with the message in it, if it does not fit.")
        .fast(c"poll", py_poll, c"poll($self, /, timeout=0.0)\n--\n\nWhether there is something to receive, or the end, within `timeout` seconds; None waits for ever.")
        .no_args(c"fileno", py_fileno, c"fileno($self, /)\n--\n\nThe descriptor; OSError if it is closed.")
        .no_args(c"close", py_close, c"close($self, /)\n--\n\nClose it.")
        .no_args(c"__enter__", py_enter, c"__enter__($self, /)\n--\n\nReturn it.")
        .fast(c"__exit__", py_exit, c"__exit__($self, /, *exc_info)\n--\n\nClose it.")
        .no_args(c"_unread", py_unread, c"_unread($self, /)\n--\n\nHow many bytes were sent and not received.")
        .property(c"_handle", get_handle, Some(set_handle))
        .property(c"_readable", get_readable, Some(set_readable))
        .property(c"_writable", get_writable, Some(set_writable))
        .property(c"_local", get_local, Some(set_local))
        .property(c"closed", get_closed, None)
        .property(c"readable", get_readable, None)
        .property(c"writable", get_writable, None)
        .build(None)
}
