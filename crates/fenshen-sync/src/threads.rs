//! The threads of this process: a number for each that no other living one has, and the end of each as something to wait for.

use std::cell::{Cell, UnsafeCell};
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use crate::deadline::Deadline;
use crate::graph;
use crate::latch::{Held, Latch};
use crate::list::WaitList;
use crate::park::{Failed, Park};
use crate::waiter::{Grant, Waiter, Wake};
use crate::word::Scope;

/// Whom the kernel and the C library know a thread as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Our own number for it: below 2^30, never zero.
    pub id: u32,
    /// The kernel's number.
    pub tid: i32,
    /// `pthread_self()`, which Python calls the thread's ident.
    pub ident: u64,
    /// Whether it is the process' main thread.
    pub main: bool,
}

struct Entry {
    known: Known,
    /// Those who wait for its end.
    waiters: Box<WaitList>,
    /// It has said that its end is as good as come.
    over: bool,
}

struct Registry {
    latch: Latch,
    entries: UnsafeCell<Vec<Entry>>,
}

// SAFETY: the entries are only touched by the latch's holder.
unsafe impl Sync for Registry {}

#[cfg(not(loom))]
static REGISTRY: Registry = Registry { latch: Latch::new(), entries: UnsafeCell::new(Vec::new()) };
#[cfg(loom)]
loom::lazy_static! {
    static ref REGISTRY: Registry = Registry { latch: Latch::new(), entries: UnsafeCell::new(Vec::new()) };
}
static NEXT: AtomicU32 = AtomicU32::new(1);
/// A mutex notes its owner in thirty bits.
const MOST: u32 = !0 >> 2;
static GENERATION: AtomicU32 = AtomicU32::new(0);
static HOOKED: Once = Once::new();
/// What is called on a thread that is about to end, after its waiters were told.
static AT_END: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

thread_local! {
    static ID: Cell<u32> = const { Cell::new(0) };
    static END: End = const { End };
}

/// Its drop is the end of the thread.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        let id = ID.get();
        let over = {
            let _held = lock();
            // SAFETY: the latch is held.
            let entries = unsafe { &mut *REGISTRY.entries.get() };
            let at = entries.iter().position(|e| e.known.id == id);
            at.map(|at| entries.swap_remove(at))
        };
        if let Some(entry) = over {
            // SAFETY: the list is nobody else's any more: `wait_for_end` finds no entry, and a waiter that gives up
            // sees that it is in no list.
            for waiter in unsafe { entry.waiters.take_all() } {
                // SAFETY: it was in the list until now.
                unsafe { Waiter::grant(waiter, Grant::GIVEN) };
            }
        }
        let hook = AT_END.load(Ordering::Acquire);
        if !hook.is_null() {
            // SAFETY: only `at_end` stores there.
            unsafe { std::mem::transmute::<*mut (), fn()>(hook)() };
        }
    }
}

fn lock() -> Held<'static> {
    REGISTRY.latch.lock(Scope::Process)
}

/// How many forks lie between the first process of this program and this one, as far as the C library told us.
#[inline]
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// The number of the calling thread: below 2^30, never zero, and given to no other until a billion threads later.
#[inline]
#[must_use]
pub fn current() -> u32 {
    match ID.get() {
        0 => register(),
        id => id,
    }
}

/// Has forks counted from now on.
pub(crate) fn hook() {
    if cfg!(any(loom, shuttle)) {
        return;
    }
    HOOKED.call_once(|| {
        // SAFETY: the three functions may be called at any time, and are never taken away.
        unsafe { libc::pthread_atfork(Some(before_fork), Some(after_in_parent), Some(after_in_child)) };
    });
}

#[cold]
fn register() -> u32 {
    hook();
    let waiters = Box::new(WaitList::new(Scope::Process));
    let id = {
        let _held = lock();
        // SAFETY: the latch is held.
        let entries = unsafe { &mut *REGISTRY.entries.get() };
        let id = unused(entries);
        entries.push(Entry { known: known(id), waiters, over: false });
        id
    };
    ID.set(id);
    // On a thread that is ending already there is nobody left to tell.
    let _ = END.try_with(|_| ());
    id
}

