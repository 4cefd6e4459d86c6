//! The queue and the workers: who gets which task.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::now;
use crate::hand::{Hand, Stage};
use crate::job::{Cargo, Job, Place};

/// How long a task may run before those behind it go elsewhere.
pub(crate) const PATIENCE: Duration = Duration::from_millis(2);

/// What has to be done once the pool's lock is let go of: jobs to drop, which may run the user's code, and tasks that could
/// not be sent.
#[must_use]
pub struct Aftermath<C> {
    dropped: Vec<Arc<Job<C>>>,
    /// Tasks that failed before they reached a worker, and why.
    pub refused: Vec<(Arc<Job<C>>, io::Error)>,
}

impl<C> Default for Aftermath<C> {
    fn default() -> Aftermath<C> {
        Aftermath { dropped: Vec::new(), refused: Vec::new() }
    }
}

/// What became of a request to cancel a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It had not begun, and will not.
    Yes,
    /// It runs.
    Running,
    /// It ran, and its worker is killed.
    Killed,
    /// It has ended.
    Ended,
    /// It runs beside others, and was asked to end: its result will tell.
    Asked,
}

pub(crate) struct Crew<C> {
    pub(crate) queue: VecDeque<Arc<Job<C>>>,
    pub(crate) hands: Vec<Hand<C>>,
    /// No more tasks: workers are told to end when they have nothing to do.
    pub(crate) closing: bool,
}

impl<C: Cargo> Crew<C> {
    pub(crate) fn new() -> Crew<C> {
        Crew { queue: VecDeque::new(), hands: Vec::new(), closing: false }
    }

    pub(crate) fn hand(&mut self, id: u32) -> Option<&mut Hand<C>> {
        self.hands.iter_mut().find(|h| h.id == id)
    }

    /// Sends what can be sent.
    pub(crate) fn feed(&mut self, after: &mut Aftermath<C>) {
        self.hands.iter_mut().for_each(Hand::tell);
        let mut stuffed = Vec::new();
        while let Some(job) = self.queue.front() {
            if !job.is_pending() {
                after.dropped.extend(self.queue.pop_front());
                continue;
            }
            let share = self.share();
            let free =
                self.hands.iter_mut().filter(|h| h.has_credit() && h.flying.len() < share && !stuffed.contains(&h.id));
            // The least busy; a worker that is still starting only where no other has credit.
            let Some(hand) = free.min_by_key(|h| (h.flying.len(), h.stage == Stage::Starting)) else {
                break;
            };
            match hand.send(job) {
                Ok(true) => drop(self.queue.pop_front()),
                // Its loop is held up by one task; the others need not be.
                Ok(false) if hand.many.is_some() => stuffed.push(hand.id),
                Ok(false) => break,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => hand.kill(),
                Err(error) => {
                    job.put(Place::Ended);
                    after.refused.extend(self.queue.pop_front().map(|job| (job, error)));
                }
            }
        }
        self.dismiss();
    }

    /// How many tasks each may have, of those that there are: where many run at once, and are never moved, nobody gets
    /// what another is about to be ready for.
    fn share(&self) -> usize {
        let awaited = |h: &Hand<C>| h.many.is_some() && h.stage == Stage::Starting;
        if !self.hands.iter().any(awaited) {
            return usize::MAX;
        }
        let sent: usize = self.hands.iter().map(|h| h.flying.len()).sum();
        (self.queue.len() + sent).div_ceil(self.hands.len())
    }

    /// Tells those to end that are to.
    pub(crate) fn dismiss(&mut self) {
        let closing = self.closing && self.queue.is_empty();
        for hand in &mut self.hands {
            let ends = match hand.stage {
                Stage::Starting => false,
                Stage::Working => closing,
                // A signal that was to end it may be one that it lives with.
                Stage::Retiring | Stage::Ending => true,
            };
            // An error is the ring's: it is found again when the worker is listened to.
            if ends {
                hand.dismiss().ok();
            }
        }
    }

