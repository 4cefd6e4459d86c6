//! Whether a thread of another process still lives, told by one look at shared memory.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::Segment;
use crate::robust::RobustMutex;

/// What lies in the segment.
#[derive(Debug)]
struct Layout {
    /// Held by the thread.
    living: RobustMutex,
    /// Somebody has seen that it ended.
    over: AtomicBool,
}

/// A thread's life, as all who have its segment can see it.
///
/// The thread holds a robust mutex for ever; when it ends, be it by SIGKILL, the kernel marks that.
///
/// ```
/// use fenshen_shm::{Life, Segment};
///
/// let segment = Segment::create(c"life", Life::SIZE)?;
/// let thread = std::thread::spawn(move || {
///     // SAFETY: the segment is kept for ever.
///     let life = unsafe { Life::begin(&segment) }.expect("it is large enough");
///     assert!(!life.is_over());
///     std::mem::forget(segment);
///     life
/// });
/// let life = thread.join().expect("the thread ends well");
/// assert!(life.is_over());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Life(NonNull<Layout>);

// SAFETY: the mutex may be looked at by any thread.
unsafe impl Send for Life {}
// SAFETY: as above.
unsafe impl Sync for Life {}

impl Life {
    /// How many bytes of a segment it takes.
    pub const SIZE: usize = size_of::<Layout>();

    /// Has a new segment show the life of the calling thread.
    ///
    /// # Safety
    /// Nobody else uses the segment yet, and it is never unmapped in this process.
    ///
    /// # Errors
    /// The segment is too small, or what the C library says.
    pub unsafe fn begin(segment: &Segment) -> io::Result<Life> {
        // SAFETY: the caller's promise is the same.
        let life = unsafe { Life::watch(segment)? };
        // SAFETY: it lies in the segment, which the caller promises to keep.
        unsafe {
            RobustMutex::make(&raw mut (*life.0.as_ptr()).living)?;
            life.0.as_ref().living.lock()?.keep();
        }
        Ok(life)
    }

    /// Looks at the life of the thread that began it.
    ///
    /// # Safety
    /// The segment outlives it.
    ///
    /// # Errors
    /// The segment is too small.
    pub unsafe fn watch(segment: &Segment) -> io::Result<Life> {
        segment.place(0).map(Life).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    /// Whether the thread has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        // SAFETY: it lies in the segment, which outlives it.
        let layout = unsafe { self.0.as_ref() };
        let over = layout.over.load(Ordering::Relaxed) || layout.living.try_lock().is_some();
        if over {
            layout.over.store(true, Ordering::Relaxed);
        }
        over
    }
}
