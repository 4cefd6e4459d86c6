//! The futures that wait for a primitive, in order, and what is asked of them.
//!
//! They lie in a Rust queue until somebody looks at `_waiters`: what they get to see then is a `collections.deque`
//! that stays the queue from there on, so that what they change in it counts, as it does in the standard library.

use std::collections::VecDeque;
use std::ffi::{c_int, c_void};

use pyo3::ffi::{self, PyObject};

use crate::errors::runtime_error;
use crate::future::{self, Future, State};
use crate::names::{asyncio, names};
use crate::object::{Obj, Res, attr, call, call_method, done, none};

/// A queue of futures.
pub(crate) enum Waiters {
    /// None yet, and shown as `None`.
    Absent,
    Native(VecDeque<Obj>),
    /// The deque that somebody has seen.
    Shown(Obj),
}

/// Has the task that gets this future wait for it.
#[inline]
pub(crate) unsafe fn mark_blocking(f: &Obj) -> Res<()> {
    if future::is_exact(f.ptr()) {
        (*f.ptr().cast::<Future>()).blocking = true;
        return Ok(());
    }
    done(ffi::PyObject_SetAttr(f.ptr(), names().blocking.ptr(), ffi::Py_True()))
}

/// Raises what a future ended with; it must be done.
#[inline]
pub(crate) unsafe fn check(f: &Obj) -> Res<()> {
    if !is_done(f)? {
        return runtime_error("await wasn't used with future");
    }
    if future::is_exact(f.ptr()) {
        return future::get_result(f.ptr().cast()).map(drop);
    }
    call_method(&names().result, &[f.ptr()]).map(drop)
}

unsafe fn ask(f: *mut PyObject, question: &Obj) -> Res<bool> {
    let answer = call_method(question, &[f])?;
    let truth = ffi::PyObject_IsTrue(answer.ptr());
    done(truth)?;
    Ok(truth != 0)
}

/// Whether a waiter is done.
#[inline]
pub(crate) unsafe fn is_done(f: &Obj) -> Res<bool> {
    if future::is_exact(f.ptr()) {
        return Ok((*f.ptr().cast::<Future>()).state != State::Pending);
    }
    ask(f.ptr(), &names().done)
}

/// Whether a waiter was cancelled.
#[inline]
pub(crate) unsafe fn is_cancelled(f: &Obj) -> Res<bool> {
    if future::is_exact(f.ptr()) {
        return Ok((*f.ptr().cast::<Future>()).state == State::Cancelled);
    }
    ask(f.ptr(), &names().cancelled)
}

/// Ends a waiter's wait.
#[inline]
pub(crate) unsafe fn wake(f: &Obj, value: *mut PyObject) -> Res<()> {
    if future::is_exact(f.ptr()) {
        return future::set_result(f.ptr().cast(), Obj::from(value));
    }
    call_method(&names().set_result, &[f.ptr(), value]).map(drop)
}

impl Waiters {
    /// An empty queue, shown as a deque.
    pub(crate) fn empty() -> Waiters {
        Waiters::Native(VecDeque::new())
    }

    /// Adds one at the end.
    #[inline]
    pub(crate) unsafe fn push(w: *mut Waiters, f: Obj) -> Res<()> {
        match &mut *w {
            Waiters::Native(q) => q.push_back(f),
            Waiters::Absent => *w = Waiters::Native(VecDeque::from([f])),
            Waiters::Shown(deque) => {
                let deque = deque.again();
                call_method(&names().append, &[deque.ptr(), f.ptr()])?;
            }
        }
        Ok(())
    }

    /// Takes one out; nothing happens if it isn't there.
    #[inline]
    pub(crate) unsafe fn remove(w: *mut Waiters, f: &Obj) -> Res<()> {
        let gone = match &mut *w {
            Waiters::Absent => None,
            Waiters::Native(q) => match q.iter().position(|x| x.ptr() == f.ptr()) {
                Some(0) => q.pop_front(),
                Some(i) => q.remove(i),
                None => None,
            },
            Waiters::Shown(deque) => {
                let deque = deque.again();
                let removed = call_method(&names().remove, &[deque.ptr(), f.ptr()]);
                if removed.is_err() && ffi::PyErr_ExceptionMatches(ffi::PyExc_ValueError) != 0 {
                    ffi::PyErr_Clear();
                    return Ok(());
                }
                Some(removed?)
            }
        };
        drop(gone);
        Ok(())
    }

    /// Takes the first out.
    #[inline]
    pub(crate) unsafe fn pop(w: *mut Waiters) -> Res<Option<Obj>> {
        match &mut *w {
            Waiters::Absent => Ok(None),
            Waiters::Native(q) => Ok(q.pop_front()),
            Waiters::Shown(deque) => {
                let deque = deque.again();
                if ffi::PyObject_Size(deque.ptr()) == 0 {
                    return Ok(None);
                }
                call_method(&names().popleft, &[deque.ptr()]).map(Some)
            }
        }
    }

