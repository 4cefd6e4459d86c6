//! Tasks that send items, with forked workers.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fenshen_pool::{Cancelled, Cargo, Ends, Event, Job, Order, Permit, Pool, Worker, Write};

const RETURNED: u32 = 0;
const STOPPED: u32 = 1;

/// A task that counts.
#[derive(Clone, Copy, Debug)]
struct Count {
    upto: u32,
    window: u32,
    /// After so many items the worker is killed.
    dies_at: u32,
    /// It sends without a permit.
    rude: bool,
    retries: u32,
}

const PLAIN: Count = Count { upto: 100, window: 4, dies_at: u32::MAX, rude: false, retries: 0 };

impl Cargo for Count {
    fn pack(&self, write: &mut Write<'_>) -> io::Result<bool> {
        let words = [self.upto, self.dies_at, self.rude.into()].map(u32::to_ne_bytes);
        write(&[words.as_flattened()], &[])
    }

    fn window(&self) -> u32 {
        self.window
    }

    fn retries(&self) -> u32 {
        self.retries
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[4 * at..4 * at + 4].try_into().expect("four bytes"))
}

/// Whether the pool wants another item.
fn may_send(worker: &Worker, rude: bool) -> bool {
    loop {
        match worker.permit() {
            _ if rude => return true,
            Permit::Send => return true,
            Permit::Stop => return false,
            Permit::Wait => drop(worker.sleep_without_permit()),
        }
    }
}

