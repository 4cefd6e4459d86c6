//! The Python face of [`Writer`]: `StreamWriter`.

use std::ffi::{c_int, c_void};

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::known::{helper, known};
use super::writer::{self, Writer, complete, is_closing, transport};
use super::{assertion_error, is_closed, object_attribute};
use crate::args::{Signature, sort_call};
use crate::errors::{entry, restore, status, take};
use crate::kinds;
use crate::methods::{fast, getter, no_args};
use crate::names::names;
use crate::object::{Obj, Res, attr, call_method, done, none, not_none, ptr_or_null, repr as shown, set, text};
use crate::primitives::coroutine_function::add_methods;
use crate::primitives::head::{Head, bound_builder, class_name, shorten};

const INIT: Signature<4> = Signature {
    func: "StreamWriter.__init__",
    names: [c"transport", c"protocol", c"reader", c"loop"],
    positional: 4,
    required: 4,
};
const WRITE: Signature<1> = Signature { func: "StreamWriter.write", names: [c"data"], positional: 1, required: 1 };
const WRITELINES: Signature<1> =
    Signature { func: "StreamWriter.writelines", names: [c"data"], positional: 1, required: 1 };
const INFO: Signature<2> =
    Signature { func: "StreamWriter.get_extra_info", names: [c"name", c"default"], positional: 2, required: 1 };

unsafe extern "C" fn init(this: *mut PyObject, args: *mut PyObject, kwargs: *mut PyObject) -> c_int {
    status(|| {
        let [transport, protocol, reader, event_loop] = sort_call(&INIT, args, kwargs)?;
        if !not_none(reader).is_null() {
            let known_reader = ffi::PyObject_IsInstance(reader, kinds::stream_reader().cast());
            done(known_reader)?;
            if known_reader == 0 {
                return assertion_error("");
            }
        }
        // What asyncio asks of it here, and raises where it can't be had.
        attr(event_loop, &names().create_future)?;
        writer::fill(this.cast(), transport, protocol, reader, event_loop);
        Ok(())
    })
}

/// A writer that nobody holds any more and nobody closed: it says so, and closes its transport.
unsafe fn forget(w: *mut Writer) -> Res<()> {
    if !known().writers_warn || (*w).transport.is_none() || is_closing(w)? {
        return Ok(());
    }
    let event_loop = Head::event_loop(w.cast())?;
    if is_closed(&event_loop)? {
        return done(ffi::PyErr_WarnEx(ffi::PyExc_ResourceWarning, c"loop is closed".as_ptr(), 1));
    }
    call_method(&names().close, &[w.cast()])?;
    helper(c"warn_unclosed", &[w.cast()]).map(drop)
}

unsafe extern "C" fn finalize(this: *mut PyObject) {
    let kept = if ffi::PyErr_Occurred().is_null() { None } else { Some(take()) };
    if crate::errors::wall(-1, || forget(this.cast()).map(|()| 0)) < 0 {
        ffi::PyErr_WriteUnraisable(this);
    }
    if let Some(kept) = kept {
        restore(kept);
    }
}

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let w: *mut Writer = this.cast();
        let mut out = format!("<{} transport={}", class_name(this)?, shown(transport(w).ptr()));
        if let Some(reader) = Obj::from_opt(ptr_or_null(&(*w).reader)) {
            out += &format!(" reader={}", shown(reader.ptr()));
        }
        text(&(out + ">"))
    })
}

fast!(write, |w: Writer, args| {
    let data = match args.only() {
        Some(data) => data,
        None => args.sort(&WRITE)?[0],
    };
    writer::write(w, data).map(|()| none())
});
fast!(writelines, |w: Writer, args| {
    let [data] = args.sort(&WRITELINES)?;
    call_method(&known().writelines, &[transport(w).ptr(), data]).map(|_| none())
});
no_args!(write_eof, |w: Writer| call_method(&known().write_eof, &[transport(w).ptr()]));
no_args!(can_write_eof, |w: Writer| call_method(&known().can_write_eof, &[transport(w).ptr()]));
no_args!(close, |w: Writer| call_method(&names().close, &[transport(w).ptr()]));
no_args!(py_is_closing, |w: Writer| call_method(&known().is_closing, &[transport(w).ptr()]));
fast!(get_extra_info, |w: Writer, args| {
    let [name, default] = args.sort(&INFO)?;
    let default = Obj::from_opt(default).unwrap_or_else(|| none());
    call_method(&known().get_extra_info, &[transport(w).ptr(), name, default.ptr()])
});

object_attribute!(get_transport, set_transport, Writer, transport);
object_attribute!(get_protocol, set_protocol, Writer, protocol);
object_attribute!(get_reader, set_reader, Writer, reader);
getter!(get_complete, |w: Writer| complete(w));
crate::methods::setter!(set_complete, |w: Writer, value| {
    set(&mut (*w).complete, Obj::from_opt(not_none(value)));
    Ok(())
});

/// Makes `StreamWriter`.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let doc = c"StreamWriter(transport, protocol, reader, loop)\n--\n\nThe sending half of a stream, as asyncio.StreamWriter.\n\nreader: the receiving half, or None; AssertionError for anything else.";
    let ty = bound_builder::<Writer>(c"fenshen._fenshen.StreamWriter", doc)
        .slot(ffi::Py_tp_init, init as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .slot(ffi::Py_tp_finalize, finalize as *mut c_void)
        .fast(c"write", write, c"write($self, data)\n--\n\nSend data, as soon as the transport can.")
        .fast(c"writelines", writelines, c"writelines($self, data)\n--\n\nSend every piece of `data`.")
        .no_args(
            c"write_eof",
            write_eof,
            c"write_eof($self, /)\n--\n\nSend no more after what is buffered; reading goes on.",
        )
        .no_args(
            c"can_write_eof",
            can_write_eof,
            c"can_write_eof($self, /)\n--\n\nWhether the transport has write_eof().",
        )
        .no_args(c"close", close, c"close($self, /)\n--\n\nClose the transport, once what is buffered is sent.")
        .no_args(c"is_closing", py_is_closing, c"is_closing($self, /)\n--\n\nWhether it is closed or about to be.")
        .fast(
            c"get_extra_info",
            get_extra_info,
            c"get_extra_info($self, name, default=None)\n--\n\nWhat the transport knows of the connection.",
        )
        .property(c"transport", get_transport, None)
        .property(c"_transport", get_transport, Some(set_transport))
        .property(c"_protocol", get_protocol, Some(set_protocol))
        .property(c"_reader", get_reader, Some(set_reader))
        .property(c"_complete_fut", get_complete, Some(set_complete))
        .build(None)?;
    shorten(ty);
    add_methods(ty, Some(&known().writer_class), &[(c"drain", writer::drain), (c"wait_closed", writer::wait_closed)])?;
    if cfg!(Py_3_11) {
        let start_tls = Obj::new(ffi::PyObject_GetAttrString(known().helpers.ptr(), c"start_tls".as_ptr()))?;
        done(ffi::PyObject_SetAttrString(ty.cast(), c"start_tls".as_ptr(), start_tls.ptr()))?;
    }
    Ok(ty)
}
