//! Whose is it, after a fork?
//!
//! `getpid` costs a system call. A counter that `fork` raises in the child (`pthread_atfork`) costs one load, so the
//! question can be asked on every call. A process made by a raw `clone` system call isn't noticed,
//! unless it says so itself ([`Owner::forked`]).

use std::process;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many forks lie between the process that first asked and this one.
static GENERATION: AtomicU32 = AtomicU32::new(0);
static REGISTERED: Once = Once::new();

/// The process that a thing belongs to.
///
/// ```
/// use fenshen_reactor::Owner;
///
/// let owner = Owner::this_process();
/// assert!(owner.is_this_process());
/// assert_eq!(owner.pid(), std::process::id());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    generation: u32,
    pid: u32,
}

impl Owner {
    /// The process that runs.
    #[must_use]
    pub fn this_process() -> Self {
        REGISTERED.call_once(|| {
            // SAFETY: the handler is a plain function that lives as long as the code, and all it does in the child is
            // one atomic addition. Should registering fail (no memory), forks go unnoticed, as without it.
            unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        });
        Self { generation: GENERATION.load(Ordering::Relaxed), pid: process::id() }
    }

    /// Whether the process that runs is this one, and not a forked child of it. One load.
    #[inline]
    #[must_use]
    pub fn is_this_process(&self) -> bool {
        self.generation == GENERATION.load(Ordering::Relaxed)
    }

    /// For the copy of a process that was made by another call than `fork`: it is another process from now on.
    pub fn forked() {
        in_child();
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }
}

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}
