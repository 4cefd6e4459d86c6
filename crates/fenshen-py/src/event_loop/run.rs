//! Running: batches of ready steps, with looks at the clock, the kernel and the inbox between them.

use std::time::Duration;

use fenshen_reactor::{Ticks, clock};
use pyo3::ffi;

use super::word::{Kind, Word};
use super::{Loop, Parcel};
use crate::errors::{ends_loop, restore, take};
use crate::names::support;
use crate::object::{Obj, Raised, Res, call};
use crate::{child, current, handle, task, watchdog};

/// The loop looks at its files at least once in so many steps,
const STEPS: u32 = 64;
/// and at least this often while steps are ready.
const BUDGET: Duration = Duration::from_micros(250);
/// The most steps between two readings of the counter.
const STRIDE: u32 = 16;
/// Timers due within a nanosecond are due: the clock's resolution.
const RESOLUTION: f64 = 1e-9;
/// How many looks a loop takes that is told to stop, while something is ready.
const LAST_LOOKS: u32 = 4;
/// Python's number of the running thread.
pub(super) fn this_thread() -> u64 {
    // SAFETY: it only reads the thread's own identity.
    unsafe { ffi::PyThread_get_thread_ident() as u64 }
}

/// The work done since the last look at the files.
///
/// Reading the counter costs as much as a tenth of a short step, so short steps are counted in strides between
/// readings; long ones bring the stride back to one.
pub(super) struct Budget {
    steps: u32,
    /// The counter is read again when `steps` gets here.
    check_at: u32,
    stride: u32,
    since: u64,
    limit: u64,
    /// When other threads were last given the interpreter.
    pub(super) lent: u64,
}

impl Budget {
    fn new() -> Budget {
        Budget { steps: 0, check_at: 0, stride: 1, since: 0, limit: 0, lent: Ticks::read() }
    }

    pub(super) fn renew(&mut self, ticks: &mut Ticks) {
        self.steps = 0;
        self.check_at = self.stride;
        self.since = Ticks::read();
        self.limit = ticks.ticks_per(BUDGET);
    }

    #[inline(always)]
    fn spent(&mut self) -> bool {
        self.steps >= self.check_at && self.check()
    }

    fn check(&mut self) -> bool {
        let taken = Ticks::since(self.since);
        let steps = u64::from(self.steps.max(1));
        // A stride is to take no more than an eighth of the budget.
        let fits = (self.limit / 8).saturating_mul(steps) / taken.max(1);
        self.stride = (fits as u32).clamp(1, STRIDE);
        self.check_at = (self.steps + self.stride).min(STEPS);
        self.steps >= STEPS || taken >= self.limit
    }
}

impl Loop {
    /// Runs until it is stopped. An error is what must end the loop.
    pub(crate) unsafe fn run(l: *mut Loop) -> Res<()> {
        Loop::check_closed(l)?;
        Loop::check_owner(l)?;
        if (*l).running {
            return Loop::run_nested(l);
        }
        Loop::run_turns(l)
    }

    /// A run within one of this loop's own steps, which `nest_asyncio` allows: the step's task is set aside.
    #[cold]
    unsafe fn run_nested(l: *mut Loop) -> Res<()> {
        let stepping = std::mem::replace(&mut (*l).stepping, false);
        let shown = std::mem::replace(&mut (*l).shown, false);
        let outer = current::swap(l.cast(), std::ptr::null_mut())?;
        let outcome = Loop::run_turns(l);
        let kept = if outcome.is_err() { Some(take()) } else { None };
        let restored = current::swap(l.cast(), crate::object::ptr_or_null(&outer));
        (*l).shown = shown;
        (*l).stepping = stepping;
        (*l).pulse.set_busy(true);
        if let Some(kept) = kept {
            restore(kept);
            return Err(Raised);
        }
        restored.map(drop)
    }

