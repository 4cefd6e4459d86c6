//! A thread that works, or has worked, for functions that are measured.

use std::cell::RefCell;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::ffi;

use super::function::Function;
use super::look::Kind;
use super::span::{Length, cpu_of};

/// What it is at, written by the thread itself and read by the sampling thread.
pub(super) struct Worker {
    /// The kernel's number of the thread.
    pub(super) tid: i32,
    /// The address of its Python state, to be compared only.
    pub(super) state: AtomicUsize,
    /// What it works for now; null between calls.
    pub(super) function: AtomicPtr<Function>,
    /// One more whenever that changes.
    pub(super) turn: AtomicU64,
    pub(super) began_wall: AtomicU64,
    began_cpu: AtomicU64,
    /// How much of the time since then belongs to spans within this one.
    inner_wall: AtomicU64,
    inner_cpu: AtomicU64,
    /// What the sampling thread saw last, in which turn, and when: its own notes.
    pub(super) seen: AtomicU8,
    pub(super) seen_turn: AtomicU64,
    pub(super) seen_wall: AtomicU64,
    pub(super) seen_cpu: AtomicU64,
    /// For how long it had been ready without a processor then, in its life.
    pub(super) seen_starved: AtomicU64,
}

/// A span that another one interrupts.
pub(super) struct Frame {
    function: *mut Function,
    wall: u64,
    cpu: u64,
    inner_wall: u64,
    inner_cpu: u64,
}

/// What calls that have not ended add to a row.
#[derive(Default)]
pub(super) struct Unfinished {
    pub(super) wall: u64,
    pub(super) busy: u64,
    pub(super) cpu: u64,
    pub(super) longest: u64,
    pub(super) longest_cpu: u64,
}

impl Worker {
    fn new() -> Worker {
        Worker {
            // SAFETY: it only tells the thread's number.
            tid: unsafe { libc::syscall(libc::SYS_gettid) } as i32,
            state: AtomicUsize::new(0),
            function: AtomicPtr::new(ptr::null_mut()),
            turn: AtomicU64::new(0),
            began_wall: AtomicU64::new(0),
            began_cpu: AtomicU64::new(0),
            inner_wall: AtomicU64::new(0),
            inner_cpu: AtomicU64::new(0),
            seen: AtomicU8::new(Kind::Unclear as u8),
            seen_turn: AtomicU64::new(u64::MAX),
            seen_wall: AtomicU64::new(0),
            seen_cpu: AtomicU64::new(0),
            seen_starved: AtomicU64::new(u64::MAX),
        }
    }

    /// The thread works for `function` from now on, or for none; what it worked for before is returned, for
    /// [`Worker::pop`].
    pub(super) fn push(&self, function: Option<&'static Function>, wall: u64, cpu: u64) -> Frame {
        // SAFETY: the thread is attached, and the address is only compared.
        self.state.store(unsafe { ffi::PyThreadState_Get() } as usize, Ordering::Relaxed);
        let before = Frame {
            function: self.function.load(Ordering::Relaxed),
            wall: self.began_wall.load(Ordering::Relaxed),
            cpu: self.began_cpu.load(Ordering::Relaxed),
            inner_wall: self.inner_wall.load(Ordering::Relaxed),
            inner_cpu: self.inner_cpu.load(Ordering::Relaxed),
        };
        let function = function.map_or(ptr::null_mut(), |function| ptr::from_ref(function).cast_mut());
        let now = Frame { function, wall, cpu, inner_wall: 0, inner_cpu: 0 };
        self.show(&now);
        before
    }

    /// It goes back to what it worked for before; returns how long it worked for this one.
    pub(super) fn pop(&self, before: Frame, wall: u64, cpu: u64) -> Length {
        let began = self.began_wall.load(Ordering::Relaxed);
        let spent_cpu = cpu.saturating_sub(self.began_cpu.load(Ordering::Relaxed));
        let spent = wall.saturating_sub(began);
        let length = Length {
            began,
            ended: wall,
            busy: spent.saturating_sub(self.inner_wall.load(Ordering::Relaxed)),
            cpu: spent_cpu.saturating_sub(self.inner_cpu.load(Ordering::Relaxed)),
        };
        self.show(&Frame { inner_wall: before.inner_wall + spent, inner_cpu: before.inner_cpu + spent_cpu, ..before });
        length
    }

    fn show(&self, frame: &Frame) {
        self.turn.fetch_add(1, Ordering::AcqRel);
        self.began_wall.store(frame.wall, Ordering::Relaxed);
        self.began_cpu.store(frame.cpu, Ordering::Relaxed);
        self.inner_wall.store(frame.inner_wall, Ordering::Relaxed);
        self.inner_cpu.store(frame.inner_cpu, Ordering::Relaxed);
        self.function.store(frame.function, Ordering::Release);
    }

    /// What it works for now, and in which turn.
    pub(super) fn at(&self) -> Option<(&'static Function, u64)> {
        let turn = self.turn.load(Ordering::Acquire);
        // SAFETY: rows live for ever.
        unsafe { self.function.load(Ordering::Acquire).as_ref() }.map(|function| (function, turn))
    }

    fn add_to(&self, sum: &mut Unfinished, now: u64) {
        let spent = now.saturating_sub(self.began_wall.load(Ordering::Relaxed));
        let cpu = cpu_of(self.tid).unwrap_or(0).saturating_sub(self.began_cpu.load(Ordering::Relaxed));
        let own = cpu.saturating_sub(self.inner_cpu.load(Ordering::Relaxed));
        sum.wall += spent;
        sum.busy += spent.saturating_sub(self.inner_wall.load(Ordering::Relaxed));
        sum.cpu += own;
        sum.longest = sum.longest.max(spent);
        sum.longest_cpu = sum.longest_cpu.max(own);
    }
}

static WORKERS: Mutex<Vec<Arc<Worker>>> = Mutex::new(Vec::new());

pub(super) fn workers() -> MutexGuard<'static, Vec<Arc<Worker>>> {
    WORKERS.lock().unwrap_or_else(PoisonError::into_inner)
}

thread_local! {
    static THIS: RefCell<Option<Arc<Worker>>> = const { RefCell::new(None) };
}

/// The calling thread's.
pub(super) fn this() -> Arc<Worker> {
    let known = THIS.try_with(|this| this.borrow().clone()).ok().flatten();
    known.unwrap_or_else(|| {
        let worker = Arc::new(Worker::new());
        let mut all = workers();
        // Threads that have ended are known by their references: only the list holds them.
        all.retain(|worker| Arc::strong_count(worker) > 1);
        all.push(worker.clone());
        drop(all);
        // A thread whose variables are gone already gets a new one each time.
        let _ = THIS.try_with(|this| *this.borrow_mut() = Some(worker.clone()));
        worker
    })
}

/// What the calls of a row have taken so far that still run in some thread.
pub(super) fn unfinished(function: &'static Function, now: u64) -> Unfinished {
    let mut sum = Unfinished::default();
    for worker in workers().iter() {
        if ptr::eq(worker.function.load(Ordering::Acquire), function) {
            worker.add_to(&mut sum, now);
        }
    }
    sum
}

/// After a fork, in the child: no other thread is there, and this one begins anew.
pub(super) fn forget() {
    workers().clear();
    let _ = THIS.try_with(|this| this.borrow_mut().take());
}
