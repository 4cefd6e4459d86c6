//! Larger scenes than every interleaving can be tried of: many at random, some of them by priorities that change seldom
//! (S. Burckhardt and others, "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs", ASPLOS 2010).
//!
//! `RUSTFLAGS="--cfg shuttle" cargo test --release`. A failure prints the schedule that repeats it.
#![cfg(shuttle)]
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use fenshen_sync::{
    Barrier, Condition, Deadline, Failed, Fifo, Grant, Lifo, Mutex, Park, Priority, Queue, Refused, Scope, Semaphore,
    Sleep, Store, Waiter, Wake, model,
};
use shuttle::sync::atomic::{AtomicU32, Ordering};
use shuttle::thread;

const SCHEDULES: usize = 2_000;

fn try_out(scene: impl Fn() + Send + Sync + Copy + 'static) {
    for hand_over in [false, true] {
        let scene = move || {
            model::hand_over(hand_over);
            scene();
        };
        shuttle::check_random(scene, SCHEDULES);
        shuttle::check_pct(scene, SCHEDULES, 3);
    }
}

fn spawn<T: Send + Sync + 'static>(shared: &Arc<T>, body: impl FnOnce(&T) + Send + 'static) -> thread::JoinHandle<()> {
    let shared = Arc::clone(shared);
    thread::spawn(move || body(&shared))
}

/// Leaves its place now and then, and gives up if it is hasty.
struct Restless {
    hasty: bool,
}

impl Park for Restless {
    fn park(&mut self, waiter: &Waiter, deadline: Option<Deadline>) -> Result<Grant, Failed> {
        if waiter.away() {
            thread::yield_now();
            if !waiter.back() {
                return Ok(Grant::RETRY);
            }
            if self.hasty {
                return Err(Failed::Interrupted);
            }
        }
        Sleep.park(waiter, deadline)
    }
}

/// Three put and three get through one place; one of each looks away, and one more getter gives up.
fn pass<S: Store<Item = u32> + Default + Send + 'static>() {
    let queue = Arc::new(Queue::new(S::default(), 1));
    let sum = Arc::new(AtomicU32::new(0));
    let mut threads = Vec::new();
    for n in 0..3 {
        threads.push(spawn(&queue, move |q| match n {
            0 => q.put_slowly(1, n, Wake::Thread, &mut Restless { hasty: false }, None).unwrap(),
            _ => q.put_slowly(1 << (4 * n), n, Wake::Thread, &mut Sleep, None).unwrap(),
        }));
        let sum = Arc::clone(&sum);
        threads.push(spawn(&queue, move |q| {
            let got = match n {
                0 => q.get_slowly(n, Wake::Thread, &mut Restless { hasty: false }, None),
                _ => q.get_slowly(n, Wake::Thread, &mut Sleep, None),
            };
            sum.fetch_add(got.unwrap(), Ordering::Relaxed);
        }));
    }
    threads.push(spawn(&queue, |q| {
        match q.get_slowly(9, Wake::Thread, &mut Restless { hasty: true }, Some(Deadline::now())) {
            Ok(item) => q.put_slowly(item, 9, Wake::Thread, &mut Sleep, None).unwrap(),
            Err(refused) => assert!(matches!(refused, Refused::TimedOut | Refused::Interrupted)),
        }
    }));
    threads.into_iter().for_each(|t| t.join().unwrap());
    assert_eq!(sum.load(Ordering::Relaxed), 0x111);
    assert_eq!((queue.len(), queue.waiting()), (0, (0, 0, 0)));
}

#[test]
fn every_item_reaches_one_getter() {
    try_out(pass::<Fifo<u32>>);
    try_out(pass::<Lifo<u32>>);
    try_out(pass::<Priority<u32>>);
}

