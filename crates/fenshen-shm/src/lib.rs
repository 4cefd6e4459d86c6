#![doc = include_str!("../README.md")]

mod segment;

pub use segment::Segment;
