//! A pool of worker processes that survives what its tasks do: a program that is Rust alone.
//!
//! The workers are copies of a template, which is forked before the program has threads. Each is sent numbers through memory
//! that it shares with the program, and sends back the sums of their digits.
//!
//! Run: `cargo run -p fenshen-pool --example supervised_pool`

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fenshen_pool::{Cargo, Job, Loss, Order, Pool, Report, Supervisor, Worker};

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);

/// A task as the program has it.
#[derive(Debug, Default)]
struct Sum {
    of: u64,
    /// Whether the worker that runs it is to hang.
    hangs: AtomicBool,
    retries: u32,
}

impl Cargo for Sum {
    /// What is sent, once to each worker that is to try it.
    fn pack(&self, write: &mut fenshen_pool::Write<'_>) -> io::Result<bool> {
        let hangs = u64::from(self.hangs.load(Ordering::Relaxed));
        write(&[&self.of.to_ne_bytes(), &hangs.to_ne_bytes()], &[])
    }

    fn retries(&self) -> u32 {
        self.retries
    }
}

/// What each worker does.
fn work(mut worker: Worker) -> io::Result<()> {
    worker.ready()?;
    loop {
        match worker.order()? {
            Order::Task(message) => {
                // SAFETY: the bytes are the worker's until it passes the message.
                let body = unsafe { message.body().as_ref() };
                let [n, hangs] = [0, 8].map(|at| number(&body[at..]));
                worker.pass();
                if hangs == 1 {
                    std::thread::sleep(LIMIT);
                }
                let sum: u64 = n.to_string().bytes().map(|digit| u64::from(digit - b'0')).sum();
                while !worker.finish(0, &[&sum.to_ne_bytes()], &[])? {
                    worker.sleep_crowded();
                }
            }
            Order::Prelude(_) | Order::Forget => worker.pass(),
            Order::Stop => return Ok(()),
            Order::Nothing => drop(worker.sleep()),
        }
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

/// What has come of the tasks and the workers.
#[derive(Default)]
struct Seen {
    sums: BTreeMap<u64, u64>,
    lost: Vec<String>,
    began: usize,
    ended: usize,
}

impl Seen {
    fn note(&mut self, report: Report<Sum>) {
        match report {
            Report::Done(job, _, message) => {
                // SAFETY: the message is this call's.
                let sum = number(unsafe { message.body().as_ref() });
                assert_eq!(self.sums.insert(job.cargo.of, sum), None, "a task is done once");
            }
            Report::Lost(job, Loss::Died(death)) => {
                let how = death.exit.expect("nobody else waits for workers");
                self.lost.push(format!("{} was lost by {how}", job.cargo.of));
            }
            Report::Lost(job, loss) => panic!("{job:?}: {loss:?}"),
            Report::Began(_) => self.began += 1,
            Report::Ended(..) => self.ended += 1,
            Report::Item(..) | Report::Note(..) => unreachable!("these workers say no such thing"),
        }
    }
}

struct Program<'a> {
    pool: Arc<Pool<Sum>>,
    workers: Supervisor<Sum>,
    seen: Seen,
    out: &'a mut dyn Write,
}

impl<'a> Program<'a> {
    fn start(size: usize, most: Option<u32>, out: &'a mut dyn Write) -> io::Result<Program<'a>> {
        let pool = Arc::new(Pool::new()?);
        // SAFETY: no other thread of this program holds anything that a worker needs.
        let workers = unsafe { Supervisor::start(pool.clone(), size, most, work) }?;
        Ok(Program { pool, workers, seen: Seen::default(), out })
    }

    /// Takes what comes until there is enough.
    fn until(&mut self, enough: impl Fn(&Self) -> bool) -> io::Result<()> {
        let end = Instant::now() + LIMIT;
        while !enough(self) && Instant::now() < end {
            let Program { workers, seen, .. } = self;
            workers.turn(Some(Duration::from_millis(10)), &mut |report| seen.note(report))?;
        }
        if enough(self) { Ok(()) } else { Err(io::ErrorKind::TimedOut.into()) }
    }

    fn push(&self, job: Arc<Job<Sum>>) {
        assert!(self.pool.push(job).refused.is_empty(), "it is sent later, where there is no room");
    }

    fn push_all(&self, numbers: Range<u64>) {
        numbers.for_each(|of| self.push(Job::new(Sum { of, ..Sum::default() })));
    }

    /// Kills the worker amid a task, of which another worker would make more.
    fn kill_amid(&mut self, of: u64, retries: u32) -> io::Result<()> {
        let job = Job::new(Sum { of, hangs: AtomicBool::new(true), retries });
        self.push(job.clone());
        self.until(|this| this.pool.is_running(&job))?;
        job.cargo.hangs.store(false, Ordering::Relaxed);
        let pid = self.workers.pid_of(&job).expect("what runs a task is a process");
        // SAFETY: it is a child that nobody has waited for.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGKILL) }, 0);
        Ok(())
    }

    fn plain_tasks(&mut self) -> io::Result<()> {
        self.push_all(0..1000);
        self.until(|this| this.seen.sums.len() == 1000)?;
        let [last, all] = [self.seen.sums[&999], self.seen.sums.values().sum()];
        writeln!(self.out, "1000 tasks: the digits of 999 make {last}, all of them {all}")
    }

    fn deaths(&mut self) -> io::Result<()> {
        self.kill_amid(1000, 0)?;
        self.push_all(1001..1101);
        self.until(|this| this.seen.sums.len() == 1100 && this.seen.ended == 1)?;
        writeln!(self.out, "{}; the 100 after it were done", self.seen.lost.join(", "))?;
        self.kill_amid(1101, 1)?;
        self.until(|this| this.seen.sums.contains_key(&1101))?;
        writeln!(self.out, "1101 lost its worker too, was run again, and makes {}", self.seen.sums[&1101])
    }

    fn another_size(&mut self) -> io::Result<()> {
        for size in [4, 1] {
            self.workers.resize(size)?;
            self.until(|this| this.workers.pids().len() == size)?;
            writeln!(self.out, "resized: {size}")?;
        }
        Ok(())
    }

    fn the_end(mut self, tasks: Range<u64>) -> io::Result<Seen> {
        self.push_all(tasks);
        self.workers.close();
        self.until(|this| this.workers.pids().is_empty())?;
        Ok(self.seen)
    }
}

pub(crate) fn run(out: &mut dyn Write) -> io::Result<()> {
    let mut program = Program::start(2, None, out)?;
    program.plain_tasks()?;
    program.deaths()?;
    program.another_size()?;
    let Seen { sums, lost, began, ended } = program.the_end(2000..2100)?;
    writeln!(out, "closed: {} done, {} lost; {began} workers began, {ended} ended", sums.len(), lost.len())?;
    let seen = Program::start(1, Some(50), out)?.the_end(0..200)?;
    writeln!(out, "50 tasks to a worker: {} done by {}", seen.sums.len(), seen.ended)
}

#[allow(dead_code, reason = "the test of this example calls `run`")]
fn main() -> io::Result<()> {
    run(&mut io::stdout())
}
