//! Socket addresses as the kernel gives them, and as Python has them.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;

use pyo3::ffi::{self, PyObject};

use crate::object::{Obj, Res, text};

/// An address as the kernel gave it: the bytes of a `sockaddr`.
#[derive(Default)]
pub(crate) struct Address(Box<[u8]>);

/// The length of the longest address.
const LONGEST: usize = size_of::<libc::sockaddr_storage>();

impl Address {
    /// What a call like `accept(2)` or `getsockname(2)` fills in; nothing if it fails.
    pub(crate) fn from_call(
        call: impl FnOnce(*mut libc::sockaddr, *mut libc::socklen_t) -> i32,
    ) -> Option<(i32, Self)> {
        let mut bytes = [0u8; LONGEST];
        let mut len = LONGEST as libc::socklen_t;
        let outcome = call(bytes.as_mut_ptr().cast(), &mut len);
        (outcome >= 0).then(|| (outcome, Address(bytes[..(len as usize).min(LONGEST)].into())))
    }

    /// The address of this end of a socket.
    pub(crate) fn own(fd: RawFd) -> Option<Address> {
        // SAFETY: the kernel writes an address of at most the length that it is given.
        Address::from_call(|addr, len| unsafe { libc::getsockname(fd, addr, len) }).map(|(_, a)| a)
    }

    /// The address of the other end.
    pub(crate) fn peer(fd: RawFd) -> Option<Address> {
        // SAFETY: as above.
        Address::from_call(|addr, len| unsafe { libc::getpeername(fd, addr, len) }).map(|(_, a)| a)
    }

    /// The address family; `AF_UNSPEC` of an empty address.
    pub(crate) fn family(&self) -> i32 {
        family(&self.0)
    }

    /// Whether it says nothing but its family.
    pub(crate) fn is_unnamed(&self) -> bool {
        self.0.len() <= 2
    }

    /// As Python's sockets show it.
    pub(crate) unsafe fn to_python(&self) -> Res<Obj> {
        to_python(&self.0)
    }
}

fn family(bytes: &[u8]) -> i32 {
    match bytes {
        [a, b, ..] => i32::from(u16::from_ne_bytes([*a, *b])),
        _ => libc::AF_UNSPEC,
    }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    if let Some(there) = bytes.get(at..at + N) {
        out.copy_from_slice(there);
    }
    out
}

/// A `sockaddr` as Python's sockets show it: `(host, port)`, `(host, port, flowinfo, scope_id)`, or a path.
///
/// What an unnamed socket has is an empty `str`, and of an address family that isn't known here the pair
/// `(family, bytes)`, as of Python's own.
pub(crate) unsafe fn to_python(bytes: &[u8]) -> Res<Obj> {
    match family(bytes) {
        libc::AF_INET => {
            let host = text(&Ipv4Addr::from(field::<4>(bytes, 4)).to_string())?;
            let port = number(u16::from_be_bytes(field(bytes, 2)).into())?;
            Obj::new(ffi::PyTuple_Pack(2, host.ptr(), port.ptr()))
        }
        libc::AF_INET6 => {
            let host = text(&Ipv6Addr::from(field::<16>(bytes, 8)).to_string())?;
            let port = number(u16::from_be_bytes(field(bytes, 2)).into())?;
            let flow = number(u32::from_be_bytes(field(bytes, 4)))?;
            let scope = number(u32::from_ne_bytes(field(bytes, 24)))?;
            Obj::new(ffi::PyTuple_Pack(4, host.ptr(), port.ptr(), flow.ptr(), scope.ptr()))
        }
        libc::AF_UNIX => unix(bytes.get(2..).unwrap_or_default()),
        libc::AF_UNSPEC => Ok(crate::object::none()),
        other => {
            let number = Obj::new(ffi::PyLong_FromLong(other.into()))?;
            let rest = self::bytes(bytes.get(2..).unwrap_or_default())?;
            Obj::new(ffi::PyTuple_Pack(2, number.ptr(), rest.ptr()))
        }
    }
}

/// A path; the name of an abstract socket stays bytes.
unsafe fn unix(path: &[u8]) -> Res<Obj> {
    if path.first() == Some(&0) {
        return bytes(path);
    }
    let end = path.iter().position(|b| *b == 0).unwrap_or(path.len());
    let path = OsStr::from_bytes(&path[..end]);
    Obj::new(ffi::PyUnicode_DecodeFSDefaultAndSize(path.as_bytes().as_ptr().cast(), path.len() as isize))
}

unsafe fn number(value: u32) -> Res<Obj> {
    Obj::new(ffi::PyLong_FromUnsignedLong(value.into()))
}

unsafe fn bytes(b: &[u8]) -> Res<Obj> {
    let p: *mut PyObject = ffi::PyBytes_FromStringAndSize(b.as_ptr().cast(), b.len() as isize);
    Obj::new(p)
}
