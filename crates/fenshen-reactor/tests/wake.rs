//! `Waker`, `SleepState` and `Owner` with a real descriptor.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used)]

use fenshen_reactor::{Epoll, Events, Interest, Owner, SleepState, Waker};
use std::os::fd::AsRawFd;
use std::time::Duration;

struct Watched {
    waker: Waker,
    epoll: Epoll,
}

impl Watched {
    fn new() -> Self {
        let (waker, epoll) = (Waker::new().unwrap(), Epoll::new().unwrap());
        epoll.add(waker.fd(), Interest::READABLE, 0).unwrap();
        Self { waker, epoll }
    }

    fn is_readable(&self) -> bool {
        let mut events = Events::with_capacity(1);
        self.epoll.wait(&mut events, Some(Duration::ZERO)).unwrap() == 1
    }
}

#[test]
fn nothing_is_written_while_the_consumer_is_awake() {
    let watched = Watched::new();
    assert!(!watched.waker.wake().unwrap());
    assert!(!watched.is_readable());
}

#[test]
fn a_burst_is_one_write_and_is_read_back() {
    let watched = Watched::new();
    for _ in 0..3 {
        watched.waker.prepare_sleep();
        assert!(!watched.is_readable());
        assert!(watched.waker.wake().unwrap());
        assert!(!watched.waker.wake().unwrap());
        assert!(watched.is_readable());
        watched.waker.woken().unwrap();
        assert!(!watched.is_readable());
    }
}

#[test]
fn a_cancelled_sleep_leaves_its_write_for_the_next_turn() {
    let watched = Watched::new();
    watched.waker.prepare_sleep();
    watched.waker.cancel_sleep();
    assert!(!watched.waker.wake().unwrap());

    watched.waker.prepare_sleep();
    watched.waker.wake().unwrap();
    watched.waker.cancel_sleep();
    assert!(watched.is_readable());
    watched.waker.woken().unwrap();
    assert!(!watched.is_readable());
}

#[test]
fn a_promised_write_that_comes_late_is_read_later() {
    let state = SleepState::default();
    state.prepare_sleep();
    assert!(state.wake());
    // The consumer wakes before the producer comes to its write.
    state.woken();
    assert_eq!(state.owed(), 1);
    // It sleeps again, another producer wakes it, and both writes are there.
    state.prepare_sleep();
    assert!(state.wake());
    state.woken();
    assert_eq!(state.owed(), 2);
    state.repaid(2);
    assert_eq!(state.owed(), 0);
}

#[test]
fn the_descriptor_is_nonblocking_and_closed_on_exec() {
    let fd = Waker::new().unwrap();
    // SAFETY: asks for the flags of an open descriptor.
    let (of_fd, of_file) =
        unsafe { (libc::fcntl(fd.as_raw_fd(), libc::F_GETFD), libc::fcntl(fd.as_raw_fd(), libc::F_GETFL)) };
    assert_ne!(of_fd & libc::FD_CLOEXEC, 0);
    assert_ne!(of_file & libc::O_NONBLOCK, 0);
}

/// What a forked child finds: 0 when all is well, else the number of the check that failed.
fn in_child(owner: Owner, parents: &Watched) -> i32 {
    if owner.is_this_process() || !Owner::this_process().is_this_process() {
        return 1;
    }
    let fd = parents.waker.fd();
    if parents.waker.reset_after_fork().is_err() || parents.waker.fd() != fd {
        return 2;
    }
    // The parent was asleep; the child's copy is not.
    if !matches!(parents.waker.wake(), Ok(false)) {
        return 3;
    }
    parents.waker.prepare_sleep();
    if !matches!(parents.waker.wake(), Ok(true)) || parents.waker.woken().is_err() {
        return 4;
    }
    parents.waker.prepare_sleep();
    if !matches!(parents.waker.wake(), Ok(true)) {
        return 5;
    }
    0
}

#[test]
fn a_forked_child_does_not_wake_its_parent() {
    let owner = Owner::this_process();
    let watched = Watched::new();
    watched.waker.prepare_sleep();
    // SAFETY: the child allocates nothing, takes no lock, and leaves by `_exit`.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let status = in_child(owner, &watched);
        // SAFETY: always sound.
        unsafe { libc::_exit(status) };
    }
    let mut status = -1;
    // SAFETY: waits for our own child.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(libc::WEXITSTATUS(status), 0);
    assert!(libc::WIFEXITED(status));

    assert!(owner.is_this_process());
    assert!(!watched.is_readable(), "the child's writes went elsewhere");
    assert!(watched.waker.wake().unwrap());
    assert!(watched.is_readable());
}
