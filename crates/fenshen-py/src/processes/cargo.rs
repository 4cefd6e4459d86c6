//! What a task of a process pool carries: a call, pickled, and whoever waits for its result.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use fenshen_pool::{Cargo, Job, Prelude, Write};

use super::pickling::Pickle;
use crate::advise::remote::Ticket;
use crate::object::Obj;

/// A call.
pub(crate) struct Call {
    pub(crate) pickle: Pickle,
    pub(crate) function: Option<Arc<Prelude>>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retries: u32,
    /// How many items it may send ahead; 0 for a call that returns one result.
    pub(crate) window: u32,
    /// The future, the sink of a stream, or what is called with whether it went well, and the outcome.
    pub(crate) sink: Obj,
    /// `(function, args, kwargs)`, in case it has to be pickled in another way.
    pub(crate) what: Obj,
    /// It was pickled by value already.
    pub(crate) by_value: bool,
    /// It is measured.
    pub(crate) ticket: Option<Box<Ticket>>,
    /// Somebody has cancelled it.
    pub(crate) cancelled: AtomicBool,
}

// SAFETY: what is Python's in it is only touched by threads that are attached; packing reads buffers that are held, and
// `bytes`, which never change.
unsafe impl Send for Call {}
// SAFETY: as above.
unsafe impl Sync for Call {}

/// One on its way.
pub(crate) type PyJob = Job<Call>;

impl Cargo for Call {
    fn pack(&self, write: &mut Write<'_>) -> io::Result<bool> {
        let name = self.function.as_ref().map_or(0, |f| f.name);
        match &self.ticket {
            None => self.pickle.with(&name.to_ne_bytes(), |body, parts| write(body, parts)),
            Some(ticket) => ticket.copying(|| self.pickle.with(&ticket.head(name), |body, parts| write(body, parts))),
        }
    }

    fn prelude(&self) -> Option<&Arc<Prelude>> {
        self.function.as_ref()
    }

    fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    fn retries(&self) -> u32 {
        self.retries
    }

    fn window(&self) -> u32 {
        self.window
    }
}

/// What a result is.
pub(crate) const RETURNED: u32 = 0;
/// `(exception, text of its traceback)`.
pub(crate) const RAISED: u32 = 1;
/// The same, of a task that could not be loaded, and so did not run.
pub(crate) const NOT_LOADED: u32 = 2;
/// Nothing: a stream that was closed, as the pool had told it to.
pub(crate) const CLOSED: u32 = 3;
/// `(exception, text of its traceback)`, of a stream that raised when it was closed.
pub(crate) const RAISED_AT_CLOSE: u32 = 4;
/// Nothing: a coroutine that was cancelled.
pub(crate) const CANCELLED: u32 = 5;
/// What a coroutine returned though it was cancelled.
pub(crate) const SWALLOWED: u32 = 6;
