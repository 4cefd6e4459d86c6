#![doc = include_str!("../README.md")]

mod process;
mod segment;
mod semaphore;

pub use process::{Fate, Process};
pub use segment::Segment;
pub use semaphore::{Attempt, Full, Lost, Semaphore};
