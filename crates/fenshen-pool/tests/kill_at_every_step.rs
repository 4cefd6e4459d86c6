//! A worker is killed after its n-th instruction, for many n: at most the task that it had begun is lost, no task runs twice,
//! and all others are done by the next worker.
//!
//! FENSHEN_SOAK=1 tries forty times as many n.

#[path = "../../fenshen-shm/tests/stepping/mod.rs"]
mod stepping;

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fenshen_pool::{Cargo, Ends, Event, Job, Opening, Order, Pool, Worker, Write};

const TASKS: usize = 5;
/// What results are made of.
static FILLING: [u8; 9000] = [2; 9000];

/// A task with a body that is longer the higher its number: the last ones go through slabs.
#[derive(Debug)]
struct Task(u32);

fn length(number: u32) -> usize {
    if number > 2 { 9000 } else { 8 }
}

impl Cargo for Task {
    fn pack(&self, write: &mut Write<'_>) -> io::Result<bool> {
        write(&[&self.0.to_ne_bytes(), &vec![1; length(self.0)]], &[])
    }
}

/// How often each task was begun, in memory that all processes share.
struct Begun(*const [AtomicU32; TASKS]);

impl Begun {
    fn new() -> Begun {
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping; it is never unmapped.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), 4096, access, flags, -1, 0) };
        assert_ne!(at, libc::MAP_FAILED);
        Begun(at.cast())
    }

    fn all(&self) -> &[AtomicU32; TASKS] {
        // SAFETY: it was mapped, and is all zero to begin with.
        unsafe { &*self.0 }
    }
}

fn work(mut worker: Worker, begun: &Begun) -> io::Result<()> {
    worker.ready()?;
    loop {
        match worker.order()? {
            Order::Task(message) => {
                // SAFETY: the message has not been passed.
                let number = u32::from_ne_bytes(unsafe { message.body().cast::<[u8; 4]>().read() });
                drop(message);
                worker.pass();
                begun.all()[number as usize].fetch_add(1, Ordering::SeqCst);
                while !worker.finish(0, &[&number.to_ne_bytes(), &FILLING[..length(number)]], &[])? {
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

fn descriptors(opening: &Opening) -> [OwnedFd; 3] {
    opening.ends.fds().map(|fd| fd.try_clone_to_owned().expect("a descriptor"))
}

fn serve(ends: [OwnedFd; 3], bell: &OwnedFd, begun: &Begun) {
    let bell = bell.try_clone().expect("a descriptor");
    // SAFETY: one process alone works on these ends.
    let worker = unsafe { Worker::new(Ends::adopt(ends).expect("a link"), bell) };
    work(worker.expect("a link"), begun).expect("whole");
}

fn pidfd(pid: libc::pid_t) -> OwnedFd {
    // SAFETY: the descriptor is new.
    unsafe { OwnedFd::from_raw_fd(libc::syscall(libc::SYS_pidfd_open, pid, 0) as i32) }
}

#[derive(Debug, Default)]
struct Seen {
    done: Vec<u32>,
    lost: Vec<u32>,
    gone: usize,
}

impl Seen {
    fn turn(&mut self, pool: &Pool<Task>) {
        pool.turn(&mut |event| match event {
            Event::Done(job, _, message) => {
                // SAFETY: the message is being told of.
                let body = unsafe { message.body().as_ref() };
                assert!(body[..4] == job.cargo.0.to_ne_bytes() && body.len() == 4 + length(job.cargo.0));
                assert!(body[4..].iter().all(|&byte| byte == 2));
                self.done.push(job.cargo.0);
            }
            Event::Gone(gone) => {
                self.lost.extend(gone.lost.into_iter().map(|job| job.cargo.0));
                self.gone += 1;
            }
            Event::Ready(_) => {}
            other => panic!("{other:?}"),
        });
        if self.done.len() + self.lost.len() == TASKS {
            drop(pool.close());
        }
    }
}

/// One pool, whose first worker is killed after so many instructions; how many it ran in all, and whether it was killed.
fn killed_after(limit: u64) -> Option<(u64, bool)> {
    let (pool, begun, mut seen) = (Pool::new().expect("descriptors"), Begun::new(), Seen::default());
    for number in 0..TASKS as u32 {
        drop(pool.push(Job::new(Task(number))));
    }
    let bell = pool.bell().try_clone_to_owned().expect("a descriptor");
    let opening = pool.prepare().expect("memory");
    let ends = descriptors(&opening);
    let mut opening = Some(opening);
    let stepped = stepping::run(
        || serve(ends, &bell, &begun),
        |child, steps| {
            if let Some(opening) = opening.take() {
                drop(pool.add(opening, pidfd(child), None).expect("a descriptor"));
            }
            if steps % 16 == 0 {
                seen.turn(&pool);
            }
            steps < limit
        },
    )?;
    if !stepped.ended {
        finish(&pool, &mut seen, &bell, &begun);
    }
    check(&seen, &begun, limit);
    Some((stepped.steps, !stepped.ended))
}

/// What is left is done by a worker that nobody kills.
fn finish(pool: &Pool<Task>, seen: &mut Seen, bell: &OwnedFd, begun: &Begun) {
    let opening = pool.prepare().expect("memory");
    let ends = descriptors(&opening);
    // SAFETY: the child does nothing but to work, and ends without running anything else of the test's.
    let child = unsafe { libc::fork() };
    if child == 0 {
        serve(ends, bell, begun);
        // SAFETY: it is the child.
        unsafe { libc::_exit(0) };
    }
    drop(pool.add(opening, pidfd(child), None).expect("a descriptor"));
    let end = Instant::now() + Duration::from_secs(60);
    while seen.done.len() + seen.lost.len() < TASKS || seen.gone < 2 {
        assert!(Instant::now() < end, "{seen:?}, {:?}", pool.counts());
        pool.wait(Some(Duration::from_millis(20))).expect("it can wait");
        seen.turn(pool);
    }
    // SAFETY: it is a child of ours, and nobody else waits for it.
    assert_eq!(unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) }, child);
}

fn check(seen: &Seen, begun: &Begun, limit: u64) {
    let mut all = [seen.done.as_slice(), &seen.lost].concat();
    all.sort_unstable();
    assert_eq!(all, (0..TASKS as u32).collect::<Vec<_>>(), "killed after {limit}: {seen:?}");
    assert!(seen.lost.len() <= 1, "killed after {limit}: {seen:?}");
    for (number, times) in begun.all().iter().enumerate() {
        let times = times.load(Ordering::SeqCst);
        assert!(times == 1 || (times == 0 && seen.lost == [number as u32]), "killed after {limit}: {number}, {times}");
    }
}

#[test]
fn a_death_is_at_most_one_task_whenever_it_comes() {
    let Some((whole, killed)) = killed_after(u64::MAX) else {
        eprintln!("skipped: processes must not be traced here");
        return;
    };
    assert!(!killed && whole > 1000);
    let points = if std::env::var_os("FENSHEN_SOAK").is_some_and(|v| v == "1") { 300 } else { 8 };
    let stride = (whole / points).max(1);
    // Another beginning for each run, so that they all come at some time.
    let first = u64::from(std::process::id()) % stride;
    for limit in (first..whole).step_by(stride as usize) {
        killed_after(limit);
    }
}
