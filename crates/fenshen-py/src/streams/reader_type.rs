//! The Python face of [`Reader`]: `StreamReader`.

use std::ffi::{c_int, c_void};

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::known::known;
use super::reader::{self, Reader, fed, feed_object, resume_if_small, wake_waiter};
use super::{assertion_error, bind, flag_attribute, object_attribute, read, until};
use crate::args::{Signature, sort_call};
use crate::errors::{entry, raise, status, type_error};
use crate::methods::{fast, getter, no_args, one_arg, setter};
use crate::names::asyncio;
use crate::object::{
    Obj, Raised, Res, boolean, call, call_method, clear, done, none, ptr_or_null, repr as shown, set, text,
};
use crate::primitives::coroutine_function::add_methods;
use crate::primitives::head::{Head, bound_builder, class_name, shorten, truth};

const INIT: Signature<2> =
    Signature { func: "StreamReader.__init__", names: [c"limit", c"loop"], positional: 2, required: 0 };
const FEED: Signature<1> = Signature { func: "StreamReader.feed_data", names: [c"data"], positional: 1, required: 1 };
const SET_EXCEPTION: Signature<1> =
    Signature { func: "StreamReader.set_exception", names: [c"exc"], positional: 1, required: 1 };
const SET_TRANSPORT: Signature<1> =
    Signature { func: "StreamReader.set_transport", names: [c"transport"], positional: 1, required: 1 };

/// The limit of a reader that was given none, in bytes.
const LIMIT: std::ffi::c_long = 64 * 1024;

unsafe fn set_limit_to(r: *mut Reader, limit: *mut PyObject) -> Res<()> {
    let bytes = ffi::PyFloat_AsDouble(limit);
    if bytes == -1.0 && !ffi::PyErr_Occurred().is_null() {
        if ffi::PyErr_ExceptionMatches(ffi::PyExc_OverflowError) == 0 {
            return Err(Raised);
        }
        ffi::PyErr_Clear();
        (*r).bytes = f64::INFINITY;
    } else {
        (*r).bytes = bytes;
    }
    set(&mut (*r).limit, Some(Obj::from(limit)));
    Ok(())
}

unsafe extern "C" fn init(this: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> c_int {
    status(|| {
        let r: *mut Reader = this.cast();
        let [limit, event_loop] = sort_call(&INIT, args, kwargs)?;
        let limit = match Obj::from_opt(limit) {
            Some(given) => given,
            None => Obj::new(ffi::PyLong_FromLong(LIMIT))?,
        };
        let zero = Obj::new(ffi::PyLong_FromLong(0))?;
        let too_small = ffi::PyObject_RichCompareBool(limit.ptr(), zero.ptr(), ffi::Py_LE);
        done(too_small)?;
        if too_small != 0 {
            return raise(ffi::PyExc_ValueError, "Limit cannot be <= 0");
        }
        set_limit_to(r, limit.ptr())?;
        bind(this.cast(), event_loop)?;
        (*r).store.release();
        (*r).eof = false;
        (*r).paused = false;
        clear(&mut (*r).waiter);
        clear(&mut (*r).exception);
        clear(&mut (*r).transport);
        if Head::debug(this.cast())? {
            let stack = call(asyncio().extract_short_stack.ptr(), &[])?;
            set(&mut (*r).source_tb, Some(stack));
        }
        Ok(())
    })
}

/// `feed_data(data)` of anything that a bytearray can be extended by.
pub(super) unsafe fn feed_any(r: *mut Reader, data: *mut PyObject) -> Res<()> {
    if (*r).eof {
        return assertion_error("feed_data after feed_eof");
    }
    if ffi::PyBytes_CheckExact(data) != 0 {
        return if ffi::PyBytes_Size(data) == 0 { Ok(()) } else { feed_object(r, Obj::from(data)) };
    }
    if !truth(&Obj::from(data))? {
        return Ok(());
    }
    let bytes = if ffi::PyObject_CheckBuffer(data) != 0 {
        Obj::new(ffi::PyBytes_FromObject(data))?
    } else {
        // In whatever words a bytearray refuses what it can't take.
        let array = Obj::new(ffi::PyByteArray_FromStringAndSize(std::ptr::null(), 0))?;
        call_method(&crate::names::names().extend, &[array.ptr(), data])?;
        Obj::new(ffi::PyBytes_FromObject(array.ptr()))?
    };
    (*r).store.push_object(bytes)?;
    fed(r)
}

fast!(feed_data, |r: Reader, args| {
    let [data] = args.sort(&FEED)?;
    feed_any(r, data).map(|()| none())
});
no_args!(feed_eof, |r: Reader| reader::feed_eof(r).map(|()| none()));
no_args!(at_eof, |r: Reader| Ok(boolean((*r).eof && (*r).store.is_empty())));
no_args!(exception, |r: Reader| Ok(Obj::from_opt(ptr_or_null(&(*r).exception)).unwrap_or_else(|| none())));
fast!(set_exception, |r: Reader, args| {
    let [exc] = args.sort(&SET_EXCEPTION)?;
    reader::set_exception(r, exc).map(|()| none())
});
fast!(set_transport, |r: Reader, args| {
    let [transport] = args.sort(&SET_TRANSPORT)?;
    reader::set_transport(r, transport).map(|()| none())
});
no_args!(wakeup_waiter, |r: Reader| wake_waiter(r).map(|()| none()));
no_args!(maybe_resume_transport, |r: Reader| resume_if_small(r).map(|()| none()));
one_arg!(replace_transport, |r: Reader, transport| {
    if (*r).transport.is_none() {
        return assertion_error("Transport not set");
    }
    set(&mut (*r).transport, Some(Obj::from(transport)));
    Ok(none())
});

unsafe fn is_set(field: *const Option<Obj>) -> Res<Option<Obj>> {
    match Obj::from_opt(ptr_or_null(&*field)) {
        Some(o) if truth(&o)? => Ok(Some(o)),
        _ => Ok(None),
    }
}

unsafe fn describe(r: *mut Reader) -> Res<String> {
    let mut out = String::from("StreamReader");
    let len = (*r).store.len();
    if len > 0 {
        out += &format!(" {len} bytes");
    }
    if (*r).eof {
        out += " eof";
    }
    if (*r).bytes != f64::from(LIMIT as i32) {
        out += &format!(" limit={}", shown(ptr_or_null(&(*r).limit)));
    }
    for (name, field) in [
        ("waiter", &raw const (*r).waiter),
        ("exception", &raw const (*r).exception),
        ("transport", &raw const (*r).transport),
    ] {
        if let Some(o) = is_set(field)? {
            let o = Obj::new(ffi::PyObject_Repr(o.ptr()))?;
            out += &format!(" {name}={}", crate::object::utf8(o.ptr())?);
        }
    }
    if (*r).paused {
        out += " paused";
    }
    Ok(out)
}

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    entry(|| {
        if (*this.cast::<Reader>()).limit.is_none() {
            let class = class_name(this)?;
            return type_error(&format!("{class}.__init__() was not called"));
        }
        text(&format!("<{}>", describe(this.cast())?))
    })
}

