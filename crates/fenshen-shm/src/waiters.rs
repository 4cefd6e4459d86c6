//! Those who wait at a condition variable of processes, in the order in which they came.
//!
//! A waiter has one of a fixed number of places, whose robust mutex it holds as long as it waits. So whoever notifies
//! sees which of the waiters still live, and wakes as many of these as it is told to.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use fenshen_sync::{Deadline, Scope, Slept, Word};

use crate::robust::RobustMutex;

/// How many can wait at a time.
const PLACES: usize = 250;

const FREE: u32 = 0;
const WAITING: u32 = 1;
const NOTIFIED: u32 = 2;

/// One waiter's place.
#[repr(C, align(64))]
struct Place {
    /// Held by who waits here.
    waiter: RobustMutex,
    state: Word,
    /// When it came.
    ticket: AtomicU64,
}

#[repr(C)]
struct Layout {
    /// The next ticket.
    tickets: AtomicU64,
    /// How many places have ever been used: the first ones.
    used: AtomicU32,
    places: [Place; PLACES],
}

/// The waiters of one condition variable, at a place in a segment. They come, and are notified, under its lock.
#[derive(Debug)]
pub struct Waiters(NonNull<Layout>);

// SAFETY: all that it shares is atomic or a mutex.
unsafe impl Send for Waiters {}
// SAFETY: as above.
unsafe impl Sync for Waiters {}

/// Which place a waiter has.
#[derive(Debug)]
pub struct Seat(usize);

impl Waiters {
    /// How many bytes it takes. Memory that nobody waited in is never touched.
    pub const SIZE: usize = size_of::<Layout>();

    /// The waiters at a place: all zero is nobody.
    ///
    /// # Safety
    /// There are [`SIZE`](Waiters::SIZE) bytes, aligned to 64, that serve nothing else and outlive all who wait.
    #[must_use]
    pub unsafe fn at(place: NonNull<u8>) -> Waiters {
        Waiters(place.cast())
    }

    fn layout(&self) -> &Layout {
        // SAFETY: the memory outlives it, and is all atomics and mutexes.
        unsafe { self.0.as_ref() }
    }

    fn used(&self) -> &[Place] {
        let layout = self.layout();
        &layout.places[..(layout.used.load(Ordering::Acquire) as usize).min(PLACES)]
    }

    /// Begins to wait. The calling thread holds the condition's lock, and is the one that sleeps and leaves.
    ///
    /// # Errors
    /// Too many wait already (`StorageFull`), or what the C library says.
    pub fn enter(&self) -> io::Result<Seat> {
        let free = self.used().iter().position(|place| self.take(place));
        let seat = match free {
            Some(seat) => seat,
            None => self.open()?,
        };
        let (layout, place) = (self.layout(), &self.layout().places[seat]);
        place.ticket.store(layout.tickets.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        place.state.store(WAITING, Ordering::Release);
        Ok(Seat(seat))
    }

    fn take(&self, place: &Place) -> bool {
        place.waiter.try_lock().map(crate::robust::Guard::keep).is_some()
    }

    /// A place that nobody has used yet.
    fn open(&self) -> io::Result<usize> {
        let layout = self.layout();
        let seat = layout.used.load(Ordering::Relaxed) as usize;
        let place = layout.places.get(seat).ok_or(io::ErrorKind::StorageFull)?;
        // SAFETY: nobody looks at it before `used` says that it is there, and the condition's lock keeps others from
        // making it too.
        unsafe { RobustMutex::make((&raw const place.waiter).cast_mut())? };
        place.waiter.lock()?.keep();
        layout.used.store(seat as u32 + 1, Ordering::Release);
        Ok(seat)
    }

    /// Whether a waiter was notified.
    #[must_use]
    pub fn is_notified(&self, seat: &Seat) -> bool {
        self.layout().places[seat.0].state.load(Ordering::Acquire) != WAITING
    }

    /// Sleeps until notified; [`is_notified`](Waiters::is_notified) tells.
    #[must_use]
    pub fn sleep(&self, seat: &Seat, deadline: Option<Deadline>) -> Slept {
        self.layout().places[seat.0].state.sleep(WAITING, deadline, Scope::Shared)
    }

    /// Ends the wait; whether it was notified.
    pub fn leave(&self, seat: Seat) -> bool {
        let place = &self.layout().places[seat.0];
        let notified = place.state.swap(FREE, Ordering::AcqRel) == NOTIFIED;
        // SAFETY: it was kept in `enter`, by this thread.
        unsafe { place.waiter.unlock() };
        notified
    }

    /// Notifies so many of those who wait and live, the first first; how many there were.
    pub fn notify(&self, count: usize) -> usize {
        let waits = |place: &&Place| place.state.load(Ordering::Acquire) == WAITING;
        let mut waiting: Vec<&Place> = self.used().iter().filter(waits).collect();
        waiting.sort_unstable_by_key(|place| place.ticket.load(Ordering::Relaxed));
        waiting.into_iter().filter(|place| Waiters::notify_one(place)).take(count).count()
    }

    fn notify_one(place: &Place) -> bool {
        if let Some(_dead) = place.waiter.try_lock() {
            place.state.store(FREE, Ordering::Release);
            return false;
        }
        let notified = place.state.change(WAITING, NOTIFIED);
        if notified {
            place.state.wake(1, Scope::Shared);
        }
        notified
    }
}
