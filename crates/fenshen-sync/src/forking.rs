//! For whoever makes a copy of this process by another call than `fork`, which the C library then knows nothing of.

use crate::threads;

/// A copy of this process is about to be made: what this crate keeps of its threads stands still until one of the two
/// methods is called, in each process its own.
///
/// `fork` needs none of this: the C library tells this crate by itself.
///
/// ```
/// let forking = fenshen_sync::Forking::begin();
/// // a clone would be made here
/// forking.in_parent();
/// ```
#[derive(Debug)]
#[must_use = "locks are held until one of its methods is called"]
pub struct Forking(());

impl Forking {
    /// Before the copy is made. The calling thread will be the copy's only one.
    pub fn begin() -> Forking {
        threads::before_fork();
        Forking(())
    }

    /// In the process that was copied, or if no copy could be made.
    pub fn in_parent(self) {
        threads::after_in_parent();
    }

    /// In the copy.
    pub fn in_child(self) {
        threads::after_in_child();
    }
}
