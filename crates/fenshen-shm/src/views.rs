//! Which views of slabs this process has, for the sake of its forks.
//!
//! A view is private, but a page of it that nobody has written to is still the slab's, and what keeps the writer off the
//! slab is only that the view was not given back. A forked child has the view too, and the process that gives it back
//! does not know for how long. So before a fork every view gets pages of its own, and its slab goes back at once.

use std::collections::BTreeMap;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::arena::Release;

/// What gives a view's slab back when it is dropped; none once it was.
pub(crate) type Held = Arc<Mutex<Option<Release>>>;

const PAGE: usize = 4096;
/// Since Linux 5.14; the libc crate leaves it out for some targets.
const MADV_POPULATE_WRITE: i32 = 23;

/// By where they begin: how long they are, and what holds their slabs.
static VIEWS: Mutex<BTreeMap<usize, (usize, Held)>> = Mutex::new(BTreeMap::new());

fn views() -> MutexGuard<'static, BTreeMap<usize, (usize, Held)>> {
    VIEWS.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn enter(start: NonNull<u8>, len: usize, held: &Held) {
    views().insert(start.as_ptr() as usize, (len, held.clone()));
}

pub(crate) fn leave(start: NonNull<u8>) {
    let left = views().remove(&(start.as_ptr() as usize));
    drop(left);
}

/// Gives every view of a slab pages of its own. To be called before this process is forked, if the child may look at
/// what it has received: without that, the child would see what is sent next.
///
/// Where there is no memory for that, the slabs concerned are not used again.
pub fn before_fork() {
    for (&start, (len, held)) in views().iter() {
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_some() {
            // SAFETY: the view is mapped until it has left.
            let release = held.take().filter(|_| unsafe { copy(start, *len) }.is_ok());
            drop(release);
        }
    }
}

/// Has every page of a private mapping copied that was not yet.
unsafe fn copy(start: usize, len: usize) -> io::Result<()> {
    // SAFETY: the caller's; it changes nothing that can be read there.
    if unsafe { libc::madvise(start as *mut _, len, MADV_POPULATE_WRITE) } == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() != Some(libc::EINVAL) {
        return Err(error);
    }
    for page in (start..start + len).step_by(PAGE) {
        // SAFETY: within the mapping, and others of this process may write there meanwhile: it writes what was there.
        let byte = unsafe { AtomicU8::from_ptr(page as *mut u8) };
        let was = byte.load(Ordering::Relaxed);
        byte.compare_exchange(was, was, Ordering::Relaxed, Ordering::Relaxed).ok();
    }
    Ok(())
}
