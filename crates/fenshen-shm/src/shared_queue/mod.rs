//! A queue of messages between processes: many put, many get, and any of them may be killed at any instruction.
//!
//! A ring of records of any length in shared memory, with a lock for those who put and another for those who get (M. Michael,
//! M. Scott, "Simple, Fast, and Practical Non-Blocking and Blocking Concurrent Queue Algorithms", PODC 1996: the two-lock
//! queue). Each side's change is published by one store of its [`Mark`](layout::Mark), a place and a count in one number,
//! so what a dead holder of a lock leaves is the state before or after; its successor has nothing to repair but a slab
//! that was on its way into the ring.

mod layout;
mod lock;
mod outbox;
mod pollable;
mod ring;
mod slabs;
mod sleepers;
mod wait;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, OnceLock};

use fenshen_sync::{Deadline, Slept};
use layout::{Header, INLINE, LEN, MAGIC, Mark, RING, Record, RecordHead};
pub(crate) use lock::{Held, Lock};
pub use outbox::Outbox;
use slabs::Loan;

use crate::Segment;

/// Why a message was not put, or none taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no message.
    Empty,
    /// The queue holds as many messages as its bound says.
    Full,
    /// The memory is full of messages: it will take this one later.
    NoRoom,
    /// Others are at it for longer than one spins.
    Busy,
    /// The caller's own memory for the message could not be had.
    NoMemory,
    /// The kernel has no memory for the message, or what else it says (an `errno`).
    Failed(i32),
    /// What lies in the memory makes no sense: somebody else has written there.
    Corrupt,
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Refused {
        error.raw_os_error().map_or(Refused::Corrupt, Refused::Failed)
    }
}

/// Whom a message is counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// It is new: refused if the queue is full.
    Now,
    /// It was, in the outbox of that number.
    Before(usize),
}

/// A message that was taken. One that lies in a slab is yet to be read, which [`finish`](Taken::finish) does.
#[derive(Debug)]
pub struct Taken<'a, B> {
    buffer: B,
    loan: Option<Loan<'a>>,
}

impl<B: AsMut<[u8]>> Taken<'_, B> {
    /// How many bytes are yet to be read.
    pub fn unread(&mut self) -> usize {
        if self.loan.is_some() { self.buffer.as_mut().len() } else { 0 }
    }

    /// The message.
    ///
    /// # Errors
    /// If it is long: what the kernel says.
    pub fn finish(mut self) -> Result<B, Refused> {
        if let Some(loan) = self.loan.take() {
            loan.read(self.buffer.as_mut())?;
        }
        Ok(self.buffer)
    }
}

/// A long message that was written, and is yet to be put.
#[derive(Debug)]
pub struct Staged<'a> {
    loan: Loan<'a>,
    len: usize,
}

/// A queue of messages in a [`Segment`], for as many threads of as many processes as there are.
///
/// ```
/// use std::sync::Arc;
/// use fenshen_shm::{Segment, SharedQueue};
///
/// let segment = Arc::new(Segment::create(c"example", SharedQueue::LEN)?);
/// let queue = SharedQueue::create(segment, 0)?;
/// assert_eq!(queue.put(b"hello"), Ok(true));
/// assert_eq!(queue.get(None), Some(b"hello".to_vec()));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct SharedQueue {
    segment: Arc<Segment>,
    sign: OwnedFd,
    bound: u64,
    listener: OnceLock<Listener>,
}

/// What happened in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A message was put.
    Put,
    /// One was taken.
    Taken,
}

/// Who is told, in the process where it happened.
pub type Listener = Box<dyn Fn(&SharedQueue, Change) + Send + Sync>;

impl SharedQueue {
    /// How long a segment for one is, in bytes.
    pub const LEN: usize = LEN;
    /// Messages up to this length, in bytes, lie in the ring; longer ones are [staged](SharedQueue::stage) first.
    pub const INLINE: usize = INLINE;

