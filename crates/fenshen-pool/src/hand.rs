//! A worker as the pool sees it: what it was sent, and what it may be sent.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use fenshen_shm::{Corrupt, Segment, Sender};
use rustix::process::Signal;

use crate::clock::now;
use crate::credit::Credit;
use crate::job::{Cargo, Job, Place};
use crate::kind::{FORGET, PRELUDE, STOP, TASK};
use crate::lease::{LEASES, Leases, NUMBERS};
use crate::link::face;
use crate::many::{self, Many};
use crate::sync::Ordering;
use crate::window::Window;

/// How long ago an interrupt may have come to be the one that the program goes by.
const FRESH: Duration = Duration::from_secs(60);

/// How many preludes a worker keeps.
const KNOWN: usize = 1024;

/// A task that a worker was sent; without the job, it has ended already and the worker is being killed.
pub(crate) struct Flying<C> {
    pub(crate) seq: u32,
    pub(crate) job: Option<Arc<Job<C>>>,
    /// For one that sends items.
    pub(crate) window: Option<Window>,
    /// It was asked to end.
    pub(crate) asked: bool,
}

/// How far a worker has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Starting,
    Working,
    /// It gets no more tasks, and ends when it has run those that it has.
    Retiring,
    /// It was told to end, or killed.
    Ending,
}

pub(crate) struct Hand<C> {
    pub(crate) id: u32,
    pub(crate) stage: Stage,
    pub(crate) credit: Credit,
    pub(crate) flying: VecDeque<Flying<C>>,
    pub(crate) pidfd: Arc<OwnedFd>,
    pub(crate) shared: Arc<Segment>,
    /// For one that runs many tasks at once.
    pub(crate) many: Option<Many>,
    /// How many tasks it may still be sent, where that is limited.
    left: Option<u32>,
    sender: Sender,
    /// Whether it was told to end.
    told: bool,
    seq: u32,
    known: HashSet<u64>,
}

impl<C: Cargo> Hand<C> {
    pub(crate) fn new(
        id: u32,
        sender: Sender,
        shared: Arc<Segment>,
        pidfd: Arc<OwnedFd>,
        most: Option<u32>,
        many: Option<Many>,
    ) -> Hand<C> {
        Hand {
            id,
            stage: Stage::Starting,
            credit: Credit::default(),
            flying: VecDeque::new(),
            pidfd,
            shared,
            many,
            left: most,
            sender,
            told: false,
            seq: 0,
            known: HashSet::new(),
        }
    }

    pub(crate) fn leases(&self) -> &Leases {
        &face(&self.shared).leases
    }

    /// Whether it may be sent a task now.
    pub(crate) fn has_credit(&self) -> bool {
        match self.stage {
            Stage::Starting => self.flying.is_empty(),
            Stage::Working if let Some(many) = &self.many => self.flying.len() < many.most as usize,
            // Whoever takes items may take all the time in the world: nothing is sent behind a task that sends them.
            Stage::Working => self.flying.len() < self.credit.tasks() && self.has_lease() && !self.ends_in_stream(),
            Stage::Retiring | Stage::Ending => false,
        }
    }

    fn ends_in_stream(&self) -> bool {
        self.flying.back().is_some_and(|f| f.window.is_some())
    }

    /// Whether the lease of the next task is nobody's: tasks that were taken back leave gaps, so a few may span the table.
    fn has_lease(&self) -> bool {
        self.flying.front().is_none_or(|first| (self.next().wrapping_sub(first.seq) & NUMBERS) < LEASES as u32)
    }

    fn next(&self) -> u32 {
        self.seq.wrapping_add(1) & NUMBERS
    }

    /// Whether it has nothing to do, and could.
    pub(crate) fn is_idle(&self) -> bool {
        self.stage == Stage::Working && self.flying.is_empty()
    }

    /// Sends a task; false if there is no room.
    pub(crate) fn send(&mut self, job: &Arc<Job<C>>) -> io::Result<bool> {
        match self.many {
            None => self.send_now(job),
            Some(_) => many::with_room(face(&self.shared.clone()), || self.send_now(job)),
        }
    }

