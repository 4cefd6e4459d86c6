//! What a pool and one of its workers share: two rings, the leases, and the bells.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;

use fenshen_shm::arena::{self, Arena, Releases, Slabs};
use fenshen_shm::ring::{Cursors, Place, Reader, Writer};
use fenshen_shm::{Corrupt, Receiver, Segment, Sender};

use crate::asleep::Asleep;
use crate::lease::Leases;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// The length of each ring in bytes.
const RING: usize = 64 << 10;
const MARK: u32 = 0x6673_686e;

/// What lies at the beginning of the segment.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Shared {
    mark: AtomicU32,
    tasks: Cursors,
    results: Cursors,
    /// One while the worker sleeps, and a task must wake it.
    pub(crate) asleep: Asleep,
    /// One while the worker waits for room in the ring of results.
    pub(crate) crowded: Asleep,
    /// One while the pool sleeps, and a result must ring its bell.
    pub(crate) listening: Asleep,
    pub(crate) leases: Leases,
    /// When an interrupt of the keyboard last came to the worker, by the clock of the leases; zero if none ever did.
    pub(crate) interrupted: AtomicU64,
    /// The number of the last task that was begun, where tasks run [beside each other](crate::LoopWorker).
    pub(crate) begun: AtomicU32,
    /// One while the pool waits for room in the ring of tasks, and such a worker is to tell when there is some.
    pub(crate) stuffed: AtomicU32,
    task_slabs: Releases,
    result_slabs: Releases,
}

/// What a worker needs to find its pool: three descriptors, which it inherits or is sent.
#[derive(Debug)]
pub struct Ends {
    segment: Arc<Segment>,
    tasks: OwnedFd,
    results: OwnedFd,
}

/// The pool's side.
pub(crate) struct Link {
    pub(crate) shared: Arc<Segment>,
    pub(crate) sender: Sender,
    pub(crate) receiver: Receiver,
}

const BEGIN: usize = size_of::<Shared>();

fn shared(segment: &Segment) -> io::Result<NonNull<Shared>> {
    segment.place(0).filter(|_| segment.len() >= BEGIN + 2 * RING).ok_or_else(|| Corrupt("a link's length").into())
}

/// What lies at the beginning of a link's segment.
pub(crate) fn face(segment: &Segment) -> &Shared {
    // SAFETY: every link's segment is that long and aligned, and all that lies there is atomic.
    unsafe { &*segment.start().cast::<Shared>() }
}

unsafe fn rings(segment: &Segment) -> io::Result<(NonNull<Shared>, Place, Place)> {
    let head = shared(segment)?;
    // SAFETY: the segment is that long, as `shared` found; whoever uses the places keeps it.
    unsafe {
        let data = NonNull::new_unchecked(segment.start().add(BEGIN));
        let cursors = |at: *mut Cursors| NonNull::new_unchecked(at);
        let tasks = Place::new(cursors(&raw mut (*head.as_ptr()).tasks), data, RING);
        let results = Place::new(cursors(&raw mut (*head.as_ptr()).results), data.add(RING), RING);
        Ok((head, tasks, results))
    }
}

/// Where the slabs of tasks and of results are told to be free.
unsafe fn releases(head: NonNull<Shared>) -> (NonNull<Releases>, NonNull<Releases>) {
    // SAFETY: the caller found the head.
    unsafe {
        let head = head.as_ptr();
        let at = |p: *mut Releases| NonNull::new_unchecked(p);
        (at(&raw mut (*head).task_slabs), at(&raw mut (*head).result_slabs))
    }
}

impl Link {
    /// Makes a fresh one, and the ends for the worker.
    pub(crate) fn new() -> io::Result<(Link, Ends)> {
        let segment = Arc::new(Segment::create(c"fenshen-worker", BEGIN + 2 * RING)?);
        let ends = Ends { segment: segment.clone(), tasks: arena::file()?, results: arena::file()? };
        // SAFETY: the segment is fresh, and this is its only writer of tasks and reader of results; both keep it.
        unsafe {
            let (head, tasks, results) = rings(&segment)?;
            face(&segment).mark.store(MARK, Ordering::Release);
            let (task_slabs, result_slabs) = releases(head);
            let arena = Arena::new(ends.tasks.try_clone()?, task_slabs);
            let slabs = Slabs::new(ends.results.try_clone()?, result_slabs, segment.clone());
            let sender = Sender::new(Writer::new(tasks), arena);
            let receiver = Receiver::new(Reader::new(results), slabs);
            Ok((Link { shared: segment, sender, receiver }, ends))
        }
    }
}

impl Ends {
    /// The descriptors, in the order in which [`adopt`](Ends::adopt) takes them.
    #[must_use]
    pub fn fds(&self) -> [BorrowedFd<'_>; 3] {
        [self.segment.as_fd(), self.tasks.as_fd(), self.results.as_fd()]
    }

    /// What the worker has got.
    ///
    /// # Errors
    /// What the kernel says, or [`Corrupt`] if the first is no link's segment.
    pub fn adopt([segment, tasks, results]: [OwnedFd; 3]) -> io::Result<Ends> {
        let segment = Arc::new(Segment::adopt(segment)?);
        shared(&segment)?;
        if face(&segment).mark.load(Ordering::Acquire) != MARK {
            return Err(Corrupt("a link's mark").into());
        }
        Ok(Ends { segment, tasks, results })
    }

    /// The worker's side.
    ///
    /// # Safety
    /// Nobody else, in any process, is this link's worker.
    pub(crate) unsafe fn open(self) -> io::Result<(Arc<Segment>, Receiver, Sender)> {
        let segment = self.segment;
        // SAFETY: the caller's promise; both keep the segment.
        unsafe {
            let (head, tasks, results) = rings(&segment)?;
            let (task_slabs, result_slabs) = releases(head);
            let receiver = Receiver::new(Reader::new(tasks), Slabs::new(self.tasks, task_slabs, segment.clone()));
            let sender = Sender::new(Writer::new(results), Arena::new(self.results, result_slabs));
            Ok((segment, receiver, sender))
        }
    }
}
