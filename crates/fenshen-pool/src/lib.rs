//! Supervised worker processes: how they come to be, live and die.
//!
//! | what | file |
//! |---|---|
//! | the pool: tasks to workers, results from them, and deaths | `pool.rs`, over `crew.rs`, `hand.rs`, `job.rs` |
//! | how far ahead a worker is fed | `credit.rs` |
//! | tasks that send items, and how far ahead these may be | `streams.rs`, `window.rs` |
//! | tasks that run too long | `late.rs` |
//! | which task a worker runs, for whoever finds it dead | `lease.rs` |
//! | the worker's side | `worker.rs`; `loop_worker.rs` of one that runs many tasks at once, as `many.rs` has it |
//! | the memory between the two | `link.rs`, over `asleep.rs` |
//! | how much memory a worker has gathered | `growth.rs` |
//! | as many workers as there are to be, for a Rust program | `supervisor.rs` |
//! | a process that makes workers, as children of the program itself | [`template`]`.rs`, over `clone.rs`, `wire.rs` |
//! | what has the kernel end a worker when its program is gone | `lifeline.rs` |
//! | a process as a file, and how it ended | `pidfd.rs` |
//! | a death in words | `death.rs`, over `oom.rs` |

mod asleep;
mod clock;
mod clone;
mod credit;
mod crew;
mod death;
mod event;
mod growth;
mod hand;
mod job;
mod kind;
mod late;
mod lease;
mod lifeline;
mod link;
mod loop_worker;
mod many;
mod oom;
mod pidfd;
mod pool;
mod streams;
mod supervisor;
mod sync;
pub mod template;
mod window;
mod wire;
mod worker;

pub use crew::{Aftermath, Cancelled};
pub use death::{Death, Deaths};
pub use event::{Counts, Event, Gone};
pub use growth::Growth;
pub use job::{Cargo, Job, Prelude, Write};
pub use lifeline::{Lifeline, tie};
pub use link::Ends;
pub use loop_worker::{LoopOrder, LoopWorker};
pub use oom::OomCounter;
pub use pidfd::{Exit, Pidfd};
pub use pool::{Opening, Pool};
pub use supervisor::{Loss, Report, Supervisor};
pub use window::Permit;
pub use worker::{Order, Worker};
