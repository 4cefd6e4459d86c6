#![doc = include_str!("../README.md")]

pub mod arena;
mod channel;
mod corrupt;
mod event;
mod message;
mod process;
pub mod ring;
mod segment;
mod semaphore;
mod sync;
mod tickets;

pub use channel::{Message, Part, Receiver, Sender};
pub use corrupt::Corrupt;
pub use event::{Event, Since};
pub use process::{Fate, Process};
pub use segment::Segment;
pub use semaphore::{Attempt, Full, Lost, Semaphore};
pub use tickets::Tickets;
