//! What a queue, an event or a semaphore has in shared memory besides items: its state, and up to three rows of those who
//! wait.

use std::io;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::{Row, Segment};

const MAGIC: u64 = u64::from_le_bytes(*b"fshall01");

/// How it lies in its segment. All zero, but for the first field, is a new one.
#[repr(C, align(64))]
pub struct Layout {
    magic: AtomicU64,
    /// Whether it is open, or shut down: its owner's to say.
    pub state: AtomicU32,
    /// A count of permits, or a flag.
    pub value: AtomicU64,
    /// Who waits.
    pub rows: [Row; 3],
}

/// The place of all this: a segment of its own.
#[derive(Clone)]
pub struct Hall(Arc<Segment>);

impl Hall {
    /// How long a segment for one is, in bytes. Memory that nobody waited in is never touched.
    pub const LEN: usize = size_of::<Layout>();

    /// Makes it in a new segment.
    ///
    /// # Errors
    /// The segment is too small.
    pub fn create(segment: Arc<Segment>) -> io::Result<Hall> {
        let hall = Hall::fitting(segment)?;
        hall.magic.store(MAGIC, Ordering::Release);
        Ok(hall)
    }

    /// Finds the one that another process made.
    ///
    /// # Errors
    /// There is none in that segment.
    pub fn adopt(segment: Arc<Segment>) -> io::Result<Hall> {
        let hall = Hall::fitting(segment)?;
        if hall.magic.load(Ordering::Acquire) == MAGIC { Ok(hall) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    fn fitting(segment: Arc<Segment>) -> io::Result<Hall> {
        if segment.place::<Layout>(0).is_some() { Ok(Hall(segment)) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    /// Takes one of the value, if there is one.
    #[must_use]
    pub fn take_one(&self) -> bool {
        self.value.fetch_update(Ordering::AcqRel, Ordering::Acquire, |value| value.checked_sub(1)).is_ok()
    }
}

impl Deref for Hall {
    type Target = Layout;

    #[inline]
    fn deref(&self) -> &Layout {
        // SAFETY: `fitting` has looked whether it fits; all of it is atomic, and any bits are valid.
        unsafe { &*self.0.start().cast::<Layout>() }
    }
}
