//! Waiting at a queue: a short spin, then a sleep. A sleep may end for no reason, and is never long without a look
//! around: one who was woken in this one's stead may have died of that.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fenshen_sync::{Deadline, Slept, is_alive};

use super::layout::{Mark, OUTBOXES};
use super::sleepers::Sleepers;
use super::{Refused, SharedQueue};

/// To be woken by another core takes three times as long.
const SPIN: Duration = Duration::from_micros(20);
const LONGEST: Duration = Duration::from_secs(1);
/// As long as somebody's outbox holds something, its owner may die, which wakes nobody.
const OUTBOX_LOOK: Duration = Duration::from_millis(100);

/// The number of the processor that the thread runs on.
#[inline]
pub(super) fn processor() -> u32 {
    // SAFETY: it only returns a number.
    unsafe { libc::sched_getcpu() as u32 }
}

/// Spins for what those on the processor `other` do: on this thread's own, they cannot do it as long as it spins.
fn spins(other: &AtomicU32, ready: &impl Fn() -> bool) -> bool {
    if other.load(Ordering::Relaxed) == processor() {
        return ready();
    }
    let start = Instant::now();
    loop {
        for _ in 0..16 {
            if ready() {
                return true;
            }
            std::hint::spin_loop();
        }
        if start.elapsed() >= SPIN {
            return false;
        }
    }
}

impl SharedQueue {
    /// Spins for a moment if that may help; whether there is a message.
    #[must_use]
    pub fn look_for_item(&self) -> bool {
        spins(&self.header().put.processor, &|| !self.is_empty())
    }

    /// The same for a place.
    #[must_use]
    pub fn look_for_place(&self) -> bool {
        spins(&self.header().get.processor, &|| !self.is_full())
    }

    /// Waits until there is a message, at most until the deadline.
    pub fn wait_for_item(&self, deadline: Option<Deadline>) -> Slept {
        let slept = self.wait(&self.header().waits.items, &self.header().put.processor, deadline, || !self.is_empty());
        if slept == Slept::TimedOut && self.is_empty() {
            self.cool();
        }
        slept
    }

    /// Waits until the queue is not full.
    pub fn wait_for_place(&self, deadline: Option<Deadline>) -> Slept {
        self.wait(&self.header().waits.places, &self.header().get.processor, deadline, || !self.is_full())
    }

    /// Waits for what was [`NoRoom`](Refused::NoRoom): until the ring is half empty and, if a message is yet to be
    /// [staged](SharedQueue::stage), until there are places for many.
    pub fn wait_for_space(&self, staging: bool, deadline: Option<Deadline>) -> Slept {
        let ready = || {
            let (tail, head) = self.marks();
            tail.bytes_since(head) <= super::RING / 2 && (!staging || self.has_free_slabs())
        };
        self.wait(&self.header().waits.space, &self.header().get.processor, deadline, ready)
    }

    /// Waits until all messages were said to be done.
    pub fn wait_until_idle(&self, deadline: Option<Deadline>) -> Slept {
        self.wait(&self.header().waits.idle, &self.header().get.processor, deadline, || self.unfinished() <= 0)
    }

    fn wait(
        &self,
        sleepers: &Sleepers,
        other: &AtomicU32,
        deadline: Option<Deadline>,
        ready: impl Fn() -> bool,
    ) -> Slept {
        if spins(other, &ready) {
            return Slept::Woken;
        }
        let ticket = sleepers.prepare();
        if ready() {
            return Slept::Woken;
        }
        let look = if self.in_outboxes() > 0 { OUTBOX_LOOK } else { LONGEST };
        let until = Deadline::after(look);
        let until = deadline.map_or(until, |deadline| deadline.min(until));
        let slept = sleepers.sleep(ticket, Some(until));
        if slept == Slept::TimedOut && self.in_outboxes() > 0 {
            self.forget_dead_outboxes();
        }
        if slept == Slept::TimedOut && !deadline.is_some_and(Deadline::is_past) { Slept::Woken } else { slept }
    }

    /// One who has [waited for a place](SharedQueue::wait_for_place) has it now, or gives up: the next one may look.
    pub fn pass_place_on(&self) {
        self.header().waits.places.pass_on(!self.is_full());
    }

