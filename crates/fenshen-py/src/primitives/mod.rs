//! asyncio's queues and locks in Rust. They work on any event loop, and without futures where nothing has to wait.
//!
//! | type | what it does | its Python face |
//! |---|---|---|
//! | `Queue`, `LifoQueue`, `PriorityQueue` | `queue.rs`, `queue_store.rs` | `queue_type.rs` |
//! | `Lock` | `lock.rs` | `lock.rs` |
//! | `Event` | `event.rs` | `event.rs` |
//! | `Condition` | `condition.rs` | `condition.rs` |
//! | `Semaphore`, `BoundedSemaphore` | `semaphore.rs` | `semaphore.rs` |
//! | `Barrier` | `barrier.rs` | `barrier.rs` |
//! | `Operation` | `operation.rs`: the coroutine of everything here that is awaited | `operation.rs` |
//! | `CoroutineFunction` | `coroutine_function.rs`: what returns one | `coroutine_function.rs` |
//!
//! Every primitive begins with `head.rs` (its loop, `__dict__`, weak references) and keeps those who wait for it in a
//! `waiters.rs` queue.

pub(crate) mod barrier;
pub(crate) mod condition;
pub(crate) mod coroutine_function;
pub(crate) mod event;
pub(crate) mod head;
pub(crate) mod lock;
pub(crate) mod operation;
pub(crate) mod queue;
pub(crate) mod queue_store;
pub(crate) mod queue_type;
pub(crate) mod semaphore;
pub(crate) mod waiters;
