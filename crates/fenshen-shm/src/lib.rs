#![doc = include_str!("../README.md")]

pub mod arena;
mod cell;
mod channel;
mod corrupt;
mod event;
mod flag;
mod gate;
mod life;
mod line;
mod message;
mod process;
pub mod ring;
mod robust;
mod segment;
mod semaphore;
mod shared_queue;
mod sync;
mod tickets;
mod views;
mod waiters;

pub use cell::Cell;
pub use channel::{Message, Part, Receiver, Sender};
pub use corrupt::Corrupt;
pub use event::{Event, Since};
pub use flag::Flag;
pub use gate::{Arrival, Gate};
pub use life::Life;
pub use line::{Incoming, Line, Outgoing, Side, Woken};
pub use process::{Fate, Process};
pub use segment::Segment;
pub use semaphore::{Attempt, Full, Lost, Semaphore};
pub use shared_queue::{Counted, Outbox, Refused, SharedQueue, Staged, Taken};
pub use tickets::Tickets;
pub use views::before_fork;
pub use waiters::{Seat, Waiters};
