//! Every primitive at once, used by more threads than there are processors, with deadlines and places left empty: a lost
//! wake-up leaves somebody asleep for ever, and a doubled one breaks a count.
//!
//! FENSHEN_SOAK=1 makes 10^8 operations of it.
#![cfg(not(any(loom, shuttle)))]
#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fenshen_sync::{
    Barrier, Condition, Deadline, Event, Failed, Fifo, Grant, Mutex, Park, Queue, ReentrantMutex, Refused, Scope,
    Semaphore, Sleep, Waiter, Wake, current,
};

const THREADS: u64 = 6;
const UNITS: u64 = 2;
const ROOM: usize = 3;

fn operations() -> u64 {
    if std::env::var_os("FENSHEN_SOAK").is_some() { 100_000_000 } else { 200_000 }
}

/// A small generator of numbers (G. Marsaglia, "Xorshift RNGs", 2003).
struct Random(Cell<u64>);

impl Random {
    fn below(&self, limit: u64) -> u64 {
        let mut x = self.0.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.0.set(x);
        x % limit
    }
}

/// Sleeps, as a rule. Now and then it leaves its place for a moment, as a thread does that runs a signal handler, and may
/// give up then.
struct Restless<'a> {
    random: &'a Random,
    gives_up: bool,
}

impl Park for Restless<'_> {
    fn park(&mut self, waiter: &Waiter, deadline: Option<Deadline>) -> Result<Grant, Failed> {
        while self.random.below(4) == 0 {
            waiter.sleep(Some(Deadline::after(Duration::from_micros(self.random.below(50)))));
            if waiter.away() {
                thread::yield_now();
                if !waiter.back() {
                    return Ok(Grant::RETRY);
                }
                if self.gives_up && self.random.below(2) == 0 {
                    return Err(Failed::Interrupted);
                }
            }
        }
        Sleep.park(waiter, deadline)
    }
}

/// A number that is only right if nobody else was in.
#[derive(Default)]
struct Guarded(Cell<u64>);

// SAFETY: a lock guards it; that it does is what is tested.
unsafe impl Sync for Guarded {}

impl Guarded {
    fn step(&self) {
        self.0.set(self.0.get() + 1);
    }
}

struct Scene {
    mutex: Mutex,
    reentrant: ReentrantMutex,
    semaphore: Semaphore,
    queue: Queue<Fifo<u64>>,
    event: Event,
    condition: Condition,
    values: [Guarded; 2],
    turns: [AtomicU64; 2],
    inside: AtomicU64,
    put: AtomicU64,
    got: AtomicU64,
    done: AtomicU64,
}

impl Scene {
    fn new() -> Scene {
        Scene {
            mutex: Mutex::new(Scope::Process),
            reentrant: ReentrantMutex::new(Scope::Process),
            semaphore: Semaphore::new(UNITS, Scope::Process),
            queue: Queue::new(Fifo::default(), ROOM),
            event: Event::new(Scope::Process),
            condition: Condition::new(Scope::Process),
            values: Default::default(),
            turns: Default::default(),
            inside: AtomicU64::new(0),
            put: AtomicU64::new(0),
            got: AtomicU64::new(0),
            done: AtomicU64::new(0),
        }
    }

    fn locked(&self, which: usize) {
        self.values[which].step();
        self.turns[which].fetch_add(1, Ordering::Relaxed);
    }

    fn in_semaphore(&self) {
        assert!(self.inside.fetch_add(1, Ordering::AcqRel) < UNITS);
        self.inside.fetch_sub(1, Ordering::AcqRel);
        assert!(self.semaphore.release(1));
    }

