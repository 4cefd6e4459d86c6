//! The Python face of [`Datagram`]: `DatagramTransport`.

use std::ffi::{CStr, c_int, c_void};

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::datagram::{self, Datagram, Start};
use super::{Head, ending, face, flow};
use crate::args::{Signature, sort_call};
use crate::errors::{entry, type_error, wall};
use crate::kinds;
use crate::methods::{fast, getter, no_args, one_arg};
use crate::names::asyncio;
use crate::object::{Obj, Res, done, none, not_none, ptr_or_null};
use crate::types::{TypeBuilder, free};

const NEW: Signature<6> = Signature {
    func: "DatagramTransport",
    names: [c"loop", c"sock", c"protocol", c"address", c"waiter", c"extra"],
    positional: 6,
    required: 3,
};

const SENDTO: Signature<2> = Signature { func: "sendto", names: [c"data", c"addr"], positional: 2, required: 1 };

const KEYS: [&CStr; 3] = [c"socket", c"sockname", c"peername"];

unsafe extern "C" fn new(ty: *mut PyTypeObject, args: *mut PyObject, kwargs: *mut PyObject) -> *mut PyObject {
    entry(|| {
        let [event_loop, sock, protocol, address, waiter, extra] = sort_call(&NEW, args, kwargs)?;
        if ffi::PyObject_TypeCheck(event_loop, kinds::event_loop()) == 0 {
            return type_error("DatagramTransport() takes a fenshen.EventLoop");
        }
        let given = |o: *mut PyObject| if o.is_null() { o } else { not_none(o) };
        let addressed = if given(address).is_null() { 0 } else { ffi::PyObject_IsTrue(address) };
        done(addressed)?;
        let made = datagram::open(Start {
            ty,
            event_loop: event_loop.cast(),
            file: &Obj::from(sock),
            protocol,
            address: if addressed != 0 { Obj::from_opt(address) } else { None },
            waiter: Obj::from_opt(given(waiter)),
        })?;
        face::set_extra(made.ptr().cast(), extra)?;
        Ok(made)
    })
}

/// What it can say of itself.
unsafe fn known(t: *mut Head, key: &CStr) -> Res<Option<Obj>> {
    let d: *mut Datagram = t.cast();
    match key.to_bytes() {
        b"socket" => match &(*t).file {
            Some(file) => face::wrapped_socket(file).map(Some),
            None => Ok(None),
        },
        b"sockname" => (*d).own.to_python().map(Some),
        _ => (*d).peer.to_python().map(Some),
    }
}

fast!(get_extra_info, |t: Head, args| face::extra_info(t, &args, &KEYS, known));
fast!(sendto, |t: Datagram, args| {
    let [data, addr] = args.sort(&SENDTO)?;
    datagram::sendto(t, data, addr).map(|()| none())
});
one_arg!(set_protocol, |t: Datagram, protocol| {
    datagram::set_protocol(t, protocol);
    Ok(none())
});
no_args!(close, |t: Datagram| datagram::close(t).map(|()| none()));
no_args!(abort, |t: Head| ending::force_close(t, None).map(|()| none()));
no_args!(get_write_buffer_size, |t: Datagram| Obj::new(ffi::PyLong_FromSize_t(datagram::size(t))));
fast!(set_write_buffer_limits, |t: Datagram, args| {
    flow::set_limits(t.cast(), &args)?;
    flow::maybe_pause(t.cast(), datagram::size(t))?;
    Ok(none())
});

getter!(get_extra, |t: Head| face::whole_extra(t, &KEYS, known));
getter!(get_sock, |t: Head| Ok(Obj::from_opt(ptr_or_null(&(*t).file)).unwrap_or_else(|| none())));
getter!(get_address, |t: Datagram| Ok(Obj::from_opt(ptr_or_null(&(*t).address)).unwrap_or_else(|| none())));

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    entry(|| face::socket_repr(this.cast(), "DatagramTransport", datagram::size(this.cast())))
}

unsafe extern "C" fn traverse(this: *mut PyObject, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
    datagram::traverse(this.cast(), visitor, arg)
}

unsafe extern "C" fn gc_clear(this: *mut PyObject) -> c_int {
    wall(0, || {
        datagram::release(this.cast());
        Ok(0)
    })
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    if !face::begin_dealloc(this) {
        return;
    }
    gc_clear(this);
    datagram::drop_fields(this.cast());
    free(this);
}

/// Makes the type.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    let builder = TypeBuilder::new::<Datagram>(c"fenshen._fenshen.DatagramTransport")
        .doc(c"DatagramTransport(loop, sock, protocol, address=None, waiter=None, extra=None)\n--\n\nThe transport of a datagram socket (asyncio.DatagramTransport).\n\nMade by loop.create_datagram_endpoint(). address: the only one that is sent to, if there is one.")
        .slot(ffi::Py_tp_new, new as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, gc_clear as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .fast(c"get_extra_info", get_extra_info, c"get_extra_info($self, name, default=None)\n--\n\nWhat is known of the socket: 'socket', 'sockname', 'peername', and what it was given.")
        .fast(c"sendto", sendto, c"sendto($self, data, addr=None)\n--\n\nSend a datagram: bytes, bytearray or memoryview.\n\naddr: by default where the socket is connected to. TypeError for other data; ValueError for another address than\nthe only one that is sent to. What goes wrong in the network is told to protocol.error_received().")
        .one_arg(c"set_protocol", set_protocol, c"set_protocol($self, protocol, /)\n--\n\nHave another protocol take what arrives.")
        .no_args(c"close", close, c"close($self, /)\n--\n\nReceive no more, and close the socket once everything is sent.")
        .no_args(c"abort", abort, c"abort($self, /)\n--\n\nClose the socket at once, and drop what waits to be sent.")
        .no_args(c"get_write_buffer_size", get_write_buffer_size, c"get_write_buffer_size($self, /)\n--\n\nHow many bytes wait to be sent.")
        .fast(c"set_write_buffer_limits", set_write_buffer_limits, c"set_write_buffer_limits($self, high=None, low=None)\n--\n\nSet when the protocol is told to pause and to resume writing, in bytes.\n\nhigh: by default 64 KiB, or four times low; low: by default a quarter of high. ValueError unless high >= low >= 0.")
        .property(c"_extra", get_extra, None)
        .property(c"_sock", get_sock, None)
        .property(c"_address", get_address, None);
    let builder = face::socket(face::writing(face::reading(face::common(builder))));
    builder.build_on(&[asyncio().flow_control_mixin.ptr().cast(), asyncio().datagram_transport.ptr().cast()])
}
