//! Putting things on the ring, into the heap and into the inbox.

use pyo3::ffi::{self, PyObject};

use super::word::{Kind, Word};
use super::{Loop, Parcel};
use crate::handle::{self, Handle};
use crate::kinds;
use crate::names::support;
use crate::object::{Obj, Res};
use crate::{current, future};

/// When a timer is due.
pub(crate) enum When {
    /// In seconds of the loop's clock.
    Seconds(f64),
    /// The same as a Python number.
    Given(*mut PyObject),
}

impl Loop {
    /// Checks that every scheduling call makes.
    #[inline(always)]
    unsafe fn check(l: *mut Loop) -> Res<()> {
        Loop::check_closed(l)?;
        if (*l).debug { Loop::check_thread(l) } else { Ok(()) }
    }

    /// A task's next step.
    #[inline]
    pub(crate) unsafe fn push_step(l: *mut Loop, task: Obj) -> Res<()> {
        Loop::check(l)?;
        (*l).ready.push_back(Word::new(Kind::Step, task));
        Ok(())
    }

    /// A task's step now that what it waited for is done.
    #[inline]
    pub(crate) unsafe fn push_wake(l: *mut Loop, task: Obj) -> Res<()> {
        Loop::check(l)?;
        (*l).ready.push_back(Word::new(Kind::Wake, task));
        Ok(())
    }

    /// A future's done-callback.
    pub(crate) unsafe fn push_done(l: *mut Loop, func: Obj, future: Obj, context: Obj) -> Res<()> {
        Loop::check(l)?;
        let ready = &mut (*l).ready;
        ready.push_back(Word::new(Kind::Done, func));
        ready.push_back(Word::new(Kind::More, future));
        ready.push_back(Word::new(Kind::More, context));
        Ok(())
    }

    /// A gathering or a group is told that a child is done.
    #[inline]
    pub(crate) unsafe fn push_child(l: *mut Loop, owner: Obj, child: Obj) -> Res<()> {
        Loop::check(l)?;
        let ready = &mut (*l).ready;
        ready.push_back(Word::new(Kind::Child, owner));
        ready.push_back(Word::new(Kind::More, child));
        Ok(())
    }

    /// A handle that is to run, after whatever other threads have sent before.
    #[inline]
    pub(crate) unsafe fn push_handle(l: *mut Loop, handle: Obj) {
        if !(*l).inbox.is_empty() {
            Loop::empty_inbox(l);
        }
        Loop::push_raw(l, handle);
    }

    #[inline(always)]
    pub(super) unsafe fn push_raw(l: *mut Loop, handle: Obj) {
        (*l).ready.push_back(Word::new(Kind::Handle, handle));
    }

    /// `call_soon`.
    #[inline]
    pub(crate) unsafe fn call_soon(
        l: *mut Loop,
        callback: *mut PyObject,
        args: &[*mut PyObject],
        context: *mut PyObject,
    ) -> Res<Obj> {
        Loop::check_closed(l)?;
        if (*l).debug {
            Loop::check_thread(l)?;
            Loop::check_callback(l, callback, c"call_soon")?;
        }
        let h = handle::new(kinds::handle(), l, callback, args, context)?;
        Loop::push_handle(l, Obj::from(h.cast()));
        Ok(Obj::steal(h.cast()))
    }

    /// `call_soon_threadsafe`.
    pub(crate) unsafe fn call_soon_threadsafe(
        l: *mut Loop,
        callback: *mut PyObject,
        args: &[*mut PyObject],
        context: *mut PyObject,
    ) -> Res<Obj> {
        Loop::check_closed(l)?;
        Loop::check_owner(l)?;
        if (*l).debug {
            Loop::check_callback(l, callback, c"call_soon_threadsafe")?;
        }
        let h = handle::new(kinds::handle(), l, callback, args, context)?;
        (*h).threadsafe = true;
        Loop::post(l, Obj::from(h.cast()))?;
        Ok(Obj::steal(h.cast()))
    }

