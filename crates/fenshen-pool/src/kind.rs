//! What the messages between a pool and its workers are.

/// From the pool: a task. Its tag is its number.
pub(crate) const TASK: u32 = 1;
/// From the pool: what later tasks of this worker refer to. Its tag is its name.
pub(crate) const PRELUDE: u32 = 2;
/// From the pool: no more tasks.
pub(crate) const STOP: u32 = 3;
/// From the pool: what later tasks refer to is sent again.
pub(crate) const FORGET: u32 = 4;
/// From the pool: a task that runs beside others is to be cancelled. Its tag is the task's number.
pub(crate) const CANCEL: u32 = 5;
/// From the worker: it is ready for tasks.
pub(crate) const READY: u32 = 1;
/// From the worker: a task's result. Its tag is the task's number, and how long it ran in microseconds above that.
pub(crate) const DONE: u32 = 2;
/// From the worker: a part of a task's result; there will be more.
pub(crate) const ITEM: u32 = 3;
/// From the worker: anything else that it has to say.
pub(crate) const NOTE: u32 = 4;
/// From the worker: it begins no task any more, and waits to be told to end.
pub(crate) const LEAVE: u32 = 5;

/// From the worker: it has read all that there was, and there is room for what was too much before.
pub(crate) const ROOM: u32 = 6;

/// The upper bits are the user's.
pub(crate) fn with(kind: u32, flavour: u32) -> u32 {
    kind | flavour << 8
}

/// A kind, and the user's bits.
pub(crate) fn split(kind: u32) -> (u32, u32) {
    (kind & 0xff, kind >> 8)
}
