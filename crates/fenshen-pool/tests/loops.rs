//! The pool with forked workers that run many tasks at once.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fenshen_pool::{Cancelled, Cargo, Event, Job, LoopOrder, LoopWorker, Pool, Write};

const PATIENCE: Duration = Duration::from_secs(60);
const RETURNED: u32 = 0;
const CANCELLED: u32 = 1;

/// What a worker is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Deed {
    /// End at once.
    Double(u32),
    /// End when a later task says so.
    Hold(u32),
    /// End all that are held.
    Release,
    Die,
}

#[derive(Debug)]
struct Task {
    deed: Deed,
    ballast: usize,
}

impl Task {
    fn new(deed: Deed) -> Arc<Job<Task>> {
        Job::new(Task { deed, ballast: 0 })
    }
}

impl Cargo for Task {
    fn pack(&self, write: &mut Write<'_>) -> io::Result<bool> {
        let (what, n) = match self.deed {
            Deed::Double(n) => (0_u32, n),
            Deed::Hold(n) => (1, n),
            Deed::Release => (2, 0),
            Deed::Die => (3, 0),
        };
        write(&[&what.to_ne_bytes(), &n.to_ne_bytes(), &vec![0; self.ballast]], &[])
    }
}

fn finish(worker: &mut LoopWorker, seq: u32, flavour: u32, n: u32) -> io::Result<()> {
    while !worker.finish(seq, flavour, &[&n.to_ne_bytes()], &[])? {
        worker.sleep_crowded();
    }
    Ok(())
}

fn work(mut worker: LoopWorker) -> io::Result<()> {
    let mut held: HashMap<u32, u32> = HashMap::new();
    worker.ready()?;
    loop {
        match worker.order()? {
            LoopOrder::Task(seq, message) => {
                // SAFETY: the message has not been passed.
                let body = unsafe { message.body().as_ref() };
                let number = |at: usize| u32::from_ne_bytes(body[at..at + 4].try_into().expect("four bytes"));
                let (what, n) = (number(0), number(4));
                worker.pass();
                match what {
                    0 => finish(&mut worker, seq, RETURNED, 2 * n)?,
                    1 => drop(held.insert(seq, n)),
                    2 => {
                        for (seq, n) in held.drain() {
                            finish(&mut worker, seq, RETURNED, 2 * n)?;
                        }
                        finish(&mut worker, seq, RETURNED, 0)?;
                    }
                    // SAFETY: the process is to be killed.
                    _ => unsafe {
                        libc::kill(libc::getpid(), libc::SIGKILL);
                    },
                }
            }
            LoopOrder::Cancel(seq) => {
                if held.remove(&seq).is_some() {
                    finish(&mut worker, seq, CANCELLED, 0)?;
                }
            }
            LoopOrder::Prelude(_) | LoopOrder::Forget => worker.pass(),
            LoopOrder::Stop => return Ok(()),
            LoopOrder::Nothing => {
                while !worker.make_room()? {
                    worker.sleep_crowded();
                }
                if worker.listen() {
                    let mut fd = libc::pollfd { fd: worker.doorbell().as_raw_fd(), events: libc::POLLIN, revents: 0 };
                    // SAFETY: there is one.
                    unsafe { libc::poll(&raw mut fd, 1, -1) };
                }
                worker.answer();
            }
        }
    }
}

fn start(pool: &Pool<Task>) -> i32 {
    let opening = pool.prepare().expect("memory");
    let bell = pool.bell().try_clone_to_owned().expect("a descriptor");
    // SAFETY: the child does nothing but to work, and ends without running anything else of the test's.
    unsafe {
        let pid = libc::fork();
        if pid == 0 {
            let fds = opening.ends.fds().map(|fd| fd.try_clone_to_owned().expect("a descriptor"));
            let doorbell = opening.doorbell.as_ref().and_then(|fd| fd.try_clone().ok()).expect("a doorbell");
            let ends = fenshen_pool::Ends::adopt(fds);
            let done = ends.and_then(|ends| LoopWorker::new(ends, doorbell, bell)).and_then(work);
            libc::_exit(i32::from(done.is_err()));
        }
        let pidfd = OwnedFd::from_raw_fd(libc::syscall(libc::SYS_pidfd_open, pid, 0) as i32);
        let (_, after) = pool.add(opening, pidfd, None).expect("a descriptor");
        assert!(after.refused.is_empty());
        pid
    }
}

