//! Streams: the items of a task, as they come from its worker.
//!
//! | what | file |
//! |---|---|
//! | what has come, who waits for it, and how it ended | `flow.rs` |
//! | `StreamSink`, which the engine tells; the task keeps it | `sink.rs` |
//! | `StreamBase`, which the program has; when that is gone, nobody wants any more | `base.rs` |
//! | the worker's side | `sending.rs` |

mod base;
mod flow;
mod sending;
mod sink;

pub(crate) use base::build;
pub(crate) use flow::End;
pub(crate) use sending::send_all;
pub(crate) use sink::{build as build_sink, flow_of};
