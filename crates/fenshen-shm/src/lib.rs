#![doc = include_str!("../README.md")]

mod segment;
mod shared_queue;

pub use segment::Segment;
pub use shared_queue::{Counted, Outbox, Refused, SharedQueue, Staged, Taken};
