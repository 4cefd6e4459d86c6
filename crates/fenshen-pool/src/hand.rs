//! A worker as the pool sees it: what it was sent, and what it may be sent.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use fenshen_shm::{Segment, Sender};
use rustix::process::Signal;

use crate::credit::Credit;
use crate::job::{Cargo, Job, Place};
use crate::kind::{PRELUDE, STOP, TASK};
use crate::lease::Leases;
use crate::link::face;

/// A task that a worker was sent; without the job, it has ended already and the worker is being killed.
pub(crate) struct Flying<C> {
    pub(crate) seq: u32,
    pub(crate) job: Option<Arc<Job<C>>>,
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
    /// How many tasks it may still be sent, where that is limited.
    left: Option<u32>,
    sender: Sender,
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
    ) -> Hand<C> {
        Hand {
            id,
            stage: Stage::Starting,
            credit: Credit::default(),
            flying: VecDeque::new(),
            pidfd,
            shared,
            left: most,
            sender,
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
            Stage::Working => self.flying.len() < self.credit.tasks(),
            Stage::Retiring | Stage::Ending => false,
        }
    }

    /// Whether it has nothing to do, and could.
    pub(crate) fn is_idle(&self) -> bool {
        self.stage == Stage::Working && self.flying.is_empty()
    }

    /// Sends a task; false if there is no room.
    pub(crate) fn send(&mut self, job: &Arc<Job<C>>) -> io::Result<bool> {
        if let Some(prelude) = job.cargo.prelude()
            && !self.known.contains(&prelude.name)
        {
            if !self.sender.send(PRELUDE, prelude.name, &[&prelude.body], &[])? {
                return Ok(false);
            }
            self.known.insert(prelude.name);
        }
        let seq = self.seq.wrapping_add(1) & (u32::MAX >> 2);
        face(&self.shared).leases.offer(seq);
        let sender = &mut self.sender;
        if !job.cargo.pack(&mut |body, parts| sender.send(TASK, seq.into(), body, parts))? {
            return Ok(false);
        }
        self.seq = seq;
        job.put(Place::Sent(self.id, seq));
        self.flying.push_back(Flying { seq, job: Some(job.clone()) });
        face(&self.shared).asleep.wake();
        if let Some(left) = &mut self.left {
            *left -= 1;
            if *left == 0 && self.stage == Stage::Working {
                self.stage = Stage::Retiring;
            }
        }
        Ok(true)
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
        if !self.leases().revoke(seq) {
            return None;
        }
        self.give_back();
        self.flying.remove(at).and_then(|f| f.job)
    }

    /// A task that it was sent does not count.
    fn give_back(&mut self) {
        if let Some(left) = &mut self.left {
            *left += 1;
            if self.stage == Stage::Retiring {
                self.stage = Stage::Working;
            }
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
        if self.stage == Stage::Ending || !self.flying.is_empty() || !self.sender.send(STOP, 0, &[], &[])? {
            return Ok(false);
        }
        self.stage = Stage::Ending;
        face(&self.shared).asleep.wake();
        Ok(true)
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.stage = Stage::Ending;
        rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL).ok();
    }
}
