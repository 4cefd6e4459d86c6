//! The pool with forked workers.

use std::collections::HashMap;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fenshen_pool::{Cancelled, Cargo, Event, Job, Order, Pool, Worker, Write};

/// What a worker is to do.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    Double(u32),
    Sleep(u32),
    Die,
}

#[derive(Debug)]
struct Task {
    deed: Deed,
    timeout: Option<Duration>,
    retries: u32,
}

impl Task {
    fn new(deed: Deed) -> Arc<Job<Task>> {
        Job::new(Task { deed, timeout: None, retries: 0 })
    }
}

impl Cargo for Task {
    fn pack(&self, write: &mut Write<'_>) -> io::Result<bool> {
        let (what, n) = match self.deed {
            Deed::Double(n) => (0_u32, n),
            Deed::Sleep(n) => (1, n),
            Deed::Die => (2, 0),
        };
        write(&[&what.to_ne_bytes(), &n.to_ne_bytes()], &[])
    }

    fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    fn retries(&self) -> u32 {
        self.retries
    }
}

fn work(mut worker: Worker) -> io::Result<()> {
    worker.ready()?;
    loop {
        match worker.order()? {
            Order::Task(message) => {
                // SAFETY: the message has not been passed.
                let body = unsafe { message.body().as_ref() };
                let number = |at: usize| u32::from_ne_bytes(body[at..at + 4].try_into().expect("four bytes"));
                let (what, n) = (number(0), number(4));
                worker.pass();
                match what {
                    1 => std::thread::sleep(Duration::from_millis(n.into())),
                    // SAFETY: the process is to be killed.
                    2 => unsafe {
                        libc::kill(libc::getpid(), libc::SIGKILL);
                    },
                    _ => {}
                }
                while !worker.finish(0, &[&(2 * n).to_ne_bytes()], &[])? {
                    worker.sleep_crowded();
                }
            }
            Order::Prelude(_) | Order::Forget => worker.pass(),
            Order::Stop => return Ok(()),
            Order::Nothing => {
                worker.sleep();
            }
        }
    }
}

fn start(pool: &Pool<Task>, most: Option<u32>) -> (u32, i32) {
    let opening = pool.prepare().expect("memory");
    let bell = pool.bell().try_clone_to_owned().expect("a descriptor");
    // SAFETY: the child does nothing but to work, and ends without running anything else of the test's.
    unsafe {
        let pid = libc::fork();
        if pid == 0 {
            let ends =
                fenshen_pool::Ends::adopt(opening.ends.fds().map(|fd| fd.try_clone_to_owned().expect("a descriptor")));
            let done = ends.and_then(|ends| Worker::new(ends, bell)).and_then(work);
            libc::_exit(i32::from(done.is_err()));
        }
        let pidfd = OwnedFd::from_raw_fd(libc::syscall(libc::SYS_pidfd_open, pid, 0) as i32);
        let (id, after) = pool.add(opening, pidfd, most).expect("a descriptor");
        assert!(after.refused.is_empty());
        (id, pid)
    }
}

#[derive(Debug, Default)]
struct Seen {
    done: HashMap<u32, u32>,
    lost: Vec<Deed>,
    timed_out: usize,
    gone: Vec<(u32, bool)>,
    retiring: usize,
}

fn turn(pool: &Pool<Task>, seen: &mut Seen) {
    pool.turn(&mut |event| match event {
        Event::Done(job, _, message) => {
            // SAFETY: the message is being told of.
            let body = unsafe { message.body().as_ref() };
            let n = u32::from_ne_bytes(body.try_into().expect("four bytes"));
            if let Deed::Double(of) = job.cargo.deed {
                assert_eq!(seen.done.insert(of, n), None);
            }
        }
        Event::Gone(gone) => {
            seen.lost.extend(gone.lost.iter().map(|job| job.cargo.deed));
            seen.gone.push((gone.worker, gone.expected));
        }
        Event::TimedOut(_) => seen.timed_out += 1,
        Event::Retiring(_) => seen.retiring += 1,
        Event::Ready(_) => {}
        other => panic!("{other:?}"),
    });
}

fn until(pool: &Pool<Task>, seen: &mut Seen, mut done: impl FnMut(&Seen) -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done(seen) {
        assert!(Instant::now() < end, "{seen:?}, {:?}", pool.counts());
        pool.wait(Some(Duration::from_millis(20))).expect("it can wait");
        turn(pool, seen);
    }
}

fn end(pool: &Pool<Task>, seen: &mut Seen, pids: &[i32]) {
    drop(pool.close());
    until(pool, seen, |_| pool.counts().workers == 0);
    for &pid in pids {
        let mut status = 0;
        // SAFETY: it is a child of ours, and nobody else waits for it.
        assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    }
}

