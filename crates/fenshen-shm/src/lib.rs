#![doc = include_str!("../README.md")]

mod cell;
mod life;
mod line;
mod robust;
mod segment;

pub use cell::Cell;
pub use life::Life;
pub use line::{Incoming, Line, Outgoing, Side, Woken};
pub use segment::Segment;
