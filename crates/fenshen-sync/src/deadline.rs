//! Points in time on the monotonic clock, as the kernel's timed waits take them.

use std::time::Duration;

/// A point in time: nanoseconds of `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(u64);

impl Deadline {
    /// Now.
    #[must_use]
    pub fn now() -> Deadline {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the pointer is to a timespec of ours; this clock always exists.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
        Deadline(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
    }

    /// That long from now. What is too far away for the clock is as far as it goes.
    #[must_use]
    pub fn after(wait: Duration) -> Deadline {
        let wait = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        // A few centuries: the kernel takes seconds as a signed number.
        Deadline(Deadline::now().0.saturating_add(wait).min(i64::MAX as u64))
    }

    /// How long there is until then; zero if it is past.
    #[must_use]
    pub fn remaining(self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(Deadline::now().0))
    }

    /// Whether it is past.
    #[must_use]
    pub fn is_past(self) -> bool {
        self.0 <= Deadline::now().0
    }

    /// Nanoseconds of `CLOCK_MONOTONIC`.
    #[must_use]
    pub fn nanos(self) -> u64 {
        self.0
    }

    #[cfg(not(any(loom, shuttle)))]
    pub(crate) fn timespec(self) -> libc::timespec {
        libc::timespec {
            tv_sec: (self.0 / 1_000_000_000) as libc::time_t,
            tv_nsec: (self.0 % 1_000_000_000) as libc::c_long,
        }
    }
}
