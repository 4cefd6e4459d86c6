//! How far ahead a task that sends items may be of whoever takes them: credit-based flow control (H. T. Kung, R. Morris,
//! "Credit-Based Flow Control for ATM Networks", IEEE Network 9(2), 1995).
//!
//! The pool writes how many items a task may have sent so far in all, modulo 2^31, and whether it is to end, beside the
//! task's lease. The worker compares that with what it has sent.

const CLOSED: u32 = 1 << 31;
const COUNT: u32 = CLOSED - 1;

/// Whether a task may send an item now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// It may.
    Send,
    /// Not before more have been taken.
    Wait,
    /// It is to end: nobody wants any more.
    Stop,
}

/// The pool's account of one task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// How many items may have been sent so far.
    granted: u32,
    /// How many have come.
    received: u32,
    closed: bool,
}

impl Window {
    pub(crate) fn new(items: u32) -> Window {
        Window { granted: items & COUNT, received: 0, closed: false }
    }

    /// What is written for the worker.
    pub(crate) fn word(self) -> u32 {
        self.granted | if self.closed { CLOSED } else { 0 }
    }

    /// So many more may come.
    pub(crate) fn grant(&mut self, items: u32) {
        self.granted = self.granted.wrapping_add(items) & COUNT;
    }

    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// One has come; false if it was not to.
    pub(crate) fn take(&mut self) -> bool {
        let may = self.received != self.granted;
        self.received = self.received.wrapping_add(1) & COUNT;
        may
    }

    /// Whether it can be run again from the beginning, and nobody would notice.
    pub(crate) fn is_untouched(self) -> bool {
        self.received == 0 && !self.closed
    }
}

/// Whether this is the word of a task that sends items.
pub(crate) fn is_open(word: u32) -> bool {
    word & COUNT != 0
}

/// What the word says to a worker that has sent so many.
pub(crate) fn permit(word: u32, sent: u32) -> Permit {
    if word & CLOSED != 0 {
        Permit::Stop
    } else if (word ^ sent) & COUNT != 0 {
        Permit::Send
    } else {
        Permit::Wait
    }
}

#[cfg(test)]
mod tests {
    use super::{COUNT, Permit, Window, permit};

    #[test]
    fn the_count_may_wrap() {
        let mut window = Window { granted: COUNT - 1, received: COUNT - 1, closed: false };
        assert_eq!(permit(window.word(), COUNT - 1), Permit::Wait);
        window.grant(3);
        for sent in [COUNT - 1, COUNT, 0] {
            assert_eq!(permit(window.word(), sent), Permit::Send);
            assert!(window.take());
        }
        assert_eq!(permit(window.word(), 1), Permit::Wait);
        assert!(!window.take());
    }

    #[test]
    fn the_end_comes_before_credit() {
        let mut window = Window::new(2);
        window.close();
        assert_eq!(permit(window.word(), 0), Permit::Stop);
        assert!(!window.is_untouched());
    }
}
