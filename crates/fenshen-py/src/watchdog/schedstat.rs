//! How long a thread was ready to run and got no processor: time that no step is to blame for.

use std::fs;
use std::time::Duration;

/// That time since the thread began, by the kernel's number of it; None where the kernel doesn't count it.
pub(super) fn starved(tid: i32) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/self/task/{tid}/schedstat")).ok()?;
    let waited = text.split_ascii_whitespace().nth(1)?;
    waited.parse().ok().map(Duration::from_nanos)
}
