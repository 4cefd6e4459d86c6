//! What every transport shows of itself to Python.

use std::ffi::{CStr, c_int, c_void};
use std::mem::offset_of;

use pyo3::ffi::{self, PyObject};

use super::{Head, ending};
use crate::args::{Args, Signature};
use crate::errors::wall;
use crate::event_loop::Loop;
use crate::methods::{getter, no_args};
use crate::names::{asyncio, transport_support};
use crate::object::{Obj, Raised, Res, boolean, none, ptr_or_null, text};
use crate::types::TypeBuilder;

const EXTRA_INFO: Signature<2> =
    Signature { func: "get_extra_info", names: [c"name", c"default"], positional: 2, required: 1 };

no_args!(get_protocol, |t: Head| Ok(Obj::from_opt(ptr_or_null(&(*t).protocol)).unwrap_or_else(|| none())));
no_args!(is_closing, |t: Head| Ok(boolean((*t).closing)));
no_args!(is_reading, |t: Head| Ok(boolean(Head::is_reading(t))));
no_args!(get_write_buffer_limits, |t: Head| {
    let (low, high) = (number((*t).flow.low)?, number((*t).flow.high)?);
    Obj::new(ffi::PyTuple_Pack(2, low.ptr(), high.ptr()))
});

getter!(get_loop, |t: Head| Ok(Obj::from_opt(ptr_or_null(&(*t).event_loop)).unwrap_or_else(|| none())));
getter!(get_private_protocol, |t: Head| Ok(Obj::from_opt(ptr_or_null(&(*t).protocol)).unwrap_or_else(|| none())));
getter!(get_closing, |t: Head| Ok(boolean((*t).closing)));
getter!(get_paused, |t: Head| Ok(boolean((*t).paused)));
getter!(get_lost, |t: Head| number((*t).lost.into()));
getter!(get_fd, |t: Head| number((*t).number.into()));
getter!(get_protocol_paused, |t: Head| Ok(boolean((*t).flow.paused)));
getter!(get_high_water, |t: Head| number((*t).flow.high));
getter!(get_low_water, |t: Head| number((*t).flow.low));
getter!(is_true, |_t: Head| Ok(boolean(true)));
getter!(get_sendfile_mode, |_t: Head| transport_support(c"native_sendfile", &[]));

unsafe fn number(value: i64) -> Res<Obj> {
    Obj::new(ffi::PyLong_FromLongLong(value))
}

/// What a transport can say of itself beside what it was given.
pub(crate) type Known = unsafe fn(*mut Head, &CStr) -> Res<Option<Obj>>;

/// `get_extra_info(name, default=None)`.
pub(crate) unsafe fn extra_info(t: *mut Head, args: &Args<'_>, keys: &[&'static CStr], known: Known) -> Res<Obj> {
    let [name, default] = args.sort(&EXTRA_INFO)?;
    let dict = extra(t)?;
    let found = ffi::PyDict_GetItemWithError(dict.ptr(), name);
    if !found.is_null() {
        return Ok(Obj::from(found));
    }
    if !ffi::PyErr_Occurred().is_null() {
        return Err(Raised);
    }
    if ffi::PyUnicode_Check(name) != 0
        && let Some(key) = keys.iter().find(|key| ffi::PyUnicode_CompareWithASCIIString(name, key.as_ptr()) == 0)
        && let Some(value) = known(t, key)?
    {
        crate::object::done(ffi::PyDict_SetItem(dict.ptr(), name, value.ptr()))?;
        return Ok(value);
    }
    Ok(Obj::from_opt(default).unwrap_or_else(|| none()))
}

