//! Supervised worker processes: how they come to be, live and die.
//!
//! | what | file |
//! |---|---|
//! | the pool: tasks to workers, results from them, and deaths | `pool.rs`, over `crew.rs`, `hand.rs`, `job.rs` |
//! | how far ahead a worker is fed | `credit.rs` |
//! | which task a worker runs, for whoever finds it dead | `lease.rs` |
//! | the worker's side | `worker.rs` |
//! | the memory between the two | `link.rs` |

mod clock;
mod credit;
mod crew;
mod hand;
mod job;
mod kind;
mod lease;
mod link;
mod pool;
mod sync;
mod worker;

pub use crew::{Aftermath, Cancelled};
pub use job::{Cargo, Job, Prelude, Write};
pub use link::Ends;
pub use pool::{Counts, Event, Gone, Opening, Pool};
pub use worker::{Order, Worker};
