//! The choice between `epoll_pwait2` and `epoll_wait`.

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Cleared by the first refusal. A sandbox that doesn't know the call may refuse it on any kernel.
static HAS_PWAIT2: AtomicBool = AtomicBool::new(true);

/// The longest wait that `epoll_wait` can express.
const MAX_MILLIS: Duration = Duration::from_millis(i32::MAX as u64);

/// Appends to `events`, which is empty, as many as there is capacity for.
pub(super) fn wait(fd: BorrowedFd<'_>, events: &mut Vec<epoll::Event>, timeout: Option<Duration>) -> io::Result<()> {
    match timeout {
        Some(limit) if !limit.is_zero() && HAS_PWAIT2.load(Ordering::Relaxed) => match pwait2(fd, events, limit) {
            Err(error) if is_refusal(&error) => {
                HAS_PWAIT2.store(false, Ordering::Relaxed);
                wait_millis(fd, events, timeout)
            }
            done => done,
        },
        _ => wait_millis(fd, events, timeout),
    }
}

/// `epoll_wait`: whole milliseconds, rounded up by rustix.
fn wait_millis(fd: BorrowedFd<'_>, events: &mut Vec<epoll::Event>, timeout: Option<Duration>) -> io::Result<()> {
    let limit = timeout.map(|limit| timespec(limit.min(MAX_MILLIS)));
    epoll::wait(fd, spare_capacity(events), limit.as_ref())?;
    Ok(())
}

/// `epoll_pwait2`: rustix calls it only in builds that give up older kernels.
fn pwait2(fd: BorrowedFd<'_>, events: &mut Vec<epoll::Event>, limit: Duration) -> io::Result<()> {
    let limit = timespec(limit);
    let limit = libc::timespec { tv_sec: limit.tv_sec as _, tv_nsec: limit.tv_nsec as _ };
    let spare = events.spare_capacity_mut();
    let room = i32::try_from(spare.len()).unwrap_or(i32::MAX);
    // SAFETY: the kernel writes at most `room` records of the layout that rustix's `Event` has into the spare capacity,
    // and reads one timespec. A null mask leaves the signal mask alone.
    let ready = unsafe {
        libc::syscall(
            libc::SYS_epoll_pwait2,
            fd.as_raw_fd(),
            spare.as_mut_ptr(),
            room,
            &raw const limit,
            std::ptr::null::<libc::sigset_t>(),
            0_usize,
        )
    };
    let Ok(ready) = usize::try_from(ready) else {
        return Err(io::Error::last_os_error());
    };
    // SAFETY: the kernel has initialised the first `ready` records, and `ready` is at most `room`.
    unsafe { events.set_len(ready) };
    Ok(())
}

fn is_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM))
}

fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX), tv_nsec: duration.subsec_nanos().into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::epoll::CreateFlags;
    use std::os::fd::AsFd;
    use std::time::Instant;

    #[test]
    fn without_pwait2_a_timeout_is_rounded_up() {
        let fd = epoll::create(CreateFlags::CLOEXEC).unwrap();
        let mut events = Vec::with_capacity(1);
        for limit in [Duration::from_nanos(1), Duration::from_micros(1200)] {
            let start = Instant::now();
            wait_millis(fd.as_fd(), &mut events, Some(limit)).unwrap();
            assert!(start.elapsed() >= limit.max(Duration::from_millis(1)));
        }
    }

    #[test]
    fn only_a_missing_call_is_a_refusal() {
        assert!(is_refusal(&io::Error::from_raw_os_error(libc::ENOSYS)));
        assert!(is_refusal(&io::Error::from_raw_os_error(libc::EPERM)));
        assert!(!is_refusal(&io::Error::from_raw_os_error(libc::EINTR)));
    }

    #[test]
    fn the_longest_duration_is_a_valid_timespec() {
        assert_eq!(timespec(Duration::MAX).tv_sec, i64::MAX);
    }
}
