//! What a reader has and nobody has read yet.
//!
//! The bytes lie in Rust memory, or are one `bytes` object that came whole and may leave whole, or that is being filled
//! for the one who waits for it. Once somebody looks at
//! `_buffer` they are a `bytearray`, and what is changed in it counts, as it does in the standard library; it ends with
//! the buffer's emptying, unless it is still in somebody's hands.

use std::ffi::{c_int, c_void};
use std::slice;

use fenshen_reactor::Unread;
use pyo3::ffi::{self, PyObject};

use crate::errors::type_error;
use crate::object::{Obj, Res, clear, done, visit};

/// For how many bytes room is made before they are there.
const RESERVED: std::ops::Range<usize> = 4 * 1024..1024 * 1024 + 1;

/// The unread bytes: those of `whole`, then those of `unread`.
pub(crate) struct Store {
    unread: Unread,
    /// One `bytes` object; what is unread of it lies from `start` to `end`. It has room after that only where it was
    /// made for a coroutine that waits for its length exactly, and then there is nothing in `unread`.
    whole: Option<Obj>,
    start: usize,
    end: usize,
    /// The bytearray that somebody has seen; the others are empty then.
    shown: Option<Obj>,
}

unsafe fn slice_of<'a>(bytes: *mut PyObject) -> &'a [u8] {
    slice::from_raw_parts(ffi::PyBytes_AsString(bytes).cast(), ffi::PyBytes_Size(bytes) as usize)
}

/// A `bytes` object of a slice.
#[inline]
pub(crate) unsafe fn bytes_of(data: &[u8]) -> Res<Obj> {
    Obj::new(ffi::PyBytes_FromStringAndSize(data.as_ptr().cast(), data.len() as isize))
}

impl Store {
    /// Nothing.
    pub(crate) fn empty() -> Store {
        Store { unread: Unread::new(), whole: None, start: 0, end: 0, shown: None }
    }

    /// The bytes; not to be held across anything that may run Python code.
    #[inline]
    pub(crate) unsafe fn as_slice(&mut self) -> &[u8] {
        if self.whole.is_some() && !self.unread.is_empty() {
            self.merge();
        }
        if let Some(whole) = &self.whole {
            return &slice_of(whole.ptr())[self.start..self.end];
        }
        match &self.shown {
            None => self.unread.as_slice(),
            Some(shown) => {
                let start = ffi::PyByteArray_AsString(shown.ptr());
                slice::from_raw_parts(start.cast(), ffi::PyByteArray_Size(shown.ptr()) as usize)
            }
        }
    }

    /// How many bytes there are.
    #[inline]
    pub(crate) unsafe fn len(&self) -> usize {
        let shown = self.shown.as_ref().map_or(0, |shown| ffi::PyByteArray_Size(shown.ptr()) as usize);
        let whole = if self.whole.is_some() { self.end - self.start } else { 0 };
        shown + whole + self.unread.len()
    }

    /// Whether there is nothing.
    #[inline]
    pub(crate) unsafe fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets everything lie in one piece.
    unsafe fn merge(&mut self) {
        if let Some(whole) = self.whole.take() {
            self.unread.put_back(&slice_of(whole.ptr())[self.start..self.end]);
        }
    }

    /// How many bytes more the object has room for.
    #[inline]
    unsafe fn room(&self) -> usize {
        self.whole.as_ref().map_or(0, |whole| ffi::PyBytes_Size(whole.ptr()) as usize - self.end)
    }

    /// Makes the object that a read of `n` bytes, of which not all are there, will return, for the rest to go into.
    ///
    /// Nothing is made where that is more than somebody's word for it is worth, or so little that a copy costs less.
    pub(crate) unsafe fn reserve(&mut self, n: usize) -> Res<()> {
        if !RESERVED.contains(&n) || self.shown.is_some() {
            if self.room() > 0 && self.start == self.end {
                // Of a read that was cancelled.
                clear(&mut self.whole);
            }
            return Ok(());
        }
        if self.room() > 0 && self.start == 0 && self.end + self.room() == n {
            // It waits again.
            return Ok(());
        }
        let fresh = Obj::new(ffi::PyBytes_FromStringAndSize(std::ptr::null(), n as isize))?;
        let there = self.as_slice();
        let len = there.len();
        std::ptr::copy_nonoverlapping(there.as_ptr(), ffi::PyBytes_AsString(fresh.ptr()).cast::<u8>(), len);
        self.unread.clear();
        (self.start, self.end) = (0, len);
        let before = self.whole.replace(fresh);
        drop(before);
        Ok(())
    }

    /// Where the next bytes may be put, and how many: nowhere unless they were reserved. [`Store::filled`] says it of
    /// those that were.
    #[inline]
    pub(crate) unsafe fn lend(&mut self) -> Option<(*mut u8, usize)> {
        let room = self.room();
        let whole = self.whole.as_ref().filter(|_| room > 0)?;
        Some((ffi::PyBytes_AsString(whole.ptr()).cast::<u8>().add(self.end), room))
    }