    /// Hands a handle to the loop from any thread.
    ///
    /// Whoever holds the GIL may use the ring itself, and sees whether the loop waits. Without a GIL it is the inbox,
    /// whose first item wakes the loop.
    pub(crate) unsafe fn post(l: *mut Loop, handle: Obj) -> Res<()> {
        let wake = if cfg!(Py_GIL_DISABLED) {
            (*l).inbox.push(Parcel(handle.into_ptr().cast()))
        } else {
            Loop::push_handle(l, handle);
            (*l).waiting
        };
        if wake { Loop::wake(l) } else { Ok(()) }
    }

    /// Something was put on the ring by whoever holds the GIL: a loop that waits goes on.
    #[inline]
    pub(crate) unsafe fn notice(l: *mut Loop) -> Res<()> {
        if (*l).waiting { Loop::wake(l) } else { Ok(()) }
    }

    /// Ends the loop's wait, if it waits.
    pub(crate) unsafe fn wake(l: *mut Loop) -> Res<()> {
        match (*l).kernel.as_ref().map(|k| k.waker.wake()) {
            Some(Err(e)) => super::os_error(&e),
            _ => Ok(()),
        }
    }

    /// `call_at`.
    pub(crate) unsafe fn call_at(
        l: *mut Loop,
        when: When,
        callback: *mut PyObject,
        args: &[*mut PyObject],
        context: *mut PyObject,
    ) -> Res<Obj> {
        Loop::check_closed(l)?;
        if (*l).debug {
            Loop::check_thread(l)?;
            Loop::check_callback(l, callback, c"call_at")?;
        }
        let h = handle::new(kinds::timer_handle(), l, callback, args, context)?;
        match when {
            When::Seconds(when) => (*h).when = when,
            When::Given(when) => {
                if let Err(e) = handle::set_when(h, when) {
                    ffi::Py_DECREF(h.cast());
                    return Err(e);
                }
            }
        }
        (*h).scheduled = true;
        ffi::Py_INCREF(h.cast());
        (*l).timers.push((*h).when, h);
        Ok(Obj::steal(h.cast()))
    }

    /// A timer in the heap was cancelled: it is taken out when it comes up, or with many others at once.
    pub(crate) unsafe fn timer_cancelled(l: *mut Loop) {
        (*l).timers.note_cancelled();
        if (*l).timers.should_compact() {
            let dead = (*l).timers.compact(|h| (**h).cancelled);
            for h in dead {
                (*h).scheduled = false;
                ffi::Py_DECREF(h.cast::<PyObject>());
            }
        }
    }

    #[cold]
    unsafe fn check_callback(l: *mut Loop, callback: *mut PyObject, method: &std::ffi::CStr) -> Res<()> {
        let method = crate::object::text(&method.to_string_lossy())?;
        support(c"check_callback", &[l.cast(), callback, method.ptr()])?;
        Ok(())
    }

    /// `create_future`.
    pub(crate) unsafe fn create_future(l: *mut Loop) -> Res<Obj> {
        Ok(Obj::steal(future::on(l)?.cast()))
    }

    /// Shows `task` in asyncio's store as the current one. It stays there until the loop does anything but another
    /// step: a write over it costs less than taking it out each time.
    #[inline]
    pub(crate) unsafe fn show_task(l: *mut Loop, task: *mut PyObject) -> Res<()> {
        if (*l).shown {
            return current::replace(l.cast(), task);
        }
        current::enter(l.cast(), task)?;
        (*l).shown = true;
        Ok(())
    }

    /// No step runs any more: no task is the current one.
    #[inline(always)]
    pub(crate) unsafe fn hide_task(l: *mut Loop) -> Res<()> {
        if (*l).shown {
            (*l).shown = false;
            return current::leave(l.cast());
        }
        Ok(())
    }

    /// Runs a handle when its file is ready.
    pub(crate) unsafe fn push_ready(l: *mut Loop, handle: &Obj) {
        let h: *mut Handle = handle.ptr().cast();
        if !(*h).cancelled && !(*h).queued {
            (*h).queued = true;
            Loop::push_handle(l, handle.again());
        }
    }
}
