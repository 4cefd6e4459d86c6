//! The queue between threads.

#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fenshen_sync::{
    Deadline, Failed, Fifo, Grant, Lifo, Park, Priority, Queue, Refused, Sleep, Store, Waiter, Wake, current,
};

/// Far away, so that a test that waits for ever fails instead.
const LONG: Duration = Duration::from_secs(60);

fn until(what: impl Fn() -> bool) {
    let end = Instant::now() + LONG;
    while !what() {
        assert!(Instant::now() < end, "it never happened");
        thread::yield_now();
    }
}

fn get_within<S: Store>(queue: &Queue<S>, wait: Duration) -> Result<S::Item, Refused> {
    queue.get_slowly(current(), Wake::Thread, &mut Sleep, Some(Deadline::after(wait)))
}

/// Gives up when it is told to, after the moment in which the waiter was granted something.
struct GivesUp<'a> {
    now: &'a AtomicBool,
    after_grant: bool,
}

impl Park for GivesUp<'_> {
    fn park(&mut self, waiter: &Waiter, _deadline: Option<Deadline>) -> Result<Grant, Failed> {
        until(|| self.now.load(Ordering::Acquire) && (!self.after_grant || waiter.granted().is_some()));
        Err(Failed::Interrupted)
    }
}

#[test]
fn stores_differ_in_which_item_is_next() {
    fn order(queue: Queue<impl Store<Item = i32>>) -> Vec<i32> {
        for n in [2, 3, 1] {
            queue.try_put(n).unwrap();
        }
        std::iter::from_fn(|| queue.try_get().ok()).collect()
    }
    assert_eq!(order(Queue::new(Fifo::default(), 9)), [2, 3, 1]);
    assert_eq!(order(Queue::new(Lifo::default(), 9)), [1, 3, 2]);
    assert_eq!(order(Queue::new(Priority::default(), 9)), [1, 2, 3]);
}

#[test]
fn a_full_queue_refuses_and_gives_the_item_back() {
    let queue = Queue::new(Fifo::default(), 1);
    queue.try_put("a").unwrap();
    let refused = queue.try_put("b").unwrap_err();
    assert_eq!((refused.why, refused.item), (Refused::WouldWait, "b"));
    let deadline = Some(Deadline::after(Duration::from_millis(5)));
    let refused = queue.put_slowly("c", current(), Wake::Thread, &mut Sleep, deadline).unwrap_err();
    assert_eq!((refused.why, refused.item), (Refused::TimedOut, "c"));
    assert_eq!((queue.len(), queue.waiting()), (1, (0, 0, 0)));
}

#[test]
fn a_wait_is_never_too_short() {
    let queue = Queue::new(Fifo::<()>::default(), 1);
    let began = Instant::now();
    assert_eq!(get_within(&queue, Duration::from_millis(30)), Err(Refused::TimedOut));
    assert!(began.elapsed() >= Duration::from_millis(30));
}

#[test]
fn items_go_to_getters_in_the_order_of_their_arrival() {
    let queue = Queue::new(Fifo::default(), 9);
    thread::scope(|s| {
        let getters: Vec<_> = (0..5)
            .map(|n| {
                let getter = s.spawn(|| queue.get().unwrap());
                until(|| queue.waiting().0 == n + 1);
                getter
            })
            .collect();
        (0..5).for_each(|item| queue.try_put(item).unwrap());
        let got: Vec<i32> = getters.into_iter().map(|getter| getter.join().unwrap()).collect();
        assert_eq!(got, [0, 1, 2, 3, 4]);
    });
}

#[test]
fn places_go_to_putters_in_the_order_of_their_arrival() {
    let queue = Queue::new(Fifo::default(), 1);
    queue.try_put(0).unwrap();
    thread::scope(|s| {
        for n in 1..5 {
            let queue = &queue;
            s.spawn(move || queue.put(n).unwrap());
            until(|| queue.waiting().1 == n);
        }
        assert_eq!(queue.try_put(9).unwrap_err().why, Refused::WouldWait);
        for n in 0..5 {
            assert_eq!(queue.try_get(), Ok(n));
        }
    });
    assert_eq!(queue.unfinished(), 5);
}

#[test]
fn an_item_that_came_as_its_getter_gave_up_goes_to_the_next() {
    let queue = Queue::new(Fifo::default(), 9);
    let now = AtomicBool::new(false);
    thread::scope(|s| {
        let first = s.spawn(|| {
            let mut park = GivesUp { now: &now, after_grant: true };
            queue.get_slowly(current(), Wake::Thread, &mut park, None)
        });
        until(|| queue.waiting().0 == 1);
        let second = s.spawn(|| queue.get());
        until(|| queue.waiting().0 == 2);
        queue.try_put("item").unwrap();
        now.store(true, Ordering::Release);
        assert_eq!(first.join().unwrap(), Err(Refused::Interrupted));
        assert_eq!(second.join().unwrap(), Ok("item"));
    });
    assert_eq!(queue.unfinished(), 1);
}

#[test]
fn an_item_that_nobody_else_waits_for_is_put_back_in_front() {
    let queue = Queue::new(Fifo::default(), 9);
    let now = AtomicBool::new(false);
    thread::scope(|s| {
        let getter = s.spawn(|| {
            let mut park = GivesUp { now: &now, after_grant: true };
            queue.get_slowly(current(), Wake::Thread, &mut park, None)
        });
        until(|| queue.waiting().0 == 1);
        queue.try_put(1).unwrap();
        queue.try_put(2).unwrap();
        now.store(true, Ordering::Release);
        assert_eq!(getter.join().unwrap(), Err(Refused::Interrupted));
    });
    assert_eq!((queue.try_get(), queue.try_get()), (Ok(1), Ok(2)));
}

