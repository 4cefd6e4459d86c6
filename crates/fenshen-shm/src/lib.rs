#![doc = include_str!("../README.md")]

pub mod arena;
mod cell;
mod channel;
mod corrupt;
mod life;
mod line;
mod message;
pub mod ring;
mod robust;
mod segment;
mod sync;

pub use cell::Cell;
pub use channel::{Message, Part, Receiver, Sender};
pub use corrupt::Corrupt;
pub use life::Life;
pub use line::{Incoming, Line, Outgoing, Side, Woken};
pub use segment::Segment;
