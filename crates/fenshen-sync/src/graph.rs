//! Who waits for whom: the wait-for graph (E. G. Coffman, M. J. Elphick, A. Shoshani, "System Deadlocks", ACM Computing
//! Surveys 3(2), 1971), kept only for threads that block.
//!
//! A wait names those who could end it: a lock's owner, a thread, the workers of a pool; or nobody in particular, as with
//! an event that anyone may set. A set of threads is stuck when each of its members waits, without a deadline, for
//! members only: a knot, found by taking out, again and again, whoever somebody outside could help.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use crate::latch::{Held, Latch};
use crate::mutex::owner_in;
use crate::waiter::Waiter;
use crate::word::{Scope, Word};

/// Who could end a wait.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// Anyone.
    Anyone,
    /// The owner of a mutex; anyone, if it is not known. A lock whose owner alone may release it is `strict`.
    Owner {
        /// [`Mutex::owner_cell`](crate::Mutex::owner_cell); alive as long as the wait.
        cell: *const Word,
        /// Whether nobody else may release it.
        strict: bool,
    },
    /// A thread, by its end.
    Thread(u32),
    /// Any of the threads that `list` puts into the vector; anyone, if it returns false.
    Among {
        /// Lists them.
        list: unsafe fn(*const (), &mut Vec<u32>) -> bool,
        /// What it gets; alive as long as the wait.
        of: *const (),
    },
}

/// A thread that waits. It lies on the thread's stack.
#[derive(Debug)]
pub struct Wait {
    /// Who waits.
    pub thread: u32,
    /// For whom.
    pub target: Target,
    /// Whether it ends by itself some day.
    pub timed: bool,
    /// Whether the waiter has nothing to do, and nobody expects anything of it: an idle worker.
    pub idle: bool,
    /// The number of the primitive that it waits for, for messages: what it means is the caller's.
    pub what: usize,
    /// The waits of a process, numbered in the order in which they began.
    pub order: u64,
    /// What the thread sleeps on.
    pub waiter: *const Waiter,
    /// Left by whoever ends the wait with an error; the waiter takes it when it is poked.
    pub verdict: AtomicPtr<()>,
    at: Cell<usize>,
}

struct Graph {
    latch: Latch,
    waits: Cell<Vec<*const Wait>>,
}

// SAFETY: the vector is only touched by the latch's holder, and what it points to is alive while it is there.
unsafe impl Sync for Graph {}

#[cfg(not(loom))]
static GRAPH: Graph = Graph { latch: Latch::new(), waits: Cell::new(Vec::new()) };
#[cfg(loom)]
loom::lazy_static! {
    static ref GRAPH: Graph = Graph { latch: Latch::new(), waits: Cell::new(Vec::new()) };
}
static ORDER: AtomicU64 = AtomicU64::new(1);

impl Wait {
    /// A wait that is about to begin.
    #[must_use]
    pub fn new(thread: u32, waiter: &Waiter, target: Target, timed: bool, what: usize) -> Wait {
        Wait {
            thread,
            target,
            timed,
            idle: false,
            what,
            order: ORDER.fetch_add(1, Ordering::Relaxed),
            waiter,
            verdict: AtomicPtr::new(std::ptr::null_mut()),
            at: Cell::new(usize::MAX),
        }
    }

    /// Whether it still waits.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        // SAFETY: the waiter is on the same stack.
        unsafe { (*self.waiter).granted().is_none() }
    }

    /// Whom it waits for, if they can be told; `None` if it may be anyone.
    #[must_use]
    pub fn helpers(&self) -> Option<Vec<u32>> {
        match self.target {
            Target::Anyone => None,
            // SAFETY: what is waited for is alive.
            Target::Owner { cell, .. } => match owner_in(unsafe { (*cell).load(crate::sync::Ordering::Relaxed) }) {
                0 => None,
                owner => Some(vec![owner]),
            },
            Target::Thread(id) => Some(vec![id]),
            Target::Among { list, of } => {
                let mut found = Vec::new();
                // SAFETY: what is waited for is alive.
                unsafe { list(of, &mut found) }.then_some(found)
            }
        }
    }
}

/// The graph, with nobody else in it.
pub struct Look {
    _held: Held<'static>,
}

/// Looks at the graph: until the look is dropped, no wait begins or ends.
#[must_use]
pub fn look() -> Look {
    Look { _held: GRAPH.latch.lock(Scope::Process) }
}