#[test]
fn a_putter_that_gives_up_keeps_its_item_and_its_successor_its_turn() {
    let queue = Queue::new(Fifo::default(), 1);
    let now = AtomicBool::new(false);
    queue.try_put(0).unwrap();
    thread::scope(|s| {
        let first = s.spawn(|| {
            let mut park = GivesUp { now: &now, after_grant: false };
            queue.put_slowly(1, current(), Wake::Thread, &mut park, None)
        });
        until(|| queue.waiting().1 == 1);
        let second = s.spawn(|| queue.put(2));
        until(|| queue.waiting().1 == 2);
        now.store(true, Ordering::Release);
        let refused = first.join().unwrap().unwrap_err();
        assert_eq!((refused.why, refused.item), (Refused::Interrupted, 1));
        assert_eq!(queue.try_get(), Ok(0));
        second.join().unwrap().unwrap();
    });
    assert_eq!(queue.try_get(), Ok(2));
}

#[test]
fn shutting_down_ends_every_wait_but_leaves_what_is_in() {
    let (empty, full) = (Queue::new(Fifo::<i32>::default(), 1), Queue::new(Fifo::default(), 1));
    full.try_put(1).unwrap();
    thread::scope(|s| {
        let getter = s.spawn(|| empty.get());
        let putter = s.spawn(|| full.put(2));
        until(|| empty.waiting().0 == 1 && full.waiting().1 == 1);
        empty.shutdown();
        full.shutdown();
        assert_eq!(getter.join().unwrap(), Err(Refused::ShutDown));
        let refused = putter.join().unwrap().unwrap_err();
        assert_eq!((refused.why, refused.item), (Refused::ShutDown, 2));
    });
    assert_eq!((full.get(), full.get()), (Ok(1), Err(Refused::ShutDown)));
    full.reopen();
    full.try_put(3).unwrap();
    assert_eq!((full.is_shutdown(), full.get()), (false, Ok(3)));
}

#[test]
fn shutting_down_at_once_finishes_the_tasks_that_were_left() {
    let queue = Queue::new(Fifo::default(), 9);
    (0..3).for_each(|n| queue.try_put(n).unwrap());
    assert_eq!(queue.get(), Ok(0));
    thread::scope(|s| {
        let joiner = s.spawn(|| queue.join(current(), Wake::Thread, &mut Sleep, None));
        until(|| queue.waiting().2 == 1);
        assert_eq!(queue.shutdown_now(), [1, 2]);
        assert_eq!(queue.unfinished(), 1);
        assert!(queue.task_done());
        joiner.join().unwrap().unwrap();
    });
    assert!(!queue.task_done());
}

#[test]
fn a_higher_limit_lets_in_those_who_wait_for_a_place() {
    let queue = Queue::new(Fifo::default(), 1);
    queue.try_put(0).unwrap();
    thread::scope(|s| {
        for n in 1..4 {
            let queue = &queue;
            s.spawn(move || queue.put(n).unwrap());
            until(|| queue.waiting().1 == n);
        }
        queue.set_limit(3);
        until(|| queue.waiting().1 == 1);
        assert_eq!(queue.len(), 3);
        queue.set_limit(9);
    });
    assert_eq!(queue.len(), 4);
}

#[test]
fn a_retired_queue_tells_everyone_and_keeps_its_count() {
    let (empty, full) = (Queue::new(Fifo::<i32>::default(), 1), Queue::new(Lifo::default(), 2));
    full.try_put(1).unwrap();
    full.try_put(2).unwrap();
    thread::scope(|s| {
        let getter = s.spawn(|| empty.get());
        let putter = s.spawn(|| full.put(3));
        let joiner = s.spawn(|| full.join(current(), Wake::Thread, &mut Sleep, None));
        until(|| empty.waiting().0 == 1 && full.waiting() == (0, 1, 1));
        assert_eq!((empty.retire(), full.retire()), (vec![], vec![2, 1]));
        assert_eq!(getter.join().unwrap(), Err(Refused::Retired));
        assert_eq!(putter.join().unwrap().unwrap_err().item, 3);
        assert_eq!(joiner.join().unwrap(), Err(Refused::Retired));
    });
    assert_eq!((full.unfinished(), full.is_retired(), full.is_shutdown()), (2, true, false));
}

#[test]
fn nothing_is_lost_or_doubled_by_those_who_give_up() {
    let items = if std::env::var_os("FENSHEN_SOAK").is_some() { 1_000_000 } else { 20_000 };
    let queue = Queue::new(Fifo::default(), 3);
    let seen: Vec<AtomicUsize> = (0..items).map(|_| AtomicUsize::new(0)).collect();
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                loop {
                    let mut item = next.fetch_add(1, Ordering::Relaxed);
                    if item >= items {
                        return;
                    }
                    loop {
                        let deadline = Some(Deadline::after(Duration::from_micros(20)));
                        match queue.put_slowly(item, current(), Wake::Thread, &mut Sleep, deadline) {
                            Ok(()) => break,
                            Err(refused) => item = refused.item,
                        }
                    }
                }
            });
            s.spawn(|| {
                while done.load(Ordering::Relaxed) < items {
                    if let Ok(item) = get_within(&queue, Duration::from_micros(20)) {
                        seen[item].fetch_add(1, Ordering::Relaxed);
                        done.fetch_add(1, Ordering::Relaxed);
                        assert!(queue.task_done());
                    }
                }
            });
        }
        let joined = queue.join(current(), Wake::Thread, &mut Sleep, Some(Deadline::after(LONG)));
        assert_eq!(joined, Ok(()));
    });
    assert!(seen.iter().all(|count| count.load(Ordering::Relaxed) == 1));
    assert_eq!((queue.len(), queue.unfinished(), queue.waiting()), (0, 0, (0, 0, 0)));
}
