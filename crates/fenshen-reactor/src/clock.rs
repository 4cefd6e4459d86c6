//! The clock of the deadlines, and a counter cheap enough to read at every step.

mod ticks;

pub use ticks::Ticks;

use rustix::time::{ClockId, clock_gettime};

/// Seconds of `CLOCK_MONOTONIC`, to the last bit what Python's `time.monotonic()` returns at that nanosecond.
///
/// ```
/// use fenshen_reactor::clock;
///
/// let before = clock::now();
/// assert!(clock::now() >= before);
/// ```
#[inline]
#[must_use]
pub fn now() -> f64 {
    seconds(now_ns())
}

/// Nanoseconds of `CLOCK_MONOTONIC`.
#[inline]
#[must_use]
pub fn now_ns() -> i64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as i64 * 1_000_000_000 + time.tv_nsec as i64
}

/// What CPython's `PyTime_AsSecondsDouble` yields. Its special case for whole seconds changes nothing: they are multiples
/// of 2^9, so exact as a float for 146 years.
#[inline]
fn seconds(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_seconds_are_exact() {
        assert_eq!(seconds(1), 1e-9);
        assert_eq!(seconds(1_500_000_000), 1.5);
        // 2^53 nanoseconds are 104 days.
        for whole in [0, 1, 9_007_199, 9_007_201, 4_611_686_017] {
            assert_eq!(seconds(whole * 1_000_000_000), whole as f64);
        }
    }

    #[test]
    fn never_goes_back() {
        let mut last = now();
        for _ in 0..1000 {
            let next = now();
            assert!(next >= last);
            last = next;
        }
    }
}
