//! How much more memory a process holds than it did, so that a worker whose tasks leak can leave in time.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::clock::now;

/// How often the kernel is asked, in nanoseconds: that takes about a microsecond.
const EVERY: u64 = 1_000_000;

/// Whether the calling process has grown by more than a limit.
///
/// What counts is resident memory that is the process' own (the second number of `/proc/self/statm` less the third):
/// neither files that it maps nor memory that it shares.
#[derive(Debug)]
pub struct Growth {
    statm: File,
    limit: u64,
    page: u64,
    /// What there was at the first look.
    first: Option<u64>,
    looked: u64,
}

impl Growth {
    /// A limit in bytes, from what there is when it is looked at first.
    ///
    /// # Errors
    /// As `open`: too many open files, or no `/proc`.
    pub fn new(limit: u64) -> io::Result<Growth> {
        // SAFETY: it returns a number.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        let page = u64::try_from(page).map_err(|_| io::Error::last_os_error())?;
        Ok(Growth { statm: File::open("/proc/self/statm")?, limit, page, first: None, looked: 0 })
    }

    /// Looks, but no more than once a millisecond: whether there is too much. To be called between tasks, from the first
    /// one on, as its end is where growth counts from: what a task is made of was loaded for it.
    pub fn is_over(&mut self) -> bool {
        let time = now();
        if self.first.is_some() && time.saturating_sub(self.looked) < EVERY {
            return false;
        }
        self.looked = time;
        self.is_over_now()
    }

    /// The same, whenever the last look was: for one who has just let go of something.
    pub fn is_over_now(&mut self) -> bool {
        let Some(held) = self.held() else {
            return false; // somebody has closed our file
        };
        held.saturating_sub(*self.first.get_or_insert(held)) > self.limit
    }

    /// In bytes.
    fn held(&self) -> Option<u64> {
        let mut text = [0; 128];
        let length = self.statm.read_at(&mut text, 0).ok()?;
        let mut pages = str::from_utf8(&text[..length]).ok()?.split(' ').skip(1).map(str::parse::<u64>);
        let (resident, shared) = (pages.next()?.ok()?, pages.next()?.ok()?);
        Some(resident.saturating_sub(shared) * self.page)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Growth;

    const MIB: usize = 1 << 20;

    /// Other tests of this process take memory at the same time: hence so much.
    #[test]
    fn what_is_taken_counts_and_what_is_given_back_does_not() {
        let mut growth = Growth::new(64 * MIB as u64).unwrap();
        assert!(!growth.is_over());
        let mut taken = vec![1_u8; 128 * MIB];
        taken[MIB] = 2;
        assert!(growth.is_over_now());
        drop(taken);
        assert!(!growth.is_over_now());
    }

    #[test]
    fn looks_are_rare() {
        let mut growth = Growth::new(0).unwrap();
        assert!(!growth.is_over());
        growth.looked = u64::MAX;
        let taken = vec![1_u8; 16 * MIB];
        assert!(!growth.is_over());
        assert!(growth.is_over_now());
        drop(taken);
    }

    #[test]
    fn memory_that_is_shared_is_nobodys() {
        let mut growth = Growth::new(64 * MIB as u64).unwrap();
        assert!(!growth.is_over_now());
        let segment = fenshen_shm::Segment::create(c"growth", 128 * MIB).unwrap();
        // SAFETY: nobody else has it, and it is that long.
        unsafe { segment.start().write_bytes(1, 128 * MIB) };
        assert!(!growth.is_over_now());
    }
}
