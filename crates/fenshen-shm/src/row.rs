//! Those who stand in line for something in shared memory, threads and event loops of any process alike, in the order in
//! which they came (the tickets of L. Lamport, "A New Solution of Dijkstra's Concurrent Programming Problem", 1974).
//!
//! Nothing is handed over: whoever was called takes what there is, and until then it lies where it was. So one that is
//! killed takes along a call at most, which is made again once its death is noticed. There are as many called as there is
//! something for, the oldest first; who comes by takes only what is more than all in the line can use.
//!
//! A place changes by one store each time, and every change counts all places anew: whoever dies amid one leaves a count
//! that is put right by the next, or when somebody [looks around](Row::mend).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use fenshen_sync::{Deadline, Scope, Slept, Word};

use crate::bell::{Bell, Rung};
use crate::process::{Fate, Process};
use crate::shared_queue::{Held, Lock};

/// How this process waits for the lock of a row.
static PATIENT: OnceLock<fn(&mut dyn FnMut())> = OnceLock::new();

/// Has waits for the lock of a row be made by `patient`, which calls what it is given: an interpreter's lock need not be
/// held for that. There is one for ever.
pub fn wait_by(patient: fn(&mut dyn FnMut())) {
    // The first one stays.
    PATIENT.set(patient).ok();
}

/// How many can stand at a time.
const PLACES: usize = 4096;

const FREE: u32 = 0;
const WAITING: u32 = 1;
const CALLED: u32 = 2;

/// One who stands.
#[repr(C)]
struct Spot {
    state: Word,
    /// Whose it is: [`Process::bits`].
    process: AtomicU32,
    /// When it came.
    ticket: AtomicU64,
    /// What to ring for it; zero for a thread, which sleeps on the state.
    bell: AtomicU64,
}

/// The line. All zero is an empty one.
#[repr(C)]
pub struct Row {
    /// Guards every change of a place.
    lock: Lock,
    /// How many stand.
    standing: AtomicU32,
    /// How many of these were called.
    called: AtomicU32,
    /// Places beyond this one were never used.
    used: AtomicU32,
    /// The next ticket.
    ticket: AtomicU64,
    spots: [Spot; PLACES],
}

/// A place in a row.
#[derive(Debug)]
pub struct Place {
    index: usize,
    process: u32,
}

impl Place {
    /// Whether it is this process': a forked child has a copy, which is none.
    fn is_ours(&self) -> bool {
        self.process == Process::current().bits()
    }
}

