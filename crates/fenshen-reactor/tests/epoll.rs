//! `Epoll` on pipes and socket pairs.
#![allow(clippy::unwrap_used)]

use fenshen_reactor::{Epoll, Event, Events, Interest};
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::thread::JoinHandleExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{ptr, thread};

const NOW: Option<Duration> = Some(Duration::ZERO);

fn ready(epoll: &Epoll) -> Vec<(u64, bool, bool)> {
    let mut events = Events::with_capacity(8);
    epoll.wait(&mut events, NOW).unwrap();
    let mut all: Vec<_> = events.iter().map(|e| (e.token, e.readable, e.writable)).collect();
    all.sort_unstable();
    all
}

#[test]
fn a_pipe_becomes_readable_and_stays_so_until_it_is_read() {
    let (mut reader, mut writer) = io::pipe().unwrap();
    let epoll = Epoll::new().unwrap();
    epoll.add(reader.as_raw_fd(), Interest::READABLE, u64::MAX).unwrap();
    assert_eq!(ready(&epoll), []);
    writer.write_all(b"ab").unwrap();
    assert_eq!(ready(&epoll), [(u64::MAX, true, false)]);
    assert_eq!(ready(&epoll), [(u64::MAX, true, false)]);
    reader.read_exact(&mut [0; 2]).unwrap();
    assert_eq!(ready(&epoll), []);
}

#[test]
fn a_hang_up_sets_both_flags_whatever_the_interest() {
    for interest in [Interest::READABLE, Interest::WRITABLE, Interest::NONE] {
        let (reader, writer) = io::pipe().unwrap();
        let epoll = Epoll::new().unwrap();
        epoll.add(reader.as_raw_fd(), interest, 1).unwrap();
        drop(writer);
        assert_eq!(ready(&epoll), [(1, true, true)], "{interest:?}");
    }
}

#[test]
fn an_error_sets_both_flags() {
    let (reader, writer) = io::pipe().unwrap();
    let epoll = Epoll::new().unwrap();
    epoll.add(writer.as_raw_fd(), Interest::WRITABLE, 1).unwrap();
    assert_eq!(ready(&epoll), [(1, false, true)]);
    drop(reader);
    assert_eq!(ready(&epoll), [(1, true, true)]);
}

#[test]
fn interest_and_token_can_be_changed() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let epoll = Epoll::new().unwrap();
    let fd = ours.as_raw_fd();
    theirs.write_all(b"x").unwrap();
    epoll.add(fd, Interest::READABLE | Interest::WRITABLE, 1).unwrap();
    assert_eq!(ready(&epoll), [(1, true, true)]);
    epoll.modify(fd, Interest::WRITABLE, 2).unwrap();
    assert_eq!(ready(&epoll), [(2, false, true)]);
    epoll.modify(fd, Interest::NONE, 3).unwrap();
    assert_eq!(ready(&epoll), []);
    epoll.remove(fd).unwrap();
    drop(theirs);
    assert_eq!(ready(&epoll), []);
}

#[test]
fn misuse_is_an_error_of_the_kernel() {
    fn code(result: io::Result<()>) -> Option<i32> {
        result.unwrap_err().raw_os_error()
    }
    let epoll = Epoll::new().unwrap();
    let (reader, _writer) = io::pipe().unwrap();
    let fd = reader.as_raw_fd();
    assert_eq!(code(epoll.modify(fd, Interest::READABLE, 0)), Some(libc::ENOENT));
    assert_eq!(code(epoll.remove(fd)), Some(libc::ENOENT));
    epoll.add(fd, Interest::READABLE, 0).unwrap();
    assert_eq!(code(epoll.add(fd, Interest::READABLE, 0)), Some(libc::EEXIST));
    for closed in [-1, RawFd::MIN, RawFd::MAX] {
        assert_eq!(code(epoll.add(closed, Interest::READABLE, 0)), Some(libc::EBADF));
    }
    let file = File::open("/proc/self/exe").unwrap();
    assert_eq!(code(epoll.add(file.as_raw_fd(), Interest::READABLE, 0)), Some(libc::EPERM));
}

