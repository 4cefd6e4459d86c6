//! A condition variable in shared memory, in which those who wait have numbers and are served in order, as with the
//! ticket lock of D. P. Reed and R. K. Kanodia, "Synchronization with Eventcounts and Sequencers" (1979).
//!
//! Whoever waits draws a ticket; notifying moves the number up to which tickets are served. Whoever gives up while it is
//! not the last leaves a hole in the row, which is skipped. All but sleeping and looking is done with the lock held that
//! goes with the condition. A process that is killed while it waits still gets its turn, and does nothing with it.

use std::sync::atomic::{AtomicU32, Ordering};

use fenshen_sync::{Deadline, Scope, Slept, Word};

/// How many tickets may be out at a time. When one more is drawn, all are served.
const ROW: u32 = 1024;

/// The condition variable. All zero is one for which nobody waits.
#[derive(Debug)]
#[repr(C)]
pub struct Tickets {
    /// The first ticket that was not served.
    served: Word,
    /// The next to be drawn.
    next: AtomicU32,
    /// Of tickets that are out, those that were given up.
    holes: [AtomicU32; ROW as usize / 32],
}

impl Tickets {
    /// Nobody waits.
    pub fn reset(&self) {
        self.served.store(0, Ordering::Relaxed);
        self.next.store(0, Ordering::Relaxed);
        self.holes.iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }

    /// Draws a ticket. The lock is held.
    #[must_use]
    pub fn draw(&self) -> u32 {
        if self.out() >= ROW {
            self.serve(u32::MAX);
        }
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn out(&self) -> u32 {
        self.next.load(Ordering::Relaxed).wrapping_sub(self.served.load(Ordering::Relaxed))
    }

    /// How many wait. The lock is held, or it is only a guess.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        let holes: u32 = self.holes.iter().map(|word| word.load(Ordering::Relaxed).count_ones()).sum();
        self.out().saturating_sub(holes)
    }

    /// Whether that ticket was served.
    #[must_use]
    pub fn is_served(&self, ticket: u32) -> bool {
        self.served.load(Ordering::Acquire).wrapping_sub(ticket) as i32 > 0
    }

    /// Sleeps until the ticket may be served, or for no reason. The lock is not held.
    pub fn sleep(&self, ticket: u32, deadline: Option<Deadline>) -> Slept {
        let served = self.served.load(Ordering::Acquire);
        if served.wrapping_sub(ticket) as i32 > 0 {
            return Slept::Woken;
        }
        self.served.sleep_as(bit(ticket), served, deadline, Scope::Shared)
    }

    /// Gives a ticket up. Returns whether it was served meanwhile. The lock is held.
    pub fn give_up(&self, ticket: u32) -> bool {
        if self.is_served(ticket) {
            return true;
        }
        self.hole(ticket).fetch_or(bit(ticket), Ordering::Relaxed);
        let mut next = self.next.load(Ordering::Relaxed);
        while self.out() > 0 && self.take_hole(next.wrapping_sub(1)) {
            next = next.wrapping_sub(1);
            self.next.store(next, Ordering::Relaxed);
        }
        let served = self.past_holes(self.served.load(Ordering::Relaxed));
        self.served.store(served, Ordering::Release);
        false
    }

    /// Serves up to `count`, the oldest first. The lock is held.
    pub fn serve(&self, count: u32) {
        let next = self.next.load(Ordering::Relaxed);
        let (mut served, mut bits, mut left) = (self.served.load(Ordering::Relaxed), 0, count);
        while left > 0 && served != next {
            bits |= bit(served);
            left -= 1;
            served = self.past_holes(served.wrapping_add(1));
        }
        if bits != 0 {
            self.served.store(served, Ordering::Release);
            self.served.wake_those(bits, Scope::Shared);
        }
    }

    /// The first ticket from that one on that was not given up.
    fn past_holes(&self, mut ticket: u32) -> u32 {
        while ticket != self.next.load(Ordering::Relaxed) && self.take_hole(ticket) {
            ticket = ticket.wrapping_add(1);
        }
        ticket
    }

