//! What the pool knows of a worker that runs many tasks at once, on an event loop.
//!
//! Such tasks begin in the order in which they were sent, as soon as the worker reads of them, and end in any. So there are no
//! leases: the number of the last that began, in shared memory, tells after a death which had. None is taken back; one that
//! is to be cancelled is asked to end, and its result says whether it did.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;

use fenshen_shm::Sender;

use crate::kind::CANCEL;
use crate::lease::NUMBERS;
use crate::link::Shared;
use crate::sync::{Ordering, fence};

/// How a worker's loop is told, and how much it may have.
#[derive(Debug)]
pub(crate) struct Many {
    /// How many tasks it may have at once.
    pub(crate) most: u32,
    /// What wakes its loop.
    doorbell: OwnedFd,
    /// Tasks that it is to cancel, and could not be told of yet.
    asked: VecDeque<u32>,
}

impl Many {
    pub(crate) fn new(most: u32, doorbell: OwnedFd) -> Many {
        Many { most, doorbell, asked: VecDeque::new() }
    }

    /// Wakes the loop, if it sleeps.
    pub(crate) fn wake(&self, shared: &Shared) {
        if shared.asleep.must_ring() {
            // The counter never comes near its end, where this would fail.
            rustix::io::write(&self.doorbell, &1_u64.to_ne_bytes()).ok();
        }
    }

    /// The worker is to cancel a task.
    pub(crate) fn ask(&mut self, seq: u32) {
        self.asked.push_back(seq);
    }

    /// Tells the worker what to cancel, as far as there is room.
    pub(crate) fn tell(&mut self, shared: &Shared, sender: &mut Sender) -> io::Result<()> {
        let mut told = false;
        while let Some(&seq) = self.asked.front() {
            if !with_room(shared, || sender.send(CANCEL, seq.into(), &[], &[]))? {
                break;
            }
            self.asked.pop_front();
            told = true;
        }
        if told {
            self.wake(shared);
        }
        Ok(())
    }
}

/// Sends something; if there is no room, the worker tells when there is.
pub(crate) fn with_room(shared: &Shared, mut send: impl FnMut() -> io::Result<bool>) -> io::Result<bool> {
    if send()? {
        return Ok(true);
    }
    shared.stuffed.store(1, Ordering::Relaxed);
    fence();
    // The worker may have read all of it before it could see that.
    send()
}

/// Whether the worker has begun a task.
pub(crate) fn has_begun(shared: &Shared, seq: u32) -> bool {
    (shared.begun.load(Ordering::Acquire).wrapping_sub(seq) & NUMBERS) < NUMBERS / 2
}
