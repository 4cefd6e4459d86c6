//! What a pool tells: of tasks, of workers, and how it stands.

use std::io;
use std::sync::Arc;

use fenshen_shm::Message;

use crate::job::Job;

/// What has happened.
#[derive(Debug)]
pub enum Event<C> {
    /// A task has ended; the message is its result, with the user's flavour. One that [passes](Message::is_passing) is not to
    /// be kept beyond the call.
    Done(Arc<Job<C>>, u32, Message),
    /// A part of a task's result.
    Item(Arc<Job<C>>, u32, Message),
    /// Something else that a worker says, with the user's flavour.
    Note(u32, u32, Message),
    /// A task ran longer than it may; its worker is killed.
    TimedOut(Arc<Job<C>>),
    /// A worker is ready for tasks.
    Ready(u32),
    /// A worker gets no more tasks, as it has had as many as it may, or [leaves](crate::Worker::leave): it can be replaced.
    Retiring(u32),
    /// A worker wrote nonsense, and is killed.
    Corrupt(u32, String),
    /// A worker has ended, and with it the task that it ran, unless that is run again. Its process has not been reaped.
    Gone(Gone<C>),
    /// A task could not be sent.
    Refused(Arc<Job<C>>, io::Error),
}

/// A worker that has ended.
#[derive(Debug)]
pub struct Gone<C> {
    /// Which one it was.
    pub worker: u32,
    /// The task that went with it: more than one only if it had overwritten its leases.
    pub lost: Vec<Arc<Job<C>>>,
    /// Whether it had been told to end.
    pub expected: bool,
    /// Whether it had ever been ready.
    pub was_ready: bool,
}

/// How a pool stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Tasks that wait for a worker.
    pub queued: usize,
    /// Tasks that workers have.
    pub sent: usize,
    /// Workers, those that start included.
    pub workers: usize,
    /// Workers without a task.
    pub idle: usize,
}
