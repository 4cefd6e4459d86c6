//! The worker's side of a pool: takes tasks, and sends results.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use fenshen_shm::{Message, Part, Receiver, Segment, Sender};
use fenshen_sync::Slept;

use crate::clock::now;
use crate::kind::{self, DONE, FORGET, ITEM, LEAVE, NOTE, PRELUDE, READY, STOP, TASK};
use crate::link::{Ends, face};
use crate::sync::Ordering;
use crate::window::{self, Permit};

/// A worker's end of the link to its pool.
///
/// It never blocks by itself: where there is nothing to do, or no room for a result, the caller calls
/// [`sleep`](Worker::sleep) or [`sleep_crowded`](Worker::sleep_crowded), and may let go of what it holds around it.
#[derive(Debug)]
pub struct Worker {
    shared: Arc<Segment>,
    receiver: Receiver,
    sender: Sender,
    bell: OwnedFd,
    /// The number of the task that runs.
    running: u32,
    began: u64,
    /// Whether it sends items, and how many it has sent.
    streams: bool,
    sent: u32,
    /// It has told the pool that it begins no task any more.
    leaving: bool,
}

/// What the pool wants.
#[derive(Debug)]
pub enum Order {
    /// A task to run. It has been claimed.
    Task(Message),
    /// What later tasks refer to, by the message's tag.
    Prelude(Message),
    /// No later task refers to any prelude that came before this.
    Forget,
    /// No more tasks.
    Stop,
    /// Nothing yet.
    Nothing,
}

impl Worker {
    /// Over what the pool made for this worker, and the bell of the pool.
    ///
    /// # Safety
    /// Nobody else, in any process, works on these ends.
    ///
    /// # Errors
    /// What the kernel says.
    pub unsafe fn new(ends: Ends, bell: OwnedFd) -> io::Result<Worker> {
        // SAFETY: the caller's promise.
        let (shared, receiver, sender) = unsafe { ends.open() }?;
        Ok(Worker { shared, receiver, sender, bell, running: 0, began: 0, streams: false, sent: 0, leaving: false })
    }

    /// Tells the pool that tasks can come.
    ///
    /// # Errors
    /// [`Corrupt`](fenshen_shm::Corrupt), or what the kernel says.
    pub fn ready(&mut self) -> io::Result<bool> {
        self.send(READY, 0, &[], &[])
    }

    /// What is to be done. The message is valid until the next call.
    ///
    /// # Errors
    /// [`Corrupt`](fenshen_shm::Corrupt), or what the kernel says.
    pub fn order(&mut self) -> io::Result<Order> {
        loop {
            let Some(message) = self.receiver.receive()? else {
                return Ok(Order::Nothing);
            };
            match kind::split(message.kind).0 {
                TASK => {
                    let seq = message.tag as u32;
                    let time = now();
                    if !self.leaving && face(&self.shared).leases.claim(seq, time) {
                        (self.running, self.began, self.sent) = (seq, time, 0);
                        self.streams = window::is_open(self.window());
                        return Ok(Order::Task(message));
                    }
                    drop(message);
                    self.receiver.pass();
                }
                PRELUDE => return Ok(Order::Prelude(message)),
                FORGET => return Ok(Order::Forget),
                STOP => return Ok(Order::Stop),
                _ => return Err(fenshen_shm::Corrupt("a message's kind").into()),
            }
        }
    }

    /// The order that came last has been read, and its place is the pool's again.
    pub fn pass(&mut self) {
        self.receiver.pass();
    }

    /// Sleeps until there is something to do, a signal comes, or for no reason.
    pub fn sleep(&mut self) -> Slept {
        self.sleep_unless(|| false)
    }

    /// The same, unless something is true that other threads make true before they [rouse](Worker::rouse) this one.
    pub fn sleep_unless(&mut self, roused: impl FnOnce() -> bool) -> Slept {
        let receiver = &mut self.receiver;
        face(&self.shared).asleep.sleep_unless(|| roused() || !matches!(receiver.is_empty(), Ok(true)))
    }

