//! What lies on the ready ring: pointers with their kind in the low bits, each an owned reference.

use std::ffi::{c_int, c_void};

use pyo3::ffi::{self, PyObject};

use crate::handle::{self, Handle};
use crate::object::Obj;

/// A tagged pointer. Objects are aligned to at least eight bytes, so three bits are free.
#[derive(Clone, Copy)]
pub(crate) struct Word(usize);

/// What a word stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A handle to run once.
    Handle,
    /// A task's next step.
    Step,
    /// A task's step after what it waited for.
    Wake,
    /// A done-callback: two more words follow, the future and the context.
    Done,
    /// A gathering or a group that is told of a child: one more word follows, the child.
    Child,
    /// A native object whose file is ready.
    Ready,
    /// A native object whose connection is over.
    Lost,
    /// The words that follow a done-callback, a gathering or a group.
    More,
}

impl Word {
    /// Takes over a reference.
    #[inline(always)]
    pub(crate) fn new(kind: Kind, o: Obj) -> Word {
        Word(o.into_ptr() as usize | kind as usize)
    }

    #[inline(always)]
    pub(crate) fn kind(self) -> Kind {
        match self.0 & 7 {
            0 => Kind::Handle,
            1 => Kind::Step,
            2 => Kind::Wake,
            3 => Kind::Done,
            4 => Kind::Child,
            5 => Kind::Ready,
            6 => Kind::Lost,
            _ => Kind::More,
        }
    }

    /// The borrowed pointer.
    #[inline(always)]
    pub(crate) fn ptr(self) -> *mut PyObject {
        (self.0 & !7) as *mut PyObject
    }

    /// Gives the reference back.
    #[inline(always)]
    pub(crate) unsafe fn into_obj(self) -> Obj {
        Obj::steal(self.ptr())
    }

    /// Lets go of it unrun.
    pub(crate) unsafe fn abandon(self) {
        if self.kind() == Kind::Handle {
            let h: *mut Handle = self.ptr().cast();
            if !(*h).repeats {
                handle::abandon(h);
            }
        }
        drop(self.into_obj());
    }

    /// Shows the garbage collector what it holds.
    pub(crate) unsafe fn traverse(self, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        match self.kind() {
            Kind::Handle => handle::traverse_owned(self.ptr().cast(), visitor, arg),
            _ => visitor(self.ptr(), arg),
        }
    }
}
