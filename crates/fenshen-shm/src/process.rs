//! Who a process is to those that share memory with it, and what has become of it.

use std::fs;
use std::num::NonZeroU32;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// A process in 32 bits, never zero: its number, which is below 2^22, and of the moment it began enough to tell it from a
/// later process of the same number, but for one in a thousand.
///
/// Numbers are those of the caller's pid namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process(NonZeroU32);

/// What has become of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It runs, or is stopped.
    Alive,
    /// It was ended by a signal, the number of which is here.
    Killed(i32),
    /// It ended with this exit status.
    Exited(i32),
    /// It has ended, and whoever was to know how has been told.
    Gone,
}

const NUMBER: u32 = 22;
static CURRENT: AtomicU32 = AtomicU32::new(0);

impl Process {
    /// The calling process.
    #[inline]
    #[must_use]
    pub fn current() -> Process {
        match NonZeroU32::new(CURRENT.load(Ordering::Relaxed)) {
            Some(known) => Process(known),
            None => Process::find_out(),
        }
    }

    #[cold]
    fn find_out() -> Process {
        static HOOK: Once = Once::new();
        // SAFETY: what is registered only writes an atomic.
        HOOK.call_once(|| unsafe {
            libc::pthread_atfork(None, None, Some(forget));
        });
        let number = std::process::id();
        let began = read(number).map_or(0, |stat| stat.began);
        let found = Process::pack(number, began);
        CURRENT.store(found.0.get(), Ordering::Relaxed);
        found
    }

    /// For a child that was made by other means than `fork` of the C library, which knows it by itself.
    pub fn forget() {
        CURRENT.store(0, Ordering::Relaxed);
    }

    fn pack(number: u32, began: u64) -> Process {
        let number = NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Process(number | (began as u32) << NUMBER)
    }

    /// From what [`bits`](Process::bits) gave.
    #[must_use]
    pub fn from_bits(bits: u32) -> Option<Process> {
        NonZeroU32::new(bits).map(Process)
    }

    /// As it is written in shared memory.
    #[inline]
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0.get()
    }

    /// Its number, its `pid`.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0.get() & ((1 << NUMBER) - 1)
    }

    /// What has become of it. Without `/proc`, a process that has ended passes for alive until its parent was told.
    #[must_use]
    pub fn fate(self) -> Fate {
        let number = self.number();
        // SAFETY: signal zero only asks whether there is such a process.
        let refused = unsafe { libc::kill(number as libc::pid_t, 0) } < 0;
        if refused && std::io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH) {
            return Fate::Gone;
        }
        match read(number) {
            None => Fate::Alive,
            Some(stat) if Process::pack(number, stat.began) != self => Fate::Gone,
            Some(stat) if !matches!(stat.state, b'Z' | b'X' | b'x') => Fate::Alive,
            Some(Stat { status, .. }) if libc::WIFSIGNALED(status) => Fate::Killed(libc::WTERMSIG(status)),
            Some(Stat { status, .. }) => Fate::Exited(libc::WEXITSTATUS(status)),
        }
    }
}

extern "C" fn forget() {
    Process::forget();
}

/// What `/proc/PID/stat` says.
struct Stat {
    state: u8,
    /// In clock ticks since the machine was started.
    began: u64,
    /// As `waitpid` gives it; zero for those who may not know.
    status: i32,
}

fn read(number: u32) -> Option<Stat> {
    let text = fs::read(format!("/proc/{number}/stat")).ok()?;
    // "pid (any name) state ppid ...": the name may hold anything, even a parenthesis.
    let rest = &text[text.iter().rposition(|&b| b == b')')? + 1..];
    let fields: Vec<&str> = std::str::from_utf8(rest).ok()?.split_ascii_whitespace().collect();
    Some(Stat {
        state: *fields.first()?.as_bytes().first()?,
        began: fields.get(19)?.parse().ok()?,
        status: fields.get(49).and_then(|f| f.parse().ok()).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn this_one_is_alive() {
        let me = Process::current();
        assert_eq!(me.number(), std::process::id());
        assert_eq!(me.fate(), Fate::Alive);
        assert_eq!(Process::from_bits(me.bits()), Some(me));
        assert_eq!(Process::from_bits(0), None);
    }

    #[test]
    fn a_later_one_of_the_same_number_is_another() {
        let earlier = Process(NonZeroU32::new(Process::current().bits() ^ (1 << 31)).expect("the number is not zero"));
        assert_eq!(earlier.fate(), Fate::Gone);
    }

    #[test]
    fn ends_are_told_apart() {
        let mut child = Command::new("sleep").arg("100").spawn().expect("there is sleep(1)");
        let began = read(child.id()).expect("it runs").began;
        let process = Process::pack(child.id(), began);
        assert_eq!(process.fate(), Fate::Alive);
        child.kill().expect("it runs");
        while process.fate() == Fate::Alive {
            std::thread::yield_now();
        }
        assert_eq!(process.fate(), Fate::Killed(libc::SIGKILL));
        child.wait().expect("it is ours");
        assert_eq!(process.fate(), Fate::Gone);
    }
}