object_attribute!(get_transport, set_transport_attribute, Reader, transport);
object_attribute!(get_exception, set_exception_attribute, Reader, exception);
object_attribute!(get_source, set_source, Reader, source_tb);
flag_attribute!(get_eof, set_eof, Reader, eof);
flag_attribute!(get_paused, set_paused, Reader, paused);
getter!(get_limit, |r: Reader| Ok(Obj::from_opt(ptr_or_null(&(*r).limit)).unwrap_or_else(|| none())));
setter!(set_limit, |r: Reader, value| set_limit_to(r, value));
getter!(get_waiter, |r: Reader| Ok(Obj::from_opt(ptr_or_null(&(*r).waiter)).unwrap_or_else(|| none())));
setter!(set_waiter, |r: Reader, value| {
    // Whoever waits with it is to hear of every byte.
    (*r).least = 0;
    (*r).most = 0;
    set(&mut (*r).waiter, Obj::from_opt(crate::object::not_none(value)));
    Ok(())
});
getter!(get_buffer, |r: Reader| (*r).store.show());
setter!(set_buffer, |r: Reader, value| (*r).store.replace(value));

/// Makes `StreamReader`.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let doc = c"StreamReader(limit=65536, loop=None)\n--\n\nWhat has arrived and what is to come, as asyncio.StreamReader.\n\nlimit: the longest line in bytes; the transport pauses when twice as much is unread. ValueError if it isn't positive.\nloop: the event loop it belongs to; by default the running or current one.";
    let ty = bound_builder::<Reader>(c"fenshen._fenshen.StreamReader", doc)
        .slot(ffi::Py_tp_init, init as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .slot(ffi::Py_am_aiter, ffi::PyObject_SelfIter as *mut c_void)
        .fast(c"feed_data", feed_data, c"feed_data($self, data)\n--\n\nAdd data; AssertionError after feed_eof().")
        .no_args(c"feed_eof", feed_eof, c"feed_eof($self, /)\n--\n\nNothing more will come.")
        .no_args(c"at_eof", at_eof, c"at_eof($self, /)\n--\n\nWhether all was read and nothing more will come.")
        .no_args(c"exception", exception, c"exception($self, /)\n--\n\nThe exception that every read raises from now on, or None.")
        .fast(c"set_exception", set_exception, c"set_exception($self, exc)\n--\n\nHave every read raise `exc`, the one that waits too.")
        .fast(c"set_transport", set_transport, c"set_transport($self, transport)\n--\n\nThe transport to pause and resume; AssertionError if there is one already.")
        .no_args(c"_wakeup_waiter", wakeup_waiter, c"_wakeup_waiter($self, /)\n--\n\nHave the coroutine that waits for data go on.")
        .no_args(c"_maybe_resume_transport", maybe_resume_transport, c"_maybe_resume_transport($self, /)\n--\n\nResume the transport if it is paused and no more than the limit is unread.")
        .one_arg(c"_replace_transport", replace_transport, c"_replace_transport($self, transport, /)\n--\n\nAnother transport goes on with the connection.")
        .property(c"_buffer", get_buffer, Some(set_buffer))
        .property(c"_eof", get_eof, Some(set_eof))
        .property(c"_exception", get_exception, Some(set_exception_attribute))
        .property(c"_limit", get_limit, Some(set_limit))
        .property(c"_paused", get_paused, Some(set_paused))
        .property(c"_source_traceback", get_source, Some(set_source))
        .property(c"_transport", get_transport, Some(set_transport_attribute))
        .property(c"_waiter", get_waiter, Some(set_waiter))
        .build(None)?;
    shorten(ty);
    let coroutines: [(&'static std::ffi::CStr, crate::primitives::coroutine_function::Body); 6] = [
        (c"read", read::read),
        (c"readexactly", read::readexactly),
        (c"readline", until::readline),
        (c"readuntil", until::readuntil),
        (c"_wait_for_data", read::wait_for_data),
        (c"__anext__", read::anext),
    ];
    add_methods(ty, Some(&known().reader_class), &coroutines)?;
    Ok(ty)
}
