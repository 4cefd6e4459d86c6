//! What is measured of tasks that go to other processes, and of moving them there and back.
//!
//! The pool's process gives each task a [`Ticket`] when it is submitted: it times the pickling, the copying into shared
//! memory and the loading of the result, and counts the bytes. A task with a ticket says so in its head, so a worker
//! needs to be told nothing more: its [`Gauge`] times the loading, the call and the pickling of the result, and these
//! [`Measures`] come back at the head of the result. What copying a long result took is known only when it has been
//! sent, and follows in a note.
//!
//! Moving is timed by the thread's CPU clock, which other processes' load does not stretch; the call by the wall clock,
//! by the whole worker's CPU clock (a task may have threads), and by the time that its thread was ready to run without
//! a processor.

mod gauge;
mod measures;
mod row;
mod ticket;

pub(crate) use gauge::Gauge;
pub(crate) use measures::{Late, Measures};
pub(super) use row::{Counts, Row};
pub(crate) use ticket::Ticket;

/// In the word that names a task's function: the task is measured.
const MEASURED: u64 = 1 << 63;
/// In the flavour of a result or a note: measurements are in it.
const WITH_MEASURES: u32 = 1 << 20;

/// The flavour of a result that begins with measurements.
pub(crate) fn measured(flavour: u32) -> u32 {
    flavour | WITH_MEASURES
}

/// A flavour, and whether measurements come with it.
pub(crate) fn split(flavour: u32) -> (u32, bool) {
    (flavour & !WITH_MEASURES, flavour & WITH_MEASURES != 0)
}
