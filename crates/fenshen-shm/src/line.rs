//! Calls and their answers between two processes: a ring each way, and a socket that rings.
//!
//! What is said goes through shared memory. Whoever waits looks at it for a while, and only then sleeps, on the socket:
//! the other side writes a byte there if, and only if, it sees that somebody sleeps. So two busy sides make no system
//! call, and the end of either is known at once, as the socket's end.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering, fence};
use std::time::{Duration, Instant};

use crate::Segment;

/// The size of a ring in bytes, a power of two.
const RING: u32 = 1 << 16;
/// Where the rings begin, after the counters.
const RINGS: usize = 4096;
/// For how long a side looks before it sleeps.
const PATIENCE: Duration = Duration::from_micros(20);

/// The size of what precedes a message's bytes.
const HEAD: usize = 9;

/// One direction: bytes written and read since the beginning, modulo 2^32.
#[repr(C)]
struct Counters {
    written: Padded,
    read: Padded,
}

/// A counter on a cache line of its own.
#[repr(C, align(64))]
struct Padded(AtomicU32);

/// What lies at the segment's beginning.
#[repr(C)]
struct Head {
    directions: [Counters; 2],
    /// Whether the caller, or the answerer, sleeps on its socket.
    asleep: [Padded; 2],
    /// On which processor either last waited, plus one.
    processors: [Padded; 2],
}

/// Which end of a line this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Speaks first.
    Caller = 0,
    /// Answers.
    Answerer = 1,
}

/// What ended a sleep.
#[derive(Debug, PartialEq, Eq)]
pub enum Woken {
    /// There may be news.
    Rung,
    /// A signal came.
    Interrupted,
    /// The other side is gone.
    Hangup,
}

/// How far a message has gone out.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// The length of what follows, and its first byte.
    head: [u8; HEAD],
    body: &'a [u8],
    sent: usize,
}

impl<'a> Outgoing<'a> {
    /// A message that is still all here: a byte that says of what kind it is, and the rest.
    #[must_use]
    pub fn new(kind: u8, body: &'a [u8]) -> Outgoing<'a> {
        let mut head = [kind; HEAD];
        head[..8].copy_from_slice(&(body.len() as u64 + 1).to_ne_bytes());
        Outgoing { head, body, sent: 0 }
    }

    /// What is to be sent next, in one piece.
    fn rest(&self) -> &[u8] {
        match self.head.get(self.sent..) {
            Some(rest) if !rest.is_empty() => rest,
            _ => &self.body[self.sent - HEAD..],
        }
    }
}

/// How far a message has come in.
#[derive(Debug, Default)]
pub struct Incoming {
    length: [u8; 8],
    got: usize,
    body: Vec<u8>,
}

impl Incoming {
    /// The whole message, its kind first.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Makes room for the next message.
    pub fn clear(&mut self) {
        self.got = 0;
        self.body.clear();
        if self.body.capacity() > RING as usize {
            self.body = Vec::new();
        }
    }
}

/// One end of a line. One thread at a time uses it, and the two ends take turns: a call, its answer, the next call.
///
/// ```
/// use std::os::unix::net::UnixStream;
/// use fenshen_shm::{Incoming, Line, Outgoing, Side};
///
/// let (here, there) = UnixStream::pair()?;
/// let ours = Line::new(Line::segment()?, here.into(), Side::Caller)?;
/// let theirs = Line::new(ours.share()?, there.into(), Side::Answerer)?;
/// assert!(ours.send(&mut Outgoing::new(b'p', b"ing"))?);
/// let mut heard = Incoming::default();
/// assert!(theirs.receive(&mut heard)?);
/// assert_eq!(heard.body(), b"ping");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Line {
    segment: Segment,
    bell: OwnedFd,
    side: Side,
    patience: Duration,
    /// How many times in a row patience was in vain.
    vain: AtomicU32,
}