fn count(worker: &mut Worker, [upto, dies_at, rude]: [u32; 3]) -> io::Result<()> {
    let mut flavour = RETURNED;
    for i in 0..upto {
        if worker.is_stream() && !may_send(worker, rude != 0) {
            flavour = STOPPED;
            break;
        }
        if i == dies_at {
            // SAFETY: the process is to be killed.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        }
        while worker.is_stream() && !worker.item(0, &[&i.to_ne_bytes()], &[])? {
            worker.sleep_crowded();
        }
    }
    while !worker.finish(flavour, &[], &[])? {
        worker.sleep_crowded();
    }
    Ok(())
}

fn work(mut worker: Worker) -> io::Result<()> {
    worker.ready()?;
    loop {
        match worker.order()? {
            Order::Task(message) => {
                // SAFETY: the message has not been passed.
                let body = unsafe { message.body().as_ref() };
                let what = [0, 1, 2].map(|at| number(body, at));
                worker.pass();
                count(&mut worker, what)?;
            }
            Order::Prelude(_) | Order::Forget => worker.pass(),
            Order::Stop => return Ok(()),
            Order::Nothing => drop(worker.sleep()),
        }
    }
}

/// A pool, its workers, and what has happened.
struct Scene {
    pool: Pool<Count>,
    pids: Vec<i32>,
    items: Vec<u32>,
    ended: Vec<u32>,
    lost: usize,
    corrupt: Vec<String>,
}

impl Scene {
    fn new(workers: usize) -> Scene {
        let pool = Pool::new().expect("descriptors");
        let (items, ended, corrupt) = (Vec::new(), Vec::new(), Vec::new());
        let mut scene = Scene { pool, pids: Vec::new(), items, ended, lost: 0, corrupt };
        (0..workers).for_each(|_| scene.start());
        scene
    }

    fn start(&mut self) {
        let opening = self.pool.prepare().expect("memory");
        let bell = self.pool.bell().try_clone_to_owned().expect("a descriptor");
        // SAFETY: the child does nothing but to work, and ends without running anything else of the test's.
        unsafe {
            let pid = libc::fork();
            if pid == 0 {
                let ends = Ends::adopt(opening.ends.fds().map(|fd| fd.try_clone_to_owned().expect("a descriptor")));
                let done = ends.and_then(|ends| Worker::new(ends, bell)).and_then(work);
                libc::_exit(i32::from(done.is_err()));
            }
            let pidfd = OwnedFd::from_raw_fd(libc::syscall(libc::SYS_pidfd_open, pid, 0) as i32);
            drop(self.pool.add(opening, pidfd, None).expect("a descriptor"));
            self.pids.push(pid);
        }
    }

    fn push(&self, cargo: Count) -> Arc<Job<Count>> {
        let job = Job::new(cargo);
        drop(self.pool.push(job.clone()));
        job
    }

    fn turn(&mut self) {
        let Scene { pool, items, ended, lost, corrupt, .. } = self;
        pool.wait(Some(Duration::from_millis(20))).expect("it can wait");
        pool.turn(&mut |event| match event {
            // SAFETY: the message is being told of.
            Event::Item(_, _, message) => items.push(number(unsafe { message.body().as_ref() }, 0)),
            Event::Done(_, flavour, _) => ended.push(flavour),
            Event::Gone(gone) => *lost += gone.lost.len(),
            Event::Corrupt(_, why) => corrupt.push(why),
            Event::Ready(_) => {}
            other => panic!("{other:?}"),
        });
    }

    fn until(&mut self, done: impl Fn(&Scene) -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !done(self) {
            assert!(Instant::now() < end, "{:?}, {:?}, {:?}", self.items, self.ended, self.pool.counts());
            self.turn();
        }
    }

    fn end(mut self) {
        assert!(self.pool.stop_streams().is_empty());
        drop(self.pool.close());
        self.until(|s| s.pool.counts().workers == 0);
        for &pid in &self.pids {
            let mut status = 0;
            // SAFETY: it is a child of ours, and nobody else waits for it.
            assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
        }
    }
}

#[test]
fn no_more_items_come_than_were_granted() {
    let mut scene = Scene::new(1);
    let job = scene.push(PLAIN);
    let mut granted = 4;
    while granted < 100 {
        scene.until(|s| s.items.len() == granted);
        scene.turn();
        assert_eq!(scene.items.len(), granted);
        scene.pool.grant(&job, 3);
        granted += 3;
    }
    scene.until(|s| s.ended == [RETURNED]);
    assert!(scene.items.iter().copied().eq(0..100));
    scene.pool.grant(&job, 1);
    scene.end();
}

#[test]
fn nothing_is_sent_behind_one_that_waits() {
    let mut scene = Scene::new(2);
    let short = Count { upto: 0, window: 0, ..PLAIN };
    (0..100).for_each(|_| drop(scene.push(short)));
    scene.until(|s| s.ended.len() == 100);
    let stream = scene.push(PLAIN);
    scene.until(|s| s.items.len() == 4);
    (0..100).for_each(|_| drop(scene.push(short)));
    scene.until(|s| s.ended.len() == 200);
    assert!(matches!(scene.pool.stop(&stream), (Cancelled::Running, _)));
    scene.until(|s| s.ended.len() == 201);
    assert_eq!(scene.ended.last(), Some(&STOPPED));
    assert!(matches!(scene.pool.stop(&stream), (Cancelled::Ended, _)));
    scene.end();
}

#[test]
fn one_that_has_not_begun_is_taken_back() {
    let mut scene = Scene::new(1);
    let first = scene.push(PLAIN);
    scene.until(|s| s.items.len() == 4);
    let others = [scene.push(PLAIN), scene.push(PLAIN)];
    assert!(matches!(scene.pool.stop(&others[0]), (Cancelled::Yes, _)));
    let taken = scene.pool.stop_streams();
    assert_eq!(taken.len(), 1);
    assert!(Arc::ptr_eq(&taken[0], &others[1]));
    scene.until(|s| s.ended == [STOPPED]);
    assert!(!first.is_pending());
    assert_eq!(scene.items.len(), 4);
    scene.end();
}

#[test]
fn a_death_follows_its_items_and_is_not_repeated() {
    let mut scene = Scene::new(1);
    scene.push(Count { dies_at: 3, retries: 5, ..PLAIN });
    scene.until(|s| s.lost == 1);
    assert_eq!(scene.items, [0, 1, 2]);
    scene.end();
}

#[test]
fn one_that_nobody_has_seen_anything_of_is_run_again() {
    let mut scene = Scene::new(3);
    scene.push(Count { dies_at: 0, retries: 2, ..PLAIN });
    scene.until(|s| s.lost == 1);
    assert_eq!(scene.pool.counts().workers, 0);
    scene.end();
}

#[test]
fn a_worker_that_sends_too_much_is_ended() {
    let mut scene = Scene::new(1);
    scene.push(Count { rude: true, upto: 1000, ..PLAIN });
    scene.until(|s| s.lost == 1);
    assert_eq!(scene.items, [0, 1, 2, 3]);
    assert_eq!(scene.corrupt.len(), 1);
    assert!(scene.corrupt[0].contains("more items than were asked for"), "{:?}", scene.corrupt);
    scene.end();
}