impl Look {
    fn waits(&self) -> &[*const Wait] {
        // SAFETY: the latch is held as long as `self` lives; `change` is never called while the slice is in use.
        unsafe { &*GRAPH.waits.as_ptr() }
    }

    fn change(&self, change: impl FnOnce(&mut Vec<*const Wait>)) {
        let mut waits = GRAPH.waits.take();
        change(&mut waits);
        GRAPH.waits.set(waits);
    }

    /// Puts a wait into the graph.
    ///
    /// # Safety
    /// It stays alive and in place until [`leave`](Look::leave) takes it out.
    pub unsafe fn enter(&mut self, wait: &Wait) {
        self.change(|waits| {
            wait.at.set(waits.len());
            waits.push(wait);
        });
    }

    /// Takes it out again.
    pub fn leave(&mut self, wait: &Wait) {
        let at = wait.at.replace(usize::MAX);
        self.change(|waits| {
            // After a fork the graph is empty.
            if waits.get(at).is_some_and(|w| std::ptr::eq(*w, wait)) {
                waits.swap_remove(at);
                if let Some(&moved) = waits.get(at) {
                    // SAFETY: it is in the graph.
                    unsafe { (*moved).at.set(at) };
                }
            }
        });
    }

    /// Every wait that goes on.
    pub fn all(&self) -> impl Iterator<Item = &Wait> {
        // SAFETY: what is in the graph is alive.
        self.waits().iter().map(|&w| unsafe { &*w }).filter(|w| w.goes_on())
    }

    /// The wait of a thread: the youngest, if it began one amid another.
    #[must_use]
    pub fn of(&self, thread: u32) -> Option<&Wait> {
        self.all().filter(|w| w.thread == thread).max_by_key(|w| w.order)
    }

    /// How many waits without a deadline there are.
    #[must_use]
    pub fn endless(&self) -> usize {
        self.all().filter(|w| !w.timed).count()
    }

    /// The largest set of threads that wait, without a deadline, for each other only.
    #[must_use]
    pub fn stuck(&self) -> Vec<u32> {
        let mut waits: HashMap<u32, &Wait> = HashMap::new();
        for wait in self.all() {
            let youngest = waits.entry(wait.thread).or_insert(wait);
            if wait.order > youngest.order {
                *youngest = wait;
            }
        }
        // Who waits for whom, turned round; and those whom somebody outside could help.
        let mut waiting_for: HashMap<u32, Vec<u32>> = HashMap::new();
        let mut free = Vec::new();
        for (&thread, wait) in &waits {
            match wait.helpers().filter(|helpers| !wait.timed && !helpers.is_empty()) {
                Some(helpers) if helpers.iter().all(|h| waits.contains_key(h)) => {
                    helpers.into_iter().for_each(|h| waiting_for.entry(h).or_default().push(thread));
                }
                _ => free.push(thread),
            }
        }
        while let Some(thread) = free.pop() {
            if waits.remove(&thread).is_some() {
                free.extend(waiting_for.remove(&thread).unwrap_or_default());
            }
        }
        let mut stuck: Vec<u32> = waits.into_keys().collect();
        stuck.sort_unstable();
        stuck
    }

    /// The ring that a walk from `thread` runs into, each member waiting for the next and the last for the first; empty if
    /// the walk ends at somebody who does not wait for anyone in particular.
    #[must_use]
    pub fn ring(&self, thread: u32) -> Vec<u32> {
        let mut way = vec![thread];
        loop {
            let Some(next) = way
                .last()
                .and_then(|&last| self.of(last))
                .filter(|w| !w.timed)
                .and_then(Wait::helpers)
                .and_then(|helpers| helpers.first().copied())
            else {
                return Vec::new();
            };
            if let Some(at) = way.iter().position(|&t| t == next) {
                return way.split_off(at);
            }
            way.push(next);
        }
    }
}

/// Before a fork: nobody is to be half way through a change of the graph.
pub(crate) fn before_fork() {
    std::mem::forget(look());
}

/// After it, in the parent.
pub(crate) fn after_in_parent() {
    GRAPH.latch.unlock(Scope::Process);
}

/// After it, in the child: those who waited do not exist here.
pub(crate) fn after_in_child() {
    GRAPH.waits.take();
    GRAPH.latch.reset();
}