#[derive(Debug, Default)]
struct Seen {
    done: HashMap<Deed, (u32, u32)>,
    lost: Vec<Deed>,
    gone: usize,
    ready: usize,
}

fn turn(pool: &Pool<Task>, seen: &mut Seen) {
    pool.turn(&mut |event| match event {
        Event::Done(job, flavour, message) => {
            // SAFETY: the message is being told of.
            let body = unsafe { message.body().as_ref() };
            let n = u32::from_ne_bytes(body.try_into().expect("four bytes"));
            assert_eq!(seen.done.insert(job.cargo.deed, (flavour, n)), None);
        }
        Event::Gone(gone) => {
            seen.gone += 1;
            seen.lost.extend(gone.lost.iter().map(|job| job.cargo.deed));
        }
        Event::Ready(_) => seen.ready += 1,
        Event::Refused(job, error) => panic!("{:?}: {error}", job.cargo),
        other => panic!("{other:?}"),
    });
}

fn until(pool: &Pool<Task>, seen: &mut Seen, true_: impl Fn(&Seen) -> bool) {
    let end = Instant::now() + PATIENCE;
    while !true_(seen) {
        assert!(Instant::now() < end, "it never became true: {seen:?}");
        pool.wait(Some(Duration::from_millis(100))).expect("an epoll");
        turn(pool, seen);
    }
}

fn end(pool: &Pool<Task>, seen: &mut Seen, pids: &[i32]) {
    assert!(pool.close().refused.is_empty());
    until(pool, seen, |seen| seen.gone == pids.len());
    for &pid in pids {
        // SAFETY: it is a child of ours.
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    }
}

fn push(pool: &Pool<Task>, deed: Deed) -> Arc<Job<Task>> {
    let job = Task::new(deed);
    assert!(pool.push(job.clone()).refused.is_empty());
    job
}

#[test]
fn tasks_end_in_any_order() {
    let pool = Pool::of_loops(100).expect("a pool");
    let (mut seen, pids) = (Seen::default(), [start(&pool)]);
    let held = push(&pool, Deed::Hold(1));
    push(&pool, Deed::Hold(2));
    push(&pool, Deed::Double(3));
    until(&pool, &mut seen, |seen| seen.done.contains_key(&Deed::Double(3)));
    assert_eq!(seen.done.len(), 1);
    assert!(pool.is_running(&held));
    push(&pool, Deed::Release);
    until(&pool, &mut seen, |seen| seen.done.len() == 4);
    assert_eq!(seen.done[&Deed::Hold(2)], (RETURNED, 4));
    end(&pool, &mut seen, &pids);
    assert!(seen.lost.is_empty());
}

#[test]
fn a_task_that_is_cancelled_says_how_it_ended() {
    let pool = Pool::of_loops(100).expect("a pool");
    let (mut seen, pids) = (Seen::default(), [start(&pool)]);
    let held: Vec<_> = (0..3).map(|n| push(&pool, Deed::Hold(n))).collect();
    until(&pool, &mut seen, |_| held.iter().all(|job| pool.is_running(job)));
    let (outcome, after) = pool.cancel(&held[1], false);
    assert!(after.refused.is_empty());
    assert_eq!(outcome, Cancelled::Asked);
    until(&pool, &mut seen, |seen| seen.done.len() == 1);
    assert_eq!(seen.done[&Deed::Hold(1)], (CANCELLED, 0));
    assert_eq!(pool.cancel(&held[1], false).0, Cancelled::Ended);
    push(&pool, Deed::Release);
    until(&pool, &mut seen, |seen| seen.done.len() == 4);
    end(&pool, &mut seen, &pids);
}

