//! What can be checked by trying out schedules: the standard library's atomics and cells, or loom's and shuttle's under
//! `--cfg loom` and `--cfg shuttle`.

#[cfg(loom)]
pub(crate) use loom::{
    cell::Cell,
    hint::spin_loop,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    thread::yield_now,
};

#[cfg(shuttle)]
pub(crate) use shuttle::{
    hint::spin_loop,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    thread::yield_now,
};

#[cfg(not(any(loom, shuttle)))]
pub(crate) use std::{
    hint::spin_loop,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    thread::yield_now,
};

#[cfg(not(loom))]
pub(crate) use std::cell::Cell;