impl Line {
    /// A segment for a new line.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn segment() -> io::Result<Segment> {
        Segment::create(c"fenshen-line", RINGS + 2 * RING as usize)
    }

    /// One end, whose `bell` is a connected stream socket to the other end that nobody else uses.
    ///
    /// # Errors
    /// The segment is none for a line.
    pub fn new(segment: Segment, bell: OwnedFd, side: Side) -> io::Result<Line> {
        const { assert!(size_of::<Head>() <= RINGS) };
        if segment.len() != RINGS + 2 * RING as usize {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // Where there is one processor, who looks keeps the other side from it.
        let patience = if processors() > 1 { PATIENCE } else { Duration::ZERO };
        Ok(Line { segment, bell, side, patience, vain: AtomicU32::new(0) })
    }

    /// The same memory, for the other end.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn share(&self) -> io::Result<Segment> {
        Segment::adopt(self.segment.as_fd().try_clone_to_owned()?)
    }

    /// The segment's descriptor.
    #[must_use]
    pub fn memory(&self) -> BorrowedFd<'_> {
        self.segment.as_fd()
    }

    fn head(&self) -> &Head {
        // SAFETY: the segment is large enough (`new`), begins at a page, and this part of it is all atomics.
        unsafe { &*self.segment.start().cast::<Head>() }
    }

    /// The ring of a direction, and its counters.
    fn ring(&self, direction: usize) -> (*mut u8, &Counters) {
        // SAFETY: within the segment, by its size.
        let start = unsafe { self.segment.start().add(RINGS + direction * RING as usize) };
        (start, &self.head().directions[direction])
    }

    fn outgoing(&self) -> (*mut u8, &Counters) {
        self.ring(self.side as usize)
    }

    fn incoming(&self) -> (*mut u8, &Counters) {
        self.ring(1 - self.side as usize)
    }

    /// Sends as much as there is room for; true when all of the message is out.
    ///
    /// # Errors
    /// The other side is gone (`BrokenPipe`), or has spoilt the counters (`InvalidData`).
    pub fn send(&self, message: &mut Outgoing<'_>) -> io::Result<bool> {
        let (ring, counters) = self.outgoing();
        let start = counters.written.0.load(Ordering::Relaxed);
        let used = start.wrapping_sub(counters.read.0.load(Ordering::Acquire));
        let mut room = RING.checked_sub(used).ok_or(io::ErrorKind::InvalidData)?;
        let mut written = start;
        let total = HEAD + message.body.len();
        while room > 0 && message.sent < total {
            let rest = message.rest();
            let at = written & (RING - 1);
            let n = rest.len().min(room as usize).min((RING - at) as usize);
            // SAFETY: these bytes of the ring are free, and so this side's; `n` ends at the ring's end at the latest.
            unsafe { ptr::copy_nonoverlapping(rest.as_ptr(), ring.add(at as usize), n) };
            message.sent += n;
            room -= n as u32;
            written = written.wrapping_add(n as u32);
        }
        if written != start {
            counters.written.0.store(written, Ordering::Release);
            self.ring_bell()?;
        }
        Ok(message.sent == total)
    }

    /// Takes what there is; true when the message is whole.
    ///
    /// # Errors
    /// As for [`send`](Line::send).
    pub fn receive(&self, message: &mut Incoming) -> io::Result<bool> {
        let (ring, counters) = self.incoming();
        let start = counters.read.0.load(Ordering::Relaxed);
        let mut there = counters.written.0.load(Ordering::Acquire).wrapping_sub(start);
        if there > RING {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (mut read, was_full) = (start, there == RING);
        let mut whole = false;
        while there > 0 && !whole {
            let at = read & (RING - 1);
            let piece = there.min(RING - at) as usize;
            // SAFETY: these bytes were written and not read yet, and so are this side's; up to the ring's end.
            let bytes = unsafe { std::slice::from_raw_parts(ring.add(at as usize), piece) };
            let n = take(message, bytes);
            whole = message.got == 8 && message.body.len() as u64 == u64::from_ne_bytes(message.length);
            there -= n as u32;
            read = read.wrapping_add(n as u32);
        }
        if read != start {
            counters.read.0.store(read, Ordering::Release);
            if was_full {
                self.ring_bell()?;
            }
        }
        Ok(whole)
    }

    /// Whether there is something to take, or room to send: what a wait for `Sent` or for news is for.
    fn is_ready(&self, sending: bool) -> bool {
        if sending {
            let counters = self.outgoing().1;
            let used = counters.written.0.load(Ordering::Relaxed).wrapping_sub(counters.read.0.load(Ordering::SeqCst));
            used < RING
        } else {
            let counters = self.incoming().1;
            counters.written.0.load(Ordering::SeqCst) != counters.read.0.load(Ordering::Relaxed)
        }
    }

    /// Looks for a while; whether there is something to take (or room, when `sending`).
    pub fn look(&self, sending: bool) -> bool {
        if self.is_ready(sending) {
            return true;
        }
        let vain = self.vain.load(Ordering::Relaxed);
        // Where it was in vain again and again, it is tried now and then only.
        let tries = !self.patience.is_zero() && (vain < 4 || vain.is_multiple_of(32)) && self.is_apart();
        if tries && self.watch(sending) {
            self.vain.store(0, Ordering::Relaxed);
            return true;
        }
        self.vain.store(vain.wrapping_add(1), Ordering::Relaxed);
        false
    }

    /// Whether the other side runs on another processor: on this one, it would only be kept from answering.
    fn is_apart(&self) -> bool {
        // SAFETY: it only asks.
        let here = unsafe { libc::sched_getcpu() }.cast_unsigned().wrapping_add(1);
        let processors = &self.head().processors;
        processors[self.side as usize].0.store(here, Ordering::Relaxed);
        processors[1 - self.side as usize].0.load(Ordering::Relaxed) != here
    }

    fn watch(&self, sending: bool) -> bool {
        let began = Instant::now();
        loop {
            for _ in 0..32 {
                if self.is_ready(sending) {
                    return true;
                }
                std::hint::spin_loop();
            }
            if began.elapsed() > self.patience {
                return false;
            }
        }
    }

    /// Sleeps until the other side has done something, a signal comes, or the other side is gone.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn sleep(&self, sending: bool) -> io::Result<Woken> {
        let asleep = &self.head().asleep[self.side as usize].0;
        asleep.store(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if self.is_ready(sending) {
            asleep.store(0, Ordering::SeqCst);
            return Ok(Woken::Rung);
        }
        let mut bytes = [0_u8; 64];
        // SAFETY: the buffer is as long as it is said to be.
        let got = unsafe { libc::recv(self.bell.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        let error = io::Error::last_os_error();
        asleep.store(0, Ordering::SeqCst);
        match got {
            0 if self.is_ready(sending) => Ok(Woken::Rung),
            0 => Ok(Woken::Hangup),
            1.. => Ok(Woken::Rung),
            _ => match error.kind() {
                io::ErrorKind::Interrupted => Ok(Woken::Interrupted),
                io::ErrorKind::ConnectionReset => Ok(Woken::Hangup),
                _ => Err(error),
            },
        }
    }

    /// Wakes the other side if it sleeps.
    fn ring_bell(&self) -> io::Result<()> {
        let asleep = &self.head().asleep[1 - self.side as usize].0;
        fence(Ordering::SeqCst);
        if asleep.load(Ordering::SeqCst) == 0 || asleep.swap(0, Ordering::SeqCst) == 0 {
            return Ok(());
        }
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        // SAFETY: one byte is there.
        if unsafe { libc::send(self.bell.as_raw_fd(), [1_u8].as_ptr().cast(), 1, flags) } < 0 {
            let error = io::Error::last_os_error();
            // A full socket has rung already.
            if error.kind() != io::ErrorKind::WouldBlock {
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Takes bytes into a message; how many it took.
fn take(message: &mut Incoming, bytes: &[u8]) -> usize {
    if message.got < 8 {
        let n = bytes.len().min(8 - message.got);
        message.length[message.got..message.got + n].copy_from_slice(&bytes[..n]);
        message.got += n;
        return n;
    }
    let missing = u64::from_ne_bytes(message.length).saturating_sub(message.body.len() as u64);
    let n = bytes.len().min(usize::try_from(missing).unwrap_or(usize::MAX));
    message.body.extend_from_slice(&bytes[..n]);
    n
}

/// On how many processors this thread may run.
fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