    /// How many there are.
    #[inline]
    pub(crate) unsafe fn len(w: *mut Waiters) -> Res<usize> {
        match &*w {
            Waiters::Absent => Ok(0),
            Waiters::Native(q) => Ok(q.len()),
            Waiters::Shown(deque) => {
                let deque = deque.again();
                let len = ffi::PyObject_Size(deque.ptr());
                done(len.min(0) as c_int)?;
                Ok(len as usize)
            }
        }
    }

    /// The one at a place, where that is still in the queue.
    unsafe fn at(w: *mut Waiters, i: usize) -> Res<Option<Obj>> {
        match &*w {
            Waiters::Absent => Ok(None),
            Waiters::Native(q) => Ok(q.get(i).map(|f| f.again())),
            Waiters::Shown(deque) => {
                let deque = deque.again();
                if ffi::PyObject_Size(deque.ptr()) <= i as isize {
                    return Ok(None);
                }
                Obj::new(ffi::PySequence_GetItem(deque.ptr(), i as isize)).map(Some)
            }
        }
    }

    /// The first one.
    #[inline]
    pub(crate) unsafe fn first(w: *mut Waiters) -> Res<Option<Obj>> {
        Waiters::at(w, 0)
    }

    /// The first one that isn't done.
    #[inline]
    pub(crate) unsafe fn first_pending(w: *mut Waiters) -> Res<Option<Obj>> {
        let mut i = 0;
        while let Some(f) = Waiters::at(w, i)? {
            if !is_done(&f)? {
                return Ok(Some(f));
            }
            i += 1;
        }
        Ok(None)
    }

    /// Whether any of them wasn't cancelled.
    #[inline]
    pub(crate) unsafe fn any_live(w: *mut Waiters) -> Res<bool> {
        let mut i = 0;
        while let Some(f) = Waiters::at(w, i)? {
            if !is_cancelled(&f)? {
                return Ok(true);
            }
            i += 1;
        }
        Ok(false)
    }

    /// Takes them from the front until one that isn't done is found, and wakes that.
    #[inline]
    pub(crate) unsafe fn wake_next(w: *mut Waiters) -> Res<()> {
        while let Some(f) = Waiters::pop(w)? {
            if !is_done(&f)? {
                return wake(&f, ffi::Py_None());
            }
        }
        Ok(())
    }

    /// Wakes up to `most` of those that aren't done; they stay in the queue.
    pub(crate) unsafe fn wake_some(w: *mut Waiters, most: isize, value: *mut PyObject) -> Res<()> {
        let (mut i, mut woken) = (0, 0);
        while woken < most {
            let Some(f) = Waiters::at(w, i)? else {
                break;
            };
            if !is_done(&f)? {
                woken += 1;
                wake(&f, value)?;
            }
            i += 1;
        }
        Ok(())
    }

    /// All of them, in order.
    pub(crate) unsafe fn all(w: *mut Waiters) -> Res<Vec<Obj>> {
        let mut found = Vec::new();
        while let Some(f) = Waiters::at(w, found.len())? {
            found.push(f);
        }
        Ok(found)
    }

    /// What `_waiters` shows.
    pub(crate) unsafe fn show(w: *mut Waiters) -> Res<Obj> {
        let items: Vec<Obj> = match &*w {
            Waiters::Absent => return Ok(none()),
            Waiters::Shown(deque) => return Ok(deque.again()),
            Waiters::Native(q) => q.iter().map(|f| f.again()).collect(),
        };
        let deque = call(asyncio().deque.ptr(), &[])?;
        let add = attr(deque.ptr(), &names().append)?;
        for f in &items {
            call(add.ptr(), &[f.ptr()])?;
        }
        Waiters::put(w, deque.ptr());
        Ok(deque)
    }

    /// Puts `o` in the queue's place; `None` stands for no queue.
    pub(crate) unsafe fn put(w: *mut Waiters, o: *mut PyObject) {
        let fresh = if o == ffi::Py_None() { Waiters::Absent } else { Waiters::Shown(Obj::from(o)) };
        drop(std::mem::replace(&mut *w, fresh));
    }

    /// `, waiters:N`, or nothing.
    pub(crate) unsafe fn count_text(w: *mut Waiters) -> Res<String> {
        Ok(match Waiters::len(w)? {
            0 => String::new(),
            n => format!(", waiters:{n}"),
        })
    }

    /// Visits them for the garbage collector.
    pub(crate) unsafe fn traverse(&self, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        match self {
            Waiters::Absent => 0,
            Waiters::Shown(deque) => visitor(deque.ptr(), arg),
            Waiters::Native(q) => q.iter().map(|f| visitor(f.ptr(), arg)).find(|s| *s != 0).unwrap_or(0),
        }
    }

    /// Lets go of all.
    pub(crate) fn clear(&mut self) {
        drop(std::mem::replace(self, Waiters::Absent));
    }
}
