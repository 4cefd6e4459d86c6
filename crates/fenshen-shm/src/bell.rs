//! What rings in another process without a descriptor of it: a datagram to an address that is only a number.
//!
//! An event loop that waits for something in shared memory cannot sleep on a word there. It has a bell, a socket with a
//! random name in the kernel's abstract namespace (see unix(7)), which is gone with the process and lies in no directory.
//! Whoever rings needs its number, which is written in the shared memory, and nothing else. A ring says only that there
//! may be news, so that one which is made up by somebody else does no harm.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;

/// One process' bell.
#[derive(Debug)]
pub struct Bell {
    socket: OwnedFd,
    number: u64,
}

/// Whether anyone could hear a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// It was heard, or will be.
    Heard,
    /// The bell is gone.
    Gone,
}

fn socket() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: it only makes a descriptor.
    match unsafe { libc::socket(libc::AF_UNIX, kind, 0) } {
        fd if fd < 0 => Err(io::Error::last_os_error()),
        // SAFETY: it is new, and nobody else's.
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
    }
}

/// The address of a number, and how long it is.
fn address(number: u64) -> (libc::sockaddr_un, libc::socklen_t) {
    // SAFETY: all zero is a valid one.
    let mut address: libc::sockaddr_un = unsafe { mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let name = format!("\0fenshen-bell-{number:016x}");
    for (place, byte) in address.sun_path.iter_mut().zip(name.bytes()) {
        *place = byte as libc::c_char;
    }
    (address, (mem::offset_of!(libc::sockaddr_un, sun_path) + name.len()) as libc::socklen_t)
}

fn random() -> io::Result<u64> {
    let mut bytes = [0_u8; 8];
    // SAFETY: the buffer is as long as it is said to be.
    match unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) } {
        8 => Ok(u64::from_ne_bytes(bytes)),
        _ => Err(io::Error::last_os_error()),
    }
}

impl Bell {
    /// A new one, with a number that is not zero.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn new() -> io::Result<Bell> {
        let socket = socket()?;
        loop {
            let number = random()?.max(1);
            let (address, len) = address(number);
            // SAFETY: the address is that long.
            if unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), len) } == 0 {
                return Ok(Bell { socket, number });
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::AddrInUse {
                return Err(error);
            }
        }
    }

    /// By which it is rung.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Readable once it was rung.
    #[must_use]
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Has it be silent until it is rung again.
    pub fn hush(&self) {
        let mut byte = [0_u8; 1];
        // SAFETY: the buffer is as long as it is said to be.
        while unsafe { libc::recv(self.socket.as_raw_fd(), byte.as_mut_ptr().cast(), 1, libc::MSG_DONTWAIT) } >= 0 {}
    }

    /// Rings the bell of that number, wherever it is.
    pub fn ring(number: u64) -> Rung {
        static RINGER: OnceLock<Option<OwnedFd>> = OnceLock::new();
        let Some(ringer) = RINGER.get_or_init(|| socket().ok()) else {
            return Rung::Heard;
        };
        let (address, len) = address(number);
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: one byte is there, and the address is that long.
        let sent = unsafe {
            libc::sendto(ringer.as_raw_fd(), [1_u8].as_ptr().cast(), 1, flags, (&raw const address).cast(), len)
        };
        // One that has been rung too often for its buffer rings still.
        let gone = sent < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ECONNREFUSED);
        if gone { Rung::Gone } else { Rung::Heard }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_readable(bell: &Bell) -> bool {
        let mut poll = libc::pollfd { fd: bell.socket().as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one is there.
        unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
    }

    #[test]
    fn rings_until_it_is_hushed() {
        let bell = Bell::new().expect("the kernel has sockets");
        assert!(!is_readable(&bell));
        for _ in 0..1000 {
            assert_eq!(Bell::ring(bell.number()), Rung::Heard);
        }
        assert!(is_readable(&bell));
        bell.hush();
        assert!(!is_readable(&bell));
    }

    #[test]
    fn one_that_is_gone_is_known() {
        let number = Bell::new().expect("the kernel has sockets").number();
        assert_eq!(Bell::ring(number), Rung::Gone);
    }
}