    /// Makes one in a new segment. `bound` is how many messages it holds at most, zero for any number.
    ///
    /// # Errors
    /// No file descriptor is left, or the segment is too small.
    pub fn create(segment: Arc<Segment>, bound: u64) -> io::Result<SharedQueue> {
        let queue = SharedQueue { sign: pollable::create()?, bound, segment, listener: OnceLock::new() };
        let header = queue.checked_header()?;
        header.bound.store(bound, Ordering::Relaxed);
        header.put.extent.store(LEN as u64, Ordering::Relaxed);
        header.magic.store(MAGIC, Ordering::Release);
        Ok(queue)
    }

    /// Finds the one that another process made: `sign` is what its [`sign`](SharedQueue::sign) was.
    ///
    /// # Errors
    /// There is none in that segment.
    pub fn adopt(segment: Arc<Segment>, sign: OwnedFd) -> io::Result<SharedQueue> {
        let mut queue = SharedQueue { sign, bound: 0, segment, listener: OnceLock::new() };
        let header = queue.checked_header()?;
        if header.magic.load(Ordering::Acquire) != MAGIC {
            return Err(io::ErrorKind::InvalidData.into());
        }
        queue.bound = header.bound.load(Ordering::Relaxed);
        Ok(queue)
    }

    fn checked_header(&self) -> io::Result<&Header> {
        match self.segment.place::<Header>(0) {
            Some(_) if self.segment.len() >= LEN => Ok(self.header()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: `checked_header` has looked whether it fits; all of it is atomic, and any bits are valid.
        unsafe { &*self.segment.start().cast::<Header>() }
    }

    /// Where it lies.
    #[must_use]
    pub fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// What another process needs besides the segment to [adopt](SharedQueue::adopt) it.
    #[must_use]
    pub fn sign(&self) -> BorrowedFd<'_> {
        self.sign.as_fd()
    }

    /// How many messages it holds at most; zero for any number.
    #[must_use]
    pub fn bound(&self) -> u64 {
        self.bound
    }

    /// Tail and head. The head is read first: it never seems to be past the tail.
    #[inline]
    fn marks(&self) -> (Mark, Mark) {
        let head = Mark(self.header().get.head.load(Ordering::Acquire));
        (Mark(self.header().put.tail.load(Ordering::Acquire)), head)
    }

    /// Whether there is no message to take.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let (tail, head) = self.marks();
        tail == head
    }

    /// How many messages there are to take.
    #[inline]
    #[must_use]
    pub fn ready(&self) -> u64 {
        let (tail, head) = self.marks();
        tail.messages_since(head)
    }

    /// How many messages were put and not taken, those in outboxes included.
    #[must_use]
    pub fn len(&self) -> u64 {
        let (tail, head) = self.marks();
        tail.messages_since(head) + self.in_outboxes()
    }

