//! `_cond`: the condition that the standard library's primitives are made of, for those who use it behind their backs.
//!
//! Ours are not made of one. It is made when somebody asks for it, and is told the news from then on.

use std::ffi::{c_int, c_void};

use pyo3::ffi;

use super::condition;
use super::{kinds, lock};
use crate::object::{Obj, Res, call_method, visit};

/// A condition over a plain lock, or nothing yet. All zero is nothing.
#[repr(transparent)]
pub(crate) struct ShownCondition(Option<Obj>);

impl ShownCondition {
    /// The condition.
    pub(crate) unsafe fn get(&mut self) -> Res<Obj> {
        if let Some(shown) = &self.0 {
            return Ok(shown.again());
        }
        let lock = lock::make(kinds::lock())?;
        let made = condition::make(lock.ptr())?;
        // Making it may have run a collection, and so anything.
        Ok(self.0.get_or_insert(made).again())
    }

    /// Tells up to `count` that wait for it.
    #[inline]
    pub(crate) unsafe fn tell(&self, count: u64) -> Res<()> {
        match &self.0 {
            None => Ok(()),
            Some(shown) => tell(shown.again(), count),
        }
    }

    /// Makes it new, in a forked child.
    pub(crate) unsafe fn at_fork_reinit(&self) -> Res<()> {
        match &self.0 {
            None => Ok(()),
            Some(shown) => call_method(&super::known::known().at_fork_reinit, &[shown.ptr()]).map(|_| ()),
        }
    }

    pub(crate) unsafe fn visit(&self, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        visit(&self.0, visitor, arg)
    }

    pub(crate) unsafe fn clear(&mut self) {
        crate::object::clear(&mut self.0);
    }
}

#[cold]
unsafe fn tell(shown: Obj, count: u64) -> Res<()> {
    let c = shown.ptr().cast();
    condition::enter(c)?;
    let told = condition::notify(c, count);
    condition::leave(c)?;
    told
}
