//! How long a thread was ready to run and got no processor: time that no step is to blame for.

use std::time::Duration;

/// That time since the thread began, by the kernel's number of it; None where the kernel doesn't count it.
///
/// It is asked for at every look at a busy loop, so it takes three system calls and no memory.
pub(crate) fn starved(tid: i32) -> Option<Duration> {
    let mut text = [0; 96];
    let waited = crate::proc::read(tid, "schedstat", &mut text)?.split_ascii_whitespace().nth(1)?;
    waited.parse().ok().map(Duration::from_nanos)
}