#[test]
fn every_task_is_done_once() {
    let (pool, mut seen) = (Pool::new().expect("descriptors"), Seen::default());
    let pids = [start(&pool, None).1, start(&pool, None).1];
    (0..20_000).for_each(|n| drop(pool.push(Task::new(Deed::Double(n)))));
    until(&pool, &mut seen, |seen| seen.done.len() == 20_000);
    assert!(seen.done.iter().all(|(n, double)| 2 * n == *double));
    end(&pool, &mut seen, &pids);
    assert!(seen.gone.iter().all(|(_, expected)| *expected) && seen.lost.is_empty());
}

#[test]
fn a_death_takes_one_task_along_and_no_other() {
    let (pool, mut seen) = (Pool::new().expect("descriptors"), Seen::default());
    let mut pids = vec![start(&pool, None).1];
    for n in 0..100 {
        if n % 10 == 5 {
            drop(pool.push(Task::new(Deed::Die)));
        }
        drop(pool.push(Task::new(Deed::Double(n))));
    }
    let mut dead = 0;
    while seen.done.len() < 100 {
        until(&pool, &mut seen, |seen| seen.gone.len() > dead || seen.done.len() == 100);
        if seen.gone.len() > dead {
            dead = seen.gone.len();
            pids.push(start(&pool, None).1);
        }
    }
    assert_eq!(seen.lost, vec![Deed::Die; 10]);
    end(&pool, &mut seen, &pids);
}

#[test]
fn a_lost_task_that_may_be_tried_again_is() {
    let (pool, mut seen) = (Pool::new().expect("descriptors"), Seen::default());
    let mut pids = vec![start(&pool, None).1];
    drop(pool.push(Job::new(Task { deed: Deed::Die, timeout: None, retries: 2 })));
    for dead in 1..=3 {
        until(&pool, &mut seen, |seen| seen.gone.len() == dead);
        assert_eq!(seen.lost.len(), usize::from(dead == 3));
        pids.push(start(&pool, None).1);
    }
    end(&pool, &mut seen, &pids);
}

#[test]
fn what_waits_behind_a_slow_task_goes_elsewhere() {
    let (pool, mut seen) = (Pool::new().expect("descriptors"), Seen::default());
    let pids = [start(&pool, None).1, start(&pool, None).1];
    (0..100).for_each(|n| drop(pool.push(Task::new(Deed::Double(n)))));
    until(&pool, &mut seen, |seen| seen.done.len() == 100);
    let slow = Task::new(Deed::Sleep(5000));
    drop(pool.push(slow.clone()));
    (100..200).for_each(|n| drop(pool.push(Task::new(Deed::Double(n)))));
    until(&pool, &mut seen, |seen| seen.done.len() == 200);
    assert!(slow.is_pending() && pool.is_running(&slow));
    assert_eq!(pool.cancel(&slow, false).0, Cancelled::Running);
    assert_eq!(pool.cancel(&slow, true).0, Cancelled::Killed);
    end(&pool, &mut seen, &pids);
    assert!(seen.lost.is_empty());
}

#[test]
fn a_task_that_runs_too_long_is_ended() {
    let (pool, mut seen) = (Pool::new().expect("descriptors"), Seen::default());
    let pids = [start(&pool, None).1];
    drop(pool.push(Job::new(Task { deed: Deed::Sleep(60_000), timeout: Some(Duration::from_millis(50)), retries: 0 })));
    until(&pool, &mut seen, |seen| seen.timed_out == 1 && seen.gone.len() == 1);
    assert!(seen.lost.is_empty());
    end(&pool, &mut seen, &pids);
}

/// A worker that has ended its first task, of which the pool was not told yet, and runs its second.
fn one_ahead(pool: &Pool<Task>, seen: &mut Seen, first: &Arc<Job<Task>>) -> Arc<Job<Task>> {
    drop(pool.push(Task::new(Deed::Double(0))));
    until(pool, seen, |seen| seen.done.len() == 1);
    let second = Task::new(Deed::Sleep(2000));
    drop(pool.push(first.clone()));
    drop(pool.push(second.clone()));
    let end = Instant::now() + Duration::from_secs(60);
    while !pool.is_running(&second) {
        assert!(Instant::now() < end);
        std::thread::sleep(Duration::from_millis(1));
    }
    second
}