impl Row {
    /// Takes the lock. Its holder may be a process that was stopped: to wait for it is the patient's affair.
    fn change(&self) -> Held<'_> {
        let mut held = self.lock.try_lock();
        if held.is_none() {
            let mut wait = || held = Some(self.lock.lock());
            match PATIENT.get() {
                Some(patient) => patient(&mut wait),
                None => wait(),
            }
        }
        held.unwrap_or_else(|| self.lock.lock())
    }

    fn spots(&self) -> &[Spot] {
        &self.spots[..(self.used.load(Ordering::Relaxed) as usize).min(PLACES)]
    }

    /// Counts those who stand, and those of them who were called. The lock is held.
    fn count(&self) -> u32 {
        let (mut standing, mut called) = (0, 0);
        for spot in self.spots() {
            match spot.state.load(Ordering::Relaxed) {
                FREE => {}
                state => {
                    standing += 1;
                    called += u32::from(state == CALLED);
                }
            }
        }
        self.called.store(called, Ordering::Relaxed);
        self.standing.store(standing, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        called
    }

    /// How many stand in line.
    #[inline]
    #[must_use]
    pub fn standing(&self) -> u64 {
        self.standing.load(Ordering::Relaxed).into()
    }

    /// Stands in line: a thread, or whoever hears the `bell` of that number if it is not zero. Nothing if there is no
    /// place left. Whether there is something to be had is to be looked at after this.
    #[must_use]
    pub fn stand(&self, bell: u64) -> Option<Place> {
        let _held = self.change();
        let free = self.spots().iter().position(|spot| spot.state.load(Ordering::Relaxed) == FREE);
        let index = match free {
            Some(index) => index,
            None if self.spots().len() < PLACES => self.used.fetch_add(1, Ordering::Relaxed) as usize,
            None => return None,
        };
        let (spot, process) = (&self.spots[index], Process::current().bits());
        spot.process.store(process, Ordering::Relaxed);
        spot.bell.store(bell, Ordering::Relaxed);
        spot.ticket.store(self.ticket.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        spot.state.store(WAITING, Ordering::Release);
        self.count();
        Some(Place { index, process })
    }

    /// Whether it was called: it may take something.
    #[inline]
    #[must_use]
    pub fn is_called(&self, place: &Place) -> bool {
        self.spots[place.index].state.load(Ordering::Acquire) == CALLED
    }

    /// Stands on, at the same place in the line, after a call in vain: somebody else was quicker.
    pub fn stand_on(&self, place: &Place) {
        if place.is_ours() {
            let _held = self.change();
            self.spots[place.index].state.store(WAITING, Ordering::Release);
            self.count();
        }
    }

    /// Gets out of the line. Whoever leaves while there is something to be had has the next one [called](Row::call).
    pub fn leave(&self, place: &Place) {
        if place.is_ours() {
            let _held = self.change();
            self.spots[place.index].state.store(FREE, Ordering::Release);
            self.count();
        }
    }

    /// Sleeps until it is called, or for no reason.
    pub fn sleep(&self, place: &Place, deadline: Option<Deadline>) -> Slept {
        self.spots[place.index].state.sleep(WAITING, deadline, Scope::Shared)
    }

    /// There is something for so many: has as many be called.
    #[inline]
    pub fn call(&self, available: u64) {
        fence(Ordering::SeqCst);
        let standing = self.standing();
        if standing != 0 && u64::from(self.called.load(Ordering::Relaxed)) < available.min(standing) {
            self.call_some(available);
        }
    }

    #[cold]
    fn call_some(&self, available: u64) {
        let (mut threads, mut bells) = (Vec::new(), Vec::new());
        {
            let _held = self.change();
            let mut left = available.saturating_sub(self.count().into());
            let mut waiting: Vec<&Spot> =
                self.spots().iter().filter(|spot| spot.state.load(Ordering::Relaxed) == WAITING).collect();
            if left < waiting.len() as u64 {
                waiting.sort_unstable_by_key(|spot| spot.ticket.load(Ordering::Relaxed));
            }
            for spot in waiting {
                if left == 0 {
                    break;
                }
                left -= 1;
                spot.state.store(CALLED, Ordering::Release);
                match spot.bell.load(Ordering::Relaxed) {
                    0 => threads.push(&spot.state),
                    bell if bells.contains(&bell) => {}
                    bell => bells.push(bell),
                }
            }
            self.count();
        }
        for thread in threads {
            thread.wake(1, Scope::Shared);
        }
        let gone = bells.into_iter().filter(|&bell| Bell::ring(bell) == Rung::Gone).count();
        if gone > 0 && self.mend() {
            self.call(available);
        }
    }

    /// Gives the places of processes that have died to others; whether there were any.
    pub fn mend(&self) -> bool {
        let _held = self.change();
        let (me, mut any) = (Process::current().bits(), false);
        for spot in self.spots() {
            let process = spot.process.load(Ordering::Relaxed);
            if spot.state.load(Ordering::Relaxed) != FREE && process != me && !lives(process) {
                spot.state.store(FREE, Ordering::Release);
                any = true;
            }
        }
        self.count();
        any
    }
}

fn lives(process: u32) -> bool {
    Process::from_bits(process).is_some_and(|process| process.fate() == Fate::Alive)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    fn made() -> Box<Row> {
        // SAFETY: all zero is valid.
        unsafe { Box::new_zeroed().assume_init() }
    }

    #[test]
    fn the_oldest_are_called() {
        let row = made();
        let places: Vec<Place> = (0..4).map(|_| row.stand(0).expect("there is room")).collect();
        let called = || places.iter().map(|p| row.is_called(p)).collect::<Vec<_>>();
        row.call(1);
        assert_eq!(called(), [true, false, false, false]);
        row.call(1);
        assert_eq!(called(), [true, false, false, false], "there is one thing, and one was called for it");
        row.leave(&places[0]);
        let last = row.stand(0).expect("there is room");
        row.call(2);
        assert!(row.is_called(&places[1]) && row.is_called(&places[2]));
        assert!(!row.is_called(&places[3]) && !row.is_called(&last), "in the place of the first, and yet the last");
        row.stand_on(&places[1]);
        row.call(2);
        assert!(row.is_called(&places[1]));
        row.call(u64::MAX);
        assert!(row.is_called(&places[3]) && row.is_called(&last));
    }

    #[test]
    fn the_places_of_the_dead_are_given_away() {
        let row = made();
        let (dead, next) = (row.stand(0).expect("there is room"), row.stand(0).expect("there is room"));
        row.call(1);
        assert!(row.is_called(&dead) && !row.mend());
        // A process of that number that began at another time.
        row.spots[dead.index].process.fetch_xor(1 << 31, Ordering::Relaxed);
        row.call(1);
        assert!(!row.is_called(&next));
        assert!(row.mend());
        row.call(1);
        assert!(row.is_called(&next));
    }

    #[test]
    fn a_bell_that_is_gone_is_passed_over() {
        let row = made();
        let number = Bell::new().expect("the kernel has sockets").number();
        let gone = row.stand(number).expect("there is room");
        row.spots[gone.index].process.fetch_xor(1 << 31, Ordering::Relaxed);
        let next = row.stand(0).expect("there is room");
        row.call(1);
        assert!(row.is_called(&next));
    }

    #[test]
    fn nothing_is_forgotten() {
        const ITEMS: u64 = 20_000;
        let (row, items, taken) = (made(), AtomicU64::new(0), AtomicU64::new(0));
        let take = || items.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while taken.load(Ordering::SeqCst) < ITEMS {
                        let place = row.stand(0).expect("there is room");
                        loop {
                            row.call(items.load(Ordering::SeqCst));
                            if row.is_called(&place) {
                                if take() && taken.fetch_add(1, Ordering::SeqCst) + 1 < ITEMS {
                                    break;
                                }
                                if taken.load(Ordering::SeqCst) >= ITEMS {
                                    break;
                                }
                                row.stand_on(&place);
                                continue;
                            }
                            row.sleep(&place, None);
                        }
                        row.leave(&place);
                        let over = taken.load(Ordering::SeqCst) >= ITEMS;
                        row.call(if over { u64::MAX } else { items.load(Ordering::SeqCst) });
                    }
                });
            }
            for _ in 0..ITEMS {
                items.fetch_add(1, Ordering::SeqCst);
                row.call(items.load(Ordering::SeqCst));
            }
        });
        assert_eq!((taken.into_inner(), items.into_inner(), row.standing()), (ITEMS, 0, 0));
    }
}
