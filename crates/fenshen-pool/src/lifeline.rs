//! What ties a worker to its program: the kernel kills it the moment the program is gone, whatever it is doing.
//!
//! A pipe whose write end the program alone holds, and of which a worker has a read end that is an open file of its own.
//! The worker has the kernel signal that file's readiness by SIGKILL (`O_ASYNC`, `F_SETSIG`), and nothing is ever
//! written: what makes it ready is that the last write end is closed, by the program's end of whatever kind. No thread
//! waits for that, and no code of the worker has to run. `PR_SET_PDEATHSIG` would follow the thread that made the worker.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The program's side: as long as it is open, the workers that are tied to it live.
#[derive(Debug)]
pub struct Lifeline {
    /// What is left open for as long as the program lives.
    write: Option<OwnedFd>,
    /// What is handed on to workers.
    read: OwnedFd,
}

impl Lifeline {
    /// A new one. One serves any number of workers. Both ends are closed by `exec`; a forked child that is to outlive the
    /// program, or has workers of its own, drops its copy.
    ///
    /// # Errors
    /// As `pipe2`: too many open files.
    pub fn new() -> io::Result<Lifeline> {
        let mut ends = [0; 2];
        // SAFETY: there is room for two numbers, each of which is a file that nobody else has yet.
        unsafe {
            check(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC))?;
            let (read, write) = (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]));
            Ok(Lifeline { read, write: Some(write) })
        }
    }

    /// What a worker is [tied](tie) to: it is inherited, or passed.
    #[must_use]
    pub fn end(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }

    /// In a forked child: closes its copy of the program's side, and keeps what a worker is tied to.
    pub fn let_go(&mut self) {
        self.write = None;
    }
}

/// Ties the calling process to the program whose [`Lifeline::end`] it was given, for as long as the file that is returned
/// is open. It never becomes readable for as long as the process lives, so it can also be waited for as the program's end.
///
/// If the program has ended already, so does the process, by SIGKILL.
///
/// # Errors
/// As `open` and `fcntl`: too many open files, or no `/proc`.
pub fn tie(end: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // Who is signalled is a property of the open file, which others share that have the end too: hence another one.
    let own = OwnedFd::from(File::open(format!("/proc/self/fd/{}", end.as_raw_fd()))?);
    let fd = own.as_raw_fd();
    // SAFETY: all of them are calls with numbers only, on a file that is open.
    unsafe {
        check(libc::fcntl(fd, libc::F_SETOWN, libc::getpid()))?;
        check(libc::fcntl(fd, F_SETSIG, libc::SIGKILL))?;
        let flags = check(libc::fcntl(fd, libc::F_GETFL))?;
        check(libc::fcntl(fd, libc::F_SETFL, flags | libc::O_ASYNC))?;
        if is_hung_up(fd) {
            libc::kill(libc::getpid(), libc::SIGKILL);
        }
    }
    Ok(own)
}

/// The libc crate leaves it out; it is the same on every Linux.
const F_SETSIG: i32 = 10;

fn is_hung_up(fd: i32) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, as is said.
    unsafe { libc::poll(&raw mut poll, 1, 0) == 1 && poll.revents & libc::POLLHUP != 0 }
}

pub(crate) fn check(outcome: i32) -> io::Result<i32> {
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(outcome) }
}
