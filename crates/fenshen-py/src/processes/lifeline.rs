//! What ties workers to this program: one lifeline for all of them.

use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd};
use std::sync::{Mutex, PoisonError};

use fenshen_pool::Lifeline;
use pyo3::prelude::*;

/// This process' lifeline, made when somebody asks. It is only locked by threads that are attached to the interpreter,
/// and not while they let go of it: it is free whenever one of them forks.
static LIFELINE: Mutex<Option<Lifeline>> = Mutex::new(None);

/// The descriptor that a worker of this program is to `tie()` itself to: inherited, or passed. It stays open and stays
/// the same for as long as the program lives, and is closed by exec().
///
/// Raises OSError if too many files are open.
#[pyfunction]
fn lifeline() -> PyResult<i32> {
    let mut lifeline = LIFELINE.lock().unwrap_or_else(PoisonError::into_inner);
    let lifeline = match &mut *lifeline {
        Some(lifeline) => lifeline,
        none => none.insert(Lifeline::new()?),
    };
    Ok(lifeline.end().as_raw_fd())
}

/// In a forked child: close what it has inherited of its parent's lifeline.
#[pyfunction]
fn leave_lifeline() {
    leave();
}

/// The same.
pub(super) fn leave() {
    LIFELINE.lock().unwrap_or_else(PoisonError::into_inner).take();
}

/// Have the kernel kill this process, by SIGKILL, when the program whose `lifeline()` the descriptor `fd` is has ended,
/// in whatever way and whatever this process is doing then. If it has ended already, so does this process.
///
/// Returns another descriptor, which must be kept open; `fd` itself may be closed. Raises OSError if too many files are
/// open or there is no /proc.
#[pyfunction]
fn tie(fd: i32) -> PyResult<i32> {
    if fd < 0 {
        return Err(std::io::Error::from_raw_os_error(libc::EBADF).into());
    }
    // SAFETY: it is not negative, and only used during the call; one that is not open is an error of the call.
    let end = unsafe { BorrowedFd::borrow_raw(fd) };
    Ok(fenshen_pool::tie(end)?.into_raw_fd())
}

/// Adds the functions.
pub(crate) fn add_to(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(lifeline, m)?)?;
    m.add_function(wrap_pyfunction!(leave_lifeline, m)?)?;
    m.add_function(wrap_pyfunction!(tie, m)?)
}
