//! What the kernel tells of one thread of this process, in `/proc/self/task/TID/`.

use std::io::Write as _;

/// Reads the file `name` of a thread into `text`, by the kernel's number of the thread; None where there is no such
/// thread or file. Three system calls, no memory.
pub(crate) fn read<'a>(tid: i32, name: &str, text: &'a mut [u8]) -> Option<&'a str> {
    let mut path = [0; 64];
    write!(&mut path[..63], "/proc/self/task/{tid}/{name}").ok()?;
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
    std::str::from_utf8(text.get(..usize::try_from(n).ok()?)?).ok()
}
