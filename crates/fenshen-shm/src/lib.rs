#![doc = include_str!("../README.md")]

pub mod arena;
mod channel;
mod corrupt;
mod message;
pub mod ring;
mod segment;
mod sync;

pub use channel::{Message, Part, Receiver, Sender};
pub use corrupt::Corrupt;
pub use segment::Segment;
