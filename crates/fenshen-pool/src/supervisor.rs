//! Who looks after a pool's workers in a program that is Rust alone: makes them, replaces them, and waits for them.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use fenshen_shm::Message;

use crate::crew::Aftermath;
use crate::death::{Death, Deaths};
use crate::job::{Cargo, Job};
use crate::lifeline::Lifeline;
use crate::link::Ends;
use crate::pidfd::Pidfd;
use crate::pool::{Event, Gone, Pool};
use crate::template::{Order, Template, Told};
use crate::worker::Worker;

/// After so many workers in a row that ended before they were ready, no more are made.
const STILLBORN: u32 = 3;
/// A process that was killed ends; if the kernel is held up, nobody waits for ever.
const END: Duration = Duration::from_secs(10);

/// What has become of a task or a worker.
#[derive(Debug)]
pub enum Report<C> {
    /// A task has ended: its result, with the worker's flavour. One that [passes](Message::is_passing) is not to be kept.
    Done(Arc<Job<C>>, u32, Message),
    /// A part of a task's result.
    Item(Arc<Job<C>>, u32, Message),
    /// Something else that a worker says, with its flavour: the number of its process.
    Note(i32, u32, Message),
    /// A task has no result, and will have none.
    Lost(Arc<Job<C>>, Loss),
    /// A worker was made: the number of its process.
    Began(i32),
    /// A worker has ended, and whether it was to.
    Ended(Death, bool),
}

/// Why a task has no result.
#[derive(Debug)]
pub enum Loss {
    /// Its worker died while it ran, once more often than it may be tried again.
    Died(Death),
    /// It ran longer than it may.
    TimedOut,
    /// It could not be sent.
    Refused(io::Error),
}

/// A worker's process.
struct Staff {
    pid: i32,
    pidfd: Pidfd,
}

/// What workers are copies of.
struct Origin {
    template: Template,
    process: Pidfd,
}

/// As many workers of a pool as there are to be, copies of one template, each replaced when it ends.
///
/// Dropped, it kills those that are left. What becomes of tasks and workers is [told](Supervisor::turn) on one thread; tasks
/// may be pushed to the pool by any.
pub struct Supervisor<C> {
    pool: Arc<Pool<C>>,
    size: usize,
    most: Option<u32>,
    work: fn(Worker) -> io::Result<()>,
    staff: HashMap<u32, Staff>,
    /// Those that are to end, and count no more.
    leaving: HashSet<u32>,
    origin: Option<Origin>,
    lifeline: Lifeline,
    deaths: Deaths,
    stillborn: u32,
    closing: bool,
    unsaid: Vec<Report<C>>,
}

impl<C> std::fmt::Debug for Supervisor<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supervisor").field("size", &self.size).finish_non_exhaustive()
    }
}

impl<C: Cargo> Supervisor<C> {
    /// Makes so many workers, each for `most` tasks if that is said, which do `work`: it serves the pool until it is told to
    /// [stop](crate::Order::Stop). An error is the worker's exit status 1.
    ///
    /// # Errors
    /// What the kernel says: no descriptor, memory or process left.
    ///
    /// # Safety
    /// As for `fork`, now and whenever a template was killed and another takes its place: what other threads of this process
    /// hold at that moment is held for ever in the workers.
    pub unsafe fn start(
        pool: Arc<Pool<C>>,
        size: usize,
        most: Option<u32>,
        work: fn(Worker) -> io::Result<()>,
    ) -> io::Result<Supervisor<C>> {
        let mut this = Supervisor {
            pool,
            size,
            most,
            work,
            staff: HashMap::new(),
            leaving: HashSet::new(),
            origin: None,
            lifeline: Lifeline::new()?,
            deaths: Deaths::new(),
            stillborn: 0,
            closing: false,
            unsaid: Vec::new(),
        };
        this.fill()?;
        Ok(this)
    }

    /// The numbers of the workers' processes.
    #[must_use]
    pub fn pids(&self) -> Vec<i32> {
        self.staff.values().map(|worker| worker.pid).collect()
    }

    /// The number of the process that a task was sent to, if it has not ended.
    #[must_use]
    pub fn pid_of(&self, job: &Arc<Job<C>>) -> Option<i32> {
        let has_it = |id| self.pool.tasks_of(id).iter().any(|other| Arc::ptr_eq(other, job));
        self.staff.iter().find(|&(&id, _)| has_it(id)).map(|(_, worker)| worker.pid)
    }

    /// Has another number of workers: more at once; fewer as they end what they have begun, those first that have least.
    ///
    /// # Errors
    /// As [`start`](Supervisor::start).
    pub fn resize(&mut self, size: usize) -> io::Result<()> {
        self.size = size;
        let mut staying: Vec<u32> = self.staff.keys().copied().filter(|id| !self.leaving.contains(id)).collect();
        staying.sort_by_key(|&id| (self.pool.tasks_of(id).len(), std::cmp::Reverse(id)));
        let too_many = staying.len().saturating_sub(size);
        for id in staying.into_iter().take(too_many) {
            self.leaving.insert(id);
            let (_, after) = self.pool.retire(id);
            self.refused(after);
        }
        self.fill()
    }

    /// No more tasks come: workers end when nothing is left to do.
    pub fn close(&mut self) {
        self.closing = true;
        let after = self.pool.close();
        self.refused(after);
    }