    /// Gives those who have nothing to do what waits behind a slow task. Whether there may be more to move later.
    pub(crate) fn balance(&mut self, after: &mut Aftermath<C>) -> bool {
        if !self.queue.is_empty() {
            self.feed(after);
        }
        while self.queue.is_empty() && self.hands.iter().any(Hand::is_idle) {
            let Some(hand) = self.hands.iter_mut().filter(|h| h.flying.len() > 1).max_by_key(|h| h.flying.len()) else {
                return false;
            };
            let (Some(first), Some(last)) = (hand.flying.front(), hand.flying.back()) else {
                return false;
            };
            let waited = hand.leases().claimed(first.seq).map(|began| now().saturating_sub(began));
            if hand.credit.is_short() && waited.is_none_or(|w| w < PATIENCE.as_nanos() as u64) {
                return true;
            }
            let seq = last.seq;
            let Some(job) = hand.revoke(seq) else {
                return true;
            };
            job.put(Place::Queued);
            self.queue.push_front(job);
            self.feed(after);
        }
        false
    }

    /// Cancels a task; one that runs only if it may be killed.
    pub(crate) fn cancel(&mut self, job: &Job<C>, kill: bool, after: &mut Aftermath<C>) -> Cancelled {
        match job.place() {
            Place::Ended => Cancelled::Ended,
            Place::Queued => {
                job.put(Place::Ended);
                Cancelled::Yes
            }
            Place::Sent(worker, seq) => {
                let Some(hand) = self.hand(worker) else {
                    return Cancelled::Running;
                };
                if let Some(revoked) = hand.revoke(seq) {
                    job.put(Place::Ended);
                    after.dropped.push(revoked);
                    self.feed(after);
                    return Cancelled::Yes;
                }
                if hand.ask(seq) {
                    return Cancelled::Asked;
                }
                if !kill {
                    return Cancelled::Running;
                }
                let (back, alone) = hand.isolate(seq);
                if !alone {
                    self.take_back(back);
                    self.feed(after);
                    return Cancelled::Running;
                }
                let ended = hand.flying.iter_mut().find(|f| f.seq == seq).and_then(|f| f.job.take());
                hand.kill();
                job.put(Place::Ended);
                after.dropped.extend(ended);
                self.take_back(back);
                self.feed(after);
                Cancelled::Killed
            }
        }
    }

    /// Takes everything out that has not begun, and has the rest interrupted, unless it was already.
    pub(crate) fn interrupt(&mut self, after: &mut Aftermath<C>) -> Vec<Arc<Job<C>>> {
        let mut all = self.clear(after);
        for hand in &mut self.hands {
            let sent: Vec<u32> = hand.flying.iter().map(|f| f.seq).collect();
            all.extend(sent.into_iter().filter_map(|seq| hand.revoke(seq)));
            hand.interrupt();
        }
        all.iter().for_each(|job| job.put(Place::Queued));
        all
    }

    /// A worker is to end: others get what it has not begun. Whether it has begun nothing, if there is such a worker.
    pub(crate) fn retire(&mut self, worker: u32, after: &mut Aftermath<C>) -> Option<bool> {
        let hand = self.hand(worker)?;
        hand.retire();
        let jobs = hand.revoke_all();
        let is_free = hand.flying.is_empty();
        self.take_back(jobs);
        self.feed(after);
        Some(is_free)
    }

    /// Puts tasks that a worker had, newest first, before all others.
    pub(crate) fn take_back(&mut self, jobs: Vec<Arc<Job<C>>>) {
        for job in jobs {
            job.put(Place::Queued);
            self.queue.push_front(job);
        }
    }

    /// Takes everything out that has not begun, but for what each worker is to begin next. What is taken can still be
    /// cancelled, as if it were queued.
    pub(crate) fn clear(&mut self, after: &mut Aftermath<C>) -> Vec<Arc<Job<C>>> {
        let (mut all, ended): (Vec<_>, Vec<_>) = self.queue.drain(..).partition(|job| job.is_pending());
        after.dropped.extend(ended);
        for hand in &mut self.hands {
            let sent: Vec<u32> = hand.flying.iter().skip(1).map(|f| f.seq).collect();
            all.extend(sent.into_iter().filter_map(|seq| hand.revoke(seq)));
        }
        all.iter().for_each(|job| job.put(Place::Queued));
        all
    }
}
