//! What a pool and one of its workers share: two rings, the leases, and the bells.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;

use fenshen_shm::arena::{self, Arena, Releases, Slabs};
use fenshen_shm::ring::{Cursors, Place, Reader, Writer};
use fenshen_shm::{Corrupt, Receiver, Segment, Sender};
use fenshen_sync::{Scope, Word};

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
    asleep: Line,
    /// One while the worker waits for room in the ring of results.
    crowded: Line,
    /// One while the pool sleeps, and a result must ring its bell.
    listening: Line,
    pub(crate) leases: Leases,
    /// When an interrupt of the keyboard last came to the worker, by the clock of the leases; zero if none ever did.
    pub(crate) interrupted: AtomicU64,
    task_slabs: Releases,
    result_slabs: Releases,
}

#[derive(Debug)]
#[repr(C, align(64))]
struct Line(Word);

impl Shared {
    /// Has the next result ring the bell.
    pub(crate) fn listen(&self) {
        self.listening.0.swap(1, Ordering::SeqCst);
        crate::sync::fence();
    }

    /// Results ring no bell: the pool is awake.
    pub(crate) fn hush(&self) {
        self.listening.0.store(0, Ordering::Relaxed);
    }

    /// The pool's: a task was sent.
    pub(crate) fn wake_worker(&self) {
        wake(&self.asleep.0);
    }

    /// The pool's: there is room again.
    pub(crate) fn wake_crowded(&self) {
        wake(&self.crowded.0);
    }

    /// The worker's: sleeps until there is a task, or for no reason.
    pub(crate) fn sleep_unless(&self, there_is_one: impl FnOnce() -> bool) -> fenshen_sync::Slept {
        sleep(&self.asleep.0, there_is_one)
    }

    /// The worker's: sleeps until there is room for a result, or for no reason.
    pub(crate) fn sleep_crowded(&self, there_is_room: impl FnOnce() -> bool) -> fenshen_sync::Slept {
        sleep(&self.crowded.0, there_is_room)
    }

    /// The worker's: a result was sent. Returns whether the bell is to be rung.
    pub(crate) fn must_ring(&self) -> bool {
        crate::sync::fence();
        self.listening.0.load(Ordering::Relaxed) == 1 && self.listening.0.change(1, 0)
    }
}

fn wake(word: &Word) {
    crate::sync::fence();
    if word.load(Ordering::Relaxed) == 1 && word.change(1, 0) {
        word.wake(1, Scope::Shared);
    }
}

fn sleep(word: &Word, unless: impl FnOnce() -> bool) -> fenshen_sync::Slept {
    word.swap(1, Ordering::SeqCst);
    crate::sync::fence();
    if unless() {
        word.store(0, Ordering::Relaxed);
        return fenshen_sync::Slept::Woken;
    }
    let slept = word.sleep(1, None, Scope::Shared);
    word.store(0, Ordering::Relaxed);
    slept
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