#[test]
fn a_shutdown_is_told_to_all_and_loses_nothing() {
    try_out(|| {
        let queue = Arc::new(Queue::new(Fifo::default(), 1));
        let (put, got) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let mut threads = Vec::new();
        for n in 0..2 {
            let put = Arc::clone(&put);
            threads.push(spawn(&queue, move |q| {
                for _ in 0..2 {
                    match q.put_slowly(7, n, Wake::Thread, &mut Sleep, None) {
                        Ok(()) => _ = put.fetch_add(1, Ordering::Relaxed),
                        Err(not_put) => assert_eq!((not_put.why, not_put.item), (Refused::ShutDown, 7)),
                    }
                }
            }));
            let got = Arc::clone(&got);
            threads.push(spawn(&queue, move |q| {
                while q.get_slowly(n, Wake::Thread, &mut Restless { hasty: false }, None).is_ok() {
                    got.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
        queue.shutdown();
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(put.load(Ordering::Relaxed), got.load(Ordering::Relaxed));
        assert_eq!((queue.len(), queue.waiting()), (0, (0, 0, 0)));
    });
}

#[test]
fn all_tasks_done_is_told() {
    try_out(|| {
        let queue = Arc::new(Queue::new(Fifo::default(), 2));
        let threads = [
            spawn(&queue, |q| {
                for _ in 0..3 {
                    q.get_slowly(1, Wake::Thread, &mut Sleep, None).unwrap();
                    assert!(q.task_done());
                }
            }),
            spawn(&queue, |q| (0..3).for_each(|n| q.put_slowly(n, 2, Wake::Thread, &mut Sleep, None).unwrap())),
        ];
        threads.into_iter().for_each(|t| t.join().unwrap());
        queue.join(3, Wake::Thread, &mut Sleep, None).unwrap();
        assert_eq!(queue.unfinished(), 0);
    });
}

#[test]
fn units_lie_with_nobody() {
    try_out(|| {
        let semaphore = Arc::new(Semaphore::new(1, Scope::Process));
        let threads: Vec<_> = (0..4)
            .map(|n| {
                spawn(&semaphore, move |s| {
                    let mut park = Restless { hasty: n == 0 };
                    match n {
                        3 => s.acquire(),
                        _ => match s.acquire_slowly(n, Wake::Thread, &mut park, None) {
                            Ok(()) => {}
                            Err(why) => return assert_eq!((n, why), (0, Failed::Interrupted)),
                        },
                    }
                    assert!(s.release(1));
                })
            })
            .collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!((semaphore.count(), semaphore.waiting()), (1, 0));
    });
}

#[test]
fn a_mutex_and_a_condition_lose_nobody() {
    try_out(|| {
        let both = Arc::new((Mutex::new(Scope::Process), Condition::new(Scope::Process), AtomicU32::new(0)));
        let mut threads: Vec<_> = (1..4)
            .map(|n| {
                spawn(&both, move |(mutex, condition, left)| {
                    let mut park = Restless { hasty: false };
                    if !mutex.try_lock(n) {
                        mutex.lock_slowly(n, Wake::Thread, &mut park, None).unwrap();
                    }
                    while left.load(Ordering::Relaxed) == 0 {
                        condition.wait(mutex, n);
                    }
                    left.fetch_sub(1, Ordering::Relaxed);
                    assert!(mutex.unlock());
                })
            })
            .collect();
        threads.push(spawn(&both, |(mutex, condition, left)| {
            for _ in 0..3 {
                mutex.lock(9);
                left.fetch_add(1, Ordering::Relaxed);
                condition.notify(1);
                assert!(mutex.unlock());
            }
        }));
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert!(both.1.is_empty() && !both.0.is_locked());
    });
}

#[test]
fn rounds_of_three_end() {
    try_out(|| {
        let barrier = Arc::new(Barrier::new(3, Scope::Process));
        let threads: Vec<_> = (0..3).map(|_| spawn(&barrier, |b| (0..3).for_each(|_| _ = b.wait().unwrap()))).collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(barrier.waiting(), 0);
    });
}
