//! Waiting: what stands between threads, tasks and processes that need something of each other.
//!
//! | what | file | algorithm |
//! |---|---|---|
//! | [`Word`] | `word.rs` | futex |
//! | [`Waiter`], [`WaitList`] | `waiter.rs`, `list.rs` | an intrusive list with relative links |
//! | [`Mutex`], [`ReentrantMutex`] | `mutex.rs`, `reentrant.rs` | barging with bounded bypass |
//! | [`Monitor`] | `monitor.rs` | data under a latch, and lists of waiters |
//! | [`current`], [`wait_for_end`] | `threads.rs` | threads by number, and their ends |
//! | [`graph`] | `graph.rs` | the wait-for graph |
//!
//! A waiter is one record with one of three [wake-ups](Wake): a thread's word, a call (which posts to a loop's inbox,
//! say), a word in shared memory. So all three can stand in one queue. How a thread blocks is a [`Park`]: plain
//! [`Sleep`], or an interpreter's own that lets go of its lock meanwhile.

mod deadline;
pub mod graph;
mod latch;
mod list;
mod monitor;
mod mutex;
mod park;
mod reentrant;
mod sync;
mod threads;
mod waiter;
mod word;

pub use deadline::Deadline;
pub use list::WaitList;
pub use monitor::{Inside, Monitor};
pub use mutex::Mutex;
pub use park::{Failed, Park, Sleep};
pub use reentrant::ReentrantMutex;
pub use threads::{Known, all, at_end, current, find, wait_for_end};
pub use waiter::{Grant, Waiter, Wake};
pub use word::{Scope, Slept, Word};
