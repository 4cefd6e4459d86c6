//! Waiting: looks at the files, the kernel and the timers, between turns and in the middle of long ones.

use std::io;
use std::time::Duration;

use fenshen_reactor::{Ticks, clock};
use pyo3::ffi;

use super::channels::CHANNEL_BIT;
use super::run::Budget;
use super::{Loop, WAKE_TOKEN, os_error};
use crate::future;
use crate::object::{Obj, Raised, Res, call, done, none};

/// The longest single wait.
const LONGEST: f64 = 24.0 * 3600.0;
/// How long the loop waits for nothing in particular before its stall hook looks at why.
pub(super) const STALL: Duration = Duration::from_millis(50);
/// How long a wait may rely on what the kernel was told before.
const DOUBT: Duration = Duration::from_millis(50);
/// While steps are ready, other threads are given the interpreter this often, as CPython's own switch interval has it.
/// Python code gives way by itself when it is asked to; steps that run none do it here.
const LEND_EVERY: Duration = Duration::from_millis(5);

impl Loop {
    /// How long the loop may wait: not at all, until the next timer, or (`None`) for ever.
    pub(super) unsafe fn patience(l: *mut Loop) -> Option<Duration> {
        if !(*l).ready.is_empty() || (*l).stopping || !(*l).inbox.is_empty() || !(*l).flushes.is_empty() {
            return Some(Duration::ZERO);
        }
        while let Some((when, &h)) = (*l).timers.peek() {
            if (*h).cancelled {
                (*l).timers.pop();
                (*l).timers.forget_cancelled();
                (*h).scheduled = false;
                ffi::Py_DECREF(h.cast());
                continue;
            }
            let wait = (when - clock::now()).clamp(0.0, LONGEST);
            return Some(Duration::from_secs_f64(wait));
        }
        None
    }

    /// Looks at the files, waiting if there is nothing else to do.
    pub(super) unsafe fn look(l: *mut Loop, budget: &mut Budget) -> Res<()> {
        Loop::hide_task(l)?;
        Loop::check_owner(l)?;
        done(ffi::PyErr_CheckSignals())?;
        Loop::flush(l)?;
        Loop::settle(l)?;
        let patience = Loop::patience(l);
        if patience == Some(Duration::ZERO) {
            let lend = Ticks::since(budget.lent) >= (*l).ticks.ticks_per(LEND_EVERY);
            Loop::wait(l, patience, lend)?;
            if lend {
                budget.lent = Ticks::read();
            }
        } else if patience.is_none() && (*l).stall_hook.is_some() && !Loop::waits_for_files(l) {
            Loop::wait_doubtfully(l)?;
        } else {
            Loop::wait(l, patience, true)?;
        }
        budget.renew(&mut (*l).ticks);
        Ok(())
    }

    /// Waits while nothing that the loop knows of can end the wait, and has the stall hook look at why, now and then.
    unsafe fn wait_doubtfully(l: *mut Loop) -> Res<()> {
        (*l).files.forget_doubts();
        loop {
            let pause = (*l).stall_pause;
            if Loop::wait(l, Some(pause), true)? != 0 || Loop::patience(l).is_some() {
                return Ok(());
            }
            let again = Loop::stalled(l)?;
            (*l).stall_pause = again.unwrap_or(STALL);
            let patience = Loop::patience(l);
            if again.is_none() || patience.is_some() {
                return Loop::wait(l, patience, true).map(drop);
            }
        }
    }

    /// Asks the stall hook; it says after how many seconds it wants to be asked again, or `None`.
    unsafe fn stalled(l: *mut Loop) -> Res<Option<Duration>> {
        let Some(hook) = Obj::from_opt(crate::object::ptr_or_null(&(*l).stall_hook)) else {
            return Ok(None);
        };
        let again = call(hook.ptr(), &[l.cast()])?;
        if again.ptr() == ffi::Py_None() {
            return Ok(None);
        }
        let seconds = ffi::PyFloat_AsDouble(again.ptr());
        if seconds == -1.0 && !ffi::PyErr_Occurred().is_null() {
            return Err(Raised);
        }
        Ok(Some(Duration::from_secs_f64(seconds.clamp(0.001, LONGEST))))
    }