#[test]
fn cancelling_a_task_that_has_just_ended_harms_no_other() {
    let (pool, mut seen) = (Pool::new().expect("descriptors"), Seen::default());
    let pids = [start(&pool, None).1];
    let first = Task::new(Deed::Sleep(1));
    let second = one_ahead(&pool, &mut seen, &first);
    assert_eq!(pool.cancel(&first, true).0, Cancelled::Running);
    until(&pool, &mut seen, |_| !second.is_pending());
    assert!(seen.lost.is_empty() && seen.gone.is_empty());
    end(&pool, &mut seen, &pids);
}

#[test]
fn what_lies_behind_a_task_that_is_killed_is_done() {
    let (pool, mut seen) = (Pool::new().expect("descriptors"), Seen::default());
    let mut pids = vec![start(&pool, None).1];
    drop(pool.push(Task::new(Deed::Double(0))));
    until(&pool, &mut seen, |seen| seen.done.len() == 1);
    let slow = Task::new(Deed::Sleep(60_000));
    drop(pool.push(slow.clone()));
    drop(pool.push(Task::new(Deed::Double(4))));
    until(&pool, &mut seen, |_| pool.is_running(&slow));
    assert_eq!(pool.cancel(&slow, true).0, Cancelled::Killed);
    pids.push(start(&pool, None).1);
    until(&pool, &mut seen, |seen| seen.done.len() == 2 && seen.gone.len() == 1);
    assert!(seen.lost.is_empty());
    end(&pool, &mut seen, &pids);
}

#[test]
fn a_worker_has_as_many_tasks_as_it_may() {
    let (pool, mut seen) = (Pool::new().expect("descriptors"), Seen::default());
    let pids = [start(&pool, Some(5)).1, start(&pool, Some(5)).1];
    (0..12).for_each(|n| drop(pool.push(Task::new(Deed::Double(n)))));
    until(&pool, &mut seen, |seen| seen.gone.len() == 2);
    assert_eq!((seen.done.len(), seen.retiring), (10, 2));
    assert_eq!(pool.clear().len(), 2);
    end(&pool, &mut seen, &pids);
}

#[test]
fn a_task_that_has_not_begun_can_be_cancelled() {
    let (pool, mut seen) = (Pool::new().expect("descriptors"), Seen::default());
    let pids = [start(&pool, None).1];
    let slow = Task::new(Deed::Sleep(2000));
    drop(pool.push(slow.clone()));
    until(&pool, &mut seen, |_| pool.is_running(&slow) || !slow.is_pending());
    let tasks: Vec<_> = (0..10).map(|n| Task::new(Deed::Double(n))).collect();
    tasks.iter().for_each(|t| drop(pool.push(t.clone())));
    let all: Vec<_> = tasks.iter().map(|t| pool.cancel(t, false).0).collect();
    until(&pool, &mut seen, |_| !slow.is_pending());
    end(&pool, &mut seen, &pids);
    assert_eq!(all, [Cancelled::Yes; 10]);
    assert!(seen.done.is_empty());
}

#[test]
fn tasks_that_were_taken_back_cost_no_other_its_lease() {
    let (pool, mut seen) = (Pool::new().expect("descriptors"), Seen::default());
    let mut pids = vec![start(&pool, None).1];
    (0..2000).for_each(|n| drop(pool.push(Task::new(Deed::Double(n)))));
    until(&pool, &mut seen, |seen| seen.done.len() == 2000);
    let slow = Task::new(Deed::Sleep(600_000));
    drop(pool.push(slow.clone()));
    until(&pool, &mut seen, |_| pool.is_running(&slow));
    (2000..2010).for_each(|n| drop(pool.push(Task::new(Deed::Double(n)))));
    for n in 3000..3200 {
        let unwanted = Task::new(Deed::Double(n));
        drop(pool.push(unwanted.clone()));
        assert_eq!(pool.cancel(&unwanted, false).0, Cancelled::Yes);
        assert!(pool.is_running(&slow));
    }
    assert_eq!(pool.cancel(&slow, true).0, Cancelled::Killed);
    pids.push(start(&pool, None).1);
    until(&pool, &mut seen, |seen| seen.done.len() == 2010);
    end(&pool, &mut seen, &pids);
    assert!(seen.lost.is_empty());
}

#[test]
fn a_worker_that_a_signal_does_not_end_ends_by_itself() {
    let (pool, mut seen) = (Pool::new().expect("descriptors"), Seen::default());
    let pids = [start(&pool, None).1, start(&pool, None).1];
    (0..10).for_each(|n| drop(pool.push(Task::new(Deed::Double(n)))));
    until(&pool, &mut seen, |seen| seen.done.len() == 10);
    pool.kill(libc::SIGCONT);
    end(&pool, &mut seen, &pids);
    assert!(seen.gone.iter().all(|(_, expected)| *expected));
}