    fn send_now(&mut self, job: &Arc<Job<C>>) -> io::Result<bool> {
        if let Some(prelude) = job.cargo.prelude()
            && !self.known.contains(&prelude.name)
        {
            if self.known.len() >= KNOWN {
                if !self.sender.send(FORGET, 0, &[], &[])? {
                    return Ok(false);
                }
                self.known.clear();
            }
            if !self.sender.send(PRELUDE, prelude.name, &[&prelude.body], &[])? {
                return Ok(false);
            }
            self.known.insert(prelude.name);
        }
        let seq = self.next();
        let items = job.cargo.window();
        let window = (items > 0).then(|| Window::new(items));
        self.leases().set_window(seq, window.map_or(0, Window::word));
        self.leases().offer(seq);
        let sender = &mut self.sender;
        if !job.cargo.pack(&mut |body, parts| sender.send(TASK, seq.into(), body, parts))? {
            return Ok(false);
        }
        self.seq = seq;
        job.put(Place::Sent(self.id, seq));
        self.flying.push_back(Flying { seq, job: Some(job.clone()), window, asked: false });
        self.wake();
        if let Some(left) = &mut self.left {
            *left -= 1;
            if *left == 0 && self.stage == Stage::Working {
                self.stage = Stage::Retiring;
            }
        }
        Ok(true)
    }

    /// Wakes it, if it sleeps.
    fn wake(&self) {
        match &self.many {
            None => face(&self.shared).asleep.wake(),
            Some(many) => many.wake(face(&self.shared)),
        }
    }

    /// A task's result has come: what it was; `None` if it cannot have ended.
    pub(crate) fn ended(&mut self, seq: u32) -> Option<Flying<C>> {
        let at = self.position(seq)?;
        // Tasks end in the order in which they were sent, unless they run beside each other.
        if at == 0 || self.many.is_some() { self.flying.remove(at) } else { None }
    }

    /// Where a task is among those that it has: their numbers go up, and around.
    fn position(&self, seq: u32) -> Option<usize> {
        let first = self.flying.front()?.seq;
        let behind = |seq: u32| seq.wrapping_sub(first) & NUMBERS;
        self.flying.binary_search_by_key(&behind(seq), |f| behind(f.seq)).ok()
    }

    /// Whether it has begun a task that it has.
    pub(crate) fn has_begun(&self, seq: u32) -> bool {
        match self.many {
            None => !self.leases().is_offered(seq),
            Some(_) => many::has_begun(face(&self.shared), seq),
        }
    }

    /// Asks a task that runs beside others to end; whether there is such a one.
    pub(crate) fn ask(&mut self, seq: u32) -> bool {
        let Some(at) = self.position(seq).filter(|_| self.many.is_some()) else {
            return false;
        };
        self.flying[at].asked = true;
        if let Some(many) = &mut self.many {
            many.ask(seq);
        }
        self.tell();
        true
    }

    /// Tells it what it could not be told before. An error is the ring's: it is found again when the worker is heard.
    pub(crate) fn tell(&mut self) {
        if let Some(many) = &mut self.many {
            many.tell(face(&self.shared), &mut self.sender).ok();
        }
    }

    /// A task's item has come; `None` if the task is given up.
    pub(crate) fn item(&mut self, seq: u32) -> Result<Option<Arc<Job<C>>>, Corrupt> {
        let first = self.flying.front_mut().filter(|f| f.seq == seq).ok_or(Corrupt("an item's task"))?;
        if !first.window.as_mut().is_some_and(Window::take) {
            return Err(Corrupt("more items than were asked for"));
        }
        Ok(first.job.clone())
    }

    /// Changes a task's window, and tells the worker.
    fn change(&mut self, seq: u32, how: impl FnOnce(&mut Window)) {
        let found = self.flying.iter_mut().find(|f| f.seq == seq).and_then(|f| f.window.as_mut());
        let Some(window) = found else { return };
        how(window);
        let word = window.word();
        self.leases().set_window(seq, word);
        self.wake();
    }