/// The next number that no living thread has.
fn unused(entries: &[Entry]) -> u32 {
    loop {
        let id = NEXT.fetch_add(1, Ordering::Relaxed) & MOST;
        if id != 0 && entries.iter().all(|e| e.known.id != id) {
            return id;
        }
    }
}

fn known(id: u32) -> Known {
    // SAFETY: all of them only read numbers.
    let (tid, pid, ident) =
        unsafe { (libc::syscall(libc::SYS_gettid) as i32, libc::getpid(), libc::pthread_self() as u64) };
    Known { id, tid, ident, main: tid == pid }
}

pub(crate) extern "C" fn before_fork() {
    graph::before_fork();
    std::mem::forget(lock());
}

pub(crate) extern "C" fn after_in_parent() {
    REGISTRY.latch.unlock(Scope::Process);
    graph::after_in_parent();
}

pub(crate) extern "C" fn after_in_child() {
    GENERATION.store(generation().wrapping_add(1) & MOST, Ordering::Relaxed);
    crate::tid::forget();
    // SAFETY: this is the only thread, and it took the latch before the fork.
    let entries = unsafe { &mut *REGISTRY.entries.get() };
    let id = ID.get();
    entries.retain(|e| e.known.id == id);
    for entry in entries.iter_mut() {
        entry.known = known(id);
    }
    REGISTRY.latch.reset();
    graph::after_in_child();
}

/// Every thread that has asked for its number and has not ended.
#[must_use]
pub fn all() -> Vec<Known> {
    let _held = lock();
    // SAFETY: the latch is held.
    unsafe { (*REGISTRY.entries.get()).iter().map(|e| e.known).collect() }
}

/// The thread of that number; `None` if it has ended, or was left behind by a fork.
#[must_use]
pub fn find(id: u32) -> Option<Known> {
    let _held = lock();
    // SAFETY: the latch is held.
    unsafe { (*REGISTRY.entries.get()).iter().find(|e| e.known.id == id).map(|e| e.known) }
}

/// Has `hook` called by every registered thread at its end, when its waiters have been told.
pub fn at_end(hook: fn()) {
    AT_END.store(hook as *mut (), Ordering::Release);
}

/// Tells those who wait for the end of the calling thread that it has come: for a main thread, whose end is the process'.
pub fn say_over() {
    let id = current();
    let _held = lock();
    // SAFETY: the latch is held; whoever is in the list waits, and is granted something once.
    unsafe {
        let entries = &mut *REGISTRY.entries.get();
        if let Some(entry) = entries.iter_mut().find(|e| e.known.id == id) {
            entry.over = true;
            for waiter in entry.waiters.take_all() {
                Waiter::grant(waiter, Grant::GIVEN);
            }
        }
    }
}

/// Blocks until the thread of that number has ended; one that is not there has.
///
/// # Errors
/// As [`Park::park`].
pub fn wait_for_end(id: u32, park: &mut impl Park, deadline: Option<Deadline>) -> Result<(), Failed> {
    let waiter = Waiter::new(current(), Wake::Thread);
    loop {
        {
            let _held = lock();
            let Some(list) = list_of(id) else {
                return Ok(());
            };
            // SAFETY: the latch is held, and the waiter is taken out before it goes.
            unsafe { (*list).push_back(&waiter) };
        }
        let outcome = park.park(&waiter, deadline);
        if waiter.granted().is_some() && outcome.is_ok() {
            return Ok(());
        }
        let alone = {
            let _held = lock();
            // SAFETY: the latch is held. A list that is gone has granted something to those in it, unless it was gone by
            // a fork.
            list_of(id).map_or(waiter.is_left_behind(), |list| unsafe { (*list).remove(&waiter) })
        };
        if !alone {
            waiter.settled();
        }
        match outcome {
            Err(Failed::TimedOut) if !alone => return Ok(()),
            Err(failed) => return Err(failed),
            // It was away, and a fork came between.
            Ok(_) => waiter.unlink(),
        }
    }
}

/// The list of those who wait for the end of that thread, if it is still to come. The latch is held.
fn list_of(id: u32) -> Option<*const WaitList> {
    // SAFETY: the latch is held; the list is boxed, so it stays in place while the vector grows.
    let entries = unsafe { &*REGISTRY.entries.get() };
    entries.iter().find(|e| e.known.id == id && !e.over).map(|e| &raw const *e.waiters)
}