    /// Whether there is no message to take, and none in an outbox.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.is_empty() && self.in_outboxes() == 0
    }

    /// Whether it holds as many as its bound says.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bound != 0 && self.len() >= self.bound
    }

    /// Whether the message that [`try_put`](SharedQueue::try_put) gave that number was taken.
    #[must_use]
    pub fn was_taken(&self, number: u64) -> bool {
        Mark::distance(self.marks().1.count(), number) > 0
    }

    fn lock_put(&self, wait: bool) -> Result<Held<'_>, Refused> {
        let lock = &self.header().put.lock;
        let held = if wait { lock.lock() } else { lock.try_lock().ok_or(Refused::Busy)? };
        if held.inherited {
            self.forget_unpublished();
        }
        Ok(held)
    }

    fn lock_get(&self, wait: bool) -> Result<Held<'_>, Refused> {
        let lock = &self.header().get.lock;
        if wait { Ok(lock.lock()) } else { lock.try_lock().ok_or(Refused::Busy) }
    }

    /// Waits until those who put, or else those who get, are not [`Busy`](Refused::Busy).
    pub fn wait_for_turn(&self, putting: bool) {
        // Whoever holds the lock may have died: then it is this thread that takes its place.
        if putting { drop(self.lock_put(true)) } else { drop(self.lock_get(true)) }
    }

    /// Writes a long message where it will stay. `wait` is whether to sleep for the lock if need be.
    ///
    /// # Errors
    /// `Busy`, `NoRoom`, `Failed`, `Corrupt`.
    pub fn stage(&self, message: &[u8], wait: bool) -> Result<Staged<'_>, Refused> {
        self.stage_pieces(&[message], wait)
    }

    /// The same for a message that lies in pieces.
    ///
    /// # Errors
    /// As [`stage`](SharedQueue::stage).
    pub fn stage_pieces(&self, message: &[&[u8]], wait: bool) -> Result<Staged<'_>, Refused> {
        let len = slabs::length(message);
        let loan = self.allot(len as u64, wait)?;
        loan.write(message)?;
        Ok(Staged { loan, len })
    }

    /// Puts a message that is at most [`INLINE`](SharedQueue::INLINE) long; returns its number.
    ///
    /// # Errors
    /// `Busy`, `Full`, `NoRoom`, `Corrupt`.
    ///
    /// # Panics
    /// If it is longer.
    pub fn try_put(&self, message: &[u8], counted: Counted, wait: bool) -> Result<u64, Refused> {
        assert!(message.len() <= INLINE, "a long message is staged first");
        let held = self.lock_put(wait)?;
        let tail = self.admit(counted, Record::Inline(message.len()))?;
        self.write_word(tail.offset(), RecordHead::inline(message.len()).0);
        self.write_bytes(tail.offset() + 8, message);
        Ok(self.publish(held, tail, counted, Record::Inline(message.len())))
    }

    /// Puts a message that was staged; returns its number, or the message and why it was not put.
    ///
    /// # Errors
    /// As [`try_put`](SharedQueue::try_put).
    pub fn put_staged<'a>(
        &'a self,
        staged: Staged<'a>,
        counted: Counted,
        wait: bool,
    ) -> Result<u64, (Staged<'a>, Refused)> {
        let record = Record::Slab(staged.loan.slab());
        let admitted = self.lock_put(wait).and_then(|held| Ok((self.admit(counted, record)?, held)));
        let (tail, held) = match admitted {
            Ok(admitted) => admitted,
            Err(why) => return Err((staged, why)),
        };
        self.write_word(tail.offset(), RecordHead::slab(staged.loan.slab()).0);
        self.write_word(tail.offset() + 8, staged.len as u64);
        staged.loan.hand_over(tail.count());
        Ok(self.publish(held, tail, counted, record))
    }

    /// Takes the oldest message, and waits for one until the deadline if there is one.
    ///
    /// Returns nothing if there is none by then, or if what lies in the memory makes no sense.
    pub fn get(&self, deadline: Option<Deadline>) -> Option<Vec<u8>> {
        let mut slept = false;
        loop {
            match self.take(|len| Some(vec![0; len]), true, slept) {
                Ok(taken) => return taken.finish().ok(),
                Err(Refused::Empty) if deadline.is_some_and(Deadline::is_past) => return None,
                Err(Refused::Empty) => slept |= self.wait_for_item(deadline) == Slept::Woken,
                Err(_) => return None,
            }
        }
    }

    /// Puts a message of any length, and waits for room if need be; false if the queue holds as many as its bound says.
    ///
    /// # Errors
    /// `Failed`, `Corrupt`.
    pub fn put(&self, message: &[u8]) -> Result<bool, Refused> {
        loop {
            let outcome = match message.len() {
                0..=INLINE => self.try_put(message, Counted::Now, true),
                _ => self.stage(message, true).and_then(|s| self.put_staged(s, Counted::Now, true).map_err(|e| e.1)),
            };
            match outcome {
                Ok(_) => return Ok(true),
                Err(Refused::Full) => return Ok(false),
                Err(Refused::NoRoom) => _ = self.wait_for_space(message.len() > INLINE, None),
                Err(why) => return Err(why),
            }
        }
    }

    /// Where a record goes, if there is room for it and its message.
    fn admit(&self, counted: Counted, record: Record) -> Result<Mark, Refused> {
        let (tail, head) = self.marks();
        let used = tail.bytes_since(head);
        if used > RING {
            return Err(Refused::Corrupt);
        }
        if counted == Counted::Now && self.is_full() {
            return Err(Refused::Full);
        }
        if used + record.size() > RING { Err(Refused::NoRoom) } else { Ok(tail) }
    }

    #[inline]
    fn publish(&self, held: Held<'_>, tail: Mark, counted: Counted, record: Record) -> u64 {
        let waits = &self.header().waits;
        self.header().put.tail.store(tail.after(record.size()).0, Ordering::Release);
        self.header().put.processor.store(wait::processor(), Ordering::Relaxed);
        if let Counted::Before(outbox) = counted {
            self.left_outbox(outbox);
        }
        drop(held);
        fence(Ordering::SeqCst);
        waits.items.wake(1);
        if waits.armed.load(Ordering::Relaxed) != 0 {
            self.show();
        }
        self.tell(Change::Put);
        tail.count()
    }

    /// Has a listener be told of every change that this process makes; there is one for ever.
    pub fn listen(&self, listener: Listener) {
        // The first one stays.
        self.listener.set(listener).ok();
    }

    #[inline]
    fn tell(&self, change: Change) {
        if let Some(listener) = self.listener.get() {
            listener(self, change);
        }
    }

    /// Takes the oldest message. `make` gets its length, and returns a buffer of exactly that length, or nothing if it
    /// cannot. `slept` is whether the caller has [waited](SharedQueue::wait_for_item) for it.
    ///
    /// # Errors
    /// `Busy`, `Empty`, `NoMemory`, `Corrupt`.
    pub fn take<B: AsMut<[u8]>>(
        &self,
        make: impl FnOnce(usize) -> Option<B>,
        wait: bool,
        slept: bool,
    ) -> Result<Taken<'_, B>, Refused> {
        let held = self.lock_get(wait)?;
        let (tail, head) = self.marks();
        if tail == head {
            return Err(Refused::Empty);
        }
        let there = tail.bytes_since(head);
        let record = RecordHead(self.read_word(head.offset())).read().ok_or(Refused::Corrupt)?;
        if there > RING || record.size() > there {
            return Err(Refused::Corrupt);
        }
        let len = match record {
            Record::Inline(len) => len,
            Record::Slab(_) => self.long_len(head.offset() + 8)?,
        };
        let mut buffer = make(len).ok_or(Refused::NoMemory)?;
        if buffer.as_mut().len() != len {
            return Err(Refused::NoMemory);
        }
        let loan = match record {
            Record::Inline(_) => {
                self.read_bytes(head.offset() + 8, buffer.as_mut());
                None
            }
            Record::Slab(slab) => Some(self.borrow_slab(slab, head.count())?),
        };
        self.header().get.head.store(head.after(record.size()).0, Ordering::Release);
        self.header().get.processor.store(wait::processor(), Ordering::Relaxed);
        drop(held);
        self.tell_taken(there - record.size(), slept);
        Ok(Taken { buffer, loan })
    }

    /// The length of a message in a slab: more than the file has, it cannot be.
    fn long_len(&self, at: usize) -> Result<usize, Refused> {
        let len = self.read_word(at);
        let file = rustix::fs::fstat(self.segment.as_fd()).map_err(|_| Refused::Corrupt)?.st_size;
        if len > file as u64 { Err(Refused::Corrupt) } else { Ok(len as usize) }
    }

    #[inline]
    fn tell_taken(&self, left: usize, slept: bool) {
        let waits = &self.header().waits;
        fence(Ordering::SeqCst);
        if slept {
            waits.items.pass_on(!self.is_empty());
        }
        waits.places.wake(1);
        // A ring that is half empty takes many messages for one wake-up.
        if left <= RING / 2 && waits.space.any() && self.has_free_slabs() {
            waits.space.wake(u32::MAX);
        }
        if waits.armed.load(Ordering::Relaxed) != 0 {
            self.show();
        }
        self.tell(Change::Taken);
    }

    fn tell_space(&self) {
        fence(Ordering::SeqCst);
        let space = &self.header().waits.space;
        if space.any() && self.has_free_slabs() {
            space.wake(u32::MAX);
        }
    }
}

impl fmt::Debug for SharedQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedQueue").field("len", &self.len()).field("bound", &self.bound).finish_non_exhaustive()
    }
}
