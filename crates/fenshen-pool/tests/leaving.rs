//! A worker that leaves between tasks: what it was sent is done by others, and it ends, even if it lives with the signal that
//! was to end it.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fenshen_pool::{Cargo, Job, Order, Pool, Report, Supervisor, Worker, Write};

const LIMIT: Duration = Duration::from_secs(60);

/// How long a task takes, in milliseconds.
struct Task(u64);

impl Cargo for Task {
    fn pack(&self, write: &mut Write<'_>) -> io::Result<bool> {
        write(&[&self.0.to_ne_bytes()], &[])
    }
}

/// Does one task and leaves.
fn work(mut worker: Worker) -> io::Result<()> {
    // SAFETY: no handler is installed.
    unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
    worker.ready()?;
    loop {
        match worker.order()? {
            Order::Task(message) => {
                // SAFETY: the message has not been passed.
                let millis = u64::from_ne_bytes(unsafe { message.body().cast::<[u8; 8]>().read() });
                drop(message);
                worker.pass();
                std::thread::sleep(Duration::from_millis(millis));
                while !worker.finish(0, &[], &[])? {
                    worker.sleep_crowded();
                }
                while !worker.leave()? {
                    worker.sleep_crowded();
                }
            }
            Order::Stop => return Ok(()),
            Order::Nothing => drop(worker.sleep()),
            _ => worker.pass(),
        }
    }
}

#[derive(Default)]
struct Seen {
    done: usize,
    began: usize,
    ended: usize,
}

fn until(workers: &mut Supervisor<Task>, seen: &mut Seen, enough: impl Fn(&Seen) -> bool) {
    let end = Instant::now() + LIMIT;
    while !enough(seen) {
        assert!(Instant::now() < end, "{} done, {} began, {} ended", seen.done, seen.began, seen.ended);
        let note = &mut |report| match report {
            Report::Done(..) => seen.done += 1,
            Report::Began(_) => seen.began += 1,
            Report::Ended(death, expected) => {
                assert!(expected, "{death}");
                seen.ended += 1;
            }
            report => panic!("{}", matches!(report, Report::Lost(..))),
        };
        workers.turn(Some(Duration::from_millis(10)), note).expect("workers can be made");
    }
}

fn start(size: usize) -> (Arc<Pool<Task>>, Supervisor<Task>) {
    let pool = Arc::new(Pool::new().expect("descriptors"));
    // SAFETY: the tests' threads hold nothing that a worker needs: the C library's memory is cared for.
    let workers = unsafe { Supervisor::start(pool.clone(), size, None, work) }.expect("processes");
    (pool, workers)
}

#[test]
fn others_do_what_it_was_sent() {
    let (pool, mut workers) = start(2);
    let mut seen = Seen::default();
    (0..20).for_each(|_| drop(pool.push(Job::new(Task(0)))));
    until(&mut workers, &mut seen, |seen| seen.done == 20);
    workers.close();
    until(&mut workers, &mut seen, |seen| seen.began == seen.ended);
    assert!(seen.began >= 20, "{} began", seen.began);
    assert!(workers.pids().is_empty());
}

#[test]
fn it_ends_though_it_lives_with_a_signal() {
    let (pool, mut workers) = start(1);
    let mut seen = Seen::default();
    let first = Job::new(Task(300));
    drop(pool.push(first.clone()));
    drop(pool.push(Job::new(Task(0))));
    until(&mut workers, &mut seen, |_| pool.is_running(&first));
    pool.kill(libc::SIGTERM);
    until(&mut workers, &mut seen, |seen| seen.done == 2 && seen.ended >= 1);
    workers.close();
    until(&mut workers, &mut seen, |seen| seen.began == seen.ended);
}