    unsafe fn run_turns(l: *mut Loop) -> Res<()> {
        let nested = std::mem::replace(&mut (*l).running, true);
        (*l).pulse.set_thread(libc::syscall(libc::SYS_gettid) as i32);
        watchdog::attend(&(*l).pulse);
        let outcome = Loop::turns(l);
        let kept = if outcome.is_err() { Some(take()) } else { None };
        (*l).pulse.set_busy(false);
        if !nested {
            (*l).pulse.set_thread(0);
        }
        (*l).running = nested;
        (*l).stopping = false;
        let hidden = Loop::hide_task(l);
        if let Some(kept) = kept {
            restore(kept);
            return Err(Raised);
        }
        hidden
    }

    unsafe fn turns(l: *mut Loop) -> Res<()> {
        let mut budget = Budget::new();
        let mut look = true;
        budget.renew(&mut (*l).ticks);
        loop {
            let looked = look || (*l).ready.is_empty() || budget.spent();
            if looked {
                Loop::look(l, &mut budget)?;
                look = false;
            }
            Loop::take_inbox(l);
            Loop::take_due(l);
            // What a step schedules belongs to the next turn.
            let turn = (*l).ready.len();
            (*l).pulse.set_busy(true);
            watchdog::stir();
            let outcome = Loop::turn(l, turn, &mut budget);
            (*l).pulse.set_busy(false);
            outcome?;
            Loop::flush(l)?;
            if (*l).stopping || (*l).closed {
                return if looked || (*l).closed { Ok(()) } else { Loop::last_looks(l, &mut budget) };
            }
        }
    }

    /// The loop was told to stop in a turn that began without a look at the files, which asyncio's every turn begins
    /// with: what is ready runs now, before what was scheduled for the next turn. A few looks make up for some turns.
    unsafe fn last_looks(l: *mut Loop, budget: &mut Budget) -> Res<()> {
        for _ in 0..LAST_LOOKS {
            let scheduled = (*l).ready.len();
            Loop::look(l, budget)?;
            let found = (*l).ready.len() - scheduled;
            if found == 0 {
                break;
            }
            (*l).ready.rotate_left(scheduled);
            Loop::turn(l, found, budget)?;
        }
        Loop::flush(l)
    }

    /// Runs so many words of the ring.
    unsafe fn turn(l: *mut Loop, words: usize, budget: &mut Budget) -> Res<()> {
        let mut left = words;
        while left > 0 {
            let Some(word) = (*l).ready.pop_front() else {
                return Ok(());
            };
            left -= match word.kind() {
                Kind::Done => 3,
                Kind::Child => 2,
                _ => 1,
            };
            (*l).pulse.step(word.ptr() as usize | word.kind() as usize);
            if (*l).debug {
                Loop::run_timed(l, word)?;
            } else {
                Loop::run_word(l, word)?;
            }
            budget.steps += 1;
            if left > 0 && budget.spent() {
                (*l).pulse.set_busy(false);
                Loop::look(l, budget)?;
                (*l).pulse.set_busy(true);
            }
        }
        Ok(())
    }

    #[inline(always)]
    unsafe fn run_word(l: *mut Loop, word: Word) -> Res<()> {
        match word.kind() {
            Kind::Step => {
                let t = word.into_obj();
                let outcome = task::step(t.ptr().cast(), None);
                (*l).pulse.let_go();
                if outcome.is_err() { Loop::step_failed(l, &t) } else { Ok(()) }
            }
            Kind::Wake => {
                let t = word.into_obj();
                let outcome = task::wake(t.ptr().cast());
                (*l).pulse.let_go();
                if outcome.is_err() { Loop::step_failed(l, &t) } else { Ok(()) }
            }
            Kind::Handle => {
                Loop::hide_task(l)?;
                let h = word.into_obj();
                handle::run(h.ptr().cast())
            }
            Kind::Done => {
                Loop::hide_task(l)?;
                Loop::run_done(l, word.into_obj())
            }
            Kind::Child => {
                let (owner, child) = (word.into_obj(), Loop::next_obj(l)?);
                if !child::counts_natively(&owner, &child) {
                    Loop::hide_task(l)?;
                }
                let outcome = child::is_over(&owner, &child);
                if outcome.is_err() { Loop::step_failed(l, &owner) } else { Ok(()) }
            }
            Kind::Ready => {
                Loop::hide_task(l)?;
                Loop::run_ready(&word.into_obj())
            }
            Kind::Lost => {
                Loop::hide_task(l)?;
                Loop::run_lost(&word.into_obj())
            }
            Kind::More => {
                drop(word.into_obj());
                Ok(())
            }
        }
    }