#[test]
fn what_does_not_fit_comes_next() {
    let epoll = Epoll::new().unwrap();
    let pipes: Vec<_> = (0..5).map(|_| io::pipe().unwrap()).collect();
    for (token, (_, writer)) in pipes.iter().enumerate() {
        epoll.add(writer.as_raw_fd(), Interest::WRITABLE, token as u64).unwrap();
    }
    let mut events = Events::with_capacity(2);
    assert_eq!(events.capacity(), 2);
    let mut seen = [0; 5];
    for _ in 0..5 {
        assert_eq!(epoll.wait(&mut events, NOW).unwrap(), 2);
        for event in &events {
            seen[event.token as usize] += 1;
        }
    }
    assert_eq!(seen, [2; 5], "the kernel goes round");
    assert_eq!(events.get(2), None);
    assert_eq!(events.get(0).map(|event| event.writable), Some(true));
    assert_eq!(events.iter().len(), events.len());
    assert!(!events.is_empty());
    assert!(matches!(events.iter().next(), Some(Event { readable: false, .. })));
}

#[test]
fn a_buffer_of_nothing_holds_one() {
    assert_eq!(Events::with_capacity(0).capacity(), 1);
}

#[test]
fn no_wait_ends_before_its_timeout() {
    let epoll = Epoll::new().unwrap();
    let mut events = Events::with_capacity(1);
    for nanos in [1, 1_000, 300_000, 1_500_000, 20_000_000] {
        let timeout = Duration::from_nanos(nanos);
        let start = Instant::now();
        assert_eq!(epoll.wait(&mut events, Some(timeout)).unwrap(), 0);
        assert!(start.elapsed() >= timeout, "{timeout:?}");
    }
}

#[test]
fn a_timeout_may_be_longer_than_the_kernel_can_express() {
    let (_reader, writer) = io::pipe().unwrap();
    let epoll = Epoll::new().unwrap();
    epoll.add(writer.as_raw_fd(), Interest::WRITABLE, 1).unwrap();
    let mut events = Events::with_capacity(1);
    assert_eq!(epoll.wait(&mut events, Some(Duration::MAX)).unwrap(), 1);
}

#[test]
fn a_signal_interrupts_a_wait() {
    extern "C" fn nothing(_: libc::c_int) {}
    static DONE: AtomicBool = AtomicBool::new(false);

    // SAFETY: the handler does nothing, and the action is initialised.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &raw const action, ptr::null_mut()), 0);
    }
    let (_reader, writer) = io::pipe().unwrap();
    let waiter = thread::spawn(move || {
        let epoll = Epoll::new().unwrap();
        let mut events = Events::with_capacity(1);
        epoll.add(writer.as_raw_fd(), Interest::WRITABLE, 1).unwrap();
        epoll.wait(&mut events, NOW).unwrap();
        epoll.remove(writer.as_raw_fd()).unwrap();
        let kind = epoll.wait(&mut events, Some(Duration::from_secs(60))).unwrap_err().kind();
        DONE.store(true, Ordering::SeqCst);
        (kind, events.len())
    });
    while !DONE.load(Ordering::SeqCst) {
        // SAFETY: the thread is not joined yet, so its id is valid.
        unsafe { libc::pthread_kill(waiter.as_pthread_t(), libc::SIGUSR1) };
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(waiter.join().unwrap(), (ErrorKind::Interrupted, 0));
}

#[test]
fn the_descriptor_is_closed_on_exec() {
    let epoll = Epoll::new().unwrap();
    // SAFETY: asks for the flags of an open descriptor.
    let flags = unsafe { libc::fcntl(epoll.as_raw_fd(), libc::F_GETFD) };
    assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
}

#[test]
fn a_forked_child_takes_nothing_from_its_parents_set() {
    let (reader, mut writer) = io::pipe().unwrap();
    let epoll = Epoll::new().unwrap();
    epoll.add(reader.as_raw_fd(), Interest::READABLE, 1).unwrap();
    // SAFETY: the child makes no call but those of `epoll`, which only ask the kernel, and `_exit`.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let modified = epoll.modify(reader.as_raw_fd(), Interest::NONE, 2).is_ok();
        let removed = epoll.remove(reader.as_raw_fd()).is_ok();
        let added = epoll.add(writer.as_raw_fd(), Interest::WRITABLE, 3).is_ok();
        // SAFETY: it ends this process, and runs nothing else.
        unsafe { libc::_exit(if modified && removed && added { 0 } else { 1 }) };
    }
    let mut status = -1;
    // SAFETY: `status` is ours, and lives longer than the call.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
    assert_eq!(ready(&epoll), []);
    writer.write_all(b"x").unwrap();
    assert_eq!(ready(&epoll), [(1, true, false)]);
}
