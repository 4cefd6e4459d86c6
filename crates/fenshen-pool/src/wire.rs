//! Messages with files in them, over a socket that keeps messages apart.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::lifeline::check;

/// How many files the kernel takes with one message.
pub(crate) const MOST_FILES: usize = 253;
/// The longest message.
pub(crate) const LONGEST: usize = 32 << 10;

/// Room for the files of a message, as aligned as their header has to be.
#[repr(C, align(8))]
struct Control([u8; 1040]);

const _: () = {
    // SAFETY: it only computes.
    assert!(mem::size_of::<Control>() >= unsafe { libc::CMSG_SPACE((MOST_FILES * 4) as u32) } as usize);
};

/// A pair of ends.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: there is room for two numbers, each of which is a file that nobody else has yet.
    unsafe {
        let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
        check(libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()))?;
        Ok((OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])))
    }
}

/// Sends one message, and waits for room.
pub(crate) fn send(socket: BorrowedFd<'_>, bytes: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<()> {
    if files.len() > MOST_FILES {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "more files than one message takes"));
    }
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = Control([0; 1040]);
    // SAFETY: zeros are a state of the structure; what it points to outlives the call; a file's number is copied to
    // where the header says, for which there is room as was checked.
    unsafe {
        let mut message: libc::msghdr = mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        if !files.is_empty() {
            let size = (files.len() * 4) as u32;
            message.msg_control = (&raw mut control).cast();
            message.msg_controllen = libc::CMSG_SPACE(size) as _;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size) as _;
            let data = libc::CMSG_DATA(header).cast::<i32>();
            for (at, file) in files.iter().enumerate() {
                data.add(at).write_unaligned(file.as_raw_fd());
            }
        }
        again(|| libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL))?;
    }
    Ok(())
}

/// Receives one message; no bytes at all are the end. Files for which there was no room are an error.
pub(crate) fn receive(socket: BorrowedFd<'_>) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut bytes = vec![0; LONGEST];
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut control = Control([0; 1040]);
    // SAFETY: as above; the files that the kernel puts in are nobody else's.
    unsafe {
        let mut message: libc::msghdr = mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = (&raw mut control).cast();
        message.msg_controllen = mem::size_of::<Control>() as _;
        let n = again(|| libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC))?;
        bytes.truncate(n);
        let files = files(&message);
        if message.msg_flags & libc::MSG_CTRUNC != 0 {
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        }
        Ok((bytes, files))
    }
}

/// Takes the files out of a message that was received.
unsafe fn files(message: &libc::msghdr) -> Vec<OwnedFd> {
    let mut files = Vec::new();
    // SAFETY: the kernel wrote the headers, each followed by as many numbers as its length says.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS {
                let size = (*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                let data = libc::CMSG_DATA(header).cast::<i32>();
                files.extend((0..size / 4).map(|at| OwnedFd::from_raw_fd(data.add(at).read_unaligned())));
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    files
}

fn again(mut call: impl FnMut() -> isize) -> io::Result<usize> {
    loop {
        match call() {
            n if n >= 0 => return Ok(n as usize),
            _ => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}