    /// Sleeps until there is room for a result, a signal comes, or for no reason.
    pub fn sleep_crowded(&mut self) -> Slept {
        let sender = &mut self.sender;
        // The pool gives way in messages, not in bytes: with the ring empty there is certainly room.
        face(&self.shared).crowded.sleep_unless(|| !matches!(sender.is_drained(), Ok(false)))
    }

    /// Has the worker's sleep end, from any thread of its process.
    pub fn rouse(&self) {
        face(&self.shared).asleep.wake();
    }

    /// An interrupt of the keyboard has come, and ended the task that ran if one did: what begins after it has not had it.
    pub fn interrupted(&self) {
        face(&self.shared).interrupted.store(now(), Ordering::Release);
    }

    /// Whether the pool has taken everything that was sent.
    pub fn is_drained(&mut self) -> bool {
        !matches!(self.sender.is_drained(), Ok(false))
    }

    /// The running task's result; false if there is no room for it now. `flavour` is the user's, 24 bits.
    ///
    /// # Errors
    /// [`Corrupt`](fenshen_shm::Corrupt), or what the kernel says.
    pub fn finish(&mut self, flavour: u32, body: &[&[u8]], parts: &[Part<'_>]) -> io::Result<bool> {
        let took = u32::try_from((now() - self.began) / 1000).unwrap_or(u32::MAX);
        let tag = u64::from(took) << 32 | u64::from(self.running);
        self.send(kind::with(DONE, flavour), tag, body, parts)
    }

    /// Whether the running task is one that sends items.
    pub fn is_stream(&self) -> bool {
        self.streams
    }

    /// Whether the running task may send an item now.
    pub fn permit(&self) -> Permit {
        window::permit(self.window(), self.sent)
    }

    fn window(&self) -> u32 {
        face(&self.shared).leases.window(self.running)
    }

    /// Sleeps until the running task may send an item or is to end, a signal comes, or for no reason.
    pub fn sleep_without_permit(&self) -> Slept {
        face(&self.shared).asleep.sleep_unless(|| {
            crate::sync::fence();
            self.permit() != Permit::Wait
        })
    }

    /// A part of the running task's result, which must have a [permit](Worker::permit); false if there is no room for it now.
    ///
    /// # Errors
    /// [`Corrupt`](fenshen_shm::Corrupt), or what the kernel says.
    pub fn item(&mut self, flavour: u32, body: &[&[u8]], parts: &[Part<'_>]) -> io::Result<bool> {
        let sent = self.send(kind::with(ITEM, flavour), self.running.into(), body, parts)?;
        self.sent = self.sent.wrapping_add(sent.into());
        Ok(sent)
    }

    /// Anything else; false if there is no room for it now.
    ///
    /// # Errors
    /// [`Corrupt`](fenshen_shm::Corrupt), or what the kernel says.
    pub fn note(&mut self, flavour: u32, body: &[&[u8]]) -> io::Result<bool> {
        self.send(kind::with(NOTE, flavour), 0, body, &[])
    }

    /// Begins no task any more, and tells the pool so: others get what this worker was sent, and [`Order::Stop`] follows.
    /// Between tasks, as when too much memory has [gathered](crate::Growth). False if there is no room for it now.
    ///
    /// # Errors
    /// [`Corrupt`](fenshen_shm::Corrupt), or what the kernel says.
    pub fn leave(&mut self) -> io::Result<bool> {
        self.leaving = self.leaving || self.send(LEAVE, 0, &[], &[])?;
        Ok(self.leaving)
    }

    fn send(&mut self, kind: u32, tag: u64, body: &[&[u8]], parts: &[Part<'_>]) -> io::Result<bool> {
        let sent = self.sender.send(kind, tag, body, parts)?;
        if face(&self.shared).listening.must_ring() {
            rustix::io::write(self.bell.as_fd(), &1_u64.to_ne_bytes())?;
        }
        Ok(sent)
    }
}
