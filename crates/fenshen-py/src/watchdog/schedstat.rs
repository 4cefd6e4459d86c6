//! How long a thread was ready to run and got no processor: time that no step is to blame for.

use std::io::Write as _;
use std::time::Duration;

/// That time since the thread began, by the kernel's number of it; None where the kernel doesn't count it.
///
/// It is asked for at every look at a busy loop, so it takes three system calls and no memory.
pub(super) fn starved(tid: i32) -> Option<Duration> {
    let mut path = [0; 64];
    write!(&mut path[..63], "/proc/self/task/{tid}/schedstat").ok()?;
    let mut text = [0; 96];
    // SAFETY: the path ends with a zero byte, and the buffer is as long as is said.
    let n = unsafe {
        let fd = libc::open(path.as_ptr().cast(), libc::O_RDONLY | libc::O_CLOEXEC);
        if fd < 0 {
            return None;
        }
        let n = libc::read(fd, text.as_mut_ptr().cast(), text.len());
        libc::close(fd);
        n
    };
    let text = std::str::from_utf8(text.get(..usize::try_from(n).ok()?)?).ok()?;
    let waited = text.split_ascii_whitespace().nth(1)?;
    waited.parse().ok().map(Duration::from_nanos)
}