    /// A task may send so many items more.
    pub(crate) fn grant(&mut self, seq: u32, items: u32) {
        self.change(seq, |window| window.grant(items));
    }

    /// A task is to send no more items, and to end.
    pub(crate) fn stop(&mut self, seq: u32) {
        self.change(seq, Window::close);
    }

    /// The same for the one that sends items, if it has one; that is returned if it had not begun.
    pub(crate) fn stop_stream(&mut self) -> Option<Arc<Job<C>>> {
        let seq = self.flying.back().filter(|f| f.window.is_some())?.seq;
        let revoked = self.revoke(seq);
        if revoked.is_none() {
            self.stop(seq);
        }
        revoked
    }

    /// It says that it is ready.
    pub(crate) fn ready(&mut self) {
        if self.stage == Stage::Starting {
            self.stage = if self.left == Some(0) { Stage::Retiring } else { Stage::Working };
        }
    }

    /// Takes back a task that it has not begun; `None` if it has.
    pub(crate) fn revoke(&mut self, seq: u32) -> Option<Arc<Job<C>>> {
        let at = self.flying.iter().position(|f| f.seq == seq)?;
        if self.many.is_some() || !self.leases().revoke(seq) {
            return None;
        }
        self.give_back();
        self.flying.remove(at).and_then(|f| f.job)
    }

    /// Takes back, newest first, what lies behind a task that has begun, so that it can be killed for that one alone.
    /// False if one of them has begun too: then the task has ended, and its result is on its way.
    pub(crate) fn isolate(&mut self, seq: u32) -> (Vec<Arc<Job<C>>>, bool) {
        let mut back = Vec::new();
        while let Some(last) = self.flying.back().filter(|f| f.seq != seq) {
            if self.many.is_some() || !self.leases().revoke(last.seq) {
                return (back, false);
            }
            self.give_back();
            back.extend(self.flying.pop_back().and_then(|f| f.job));
        }
        (back, true)
    }

    /// A task that it was sent does not count.
    fn give_back(&mut self) {
        if let Some(left) = &mut self.left {
            if *left == 0 && self.stage == Stage::Retiring {
                self.stage = Stage::Working;
            }
            *left += 1;
        }
    }

    /// It gets no more tasks, whatever becomes of those that it has.
    pub(crate) fn retire(&mut self) {
        if self.stage != Stage::Ending {
            self.stage = Stage::Retiring;
            self.left = None; // a task that is given back does not change that
        }
    }

    /// Takes back what it has not begun, the last one first.
    pub(crate) fn revoke_all(&mut self) -> Vec<Arc<Job<C>>> {
        let mut jobs = Vec::new();
        while let Some(job) = self.flying.back().map(|f| f.seq).and_then(|seq| self.revoke(seq)) {
            jobs.push(job);
        }
        jobs
    }

    /// Tells it to end once it has nothing to do; whether it was told now.
    pub(crate) fn dismiss(&mut self) -> io::Result<bool> {
        if self.told || !self.flying.is_empty() || !self.sender.send(STOP, 0, &[], &[])? {
            return Ok(false);
        }
        self.told = true;
        self.stage = Stage::Ending;
        self.wake();
        Ok(true)
    }

    /// Passes an interrupt on to a task that began after it came, when the worker had none to run or another.
    pub(crate) fn interrupt(&self) {
        if self.many.is_some() {
            return; // its tasks are cancelled by those who wait for them
        }
        let began = self.flying.front().and_then(|f| self.leases().claimed(f.seq));
        if self.interrupted().zip(began).is_some_and(|(interrupted, began)| began >= interrupted) {
            rustix::process::pidfd_send_signal(&self.pidfd, Signal::INT).ok();
        }
    }

    /// When an interrupt came that the program may go by.
    pub(crate) fn interrupted(&self) -> Option<u64> {
        let interrupted = face(&self.shared).interrupted.load(Ordering::Acquire);
        (interrupted > 0 && now().saturating_sub(interrupted) < FRESH.as_nanos() as u64).then_some(interrupted)
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.stage = Stage::Ending;
        rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL).ok();
    }
}