    /// One wait of the kernel; returns how many events it gave. `lend` gives the interpreter to other threads.
    unsafe fn wait(l: *mut Loop, patience: Option<Duration>, lend: bool) -> Res<usize> {
        let Some(kernel) = (*l).kernel.as_ref() else {
            return Loop::check_closed(l).map(|()| 0);
        };
        let (epoll, waker): (*const _, *const _) = (&raw const kernel.epoll, &raw const kernel.waker);
        let (epoll, waker): (&fenshen_reactor::Epoll, &fenshen_reactor::Waker) = (&*epoll, &*waker);
        let sleeps = patience != Some(Duration::ZERO);
        let mut patience = patience;
        if sleeps {
            if (*l).files.in_doubt() {
                patience = Some(patience.map_or(DOUBT, |p| p.min(DOUBT)));
            }
            waker.prepare_sleep();
            if !(*l).inbox.is_empty() {
                waker.cancel_sleep();
                patience = Some(Duration::ZERO);
            }
        }
        let outcome = if lend {
            (*l).waiting = true;
            let state = ffi::PyEval_SaveThread();
            let outcome = epoll.wait(&mut (*l).events, patience);
            crate::exit::restore_thread(state);
            (*l).waiting = false;
            outcome
        } else {
            epoll.wait(&mut (*l).events, patience)
        };
        if sleeps && let Err(e) = waker.woken() {
            return os_error(&e);
        }
        match outcome {
            Ok(found) => {
                Loop::take_events(l, found)?;
                Ok(found)
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {
                done(ffi::PyErr_CheckSignals())?;
                Ok(0)
            }
            Err(e) => os_error(&e),
        }
    }

    /// Whether somebody waits for a file.
    unsafe fn waits_for_files(l: *mut Loop) -> bool {
        (*l).channels.watched() > 0 || (*l).files.has_foreign()
    }

    unsafe fn take_events(l: *mut Loop, found: usize) -> Res<()> {
        let mut stale = false;
        for i in 0..found {
            let Some(event) = (*l).events.get(i) else {
                break;
            };
            if event.token == WAKE_TOKEN {
                if let Some(Err(e)) = (*l).kernel.as_ref().map(|k| k.waker.woken()) {
                    return os_error(&e);
                }
                continue;
            }
            if event.token & CHANNEL_BIT != 0 {
                stale |= Loop::channel_event(l, event);
                continue;
            }
            let Some(kernel) = (*l).kernel.as_ref() else {
                break;
            };
            let told = (*l).files.happened(&kernel.epoll, event);
            stale |= told.stale;
            for handle in told.handles.into_iter().flatten() {
                Loop::push_ready(l, &handle);
            }
            for future in told.futures.into_iter().flatten() {
                future::set_result(future.ptr().cast(), none())?;
            }
        }
        if stale {
            Loop::renew_epoll(l);
        }
        Ok(())
    }

    /// Watches the same files by a new epoll instance: the old one reports a file that can't be taken out of it.
    #[cold]
    unsafe fn renew_epoll(l: *mut Loop) {
        let Some(kernel) = (*l).kernel.as_mut() else {
            return;
        };
        // Without a descriptor to spare, the old one must do.
        if kernel.renew().is_ok() {
            (*l).files.again(&kernel.epoll);
            (*l).channels.again(&kernel.epoll);
        }
    }

    /// Sees to the waits that rely on what the kernel was told before, now and then.
    #[inline]
    unsafe fn settle(l: *mut Loop) -> Res<()> {
        if !(*l).files.in_doubt() || Ticks::since((*l).settled) < (*l).ticks.ticks_per(DOUBT) {
            return Ok(());
        }
        (*l).settled = Ticks::read();
        let Some(kernel) = (*l).kernel.as_ref() else {
            return Ok(());
        };
        for future in (*l).files.settle(&kernel.epoll) {
            future::set_result(future.ptr().cast(), none())?;
        }
        Ok(())
    }
}
