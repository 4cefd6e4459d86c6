//! Places in shared memory for small things: many in one segment, so that a lock needs no file of its own.
//!
//! A place that nobody else can know of is used again as soon as it is let go. Others may know of one that was pickled,
//! or that was there when the process forked: such a place is not used again, but its segment goes when the last thing in
//! it does. A forked child begins with segments of its own, and only uses those that it inherited.

use std::collections::HashMap;
use std::mem;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fenshen_shm::Segment;
use pyo3::ffi;

use super::kinds;
use super::segment::{PySegment, held, os_error};
use crate::errors::raise;
use crate::object::{Obj, Res};

/// What lies in shared memory begins on a cache line of its own.
const LINE: usize = 64;
/// The size of a common segment. It takes memory only page by page.
const COMMON: usize = 64 << 10;
/// What is larger has a segment of its own.
const LARGE: usize = 16 << 10;

/// A piece of a segment. It is boxed, so that a new object, all zero, has none.
pub(crate) struct Place {
    segment: Obj,
    start: NonNull<u8>,
    offset: usize,
    len: usize,
    /// The common segment that it was cut from in this process; zero if none was.
    common: u64,
    /// How often this process had forked when it was made; `None` when somebody else may know of it anyway.
    forks: Option<u32>,
}

/// A segment that places are cut from.
struct Common {
    segment: Obj,
    used: usize,
    /// How many places in it something lies in.
    live: usize,
}

#[derive(Default)]
struct Stock {
    commons: HashMap<u64, Common>,
    /// The one that places are cut from now, and the last number that was given to one.
    current: u64,
    /// Places by length that can be used again: the number of their segment, and where they begin.
    free: HashMap<usize, Vec<(u64, usize)>>,
}

// SAFETY: its objects are only touched by attached threads.
unsafe impl Send for Stock {}

static STOCK: Mutex<Option<Stock>> = Mutex::new(None);
static FORKS: AtomicU32 = AtomicU32::new(0);

/// Nothing of Python may run, or go, while it is locked.
fn stock() -> MutexGuard<'static, Option<Stock>> {
    STOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Before a fork: the child will know of every place.
pub(crate) fn before_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// In a forked child: what is left in its parent's segments is the parent's.
pub(crate) fn after_fork_in_child() {
    let inherited = stock().as_mut().map(|stock| {
        stock.free.clear();
        mem::take(&mut stock.commons)
    });
    drop(inherited);
}

/// A new segment, as an object.
unsafe fn create(len: usize) -> Res<Obj> {
    let segment = match Segment::create(c"fenshen", len) {
        Ok(segment) => segment,
        Err(error) => return os_error(&error),
    };
    let ty = kinds::segment();
    let o = Obj::new(ffi::PyType_GenericAlloc(ty, 0))?;
    std::ptr::write(&raw mut (*o.ptr().cast::<PySegment>()).segment, Some(std::sync::Arc::new(segment)));
    Ok(o)
}

impl Stock {
    fn find(&mut self, len: usize) -> Option<(u64, usize)> {
        self.take_free(len).or_else(|| self.cut(len))
    }

    fn take_free(&mut self, len: usize) -> Option<(u64, usize)> {
        let (number, offset) = self.free.get_mut(&len)?.pop()?;
        self.commons.get_mut(&number)?.live += 1;
        Some((number, offset))
    }

    fn cut(&mut self, len: usize) -> Option<(u64, usize)> {
        let common = self.commons.get_mut(&self.current)?;
        let offset = common.used;
        if offset + len > COMMON {
            return None;
        }
        common.used += len;
        common.live += 1;
        Some((self.current, offset))
    }

    /// Lets a place go, and returns its segment if nothing lies in that any more.
    fn put_back(&mut self, number: u64, offset: usize, len: usize, unknown: bool) -> Option<Common> {
        let common = self.commons.get_mut(&number)?;
        common.live -= 1;
        if common.live > 0 || number == self.current {
            if unknown {
                self.free.entry(len).or_default().push((number, offset));
            }
            return None;
        }
        self.retire(number)
    }

    /// Forgets a segment in which nothing lies.
    fn retire(&mut self, number: u64) -> Option<Common> {
        if self.commons.get(&number)?.live > 0 {
            return None;
        }
        self.free.values_mut().for_each(|places| places.retain(|&(of, _)| of != number));
        self.commons.remove(&number)
    }

    /// Begins to cut places from a new segment, the first of `len` bytes. Returns the number, and what it takes the place
    /// of, if nothing lies in that.
    fn begin(&mut self, segment: Obj, len: usize) -> (u64, Option<Common>) {
        let before = self.current;
        self.current += 1;
        self.commons.insert(self.current, Common { segment, used: len, live: 1 });
        (self.current, self.retire(before))
    }
}

impl Place {
    /// One of `size` bytes at least, all zero.
    pub(crate) unsafe fn make(size: usize) -> Res<Box<Place>> {
        let len = size.max(1).next_multiple_of(LINE);
        if len > LARGE {
            let segment = create(len)?;
            return Place::of(segment, 0, len, 0);
        }
        let found = stock().get_or_insert_default().find(len);
        let (number, offset) = match found {
            Some(found) => found,
            None => {
                let segment = create(COMMON)?;
                let (number, retired) = stock().get_or_insert_default().begin(segment, len);
                drop(retired);
                (number, 0)
            }
        };
        let segment = match stock().as_ref().and_then(|stock| stock.commons.get(&number)) {
            Some(common) => common.segment.again(),
            None => return raise(ffi::PyExc_SystemError, "a common segment is gone"),
        };
        let place = Place::of(segment, offset, len, number)?;
        std::ptr::write_bytes(place.start.as_ptr(), 0, len);
        Ok(place)
    }

    /// A place that somebody else has made.
    pub(crate) unsafe fn adopt(segment: Obj, offset: usize, size: usize) -> Res<Box<Place>> {
        if ffi::Py_TYPE(segment.ptr()) != kinds::segment() {
            return raise(ffi::PyExc_TypeError, "a Segment is needed");
        }
        let mut place = Place::of(segment, offset, size, 0)?;
        place.forks = None;
        Ok(place)
    }

    unsafe fn of(segment: Obj, offset: usize, len: usize, common: u64) -> Res<Box<Place>> {
        let held = held(segment.ptr().cast())?;
        let fits = offset.is_multiple_of(LINE) && offset.checked_add(len).is_some_and(|end| end <= held.len());
        match held.place::<u8>(offset).filter(|_| fits) {
            Some(start) => {
                Ok(Box::new(Place { segment, start, offset, len, common, forks: Some(FORKS.load(Ordering::Relaxed)) }))
            }
            None => raise(ffi::PyExc_ValueError, "there is no such place in the segment"),
        }
    }

    /// Where it begins in this process.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Whether somebody else may know of it.
    pub(crate) fn is_known(&self) -> bool {
        self.forks != Some(FORKS.load(Ordering::Relaxed))
    }

    /// What others need to [adopt](Place::adopt) it. From now on somebody else may know of it.
    pub(crate) unsafe fn share(&mut self) -> (Obj, usize) {
        self.forks = None;
        (self.segment.again(), self.offset)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.common != 0 {
            let known = self.is_known();
            let empty = stock().as_mut().and_then(|s| s.put_back(self.common, self.offset, self.len, !known));
            drop(empty);
        }
    }
}