/// `_extra`: the dict of all that it can say.
pub(crate) unsafe fn whole_extra(t: *mut Head, keys: &[&'static CStr], known: Known) -> Res<Obj> {
    let dict = extra(t)?;
    for key in keys {
        let name = Obj::new(ffi::PyUnicode_InternFromString(key.as_ptr()))?;
        if ffi::PyDict_Contains(dict.ptr(), name.ptr()) == 0
            && let Some(value) = known(t, key)?
        {
            crate::object::done(ffi::PyDict_SetItem(dict.ptr(), name.ptr(), value.ptr()))?;
        }
    }
    Ok(dict)
}

/// The dict of what it was given, or was asked for before.
unsafe fn extra(t: *mut Head) -> Res<Obj> {
    if (*t).extra.is_null() {
        (*t).extra = Obj::new(ffi::PyDict_New())?.into_ptr();
    }
    Ok(Obj::from((*t).extra))
}

/// Remembers what a transport was given to say of itself: a dict, or `None`.
pub(crate) unsafe fn set_extra(t: *mut Head, given: *mut PyObject) -> Res<()> {
    if !given.is_null() && given != ffi::Py_None() {
        if ffi::PyDict_Check(given) == 0 {
            return crate::errors::type_error("extra must be a dict or None");
        }
        let old = std::mem::replace(&mut (*t).extra, Obj::from(given).into_ptr());
        ffi::Py_XDECREF(old);
    }
    Ok(())
}

/// `repr()` of a socket's transport, with so much to send.
pub(crate) unsafe fn socket_repr(t: *mut Head, name: &str, size: usize) -> Res<Obj> {
    let mut shown = format!("<{name}");
    if (*t).channel.fd < 0 {
        shown += " closed";
    } else if (*t).closing {
        shown += " closing";
    }
    shown += &format!(" fd={}", (*t).number);
    let l = Head::event_loop(t);
    if !l.is_null() && Loop::check_closed(l).is_ok() {
        let polls = |polls| if polls { "polling" } else { "idle" };
        let (read, write) = (polls((*t).channel.wants_read()), polls((*t).channel.wants_write()));
        shown += &format!(" read={read} write=<{write}, bufsize={size}>");
    }
    ffi::PyErr_Clear();
    text(&(shown + ">"))
}

/// The socket, in asyncio's wrapper that does not let it be closed.
pub(crate) unsafe fn wrapped_socket(socket: &Obj) -> Res<Obj> {
    transport_support(c"transport_socket", &[socket.ptr()])
}

pub(crate) unsafe extern "C" fn finalize(this: *mut PyObject) {
    wall((), || {
        ending::finalize(this.cast());
        Ok(())
    });
}

/// Everything is done by `tp_new`: what asyncio's classes would do must not be done.
unsafe extern "C" fn init(_this: *mut PyObject, _args: *mut PyObject, _kwargs: *mut PyObject) -> c_int {
    0
}

/// Adds what all transports have in common. The type's own `tp_traverse`, `tp_clear` and `tp_dealloc` are still to come.
pub(crate) fn common(builder: TypeBuilder) -> TypeBuilder {
    builder
        .flags(ffi::Py_TPFLAGS_HAVE_GC)
        .weakrefs(offset_of!(Head, weakrefs))
        .dict(offset_of!(Head, dict))
        .slot(ffi::Py_tp_init, init as *mut c_void)
        .slot(ffi::Py_tp_finalize, finalize as *mut c_void)
        .no_args(
            c"get_protocol",
            get_protocol,
            c"get_protocol($self, /)\n--\n\nThe present protocol; None once the connection is over.",
        )
        .no_args(c"is_closing", is_closing, c"is_closing($self, /)\n--\n\nWhether it is closing or closed.")
        .property(c"_loop", get_loop, None)
        .property(c"_protocol", get_private_protocol, None)
        .property(c"_closing", get_closing, None)
        .property(c"_conn_lost", get_lost, None)
}

/// Adds what those have in common that read.
pub(crate) fn reading(builder: TypeBuilder) -> TypeBuilder {
    builder
        .no_args(
            c"is_reading",
            is_reading,
            c"is_reading($self, /)\n--\n\nWhether what arrives is passed to the protocol.",
        )
        .property(c"_paused", get_paused, None)
}

/// Adds what those have in common that write.
pub(crate) fn writing(builder: TypeBuilder) -> TypeBuilder {
    builder
        .no_args(
            c"get_write_buffer_limits",
            get_write_buffer_limits,
            c"get_write_buffer_limits($self, /)\n--\n\nThe limits (low, high) of what waits to be sent, in bytes.",
        )
        .property(c"_protocol_paused", get_protocol_paused, None)
        .property(c"_high_water", get_high_water, None)
        .property(c"_low_water", get_low_water, None)
}

/// Adds what only sockets have.
pub(crate) fn socket(builder: TypeBuilder) -> TypeBuilder {
    builder.property(c"_sock_fd", get_fd, None)
}

/// Adds what only stream sockets have.
pub(crate) fn stream_socket(builder: TypeBuilder) -> TypeBuilder {
    socket(builder).property(c"_start_tls_compatible", is_true, None).property(
        c"_sendfile_compatible",
        get_sendfile_mode,
        None,
    )
}

/// What a type's `tp_dealloc` begins with; false if the finaliser has saved the object.
pub(crate) unsafe fn begin_dealloc(this: *mut PyObject) -> bool {
    if ffi::PyObject_CallFinalizerFromDealloc(this) < 0 {
        return false;
    }
    ffi::PyObject_GC_UnTrack(this.cast());
    if !(*this.cast::<Head>()).weakrefs.is_null() {
        ffi::PyObject_ClearWeakRefs(this);
    }
    true
}

/// Whether asyncio's classes are laid out as [`Head`] has it.
pub(crate) unsafe fn check_layout() -> Res<()> {
    let mixin: *mut ffi::PyTypeObject = asyncio().flow_control_mixin.ptr().cast();
    let (expected, found) = (offset_of!(Head, weakrefs) as isize, (*mixin).tp_basicsize);
    if expected != found {
        let message = format!("fenshen: asyncio's transports are {found} bytes long here, not {expected}");
        return crate::errors::raise(ffi::PyExc_ImportError, &message);
    }
    Ok(())
}

/// The first status of a traversal that is not zero.
pub(crate) unsafe fn visit_all<'a>(
    fields: impl IntoIterator<Item = &'a Option<Obj>>,
    visitor: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    fields.into_iter().map(|f| crate::object::visit(f, visitor, arg)).find(|status| *status != 0).unwrap_or(0)
}
