//! Waiting: what stands between threads, tasks and processes that need something of each other.
//!
//! | what | file | algorithm |
//! |---|---|---|
//! | [`Word`] | `word.rs` | futex |
//! | [`Waiter`], [`WaitList`] | `waiter.rs`, `list.rs` | an intrusive list with relative links |
//! | [`Mutex`], [`ReentrantMutex`] | `mutex.rs`, `reentrant.rs` | barging with bounded bypass |
//! | [`Semaphore`] | `semaphore.rs` | hand-off in order of arrival |
//! | [`Event`] | `event.rs` | a flag and a list |
//! | [`Condition`] | `condition.rs` | a Mesa monitor's condition variable |
//! | [`Barrier`] | `barrier.rs` | centralized, without draining |
//! | [`Queue`], [`Store`] | `queue.rs`, `store.rs` | a monitor that hands over |
//! | [`Monitor`] | `monitor.rs` | data under a latch, and lists of waiters |
//! | [`current`], [`wait_for_end`] | `threads.rs` | threads by number, and their ends |
//! | [`graph`] | `graph.rs` | the wait-for graph |
//!
//! A waiter is one record with one of three [wake-ups](Wake): a thread's word, a call (which posts to a loop's inbox,
//! say), a word in shared memory. So all three can stand in one queue. How a thread blocks is a [`Park`]: plain
//! [`Sleep`], or an interpreter's own that lets go of its lock meanwhile.

mod barrier;
mod condition;
mod deadline;
mod event;
pub mod graph;
mod hand;
mod latch;
mod list;
#[cfg(any(loom, shuttle))]
pub mod model;
mod monitor;
mod mutex;
mod park;
mod queue;
mod reentrant;
mod semaphore;
mod shared;
mod store;
mod sync;
mod threads;
mod tid;
mod waiter;
mod word;

pub use barrier::{Barrier, Missed};
pub use condition::Condition;
pub use deadline::Deadline;
pub use event::Event;
pub use hand::{Hand, NotPut, Refused};
pub use list::WaitList;
pub use monitor::{Inside, Monitor};
pub use mutex::Mutex;
pub use park::{Failed, Park, Sleep};
pub use queue::Queue;
pub use reentrant::ReentrantMutex;
pub use semaphore::Semaphore;
pub use shared::{SharedWaiter, SharedWaiters};
pub use store::{Fifo, Lifo, Priority, Store};
pub use threads::{Known, all, at_end, current, find, say_over, wait_for_end};
pub use tid::{is_alive, tid};
pub use waiter::{Grant, Waiter, Wake};
pub use word::{Scope, Slept, Word};
