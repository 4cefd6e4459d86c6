//! The addresses of the other ends of a datagram socket, as the kernel has them and as Python does.
//!
//! Datagrams come from few senders, again and again, and are answered by the address object that came with them: both
//! ways need no conversion then.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::slice;

use pyo3::ffi::{self, PyObject};

use super::address;
use crate::object::{Obj, Res};

/// The length of the longest address that is kept: that of a Unix socket.
const LONGEST: usize = size_of::<libc::sockaddr_un>();
/// How many senders are remembered, once there is more than one.
const MOST: usize = 64;

/// A `sockaddr`.
#[derive(Clone, Copy)]
pub(super) struct Raw {
    bytes: [u8; LONGEST],
    pub(super) len: libc::socklen_t,
}

impl Raw {
    /// For the kernel to fill in.
    pub(super) fn room() -> Raw {
        Raw { bytes: [0; LONGEST], len: LONGEST as libc::socklen_t }
    }

    /// From one of libc's structures.
    fn of<T>(addr: &T) -> Raw {
        let mut raw = Raw::room();
        let len = size_of::<T>().min(LONGEST);
        // SAFETY: the structures of addresses are plain numbers, without padding that is not set to zero.
        let bytes = unsafe { slice::from_raw_parts(std::ptr::from_ref(addr).cast::<u8>(), len) };
        raw.bytes[..len].copy_from_slice(bytes);
        raw.len = len as libc::socklen_t;
        raw
    }

    pub(super) fn ptr(&self) -> *const libc::sockaddr {
        self.bytes.as_ptr().cast()
    }

    pub(super) fn ptr_mut(&mut self) -> *mut libc::sockaddr {
        self.bytes.as_mut_ptr().cast()
    }

    /// What the kernel has filled in.
    fn filled(&self) -> &[u8] {
        &self.bytes[..(self.len as usize).min(LONGEST)]
    }

    /// A number by which few addresses are alike.
    fn mixed(&self) -> usize {
        let mix = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        let sum = self.filled().iter().fold(0xcbf2_9ce4_8422_2325, mix);
        (sum ^ (sum >> 32)) as usize
    }
}

struct Peer {
    raw: Raw,
    object: Obj,
}

/// The last senders. A place is that of every address of one number; the latest has it.
#[derive(Default)]
pub(super) struct Peers {
    places: Vec<Option<Peer>>,
    last: usize,
}

impl Peers {
    /// The Python object of an address that came with a datagram.
    #[inline]
    pub(super) unsafe fn object(&mut self, raw: &Raw) -> Res<Obj> {
        if let Some(Some(peer)) = self.places.get(self.last)
            && peer.raw.filled() == raw.filled()
        {
            return Ok(peer.object.again());
        }
        self.look(raw)
    }

    unsafe fn look(&mut self, raw: &Raw) -> Res<Obj> {
        let wanted = if self.places.is_empty() { 1 } else { MOST };
        if self.places.len() < wanted {
            self.places.resize_with(wanted, || None);
        }
        self.last = raw.mixed() % self.places.len();
        let place = &mut self.places[self.last];
        if let Some(peer) = place
            && peer.raw.filled() == raw.filled()
        {
            return Ok(peer.object.again());
        }
        let object = address::to_python(raw.filled())?;
        *place = Some(Peer { raw: *raw, object: object.again() });
        Ok(object)
    }

    /// An address that Python has given, for a socket of this family; nothing for what only Python's socket understands.
    #[inline]
    pub(super) unsafe fn raw(&self, family: i32, object: *mut PyObject) -> Option<Raw> {
        match self.places.get(self.last) {
            Some(Some(peer)) if peer.object.ptr() == object => Some(peer.raw),
            _ => from_python(family, object),
        }
    }
}

/// The plain forms of an address: numbers, not names.
unsafe fn from_python(family: i32, o: *mut PyObject) -> Option<Raw> {
    match family {
        libc::AF_INET | libc::AF_INET6 if ffi::PyTuple_Check(o) != 0 => {}
        libc::AF_UNIX => return unix(o),
        _ => return None,
    }
    let items = ffi::PyTuple_Size(o);
    let item = |i: isize| if i < items { ffi::PyTuple_GetItem(o, i) } else { std::ptr::null_mut() };
    let (host, port) = (str_of(item(0))?, u16::try_from(number(item(1), 0)?).ok()?);
    if family == libc::AF_INET {
        let host: Ipv4Addr = (items == 2).then(|| host.parse().ok())??;
        let mut addr: libc::sockaddr_in = std::mem::zeroed();
        (addr.sin_family, addr.sin_port) = (libc::AF_INET as u16, port.to_be());
        addr.sin_addr.s_addr = u32::from(host).to_be();
        return Some(Raw::of(&addr));
    }
    let host: Ipv6Addr = (items <= 4).then(|| host.parse().ok())??;
    let flow = u32::try_from(number(item(2), 0)?).ok().filter(|flow| *flow <= 0xfffff)?;
    let mut addr: libc::sockaddr_in6 = std::mem::zeroed();
    (addr.sin6_family, addr.sin6_port) = (libc::AF_INET6 as u16, port.to_be());
    (addr.sin6_flowinfo, addr.sin6_scope_id) = (flow.to_be(), u32::try_from(number(item(3), 0)?).ok()?);
    addr.sin6_addr.s6_addr = host.octets();
    Some(Raw::of(&addr))
}

/// A path, or the name of an abstract socket, as `bytes` or plain `str`.
unsafe fn unix(o: *mut PyObject) -> Option<Raw> {
    let bytes = if o.is_null() {
        return None;
    } else if ffi::PyBytes_CheckExact(o) != 0 {
        slice::from_raw_parts(ffi::PyBytes_AsString(o).cast::<u8>(), ffi::PyBytes_Size(o) as usize)
    } else {
        let path = str_of(o)?;
        path.is_ascii().then_some(path.as_bytes())?
    };
    let head = std::mem::offset_of!(libc::sockaddr_un, sun_path);
    let is_abstract = bytes.first() == Some(&0);
    if bytes.is_empty() || head + bytes.len() >= LONGEST || (!is_abstract && bytes.contains(&0)) {
        return None;
    }
    let mut raw = Raw::room();
    raw.bytes[..2].copy_from_slice(&(libc::AF_UNIX as u16).to_ne_bytes());
    raw.bytes[head..head + bytes.len()].copy_from_slice(bytes);
    // The name of an abstract socket is as long as it is; a path ends with a zero.
    raw.len = (head + bytes.len() + usize::from(!is_abstract)) as libc::socklen_t;
    Some(raw)
}

/// The text of a `str`; borrowed of it.
unsafe fn str_of<'a>(o: *mut PyObject) -> Option<&'a str> {
    if o.is_null() || ffi::PyUnicode_CheckExact(o) == 0 {
        return None;
    }
    let mut len = 0;
    let start = ffi::PyUnicode_AsUTF8AndSize(o, &mut len);
    if start.is_null() {
        ffi::PyErr_Clear();
        return None;
    }
    std::str::from_utf8(slice::from_raw_parts(start.cast::<u8>(), len as usize)).ok()
}

/// An exact `int`, or the default where there is none.
unsafe fn number(o: *mut PyObject, default: i64) -> Option<i64> {
    if o.is_null() {
        return Some(default);
    }
    if ffi::PyLong_CheckExact(o) == 0 {
        return None;
    }
    let value = ffi::PyLong_AsLongLong(o);
    if value == -1 && !ffi::PyErr_Occurred().is_null() {
        ffi::PyErr_Clear();
        return None;
    }
    Some(value)
}