    fn operate(&self, random: &Random, n: u64) {
        let me = current();
        let hasty = random.below(4) == 0;
        let deadline = hasty.then(|| Deadline::after(Duration::from_micros(random.below(300))));
        let mut park = Restless { random, gives_up: hasty };
        let failed = |failed: Failed| assert!(hasty, "{failed:?} without a reason");
        match random.below(6) {
            0 => match self.mutex.try_lock(me) || self.mutex.lock_slowly(me, Wake::Thread, &mut park, deadline).is_ok()
            {
                true => {
                    self.locked(0);
                    self.condition.notify(random.below(3));
                    assert!(self.mutex.unlock());
                }
                false => assert!(hasty),
            },
            1 => match self.reentrant.try_lock(me) {
                true => self.in_reentrant(me),
                false => match self.reentrant.lock_slowly(me, Wake::Thread, &mut park, deadline) {
                    Ok(()) => self.in_reentrant(me),
                    Err(why) => failed(why),
                },
            },
            2 => match self.semaphore.try_acquire() {
                true => self.in_semaphore(),
                false => match self.semaphore.acquire_slowly(me, Wake::Thread, &mut park, deadline) {
                    Ok(()) => self.in_semaphore(),
                    Err(why) => failed(why),
                },
            },
            3 => self.pass_an_item(&mut park, deadline, n, hasty),
            4 => {
                if n.is_multiple_of(3) {
                    self.event.set()
                } else {
                    self.event.clear()
                }
                let soon = Some(Deadline::after(Duration::from_micros(random.below(200))));
                let _ = self.event.wait_slowly(me, Wake::Thread, &mut park, soon);
            }
            _ => {
                self.mutex.lock(me);
                self.locked(0);
                let soon = Some(Deadline::after(Duration::from_micros(random.below(200))));
                self.condition.wait_until(&self.mutex, me, soon);
                self.locked(0);
                assert!(self.mutex.unlock());
            }
        }
    }

    fn in_reentrant(&self, me: u32) {
        assert!(self.reentrant.try_lock(me));
        self.locked(1);
        assert!(self.reentrant.unlock(me) && self.reentrant.unlock(me));
    }

    /// Puts one in and takes one out, so that nobody waits for what nobody brings.
    fn pass_an_item(&self, park: &mut Restless<'_>, deadline: Option<Deadline>, n: u64, hasty: bool) {
        match self.queue.put_slowly(n, current(), Wake::Thread, park, deadline) {
            Ok(()) => self.put.fetch_add(n, Ordering::Relaxed),
            Err(refused) => {
                assert!(hasty && matches!(refused.why, Refused::TimedOut | Refused::Interrupted));
                return;
            }
        };
        park.gives_up = false;
        let item = self.queue.get_slowly(current(), Wake::Thread, park, None).unwrap();
        self.got.fetch_add(item, Ordering::Relaxed);
    }
}

/// Ends the process if nothing is done for a minute: somebody sleeps for ever.
fn watch(scene: &Scene, all: u64) {
    let (mut seen, mut since) = (0, Instant::now());
    while seen < all {
        thread::sleep(Duration::from_millis(20));
        let done = scene.done.load(Ordering::Relaxed);
        if done != seen {
            (seen, since) = (done, Instant::now());
        } else if since.elapsed() > Duration::from_secs(60) {
            eprintln!("nothing done for a minute, after {done} of {all} operations");
            std::process::abort();
        }
    }
}

#[test]
fn nobody_sleeps_for_ever() {
    let scene = Scene::new();
    let barrier = Barrier::new(THREADS, Scope::Process);
    let began = Instant::now();
    let each = operations() / THREADS;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (scene, barrier) = (&scene, &barrier);
                scope.spawn(move || {
                    let random = Random(Cell::new(0x9e37_79b9_7f4a_7c15 ^ (thread + 1)));
                    for n in 0..each {
                        scene.operate(&random, n);
                        scene.done.fetch_add(1, Ordering::Relaxed);
                        if n % 10_000 == 9_999 {
                            barrier.wait().unwrap();
                        }
                    }
                })
            })
            .collect();
        watch(&scene, each * THREADS);
        // A join that the sanitizer sees, unlike the scope's.
        threads.into_iter().for_each(|t| t.join().unwrap());
    });
    for (value, turns) in scene.values.iter().zip(&scene.turns) {
        assert_eq!(value.0.get(), turns.load(Ordering::Relaxed));
    }
    assert_eq!(scene.put.load(Ordering::Relaxed), scene.got.load(Ordering::Relaxed));
    assert!(scene.queue.is_empty() && !scene.mutex.is_locked() && !scene.reentrant.is_locked());
    assert_eq!(scene.semaphore.count(), UNITS);
    assert!(scene.condition.is_empty());
    eprintln!("{} operations by {THREADS} threads in {:.1} s", each * THREADS, began.elapsed().as_secs_f64());
}
