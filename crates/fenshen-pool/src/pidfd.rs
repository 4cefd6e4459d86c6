//! A process as a file: what is waited for, asked and signalled is that very process, never another that got its number.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with that status, 0 to 255.
    Status(i32),
    /// It was killed by that signal.
    Signal(i32),
}

impl Exit {
    /// As `subprocess` and `multiprocessing` count: the status, or the signal's number below zero.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Exit::Status(status) => status,
            Exit::Signal(signal) => -signal,
        }
    }
}

impl fmt::Display for Exit {
    /// "exit status 3", or "signal 9 (SIGKILL)".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Exit::Status(status) => write!(f, "exit status {status}"),
            Exit::Signal(signal) => match name(signal) {
                Some(name) => write!(f, "signal {signal} ({name})"),
                None => write!(f, "signal {signal}"),
            },
        }
    }
}

/// The name of a signal that ends processes.
fn name(signal: i32) -> Option<&'static str> {
    const NAMES: [(i32, &str); 22] = [
        (libc::SIGHUP, "SIGHUP"),
        (libc::SIGINT, "SIGINT"),
        (libc::SIGQUIT, "SIGQUIT"),
        (libc::SIGILL, "SIGILL"),
        (libc::SIGTRAP, "SIGTRAP"),
        (libc::SIGABRT, "SIGABRT"),
        (libc::SIGBUS, "SIGBUS"),
        (libc::SIGFPE, "SIGFPE"),
        (libc::SIGKILL, "SIGKILL"),
        (libc::SIGUSR1, "SIGUSR1"),
        (libc::SIGSEGV, "SIGSEGV"),
        (libc::SIGUSR2, "SIGUSR2"),
        (libc::SIGPIPE, "SIGPIPE"),
        (libc::SIGALRM, "SIGALRM"),
        (libc::SIGTERM, "SIGTERM"),
        (libc::SIGXCPU, "SIGXCPU"),
        (libc::SIGXFSZ, "SIGXFSZ"),
        (libc::SIGVTALRM, "SIGVTALRM"),
        (libc::SIGPROF, "SIGPROF"),
        (libc::SIGIO, "SIGIO"),
        (libc::SIGPWR, "SIGPWR"),
        (libc::SIGSYS, "SIGSYS"),
    ];
    NAMES.iter().find(|&&(number, _)| number == signal).map(|&(_, name)| name)
}

/// An open process. It can be polled: it is readable once the process has ended.
#[derive(Debug)]
pub struct Pidfd(OwnedFd);

impl Pidfd {
    /// The process of that number. It must be certain that the number has not been given away: that of a child which
    /// nobody has waited for is certain.
    ///
    /// # Errors
    /// As `pidfd_open`: there is no such process, or too many open files.
    pub fn open(pid: i32) -> io::Result<Pidfd> {
        // SAFETY: a call with numbers only, whose outcome is a file that nobody else has.
        unsafe {
            let fd = syscall(libc::syscall(libc::SYS_pidfd_open, pid, 0))?;
            Ok(Pidfd(OwnedFd::from_raw_fd(fd)))
        }
    }

    /// How it ended, if it has, leaving it to be waited for by others. Only for a child of the calling process.
    ///
    /// # Errors
    /// As `waitid`: it is not a child, or somebody has waited for it already.
    pub fn peek(&self) -> io::Result<Option<Exit>> {
        self.ask(libc::WNOHANG | libc::WNOWAIT)
    }

    /// How it ended, if it has, and takes it off the kernel's table.
    ///
    /// # Errors
    /// As [`peek`](Pidfd::peek).
    pub fn reap(&self) -> io::Result<Option<Exit>> {
        self.ask(libc::WNOHANG)
    }

    fn ask(&self, flags: i32) -> io::Result<Option<Exit>> {
        // SAFETY: all zeros is a state of that structure, and the kernel writes no more than it.
        unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            while libc::waitid(libc::P_PIDFD, self.0.as_raw_fd() as u32, &raw mut info, flags | libc::WEXITED) < 0 {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            Ok(match (info.si_pid(), info.si_code) {
                (0, _) => None,
                (_, libc::CLD_EXITED) => Some(Exit::Status(info.si_status())),
                _ => Some(Exit::Signal(info.si_status())),
            })
        }
    }

    /// Waits for its end, for `patience` at most. Returns whether it has ended.
    ///
    /// # Errors
    /// As `poll`.
    pub fn wait(&self, patience: Duration) -> io::Result<bool> {
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            let left = i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
            // SAFETY: one entry, as is said.
            match unsafe { libc::poll(&raw mut poll, 1, left) } {
                0 if left < i32::MAX => return Ok(false),
                0 => {}
                1 => return Ok(true),
                _ => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::Interrupted => {}
                    error => return Err(error),
                },
            }
        }
    }

    /// Sends it a signal; one that has ended gets none. Returns whether it was there.
    ///
    /// # Errors
    /// As `pidfd_send_signal`, other than that it has ended.
    pub fn signal(&self, signal: i32) -> io::Result<bool> {
        // SAFETY: no more than numbers; the information about the signal is the kernel's own.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.0.as_raw_fd(),
                signal,
                std::ptr::null::<libc::siginfo_t>(),
                0,
            )
        };
        match syscall(sent) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(false),
            outcome => outcome.map(|_| true),
        }
    }
}

fn syscall(outcome: libc::c_long) -> io::Result<i32> {
    crate::lifeline::check(outcome as i32)
}

impl AsFd for Pidfd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Pidfd {
    /// A file that is known to be a process.
    fn from(fd: OwnedFd) -> Pidfd {
        Pidfd(fd)
    }
}

impl From<Pidfd> for OwnedFd {
    fn from(pidfd: Pidfd) -> OwnedFd {
        pidfd.0
    }
}
