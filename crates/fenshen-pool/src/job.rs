//! A task on its way: from the pool's queue to a worker, and back again where a worker has died or was too slow.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use fenshen_shm::Part;

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// How a task is written: its body in pieces, and its parts. Returns whether there was room.
pub type Write<'a> = dyn FnMut(&[&[u8]], &[Part<'_>]) -> io::Result<bool> + 'a;

/// What a task carries, and how it is to be treated.
pub trait Cargo: Send + Sync + 'static {
    /// Writes the task. It may be called again, for another worker.
    ///
    /// # Errors
    /// What `write` said.
    fn pack(&self, write: &mut Write<'_>) -> io::Result<bool>;

    /// What the worker must have been told before.
    fn prelude(&self) -> Option<&Arc<Prelude>> {
        None
    }

    /// How long it may run.
    fn timeout(&self) -> Option<Duration> {
        None
    }

    /// How often it is run again after a worker's death.
    fn retries(&self) -> u32 {
        0
    }

    /// How many items it may send before the first is [taken](crate::Pool::grant); 0 for a task that sends none. Fewer than
    /// 2^31.
    fn window(&self) -> u32 {
        0
    }
}

/// What several tasks refer to, and is sent to each worker once: a function, as a rule.
#[derive(Debug)]
pub struct Prelude {
    /// Its name, which is no other's.
    pub name: u64,
    /// What is sent.
    pub body: Vec<u8>,
}

impl Prelude {
    /// One with a name that this process has not used.
    #[must_use]
    pub fn new(body: Vec<u8>) -> Prelude {
        static LAST: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        Prelude { name: LAST.fetch_add(1, Ordering::Relaxed) + 1, body }
    }
}

const QUEUED: u64 = 0;
const ENDED: u64 = u64::MAX;

/// A task, shared by the pool and by whoever waits for its result.
#[derive(Debug)]
pub struct Job<C> {
    /// What it carries.
    pub cargo: C,
    /// The worker that it was sent to and its number there; changed under the pool's lock.
    place: AtomicU64,
    /// How often it was lost.
    losses: AtomicU32,
    /// How often a worker died when it was the next to be begun.
    offers: AtomicU32,
}

/// After so many deaths of workers that were about to begin it, a task counts as what they died of.
const OFFERS: u32 = 3;

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Queued,
    /// At a worker, with its number there.
    Sent(u32, u32),
    Ended,
}

impl<C: Cargo> Job<C> {
    /// One that is nowhere yet.
    pub fn new(cargo: C) -> Arc<Job<C>> {
        Arc::new(Job { cargo, place: AtomicU64::new(QUEUED), losses: AtomicU32::new(0), offers: AtomicU32::new(0) })
    }

    pub(crate) fn place(&self) -> Place {
        match self.place.load(Ordering::Acquire) {
            QUEUED => Place::Queued,
            ENDED => Place::Ended,
            sent => Place::Sent((sent >> 32) as u32, sent as u32),
        }
    }

    /// Whether it has neither come back nor been given up.
    pub fn is_pending(&self) -> bool {
        self.place() != Place::Ended
    }

    pub(crate) fn put(&self, place: Place) {
        let word = match place {
            Place::Queued => QUEUED,
            Place::Sent(worker, seq) => u64::from(worker) << 32 | u64::from(seq),
            Place::Ended => ENDED,
        };
        self.place.store(word, Ordering::Release);
    }

    /// Counts a loss; whether it is to be run again.
    pub(crate) fn may_retry(&self) -> bool {
        self.losses.fetch_add(1, Ordering::Relaxed) < self.cargo.retries()
    }

    /// Counts a worker that died when this was next; whether another may try.
    pub(crate) fn may_be_offered(&self) -> bool {
        self.offers.fetch_add(1, Ordering::Relaxed) + 1 < OFFERS
    }

    /// How often it was lost with a worker.
    pub fn losses(&self) -> u32 {
        self.losses.load(Ordering::Relaxed)
    }
}
