#![doc = include_str!("../README.md")]

pub mod arena;
mod channel;
mod corrupt;
mod message;
mod process;
pub mod ring;
mod segment;
mod semaphore;
mod shared_queue;
mod sync;

pub use channel::{Message, Part, Receiver, Sender};
pub use corrupt::Corrupt;
pub use process::{Fate, Process};
pub use segment::Segment;
pub use semaphore::{Attempt, Full, Lost, Semaphore};
pub use shared_queue::{Counted, Outbox, Refused, SharedQueue, Staged, Taken};
