//! The CPU time of another process.

use std::io;
use std::time::Duration;

/// The clock that runs while the server's process does, in all of its threads.
pub(crate) struct ServerCpu {
    clock: libc::clockid_t,
}

impl ServerCpu {
    pub(crate) fn of(pid: libc::pid_t) -> io::Result<Self> {
        let mut clock = 0;
        // SAFETY: the call writes one clock's number.
        match unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) } {
            0 => Ok(Self { clock }),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// How much it has used since it began.
    pub(crate) fn used(&self) -> io::Result<Duration> {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the call writes one timespec.
        match unsafe { libc::clock_gettime(self.clock, &raw mut time) } {
            0 => Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32)),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