    /// So many bytes have been put where [`Store::lend`] said.
    #[inline]
    pub(crate) fn filled(&mut self, n: usize) {
        self.end += n;
    }

    /// Adds bytes at the end. Fails where somebody has a view of what was shown.
    #[inline]
    pub(crate) unsafe fn push(&mut self, mut data: &[u8]) -> Res<()> {
        if let Some(shown) = &self.shown {
            let (o, len) = (shown.ptr(), ffi::PyByteArray_Size(shown.ptr()));
            done(ffi::PyByteArray_Resize(o, len + data.len() as isize))?;
            let start = ffi::PyByteArray_AsString(o).cast::<u8>().add(len as usize);
            std::ptr::copy_nonoverlapping(data.as_ptr(), start, data.len());
            return Ok(());
        }
        if let Some((start, room)) = self.lend() {
            let n = room.min(data.len());
            std::ptr::copy_nonoverlapping(data.as_ptr(), start, n);
            self.filled(n);
            data = &data[n..];
        }
        self.unread.push(data);
        Ok(())
    }

    /// Adds the content of a `bytes` object, without a copy where nothing else is there.
    #[inline]
    pub(crate) unsafe fn push_object(&mut self, bytes: Obj) -> Res<()> {
        if self.shown.is_some() || self.whole.is_some() || !self.is_empty() {
            return self.push(slice_of(bytes.ptr()));
        }
        (self.start, self.end) = (0, ffi::PyBytes_Size(bytes.ptr()) as usize);
        self.whole = Some(bytes);
        Ok(())
    }

    /// Takes the first `n` bytes, of which there must be so many.
    #[inline]
    pub(crate) unsafe fn take(&mut self, n: usize) -> Res<Obj> {
        if self.start == 0
            && self.end == n
            && self.room() == 0
            && let Some(whole) = self.whole.take()
        {
            return Ok(whole);
        }
        let taken = bytes_of(&self.as_slice()[..n])?;
        self.discard(n)?;
        Ok(taken)
    }

    /// Takes all.
    pub(crate) unsafe fn take_all(&mut self) -> Res<Obj> {
        self.take(self.len())
    }

    /// Lets go of the first `n` bytes, of which there must be so many.
    #[inline]
    pub(crate) unsafe fn discard(&mut self, n: usize) -> Res<()> {
        if self.whole.is_some() {
            let here = n.min(self.end - self.start);
            self.start += here;
            if self.start == self.end {
                clear(&mut self.whole);
            }
            self.unread.discard(n - here);
            return Ok(());
        }
        let Some(shown) = &self.shown else {
            self.unread.discard(n);
            return Ok(());
        };
        if n < ffi::PyByteArray_Size(shown.ptr()) as usize {
            return done(ffi::PySequence_DelSlice(shown.ptr(), 0, n as isize));
        }
        done(ffi::PyByteArray_Resize(shown.ptr(), 0))?;
        if ffi::Py_REFCNT(shown.ptr()) == 1 {
            clear(&mut self.shown);
        }
        Ok(())
    }

    /// Lets go of all.
    pub(crate) unsafe fn clear(&mut self) -> Res<()> {
        self.discard(self.len())
    }

    /// Puts bytes before all others, as if they had never been taken.
    pub(crate) unsafe fn put_back(&mut self, data: &[u8]) -> Res<()> {
        if self.shown.is_some() {
            let rest = self.take_all()?;
            self.push(data)?;
            return self.push(slice_of(rest.ptr()));
        }
        self.merge();
        self.unread.put_back(data);
        Ok(())
    }

    /// What `_buffer` shows.
    pub(crate) unsafe fn show(&mut self) -> Res<Obj> {
        if let Some(shown) = &self.shown {
            return Ok(shown.again());
        }
        let data = self.as_slice();
        let fresh = Obj::new(ffi::PyByteArray_FromStringAndSize(data.as_ptr().cast(), data.len() as isize))?;
        self.unread.clear();
        clear(&mut self.whole);
        self.shown = Some(fresh.again());
        Ok(fresh)
    }

    /// Puts a bytearray in the buffer's place; of that class exactly, so that letting go of it runs nobody's code.
    pub(crate) unsafe fn replace(&mut self, o: *mut PyObject) -> Res<()> {
        if ffi::PyByteArray_CheckExact(o) == 0 {
            return type_error("_buffer must be a bytearray");
        }
        self.release();
        self.shown = Some(Obj::from(o));
        Ok(())
    }

    /// Visits what it refers to for the garbage collector.
    pub(crate) unsafe fn traverse(&self, visitor: ffi::visitproc, arg: *mut c_void) -> c_int {
        visit(&self.shown, visitor, arg)
    }

    /// Lets go of everything, memory too.
    pub(crate) fn release(&mut self) {
        self.unread = Unread::new();
        clear(&mut self.whole);
        clear(&mut self.shown);
    }
}
