//! Waiting: what stands between threads, tasks and processes that need something of each other.
//!
//! | what | file | algorithm |
//! |---|---|---|
//! | [`Word`] | `word.rs` | futex |
//! | [`Waiter`], [`WaitList`] | `waiter.rs`, `list.rs` | an intrusive list with relative links |
//! | [`Park`], [`Sleep`] | `park.rs` | how a thread blocks |
//! | [`Mutex`], [`ReentrantMutex`] | `mutex.rs`, `reentrant.rs` | barging with bounded bypass |
//! | [`Semaphore`] | `semaphore.rs` | hand-off in order of arrival |
//! | [`Event`] | `event.rs` | a flag and a list |
//! | [`Condition`] | `condition.rs` | a Mesa monitor's condition variable |
//! | [`Barrier`] | `barrier.rs` | centralized, without draining |
//! | [`Queue`], [`Store`] | `queue.rs`, `store.rs` | a monitor that hands over |
//! | [`SharedWaiters`], [`tid`](fn@tid), [`is_alive`] | `shared.rs`, `tid.rs` | places in shared memory, and who died |
//! | [`current`], [`wait_for_end`] | `threads.rs` | threads by number, and their ends |
//! | [`Forking`] | `forking.rs` | |
//! | [`graph`] | `graph.rs` | the wait-for graph |
//! | [`Deadline`] | `deadline.rs` | the monotonic clock |
//!
//! A waiter is one record with one of three [wake-ups](Wake): a thread's word, a call (which posts to a loop's inbox,
//! say), a word in shared memory. So all three can stand in one queue; `examples/one_queue.rs` has threads and a loop's
//! tasks in one. How a thread blocks is a [`Park`]: plain [`Sleep`], or an interpreter's own that lets go of its lock
//! meanwhile.
//!
//! Three forms of one wait: for threads (`lock`, or `lock_slowly` with a deadline and a park), for those that bring the
//! record ([`lock_with`](Mutex::lock_with): in shared memory it must lie in the segment, see [`SharedWaiters`]), and for
//! those that don't block ([`enlist`](Mutex::enlist), [`resume`](Mutex::resume), [`withdraw`](Mutex::withdraw)):
//!
//! ```
//! use std::sync::atomic::{AtomicBool, Ordering};
//! use fenshen_sync::{Mutex, Scope, Waiter, Wake};
//!
//! /// Would post to the inbox of a loop.
//! unsafe fn ring(bell: *const ()) {
//!     // SAFETY: the bell below is there until the call has been made.
//!     unsafe { (*bell.cast::<AtomicBool>()).store(true, Ordering::Release) };
//! }
//!
//! let (mutex, bell) = (Mutex::new(Scope::Process), AtomicBool::new(false));
//! let waiter = Waiter::new(2, Wake::Call { call: ring, data: (&raw const bell).cast() });
//! mutex.lock(1);
//! // SAFETY: the waiter stays in place until it has the lock.
//! unsafe {
//!     assert!(!mutex.enlist(&waiter));
//!     mutex.unlock();
//!     assert!(bell.load(Ordering::Acquire));
//!     assert!(mutex.resume(&waiter));
//! }
//! assert_eq!(mutex.owner(), 2);
//! mutex.unlock();
//! ```

mod barrier;
mod condition;
mod deadline;
mod event;
mod forking;
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
pub use forking::Forking;
pub use hand::{Hand, NotPut, Refused};
pub use list::WaitList;
pub use monitor::{Inside, Monitor};
pub use mutex::Mutex;
pub use park::{Failed, Park, Sleep};
pub use queue::Queue;
pub use reentrant::ReentrantMutex;
pub use semaphore::Semaphore;
pub use shared::{SharedWaiter, SharedWaiters, Waits};
pub use store::{Fifo, Lifo, Priority, Ring, Store};
pub use threads::{Known, all, at_end, current, find, say_over, wait_for_end};
pub use tid::{is_alive, tid};
pub use waiter::{Grant, Late, Waiter, Wake};
pub use word::{Scope, Slept, Word};