    unsafe fn next_obj(l: *mut Loop) -> Res<Obj> {
        match (*l).ready.pop_front() {
            Some(word) => Ok(word.into_obj()),
            None => crate::errors::runtime_error("fenshen: the ready ring lost a word"),
        }
    }

    unsafe fn run_done(l: *mut Loop, func: Obj) -> Res<()> {
        let future = Loop::next_obj(l)?;
        let context = Loop::next_obj(l)?;
        let outcome = match ffi::PyContext_Enter(context.ptr()) {
            0 => {
                let outcome = call(func.ptr(), &[future.ptr()]);
                let exc = if outcome.is_err() { Some(take()) } else { None };
                ffi::PyContext_Exit(context.ptr());
                exc
            }
            _ => Some(take()),
        };
        match outcome {
            None => Ok(()),
            Some(exc) if ends_loop(&exc) => {
                restore(exc);
                Err(Raised)
            }
            Some(exc) => {
                support(c"done_callback_failed", &[l.cast(), func.ptr(), future.ptr(), exc.ptr()])?;
                Ok(())
            }
        }
    }

    #[cold]
    unsafe fn step_failed(l: *mut Loop, task: &Obj) -> Res<()> {
        let exc = take();
        if ends_loop(&exc) {
            restore(exc);
            return Err(Raised);
        }
        Loop::hide_task(l)?;
        support(c"step_failed", &[l.cast(), task.ptr(), exc.ptr()])?;
        Ok(())
    }

    /// Runs a word in debug mode: what takes too long is named.
    #[cold]
    unsafe fn run_timed(l: *mut Loop, word: Word) -> Res<()> {
        let what = Obj::from(word.ptr());
        // A handle forgets its callback as it runs: what names it is held, and put into words only if need be.
        let parts = match (word.kind(), (*l).ready.front()) {
            (Kind::Done, Some(future)) => {
                let args = Obj::new(ffi::PyTuple_Pack(1, future.ptr()))?;
                Obj::new(ffi::PyTuple_Pack(2, what.ptr(), args.ptr()))?
            }
            (Kind::Handle, _) => {
                crate::object::set(&mut (*l).current_handle, Some(what.again()));
                handle::parts(what.ptr().cast())?
            }
            _ => crate::object::none(),
        };
        let start = clock::now();
        let outcome = Loop::run_word(l, word);
        let took = clock::now() - start;
        crate::object::clear(&mut (*l).current_handle);
        outcome?;
        if took >= (*l).slow_callback_duration {
            Loop::hide_task(l)?;
            let took = Obj::new(ffi::PyFloat_FromDouble(took))?;
            support(c"slow", &[l.cast(), what.ptr(), parts.ptr(), took.ptr()])?;
        }
        Ok(())
    }

    /// Moves the timers that are due to the ring.
    #[inline]
    unsafe fn take_due(l: *mut Loop) {
        let Some(first) = (*l).timers.next() else {
            return;
        };
        let limit = clock::now() + RESOLUTION;
        if first > limit {
            return;
        }
        while let Some(h) = (*l).timers.pop_due(limit) {
            (*h).scheduled = false;
            if (*h).cancelled {
                (*l).timers.forget_cancelled();
                ffi::Py_DECREF(h.cast());
            } else {
                Loop::push_handle(l, Obj::steal(h.cast()));
            }
        }
    }

    /// Moves what other threads have sent to the ring.
    #[inline]
    unsafe fn take_inbox(l: *mut Loop) {
        if (*l).inbox.is_empty() {
            return;
        }
        Loop::empty_inbox(l);
    }

    /// The inbox's whole content, in the order it came.
    #[cold]
    pub(super) unsafe fn empty_inbox(l: *mut Loop) {
        for Parcel(h) in (*l).inbox.drain() {
            Loop::push_raw(l, Obj::steal(h.cast()));
        }
    }
}
