//! `Queue`, `LifoQueue` and `PriorityQueue`: bounded queues between threads.
//!
//! A queue is in one of two modes. A native one is a [`fenshen_sync::Queue`] and nothing else: no Python code runs while
//! an item goes from thread to thread. As soon as somebody asks for what the standard library's queue is made of (`mutex`,
//! `queue`, a condition), or where Python code decides (an overridden `_put`, the order of a priority queue), it is an
//! exposed one for the rest of its life: its items lie in the deque or list that the program sees, and every operation
//! takes the mutex and waits on the conditions that the program may take and wait on too.
//!
//! | file | what it holds |
//! |---|---|
//! | `layout.rs` | the object, its construction and garbage collection |
//! | `items.rs` | the items of a native queue |
//! | `native.rs` | the operations of a native queue; others are sent on |
//! | `exposed.rs` | the operations of an exposed one |
//! | `hooks.rs` | `_init`, `_qsize`, `_put` and `_get` |
//! | `turn.rs` | the mutex and the conditions of an exposed queue, and whose turn it is |
//! | `asked.rs` | the arguments `block` and `timeout` |
//! | `queue_type.rs` | the Python face |

mod asked;
mod exposed;
mod hooks;
mod items;
mod layout;
mod native;
mod queue_type;
mod turn;
mod words;

pub(crate) use asked::Asked;
pub(crate) use items::{Items, Order};
pub(super) use queue_type::{build, build_lifo, build_priority, meet};
pub(crate) use words::{empty_class, full_class, raise_empty, raise_full, raise_shut_down, shut_down_class};