    /// Waits until something has happened, for `patience` at most, and tells `each` of it. False if no worker is left, as
    /// after [`close`](Supervisor::close).
    ///
    /// # Errors
    /// What the kernel says when a worker cannot be replaced, or that workers end before they are ready.
    pub fn turn(&mut self, patience: Option<Duration>, each: &mut dyn FnMut(Report<C>)) -> io::Result<bool> {
        self.unsaid.drain(..).for_each(&mut *each);
        if self.staff.is_empty() {
            return Ok(false);
        }
        self.pool.wait(patience)?;
        let pool = self.pool.clone();
        let mut outcome = Ok(());
        pool.turn(&mut |event| {
            if let Err(error) = self.take(event, each) {
                outcome = Err(error);
            }
        });
        self.unsaid.drain(..).for_each(&mut *each);
        outcome.map(|()| !self.staff.is_empty())
    }

    fn take(&mut self, event: Event<C>, each: &mut dyn FnMut(Report<C>)) -> io::Result<()> {
        match event {
            Event::Done(job, flavour, message) => each(Report::Done(job, flavour, message)),
            Event::Item(job, flavour, message) => each(Report::Item(job, flavour, message)),
            Event::Note(id, flavour, message) => {
                let pid = self.staff.get(&id).map_or(0, |worker| worker.pid);
                each(Report::Note(pid, flavour, message));
            }
            Event::TimedOut(job) => each(Report::Lost(job, Loss::TimedOut)),
            Event::Refused(job, error) => each(Report::Lost(job, Loss::Refused(error))),
            Event::Ready(_) => self.stillborn = 0,
            Event::Retiring(id) => {
                self.leaving.insert(id);
                return self.fill();
            }
            Event::Corrupt(..) => {} // it is killed, and told of when it has ended
            Event::Gone(gone) => return self.bury(gone, each),
        }
        Ok(())
    }

    fn bury(&mut self, gone: Gone<C>, each: &mut dyn FnMut(Report<C>)) -> io::Result<()> {
        let Some(worker) = self.staff.remove(&gone.worker) else {
            return Ok(());
        };
        self.leaving.remove(&gone.worker);
        let death = self.deaths.read(worker.pid, worker.pidfd.reap().ok().flatten());
        gone.lost.into_iter().for_each(|job| each(Report::Lost(job, Loss::Died(death))));
        each(Report::Ended(death, gone.expected));
        if !gone.was_ready && !gone.expected {
            self.stillborn += 1;
            if self.stillborn >= STILLBORN {
                return Err(io::Error::other(format!("workers end before they are ready: {death}")));
            }
        }
        self.fill()
    }

    /// Makes the workers that are missing.
    fn fill(&mut self) -> io::Result<()> {
        while self.staff.len() - self.leaving.len() < self.size {
            if self.closing && self.pool.counts().queued == 0 {
                break;
            }
            self.add()?;
        }
        Ok(())
    }

    fn add(&mut self) -> io::Result<()> {
        let opening = self.pool.prepare()?;
        let pid = {
            let [segment, tasks, results] = opening.ends.fds();
            let pool = self.pool.clone();
            self.make(Order { bytes: &[], files: &[segment, tasks, results, pool.bell()] })?
        };
        // Nobody else waits for it, so the number is its own.
        let opened = Pidfd::open(pid).and_then(|pidfd| Ok((pidfd.as_fd().try_clone_to_owned()?, pidfd)));
        let added = opened.and_then(|(copy, pidfd)| Ok((self.pool.add(opening, copy, self.most)?, pidfd)));
        let ((id, after), pidfd) = added.inspect_err(|_| end(pid))?;
        self.staff.insert(id, Staff { pid, pidfd });
        self.unsaid.push(Report::Began(pid));
        self.refused(after);
        Ok(())
    }

    /// A worker's process, from the template that there is, or from another in its place if it was killed.
    fn make(&mut self, order: Order<'_>) -> io::Result<i32> {
        if let Some(origin) = &self.origin {
            if let Some(made) = origin.template.start(&[order]).pop() {
                return made;
            }
            origin.process.signal(libc::SIGKILL)?;
            origin.process.wait(END)?;
            origin.process.reap()?;
            origin.template.untold().into_iter().for_each(end);
            self.origin = None;
        }
        let work = self.work;
        // SAFETY: as the caller of `start` has promised.
        let (template, pid) = unsafe { Template::fork(&mut self.lifeline, &mut (), |told| serve(told, work)) }?;
        let process = Pidfd::open(pid).inspect_err(|_| end(pid))?;
        let origin = self.origin.insert(Origin { template, process });
        origin.template.start(&[order]).pop().unwrap_or_else(|| Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn refused(&mut self, after: Aftermath<C>) {
        self.unsaid.extend(after.refused.into_iter().map(|(job, error)| Report::Lost(job, Loss::Refused(error))));
    }
}

impl<C> Drop for Supervisor<C> {
    fn drop(&mut self) {
        let all = self.staff.drain().map(|(_, worker)| worker.pidfd);
        let all: Vec<Pidfd> = all.chain(self.origin.take().map(|origin| origin.process)).collect();
        // What fails here has ended already.
        all.iter().for_each(|process| drop(process.signal(libc::SIGKILL)));
        all.iter().for_each(|process| drop(process.wait(END).and_then(|_| process.reap())));
    }
}

/// What a worker's process does: its exit status.
fn serve(told: Told, work: fn(Worker) -> io::Result<()>) -> i32 {
    let Ok([segment, tasks, results, bell]) = <[OwnedFd; 4]>::try_from(told.files) else {
        return 1;
    };
    let ends = Ends::adopt([segment, tasks, results]);
    // SAFETY: the ends were made for this process.
    let worker = ends.and_then(|ends| unsafe { Worker::new(ends, bell) });
    i32::from(worker.and_then(work).is_err())
}

/// Ends a child that nobody knows, and waits for it.
fn end(pid: i32) {
    // SAFETY: it is a child that nobody has waited for, so the number is its own.
    unsafe {
        libc::kill(pid, libc::SIGKILL);
        libc::waitpid(pid, std::ptr::null_mut(), 0);
    }
}
