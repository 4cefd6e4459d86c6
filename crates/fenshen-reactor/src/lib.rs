//! The waiting half of an event loop: readiness, wake-ups, an inbox, timers and clocks.
//!
//! An event loop is a place where one thread waits for whichever comes first: a descriptor that is ready, a deadline,
//! or work sent by another thread. This crate has the parts and leaves the loop itself, and what a call-back is, to its
//! user. There is no global state but a counter of forks, no thread is ever started, and nothing is printed.
//!
//! | module | what is in it |
//! |---|---|
//! | [`epoll`] | [`Epoll`]: which descriptors are ready, with nanosecond timeouts |
//! | [`inbox`] | [`Inbox`]: a lock-free queue from many threads to the loop |
//! | [`wake`] | [`Waker`]: ends the loop's wait from any thread, writing its descriptor only when the loop sleeps |
//! | [`sleep`] | [`SleepState`]: the protocol under the waker, without a descriptor |
//! | [`timers`] | [`Timers`]: deadlines, earliest first |
//! | [`records`] | [`Records`]: where TLS records end in a stream that comes in pieces |
//! | [`clock`] | [`clock::now`], the clock of the deadlines, and [`Ticks`], a counter cheap enough to read every step |
//! | [`unread`] | [`Unread`]: bytes that have arrived and were not taken yet |
//! | [`fork`] | [`Owner`]: tells a forked child that a thing is its parent's |
//!
//! # One turn of a loop
//! ```
//! use fenshen_reactor::{Epoll, Events, Inbox, Interest, Timers, Waker, clock};
//! use std::{sync::Arc, thread, time::Duration};
//!
//! const WAKE: u64 = 0;
//! let epoll = Epoll::new()?;
//! let shared = Arc::new((Inbox::new(), Waker::new()?));
//! let (inbox, waker) = &*shared;
//! epoll.add(waker.fd(), Interest::READABLE, WAKE)?;
//! let mut timers = Timers::new();
//! timers.push(clock::now() + 10.0, "much later");
//!
//! let theirs = Arc::clone(&shared);
//! let other = thread::spawn(move || {
//!     theirs.0.push("hello");
//!     theirs.1.wake()
//! });
//!
//! let mut events = Events::with_capacity(64);
//! let mut got = Vec::new();
//! while got.is_empty() {
//!     let timeout = timers.next().map(|when| Duration::from_secs_f64((when - clock::now()).max(0.0)));
//!     waker.prepare_sleep();
//!     if inbox.is_empty() {
//!         epoll.wait(&mut events, timeout)?;
//!     }
//!     waker.woken()?;
//!     got.extend(inbox.drain());
//!     while let Some(late) = timers.pop_due(clock::now()) {
//!         got.push(late);
//!     }
//! }
//! assert_eq!(got, ["hello"]);
//! # other.join().unwrap()?;
//! # Ok::<(), std::io::Error>(())
//! ```

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod clock;
pub mod epoll;
pub mod fork;
pub mod inbox;
pub mod records;
pub mod sleep;
mod sync;
pub mod timers;
pub mod unread;
pub mod wake;

pub use clock::Ticks;
pub use epoll::{Epoll, Event, Events, Interest};
pub use fork::Owner;
pub use inbox::{Drain, Inbox};
pub use records::Records;
pub use sleep::SleepState;
pub use timers::Timers;
pub use unread::Unread;
pub use wake::Waker;
