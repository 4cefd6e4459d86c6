//! Where in shared memory a thing lies: the buffer of a `Block` or a `Segment`, held as long as the thing is.

use std::ptr::NonNull;

use pyo3::ffi::{self, PyObject};

use crate::errors::raise;
use crate::object::{Res, done};

/// What begins there is aligned to this.
const ALIGNED: usize = 64;

/// A buffer that is held.
pub(super) struct Memory(ffi::Py_buffer);

impl Memory {
    /// The memory of `o`, of `size` bytes at least.
    pub(super) unsafe fn of(o: *mut PyObject, size: usize) -> Res<Memory> {
        let mut view = std::mem::zeroed();
        done(ffi::PyObject_GetBuffer(o, &mut view, ffi::PyBUF_WRITABLE))?;
        let memory = Memory(view);
        if (memory.0.len as usize) < size || !(memory.0.buf as usize).is_multiple_of(ALIGNED) {
            return raise(ffi::PyExc_ValueError, "there is no room in the shared memory");
        }
        Ok(memory)
    }

    /// Where it begins.
    pub(super) fn start(&self) -> NonNull<u8> {
        // SAFETY: a buffer that is not empty lies somewhere.
        unsafe { NonNull::new_unchecked(self.0.buf.cast()) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: it was got in `of`; the thread is attached, by the crate's contract.
        unsafe { ffi::PyBuffer_Release(&mut self.0) }
    }
}
