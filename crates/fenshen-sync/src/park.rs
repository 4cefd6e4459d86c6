//! How a waiter blocks.

use crate::deadline::Deadline;
use crate::latch::Latch;
use crate::list::WaitList;
use crate::waiter::{Grant, Waiter};
use crate::word::{Scope, Slept};

/// Why a wait ended without what was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// The deadline passed.
    TimedOut,
    /// The [`Park`] gave up: a signal handler raised an error, say. It has noted why.
    Interrupted,
}

/// Blocks a thread that has a [`Waiter`] in a list. An interpreter's own lets go of its lock meanwhile.
///
/// One that has something to do amid the wait, such as to run a signal handler, steps [`away`](Waiter::away) before and
/// is [`back`](Waiter::back) after it.
pub trait Park {
    /// Blocks until the waiter is granted something, the deadline passes or whatever else the implementation minds.
    ///
    /// # Errors
    /// `TimedOut` and `Interrupted`; the waiter may have been granted something at the last moment all the same.
    fn park(&mut self, waiter: &Waiter, deadline: Option<Deadline>) -> Result<Grant, Failed>;

    /// Wakes others at the end of a call that was to wait for them: an interpreter's lock need not be held for that, so
    /// that they can go on at once.
    fn let_go(&mut self, wake: impl FnOnce()) {
        wake();
    }
}

/// Blocks the thread and minds nothing but the deadline.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sleep;

impl Park for Sleep {
    fn park(&mut self, waiter: &Waiter, deadline: Option<Deadline>) -> Result<Grant, Failed> {
        loop {
            let slept = waiter.sleep(deadline);
            if let Some(grant) = waiter.granted() {
                return Ok(grant);
            }
            waiter.poked();
            if slept == Slept::TimedOut {
                return Err(Failed::TimedOut);
            }
        }
    }
}

/// Blocks a waiter that is in `list`; when that fails, takes it out again. A grant that comes at the last moment is
/// returned beside the failure.
///
/// # Errors
/// As [`Park::park`].
///
/// # Safety
/// `latch` guards `list`, and the waiter is in it or has been taken out to be granted something.
pub(crate) unsafe fn wait(
    park: &mut impl Park,
    latch: &Latch,
    scope: Scope,
    list: &WaitList,
    waiter: &Waiter,
    deadline: Option<Deadline>,
) -> Result<Grant, (Failed, Option<Grant>)> {
    let outcome = park.park(waiter, deadline);
    if let Ok(grant) = outcome
        && waiter.granted().is_some()
    {
        return Ok(grant);
    }
    let held = latch.over(scope, &[list]);
    // SAFETY: the list is guarded.
    let alone = unsafe { list.remove(waiter) };
    drop(held);
    if alone {
        return outcome.map_err(|failed| (failed, None));
    }
    // Whoever took it out is about to grant it something.
    let grant = waiter.settled();
    match outcome {
        Err(failed) if failed != Failed::TimedOut => Err((failed, Some(grant))),
        _ => Ok(grant),
    }
}
