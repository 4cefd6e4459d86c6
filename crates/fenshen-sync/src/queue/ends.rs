//! The end of a queue, and of the work on its items.

use super::{Inside, Queue, State};
use crate::deadline::Deadline;
use crate::hand::Refused;
use crate::park::{Park, wait};
use crate::store::Store;
use crate::waiter::{Grant, Waiter, Wake};

impl<S: Store> Queue<S> {
    /// Has every later `put` fail, every `get` when there is no item left, and everyone who waits for either.
    pub fn shutdown(&self) {
        let inside = self.lock();
        inside.inner().state = State::ShutDown;
        inside.tell_both(Grant::REFUSED);
    }

    /// The same, and takes out what is left; each such item is [done](Queue::task_done).
    pub fn shutdown_now(&self) -> Vec<S::Item> {
        let inside = self.lock();
        inside.inner().state = State::ShutDownNow;
        let left = inside.take_all();
        inside.tell_both(Grant::REFUSED);
        self.count_down(self.lock(), left.len());
        left
    }

    /// Opens it again after a [`shutdown`](Queue::shutdown).
    pub fn reopen(&self) {
        self.lock().inner().state = State::Open;
    }

    /// Whether it is shut down.
    #[must_use]
    pub fn is_shutdown(&self) -> bool {
        self.lock().inner().state != State::Open
    }

    /// Gives the queue up: whoever puts, gets or waits is refused from now on, and everyone who waits is told; the number
    /// of tasks, the limit and whether it is shut down are kept. What was left is the caller's, in the order in which it
    /// would have been got; an interrupted getter may put back an item later, so one may ask again.
    pub fn retire(&self) -> Vec<S::Item> {
        let inside = self.lock();
        inside.inner().retired = true;
        let left = inside.take_all();
        inside.tell_both(Grant::RETRY);
        self.lock().tell_all(&self.joiners, Grant::RETRY);
        left
    }

    /// Whether it was [retired](Queue::retire).
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.lock().inner().retired
    }

    /// Counts an item that was put elsewhere.
    pub fn task_added(&self) {
        self.lock().inner().unfinished += 1;
    }

    /// Says that the work on an item is done; returns false if that was said of every item already.
    #[inline]
    pub fn task_done(&self) -> bool {
        let inside = self.lock();
        let due = inside.inner().unfinished > 0;
        if due {
            self.count_down(inside, 1);
        }
        due
    }

    #[inline]
    pub(super) fn count_down(&self, inside: Inside<'_, S>, count: usize) {
        let unfinished = inside.inner().unfinished.saturating_sub(count);
        inside.inner().unfinished = unfinished;
        if unfinished == 0 && !self.joiners.is_empty() {
            inside.tell_all(&self.joiners, Grant::GIVEN);
        }
    }

    /// How many items were put of which it has not been said that they are [done](Queue::task_done).
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.lock().inner().unfinished
    }

    /// Sets that number.
    pub fn set_unfinished(&self, count: usize) {
        let inside = self.lock();
        inside.inner().unfinished = count;
        self.count_down(inside, 0);
    }

    /// Blocks by `park` until every item is [done](Queue::task_done), until the deadline.
    ///
    /// # Errors
    /// `TimedOut`, `Interrupted` and `Retired`.
    pub fn join(&self, me: u32, wake: Wake, park: &mut impl Park, deadline: Option<Deadline>) -> Result<(), Refused> {
        let waiter = Waiter::new(me, wake);
        loop {
            {
                let inside = self.lock();
                if inside.inner().unfinished == 0 {
                    return Ok(());
                }
                if inside.inner().retired {
                    return Err(Refused::Retired);
                }
                // SAFETY: the latch is held; `wait` takes the waiter out before this returns.
                unsafe { self.joiners.push_back(&waiter) };
            }
            // SAFETY: the latch guards the list, and the waiter has just been put in.
            match unsafe { wait(park, &self.latch, self.scope, &self.joiners, &waiter, deadline) } {
                Ok(Grant::GIVEN) => return Ok(()),
                Ok(_) => {}
                Err((failed, _)) => return Err(failed.into()),
            }
        }
    }
}
