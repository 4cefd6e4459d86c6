//! One task that is measured, in the worker that runs it.

use super::super::span::{cpu, process_cpu, wall};
use super::{Late, MEASURED, Measures};
use crate::watchdog::starved;

/// Results shorter than this, in bytes, are copied in no time to speak of.
const LONG: u64 = 16 << 10;

/// It is told where the parts of the task's way end.
pub(crate) struct Gauge {
    row: u64,
    tid: i32,
    since: u64,
    wall: u64,
    starved: u64,
    measures: Measures,
}

/// How long the thread has been ready without a processor; zero where nobody counts.
fn kept_waiting(tid: i32) -> u64 {
    starved(tid).map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

impl Gauge {
    /// What a task's message begins with: the name of its function, the length of its head, and a gauge if it is to
    /// be measured.
    pub(crate) fn read(body: &[u8]) -> (u64, usize, Option<Gauge>) {
        let word =
            |at: usize| body.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u64::from_ne_bytes(*word));
        let name = word(0);
        if name & MEASURED == 0 {
            return (name, 8, None);
        }
        // SAFETY: it only tells the thread's number.
        let tid = unsafe { libc::syscall(libc::SYS_gettid) } as i32;
        let measures = Measures::default();
        let gauge = Gauge { row: word(8), tid, since: cpu(), wall: 0, starved: 0, measures };
        (name & !MEASURED, 16, Some(gauge))
    }

    /// The task has been loaded, and is called next.
    pub(crate) fn loaded(&mut self) {
        self.measures.load = cpu().saturating_sub(self.since);
        self.starved = kept_waiting(self.tid);
        self.since = process_cpu();
        self.wall = wall();
    }

    /// The call is over; its result is pickled next.
    pub(crate) fn called(&mut self) {
        self.measures.wall = wall().saturating_sub(self.wall);
        self.measures.cpu = process_cpu().saturating_sub(self.since);
        self.measures.starved = kept_waiting(self.tid).saturating_sub(self.starved);
        self.since = cpu();
    }

    /// The result has been pickled, and is sent next.
    pub(crate) fn pickled(&mut self) -> Measures {
        let now = cpu();
        self.measures.dump = now.saturating_sub(self.since);
        self.since = now;
        self.measures
    }

    /// The result, of so many bytes, has been sent; what is still to be told.
    pub(crate) fn sent(&self, bytes: u64) -> Option<Late> {
        (bytes >= LONG).then(|| Late { row: self.row, send: cpu().saturating_sub(self.since) })
    }
}
