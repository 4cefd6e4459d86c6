//! The queues of `multiprocessing`: objects, pickled, in a [`SharedQueue`](fenshen_shm::SharedQueue).
//!
//! | file | what it holds |
//! |---|---|
//! | `layout.rs` | the object, how it is made and found, and what becomes of it in a forked child |
//! | `pickling.rs` | objects to messages and back |
//! | `operations.rs` | `put` and `get` |
//! | `wait.rs` | how a thread waits at one |
//! | `queue_type.rs` | the Python face |

mod layout;
mod operations;
mod pickling;
mod queue_type;
mod wait;

pub(crate) use layout::{Queue, shared};
pub(crate) use operations::{get, put};
pub(super) use pickling::{Buffer, Pickled, dumps, loads};
pub(super) use queue_type::{build, build_joinable, build_simple};
pub(crate) use wait::without_interpreter;
