//! The death of a worker, in words.

use std::fmt;
use std::time::{Duration, Instant};

use crate::oom::OomCounter;
use crate::pidfd::Exit;

/// What is known of a worker that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Death {
    /// The number it had.
    pub pid: i32,
    /// How it ended; None if somebody else waited for it first.
    pub exit: Option<Exit>,
    /// Whether the kernel killed a process of its cgroup for want of memory about then.
    pub out_of_memory: bool,
}

impl fmt::Display for Death {
    /// "process 123 was killed by signal 9 (SIGKILL): the kernel's OOM killer struck this cgroup then"
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ", self.pid)?;
        match self.exit {
            None => f.write_str("ended, and somebody else was told how"),
            Some(exit @ Exit::Status(_)) => write!(f, "ended with {exit}"),
            Some(exit @ Exit::Signal(signal)) => {
                write!(f, "was killed by {exit}")?;
                if signal == libc::SIGKILL && self.out_of_memory {
                    f.write_str(": the kernel's OOM killer struck this cgroup then")?;
                }
                Ok(())
            }
        }
    }
}

/// Tells the deaths of one pool's workers apart: by signals alone, want of memory looks like any other SIGKILL.
#[derive(Debug)]
pub struct Deaths {
    counter: Option<OomCounter>,
    seen: u64,
    /// How many kills have not been told of, and when they were seen: one stroke can have several victims.
    untold: u64,
    at: Instant,
}

impl Deaths {
    /// How long a kill that was seen with one death may be the cause of another.
    const STROKE: Duration = Duration::from_secs(1);

    /// Counts from now on.
    #[must_use]
    pub fn new() -> Deaths {
        Deaths::count(OomCounter::of_this_process())
    }

    fn count(counter: Option<OomCounter>) -> Deaths {
        let seen = counter.as_ref().and_then(OomCounter::read).unwrap_or(0);
        Deaths { counter, seen, untold: 0, at: Instant::now() }
    }

    /// What is known of a worker that has just ended. Each kill is told of once.
    pub fn read(&mut self, pid: i32, exit: Option<Exit>) -> Death {
        let killed = exit == Some(Exit::Signal(libc::SIGKILL));
        let out_of_memory = killed && self.rose();
        Death { pid, exit, out_of_memory }
    }

    fn rose(&mut self) -> bool {
        let now = self.counter.as_ref().and_then(OomCounter::read).unwrap_or(self.seen);
        if self.at.elapsed() > Deaths::STROKE {
            self.untold = 0;
        }
        if now > self.seen {
            self.untold += now - self.seen;
            self.at = Instant::now();
        }
        self.seen = now;
        let rose = self.untold > 0;
        self.untold -= u64::from(rose);
        rose
    }
}

impl Default for Deaths {
    fn default() -> Deaths {
        Deaths::new()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn words(exit: Option<Exit>, out_of_memory: bool) -> String {
        Death { pid: 12, exit, out_of_memory }.to_string()
    }

    #[test]
    fn it_says_how() {
        assert_eq!(words(Some(Exit::Status(3)), false), "process 12 ended with exit status 3");
        assert_eq!(words(Some(Exit::Signal(11)), true), "process 12 was killed by signal 11 (SIGSEGV)");
        assert_eq!(words(Some(Exit::Signal(64)), false), "process 12 was killed by signal 64");
        assert_eq!(words(None, false), "process 12 ended, and somebody else was told how");
        assert_eq!(
            words(Some(Exit::Signal(9)), true),
            "process 12 was killed by signal 9 (SIGKILL): the kernel's OOM killer struck this cgroup then"
        );
    }

    #[test]
    fn each_kill_is_told_of_once() {
        let file = std::env::temp_dir().join(format!("fenshen-oom-{}", std::process::id()));
        std::fs::write(&file, "oom_kill 4\n").unwrap();
        let mut deaths = Deaths::count(Some(OomCounter::at(file.clone())));
        let killed = Some(Exit::Signal(libc::SIGKILL));
        assert!(!deaths.read(1, killed).out_of_memory);
        std::fs::write(&file, "oom_kill 6\n").unwrap();
        assert!(!deaths.read(2, Some(Exit::Signal(libc::SIGSEGV))).out_of_memory);
        assert!(deaths.read(3, killed).out_of_memory);
        assert!(deaths.read(4, killed).out_of_memory);
        assert!(!deaths.read(5, killed).out_of_memory);
        std::fs::remove_file(&file).unwrap();
        assert!(!deaths.read(6, killed).out_of_memory);
    }
}