#[test]
fn more_than_a_ring_holds_while_none_ends() {
    const TASKS: u32 = 3000;
    let pool = Pool::of_loops(TASKS + 1).expect("a pool");
    let (mut seen, pids) = (Seen::default(), [start(&pool)]);
    let jobs: Vec<_> = (0..TASKS).map(|n| Job::new(Task { deed: Deed::Hold(n), ballast: 200 })).collect();
    for job in &jobs {
        assert!(pool.push(job.clone()).refused.is_empty());
    }
    until(&pool, &mut seen, |_| jobs.iter().all(|job| pool.is_running(job)));
    assert!(seen.done.is_empty());
    for job in jobs.iter().step_by(2) {
        assert_eq!(pool.cancel(job, false).0, Cancelled::Asked);
    }
    until(&pool, &mut seen, |seen| seen.done.len() == TASKS as usize / 2);
    push(&pool, Deed::Release);
    until(&pool, &mut seen, |seen| seen.done.len() == TASKS as usize + 1);
    assert_eq!(seen.done[&Deed::Hold(1)], (RETURNED, 2));
    assert_eq!(seen.done[&Deed::Hold(2)], (CANCELLED, 0));
    end(&pool, &mut seen, &pids);
}

#[test]
fn no_worker_has_more_than_it_may() {
    let pool = Pool::of_loops(2).expect("a pool");
    let (mut seen, pids) = (Seen::default(), [start(&pool), start(&pool)]);
    let jobs: Vec<_> = (0..5).map(|n| push(&pool, Deed::Hold(n))).collect();
    until(&pool, &mut seen, |_| jobs.iter().filter(|job| pool.is_running(job)).count() == 4);
    assert_eq!((pool.counts().queued, pool.counts().sent), (1, 4));
    assert_eq!(pool.cancel(&jobs[4], false).0, Cancelled::Yes);
    for job in &jobs[..4] {
        assert_eq!(pool.cancel(job, false).0, Cancelled::Asked);
    }
    until(&pool, &mut seen, |seen| seen.done.len() == 4);
    end(&pool, &mut seen, &pids);
}

#[test]
fn tasks_are_shared_out_before_all_are_ready() {
    const TASKS: u32 = 40;
    let pool = Pool::of_loops(1000).expect("a pool");
    let (mut seen, pids) = (Seen::default(), [start(&pool), start(&pool)]);
    let jobs: Vec<_> = (0..TASKS).map(|n| push(&pool, Deed::Hold(n))).collect();
    until(&pool, &mut seen, |_| jobs.iter().all(|job| pool.is_running(job)));
    assert_eq!([1, 2].map(|id| pool.tasks_of(id).len()), [20, 20]);
    for job in &jobs {
        assert_eq!(pool.cancel(job, false).0, Cancelled::Asked);
    }
    until(&pool, &mut seen, |seen| seen.done.len() == TASKS as usize);
    end(&pool, &mut seen, &pids);
}

#[test]
fn a_death_takes_along_what_had_begun() {
    let pool = Pool::of_loops(100).expect("a pool");
    let (mut seen, first) = (Seen::default(), start(&pool));
    let held: Vec<_> = (0..3).map(|n| push(&pool, Deed::Hold(n))).collect();
    until(&pool, &mut seen, |_| held.iter().all(|job| pool.is_running(job)));
    push(&pool, Deed::Die);
    push(&pool, Deed::Double(7));
    let second = start(&pool);
    until(&pool, &mut seen, |seen| seen.gone == 1 && seen.done.len() == 1);
    seen.lost.sort_by_key(|deed| format!("{deed:?}"));
    assert_eq!(seen.lost, [Deed::Die, Deed::Hold(0), Deed::Hold(1), Deed::Hold(2)]);
    assert_eq!(seen.done[&Deed::Double(7)], (RETURNED, 14));
    end(&pool, &mut seen, &[first, second]);
}
