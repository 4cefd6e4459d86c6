//! What a process has put and the ring has no room for yet.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;
use std::{io, mem, ptr, thread};

use fenshen_sync::Deadline;

use super::slabs::length;
use super::{Counted, INLINE, Refused, SharedQueue, Staged};

/// How often this process has been the child of a fork.
static FORKS: AtomicU32 = AtomicU32::new(0);

fn forks() -> u32 {
    static HOOKED: Once = Once::new();
    extern "C" fn in_child() {
        FORKS.fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: the function is there as long as the process, and does nothing that a forked child may not do.
    HOOKED.call_once(|| _ = unsafe { libc::pthread_atfork(None, None, Some(in_child)) });
    FORKS.load(Ordering::Relaxed)
}

/// One process' side of those who put: what finds no room waits here, and a thread, which is there only then, passes it
/// on. What one thread puts stays in order.
#[derive(Debug)]
pub struct Outbox {
    queue: Arc<SharedQueue>,
    /// Since which fork it is there: a child has a copy that is none.
    forks: u32,
    state: Mutex<State>,
    /// There is one message less, or no feeder any longer.
    changed: Condvar,
    /// How many messages wait.
    waiting: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Vec<u8>>,
    /// The number of the outbox in the queue's memory.
    place: Option<usize>,
    feeding: bool,
    /// How many threads wait for `changed`.
    flushing: usize,
    abandoned: bool,
}

impl Outbox {
    /// An empty one.
    #[must_use]
    pub fn new(queue: Arc<SharedQueue>) -> Arc<Outbox> {
        Arc::new(Outbox {
            queue,
            forks: forks(),
            state: Mutex::default(),
            changed: Condvar::new(),
            waiting: AtomicUsize::new(0),
        })
    }

    /// The queue that it is for.
    #[must_use]
    pub fn queue(&self) -> &Arc<SharedQueue> {
        &self.queue
    }

    /// False in a child that was forked since: it needs one of its own, and forgets this without dropping it.
    #[inline]
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.forks == FORKS.load(Ordering::Relaxed)
    }

    /// How many messages wait in it.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message; returns its number, or nothing if it waits here. `wait` is whether to sleep for a lock if need be.
    ///
    /// # Errors
    /// `Busy`, `Full`, `Failed`, `Corrupt`.
    pub fn put(self: &Arc<Outbox>, message: &[u8], wait: bool) -> Result<Option<u64>, Refused> {
        self.put_pieces(&[message], wait)
    }

    /// The same for a message that lies in pieces.
    ///
    /// # Errors
    /// As [`put`](Outbox::put).
    pub fn put_pieces(self: &Arc<Outbox>, message: &[&[u8]], wait: bool) -> Result<Option<u64>, Refused> {
        if self.waiting() == 0 {
            match self.put_now(message, wait) {
                Err(Refused::NoRoom) => {}
                outcome => return outcome.map(Some),
            }
        }
        self.keep(message, wait).map(|()| None)
    }

    /// Puts a message, which may be in pieces, past whatever waits here.
    ///
    /// # Errors
    /// As [`SharedQueue::try_put`].
    pub fn put_now(&self, message: &[&[u8]], wait: bool) -> Result<u64, Refused> {
        let len = length(message);
        if len <= INLINE {
            return match message {
                [whole] => self.queue.try_put(whole, Counted::Now, wait),
                pieces => self.queue.try_put(&pieces.concat(), Counted::Now, wait),
            };
        }
        if self.queue.is_full() {
            return Err(Refused::Full);
        }
        let staged = self.queue.stage_pieces(message, wait)?;
        // To write it again for want of a lock would be a waste.
        self.queue.put_staged(staged, Counted::Now, true).map_err(|(_, why)| why)
    }

    #[cold]
    fn keep(self: &Arc<Outbox>, message: &[&[u8]], wait: bool) -> Result<(), Refused> {
        let mut state = self.state();
        let place = self.queue.count_in_outbox(state.place, wait)?;
        state.place = Some(place);
        state.messages.push_back(message.concat());
        self.waiting.fetch_add(1, Ordering::AcqRel);
        if !state.feeding
            && let Err(error) = self.start_feeder()
        {
            state.messages.pop_back();
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            self.queue.left_outbox(place);
            return Err(error.into());
        }
        state.feeding = true;
        Ok(())
    }

    fn start_feeder(self: &Arc<Outbox>) -> io::Result<()> {
        let outbox = Arc::clone(self);
        let masked = SignalsOff::new();
        thread::Builder::new().name("queue feeder".into()).stack_size(128 << 10).spawn(move || outbox.feed())?;
        drop(masked);
        Ok(())
    }

    /// The feeder: ends when there is nothing left to pass on.
    fn feed(&self) {
        loop {
            let (message, place) = {
                let mut state = self.state();
                let place = state.place;
                match (state.messages.pop_front(), place) {
                    (Some(message), Some(place)) => (message, place),
                    _ => {
                        state.feeding = false;
                        self.tell(&state);
                        return;
                    }
                }
            };
            if self.pass(&message, place).is_err() {
                self.queue.left_outbox(place);
            }
            let state = self.state();
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            self.tell(&state);
        }
    }

    /// Something has changed. To wake somebody is a system call, even where there is nobody.
    fn tell(&self, state: &State) {
        if state.flushing > 0 {
            self.changed.notify_all();
        }
    }

    /// Passes a message on as soon as there is room.
    fn pass(&self, message: &[u8], place: usize) -> Result<(), Refused> {
        let mut staged: Option<Staged<'_>> = None;
        loop {
            let outcome = match staged.take() {
                Some(ready) => self.queue.put_staged(ready, Counted::Before(place), true).map_err(|(back, why)| {
                    staged = Some(back);
                    why
                }),
                None if message.len() <= INLINE => self.queue.try_put(message, Counted::Before(place), true),
                None => match self.queue.stage(message, true) {
                    Ok(ready) => {
                        staged = Some(ready);
                        continue;
                    }
                    Err(why) => Err(why),
                },
            };
            match outcome {
                Ok(_) => return Ok(()),
                Err(Refused::NoRoom) if !self.state().abandoned => {
                    self.queue.wait_for_space(message.len() > INLINE && staged.is_none(), None);
                }
                Err(why) => return Err(why),
            }
        }
    }

    /// Waits until nothing waits here, at most until the deadline; whether that is so.
    #[must_use]
    pub fn flush(&self, deadline: Option<Deadline>) -> bool {
        let mut state = self.state();
        state.flushing += 1;
        let mut left = Duration::MAX;
        while self.waiting() > 0 && !left.is_zero() {
            left = deadline.map_or(Duration::from_secs(3600), Deadline::remaining);
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.flushing -= 1;
        self.waiting() == 0
    }

    /// Gives up what waits here.
    pub fn abandon(&self) {
        let mut state = self.state();
        let given_up = mem::take(&mut state.messages);
        self.waiting.fetch_sub(given_up.len(), Ordering::AcqRel);
        state.abandoned = true;
        if let Some(place) = state.place.take() {
            self.queue.close_outbox(place);
        }
        self.tell(&state);
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        let place = self.state.get_mut().unwrap_or_else(PoisonError::into_inner).place;
        if let Some(place) = place
            && self.is_ours()
        {
            self.queue.close_outbox(place);
        }
    }
}

/// No signal handler runs on a thread that is started meanwhile.
struct SignalsOff(libc::sigset_t);

impl SignalsOff {
    fn new() -> SignalsOff {
        // SAFETY: both sets are this function's; all zero is a valid one.
        unsafe {
            let (mut all, mut before) = (mem::zeroed(), mem::zeroed());
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
            SignalsOff(before)
        }
    }
}

impl Drop for SignalsOff {
    fn drop(&mut self) {
        // SAFETY: the set is what the kernel gave.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
    }
}