    /// Whether that ticket was given up; it counts as out no longer then.
    fn take_hole(&self, ticket: u32) -> bool {
        self.hole(ticket).fetch_and(!bit(ticket), Ordering::Relaxed) & bit(ticket) != 0
    }

    fn hole(&self, ticket: u32) -> &AtomicU32 {
        &self.holes[(ticket % ROW / 32) as usize]
    }
}

fn bit(ticket: u32) -> u32 {
    1 << (ticket % 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, PoisonError};

    fn made() -> Tickets {
        // SAFETY: all zero is valid.
        unsafe { std::mem::zeroed() }
    }

    #[test]
    fn the_oldest_first() {
        let row = made();
        let [a, b, c] = [row.draw(), row.draw(), row.draw()];
        row.serve(1);
        assert_eq!([a, b, c].map(|t| row.is_served(t)), [true, false, false]);
        assert_eq!(row.waiting(), 2);
        row.serve(5);
        assert_eq!([b, c].map(|t| row.is_served(t)), [true, true]);
        assert!(!row.is_served(row.draw()), "nothing is kept for those who come later");
    }

    #[test]
    fn who_gave_up_is_not_served() {
        let row = made();
        let [a, b, c] = [row.draw(), row.draw(), row.draw()];
        assert!(!row.give_up(b));
        assert_eq!(row.waiting(), 2);
        row.serve(2);
        assert!(row.is_served(a) && row.is_served(c));
        assert_eq!(row.waiting(), 0);
        assert!(row.give_up(a), "it was served");
    }

    #[test]
    fn holes_do_not_pile_up() {
        let row = made();
        let first = row.draw();
        for _ in 0..10 * ROW {
            let ticket = row.draw();
            assert!(!row.give_up(ticket));
        }
        assert!(!row.is_served(first));
        assert_eq!((row.waiting(), row.out()), (1, 1));
        let second = row.draw();
        assert!(!row.give_up(first));
        assert_eq!((row.waiting(), row.out()), (1, 1));
        assert!(!row.give_up(second));
        assert_eq!(row.out(), 0);
    }

    #[test]
    fn as_a_model_says() {
        let (row, mut model) = (made(), std::collections::VecDeque::new());
        let mut chance = 12345_u32;
        for _ in 0..20_000 {
            chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            match chance >> 30 {
                0 | 1 if model.len() < 40 => model.push_back(row.draw()),
                2 if !model.is_empty() => {
                    let gone = model.remove((chance >> 8) as usize % model.len()).expect("it is in range");
                    assert!(!row.give_up(gone));
                }
                _ => {
                    row.serve(2);
                    for _ in 0..2 {
                        model.pop_front().inspect(|&t| assert!(row.is_served(t)));
                    }
                }
            }
            assert!(model.iter().all(|&t| !row.is_served(t)));
            assert_eq!(row.waiting() as usize, model.len());
        }
    }

    #[test]
    fn too_many_are_all_served() {
        let row = made();
        let first = row.draw();
        assert_eq!((1..ROW).map(|_| row.draw()).max(), Some(first + ROW - 1));
        assert!(!row.is_served(first));
        assert!(!row.is_served(row.draw()) && row.is_served(first));
        assert_eq!(row.waiting(), 1);
    }

    #[test]
    fn those_who_are_served_wake() {
        let (row, lock) = (made(), Mutex::new(0));
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| {
                    let mut done = lock.lock().unwrap_or_else(PoisonError::into_inner);
                    let ticket = row.draw();
                    drop(done);
                    while !row.is_served(ticket) {
                        row.sleep(ticket, None);
                    }
                    done = lock.lock().unwrap_or_else(PoisonError::into_inner);
                    *done += 1;
                });
            }
            let mut served = 0;
            while served < 40 {
                let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
                served += row.waiting().min(3);
                row.serve(3);
            }
        });
        assert_eq!(*lock.lock().unwrap_or_else(PoisonError::into_inner), 40);
    }
}
