//! How many calls of one function run at once.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A count of them. Times are in nanoseconds.
#[derive(Default)]
pub(super) struct Crowd(Mutex<State>);

#[derive(Default)]
struct State {
    now: u64,
    peak: u64,
    /// Since when there has been at least one.
    since: u64,
    /// How long there was, before that.
    span: u64,
}

/// What has been counted.
pub(super) struct Counted {
    pub(super) now: u64,
    pub(super) peak: u64,
    /// How long there was at least one.
    pub(super) span: u64,
}

impl Crowd {
    /// A call begins, at `now`.
    pub(super) fn enter(&self, now: u64) {
        let mut state = self.state();
        if state.now == 0 {
            state.since = now;
        }
        state.now += 1;
        state.peak = state.peak.max(state.now);
    }

    /// A call ends, at `now`.
    pub(super) fn leave(&self, now: u64) {
        let mut state = self.state();
        state.now = state.now.saturating_sub(1);
        if state.now == 0 {
            state.span += now.saturating_sub(state.since);
        }
    }

    /// All of it, as it is at `now`.
    pub(super) fn counted(&self, now: u64) -> Counted {
        let state = self.state();
        let open = if state.now > 0 { now.saturating_sub(state.since) } else { 0 };
        Counted { now: state.now, peak: state.peak, span: state.span + open }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
