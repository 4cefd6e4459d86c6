//! The worker's side of a pool whose tasks run beside each other, on an event loop that never waits here.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use fenshen_shm::{Message, Part, Receiver, Segment, Sender};
use fenshen_sync::Slept;

use crate::kind::{self, CANCEL, DONE, FORGET, NOTE, PRELUDE, READY, ROOM, STOP, TASK};
use crate::link::{Ends, face};
use crate::sync::Ordering;

/// A loop's end of the link to its pool.
///
/// When the [doorbell](LoopWorker::doorbell) is readable, the loop [answers](LoopWorker::answer) it and takes
/// [orders](LoopWorker::order) until there are none, and then [listens](LoopWorker::listen).
#[derive(Debug)]
pub struct LoopWorker {
    shared: Arc<Segment>,
    receiver: Receiver,
    sender: Sender,
    bell: OwnedFd,
    doorbell: OwnedFd,
}

/// What the pool wants.
#[derive(Debug)]
pub enum LoopOrder {
    /// A task to begin, and its number.
    Task(u32, Message),
    /// A task to cancel, by its number, if it has not ended.
    Cancel(u32),
    /// What later tasks refer to, by the message's tag.
    Prelude(Message),
    /// No later task refers to any prelude that came before this.
    Forget,
    /// No more tasks, and none is left.
    Stop,
    /// Nothing yet.
    Nothing,
}

impl LoopWorker {
    /// Over what the pool made for this worker: the ends, what wakes the loop, and the bell of the pool.
    ///
    /// # Safety
    /// Nobody else, in any process, works on these ends.
    ///
    /// # Errors
    /// What the kernel says.
    pub unsafe fn new(ends: Ends, doorbell: OwnedFd, bell: OwnedFd) -> io::Result<LoopWorker> {
        // SAFETY: the caller's promise.
        let (shared, receiver, sender) = unsafe { ends.open() }?;
        Ok(LoopWorker { shared, receiver, sender, bell, doorbell })
    }

    /// Readable when there are orders, after [`listen`](LoopWorker::listen).
    pub fn doorbell(&self) -> BorrowedFd<'_> {
        self.doorbell.as_fd()
    }

    /// Has the doorbell ring, from any thread.
    pub fn ring(&self) {
        rustix::io::write(&self.doorbell, &1_u64.to_ne_bytes()).ok();
    }

    /// The doorbell was heard.
    pub fn answer(&self) {
        face(&self.shared).asleep.hush();
        rustix::io::read(&self.doorbell, &mut [0; 8]).ok();
    }

    /// Has the pool ring the doorbell for what comes next; false if there is something already.
    pub fn listen(&mut self) -> bool {
        face(&self.shared).asleep.listen();
        matches!(self.receiver.is_empty(), Ok(true))
    }

    /// Tells the pool that tasks can come.
    ///
    /// # Errors
    /// [`Corrupt`](fenshen_shm::Corrupt), or what the kernel says.
    pub fn ready(&mut self) -> io::Result<bool> {
        self.send(READY, 0, &[], &[])
    }

    /// What is to be done. The message is valid until [`pass`](LoopWorker::pass), which must follow a task, a prelude and
    /// `Forget`.
    ///
    /// # Errors
    /// [`Corrupt`](fenshen_shm::Corrupt), or what the kernel says.
    pub fn order(&mut self) -> io::Result<LoopOrder> {
        let Some(message) = self.receiver.receive()? else {
            return Ok(LoopOrder::Nothing);
        };
        match kind::split(message.kind).0 {
            TASK => {
                let seq = message.tag as u32;
                face(&self.shared).begun.store(seq, Ordering::Release);
                Ok(LoopOrder::Task(seq, message))
            }
            CANCEL => {
                let seq = message.tag as u32;
                drop(message);
                self.receiver.pass();
                Ok(LoopOrder::Cancel(seq))
            }
            PRELUDE => Ok(LoopOrder::Prelude(message)),
            FORGET => Ok(LoopOrder::Forget),
            STOP => Ok(LoopOrder::Stop),
            _ => Err(fenshen_shm::Corrupt("a message's kind").into()),
        }
    }

    /// The order that came last has been read, and its place is the pool's again.
    pub fn pass(&mut self) {
        self.receiver.pass();
    }

    /// With no more orders: tells the pool that there is room, if it waits for that. False if there is none to tell it.
    ///
    /// # Errors
    /// [`Corrupt`](fenshen_shm::Corrupt), or what the kernel says.
    pub fn make_room(&mut self) -> io::Result<bool> {
        crate::sync::fence();
        if face(&self.shared).stuffed.load(Ordering::Relaxed) == 0 {
            return Ok(true);
        }
        face(&self.shared).stuffed.store(0, Ordering::Relaxed);
        let sent = self.send(ROOM, 0, &[], &[])?;
        if !sent {
            face(&self.shared).stuffed.store(1, Ordering::Relaxed);
        }
        Ok(sent)
    }

    /// A task's result; false if there is no room for it now. `flavour` is the user's, 24 bits.
    ///
    /// # Errors
    /// [`Corrupt`](fenshen_shm::Corrupt), or what the kernel says.
    pub fn finish(&mut self, seq: u32, flavour: u32, body: &[&[u8]], parts: &[Part<'_>]) -> io::Result<bool> {
        self.send(kind::with(DONE, flavour), seq.into(), body, parts)
    }

    /// Anything else; false if there is no room for it now.
    ///
    /// # Errors
    /// [`Corrupt`](fenshen_shm::Corrupt), or what the kernel says.
    pub fn note(&mut self, flavour: u32, body: &[&[u8]]) -> io::Result<bool> {
        self.send(kind::with(NOTE, flavour), 0, body, &[])
    }

    /// Whether the pool has taken everything that was sent.
    pub fn is_drained(&mut self) -> bool {
        !matches!(self.sender.is_drained(), Ok(false))
    }

    /// Sleeps until there is room for a result, a signal comes, or for no reason.
    pub fn sleep_crowded(&mut self) -> Slept {
        let sender = &mut self.sender;
        face(&self.shared).crowded.sleep_unless(|| !matches!(sender.is_drained(), Ok(false)))
    }

    fn send(&mut self, kind: u32, tag: u64, body: &[&[u8]], parts: &[Part<'_>]) -> io::Result<bool> {
        let sent = self.sender.send(kind, tag, body, parts)?;
        if face(&self.shared).listening.must_ring() {
            rustix::io::write(self.bell.as_fd(), &1_u64.to_ne_bytes())?;
        }
        Ok(sent)
    }
}
