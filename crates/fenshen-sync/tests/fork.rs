//! Forks: what the threads of the parent were at does not hold up the child.
#![cfg(not(any(loom, shuttle)))]
#![allow(clippy::unwrap_used)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use fenshen_sync::{
    Deadline, Event, Failed, Fifo, Grant, Mutex, Park, Queue, Scope, Semaphore, Sleep, Waiter, Wake, all, current,
    find, graph, tid, wait_for_end,
};

/// Runs `body` in a forked child, which ends with it.
fn in_child(body: impl FnOnce() -> bool) {
    // SAFETY: the child does nothing but what follows, and ends.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        // SAFETY: the child's end, at the latest in half a minute, without the parent's exit handlers.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            libc::alarm(30);
            let done = catch_unwind(AssertUnwindSafe(body)).unwrap_or(false);
            libc::_exit(i32::from(!done));
        }
    }
    let mut status = 0;
    // SAFETY: the child is ours.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert_eq!(status, 0, "the child failed");
}

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn waiters_of_the_parent_get_nothing_in_the_child() {
    let semaphore = Semaphore::new(0, Scope::Process);
    let queue = Queue::new(Fifo::default(), 3);
    let waiting = || semaphore.waiting() == 1 && queue.waiting().0 == 1;
    thread::scope(|scope| {
        scope.spawn(|| semaphore.acquire());
        scope.spawn(|| queue.get().unwrap());
        until(waiting);
        in_child(|| {
            assert!(semaphore.release(1));
            queue.try_put(5).unwrap();
            semaphore.count() == 1 && semaphore.try_acquire() && queue.try_get() == Ok(5)
        });
        assert!(waiting());
        semaphore.release(1);
        queue.try_put(7).unwrap();
    });
}

#[test]
fn a_lock_of_a_thread_that_is_not_there_stays_locked_and_can_be_made_new() {
    let (mutex, over) = (Mutex::new(Scope::Process), Event::new(Scope::Process));
    thread::scope(|scope| {
        scope.spawn(|| {
            mutex.lock(current());
            over.wait();
            mutex.unlock();
        });
        until(|| mutex.owner() != 0);
        let owner = mutex.owner();
        in_child(|| {
            assert!(find(owner).is_none() && mutex.owner() == owner);
            let soon = Some(Deadline::after(Duration::from_millis(5)));
            assert_eq!(mutex.lock_slowly(current(), Wake::Thread, &mut Sleep, soon), Err(Failed::TimedOut));
            mutex.reset();
            mutex.try_lock(current())
        });
        over.set();
    });
    assert!(!mutex.is_locked());
}

/// Forks with the waiter in line, as a signal handler does; then does in the child as it is told.
struct Forking(bool);

impl Park for Forking {
    fn park(&mut self, waiter: &Waiter, deadline: Option<Deadline>) -> Result<Grant, Failed> {
        if std::mem::take(&mut self.0) {
            assert!(waiter.away());
            // SAFETY: as in `in_child`.
            let pid = unsafe { libc::fork() };
            assert!(pid >= 0);
            if pid == 0 {
                CHILD.store(true, Ordering::Relaxed);
                // In the child nobody else is in line, nor was this thread.
                assert!(!waiter.back());
                return Ok(Grant::RETRY);
            }
            let mut status = 0;
            // SAFETY: the child is ours.
            assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
            assert_eq!(status, 0, "the child failed");
            if !waiter.back() {
                return Ok(Grant::RETRY);
            }
        }
        Sleep.park(waiter, deadline)
    }
}

static CHILD: AtomicBool = AtomicBool::new(false);

/// Ends the child, once it has come this far.
fn end_child(done: bool) {
    if CHILD.load(Ordering::Relaxed) {
        // SAFETY: without the parent's exit handlers.
        unsafe { libc::_exit(i32::from(!done)) };
    }
}

#[test]
fn a_wait_goes_on_in_the_child_that_it_forked() {
    let mutex = Mutex::new(Scope::Process);
    let ended = &Event::new(Scope::Process);
    mutex.lock(77);
    // In the child, the lock stays taken, and the wait goes on up to its deadline.
    let deadline = Some(Deadline::after(Duration::from_millis(50)));
    let outcome = mutex.lock_slowly(current(), Wake::Thread, &mut Forking(true), deadline);
    end_child(outcome == Err(Failed::TimedOut) && mutex.unlock() && mutex.try_lock(1));
    assert_eq!(outcome, Err(Failed::TimedOut));
    let id = &AtomicU32::new(0);
    // A thread whose end is waited for is not there in the child: it has ended.
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            id.store(current(), Ordering::Relaxed);
            ended.wait();
        });
        until(|| id.load(Ordering::Relaxed) != 0);
        let outcome = wait_for_end(
            id.load(Ordering::Relaxed),
            &mut Forking(true),
            Some(Deadline::after(Duration::from_millis(50))),
        );
        end_child(outcome == Ok(()));
        ended.set();
        other.join().unwrap();
    });
}

#[test]
fn numbers_are_the_childs_own() {
    let (id, before) = (current(), tid());
    assert_eq!(graph::look().all().count(), 0);
    in_child(|| {
        let me = find(current()).unwrap();
        me.main && me.tid == std::process::id() as i32 && me.id == id && tid() != before && all().len() == 1
    });
}

#[test]
fn forks_amid_the_work_of_others_do_no_harm() {
    let semaphore = Semaphore::new(1, Scope::Process);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    semaphore.acquire();
                    semaphore.release(1);
                }
            });
        }
        for _ in 0..30 {
            in_child(|| {
                // Whether the latch was held or not, and whoever was in line.
                semaphore.release(1);
                semaphore.acquire();
                let soon = Some(Deadline::after(Duration::from_millis(1)));
                let _ = semaphore.acquire_slowly(0, Wake::Thread, &mut Sleep, soon);
                true
            });
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(semaphore.count(), 1);
}