    /// One who has [waited for a message](SharedQueue::wait_for_item) gives up.
    pub fn pass_item_on(&self) {
        self.header().waits.items.pass_on(!self.is_empty());
    }

    /// How many messages were put and not said to be done.
    #[must_use]
    pub fn unfinished(&self) -> i64 {
        let done = self.header().waits.done.load(Ordering::Acquire);
        let (tail, _) = self.marks();
        Mark::distance(tail.count(), done) + self.in_outboxes() as i64
    }

    /// Says that a message is done; false if all are.
    #[must_use]
    pub fn task_done(&self) -> bool {
        let waits = &self.header().waits;
        loop {
            let done = waits.done.load(Ordering::Acquire);
            if self.unfinished() <= 0 {
                return false;
            }
            let next = Mark::next(done);
            if waits.done.compare_exchange(done, next, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
                if self.unfinished() <= 0 {
                    waits.idle.wake(u32::MAX);
                }
                return true;
            }
        }
    }

    /// How many messages wait in outboxes.
    #[inline]
    pub(super) fn in_outboxes(&self) -> u64 {
        match self.outboxes_used() {
            0 => 0,
            used => self.header().outboxes[..used].iter().map(|o| o.load(Ordering::Acquire) & 0xffff_ffff).sum(),
        }
    }

    #[inline]
    fn outboxes_used(&self) -> usize {
        (self.header().put.outboxes_used.load(Ordering::Acquire) as usize).min(OUTBOXES)
    }

    /// What those who died had in their outboxes is lost, and no longer counted.
    fn forget_dead_outboxes(&self) {
        let mut any = false;
        for outbox in &self.header().outboxes[..self.outboxes_used()] {
            let was = outbox.load(Ordering::Acquire);
            if was & 0xffff_ffff != 0 && !is_alive((was >> 32) as u32) {
                any |= outbox.compare_exchange(was, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok();
            }
        }
        if any {
            self.header().waits.places.wake(u32::MAX);
            self.header().waits.idle.wake(u32::MAX);
        }
    }

    /// Counts a message in an outbox of this process: the one it has, or a new one. Returns which.
    ///
    /// # Errors
    /// `Busy`, `Full`; `NoRoom` if too many processes have one.
    pub fn count_in_outbox(&self, own: Option<usize>, wait: bool) -> Result<usize, Refused> {
        let _held = self.lock_put(wait)?;
        if self.is_full() {
            return Err(Refused::Full);
        }
        let me = u64::from(std::process::id()) << 32;
        let outboxes = &self.header().outboxes;
        let place = match own {
            Some(place) => place,
            None => outboxes.iter().position(|o| self.is_unused(o.load(Ordering::Acquire))).ok_or(Refused::NoRoom)?,
        };
        let used = &self.header().put.outboxes_used;
        if used.load(Ordering::Relaxed) as usize <= place {
            used.store(place as u32 + 1, Ordering::Release);
        }
        let was = outboxes[place].load(Ordering::Acquire);
        let count = if was & !0xffff_ffff == me { was & 0xffff_ffff } else { 0 };
        outboxes[place].store(me | (count + 1), Ordering::Release);
        Ok(place)
    }

    fn is_unused(&self, outbox: u64) -> bool {
        let holder = (outbox >> 32) as u32;
        holder == 0 || !is_alive(holder)
    }

    /// A message has gone from the outbox into the ring, or is given up. The lock of those who put is held, unless it is
    /// this process' own last word.
    pub(super) fn left_outbox(&self, place: usize) {
        if let Some(outbox) = self.header().outboxes.get(place) {
            let was = outbox.load(Ordering::Acquire);
            // One that was given back meanwhile may be another process' by now.
            if (was >> 32) as u32 == std::process::id() && was & 0xffff_ffff != 0 {
                outbox.store(was - 1, Ordering::Release);
            }
        }
    }

    /// The outbox is given back, and what it held is no longer counted.
    pub(super) fn close_outbox(&self, place: usize) {
        if let Some(outbox) = self.header().outboxes.get(place) {
            let _held = self.lock_put(true);
            outbox.store(0, Ordering::Release);
        }
        self.header().waits.places.wake(u32::MAX);
        self.header().waits.idle.wake(u32::MAX);
    }
}
