//! Every primitive between processes that have mapped the same memory at different addresses.
#![cfg(not(any(loom, shuttle)))]
#![allow(clippy::unwrap_used)]

mod segment;

use std::time::Duration;

use fenshen_sync::{Deadline, Failed, Sleep, is_alive, tid};
use segment::Mapping;

#[test]
fn a_mutex_excludes_processes() {
    const TURNS: u64 = 20_000;
    let here = Mapping::new();
    let turn = |segment: &segment::Segment| {
        (0..TURNS).all(|_| {
            segment.lock();
            let whole = segment.step() && segment.mutex.owner() == tid();
            segment.mutex.unlock() && whole
        })
    };
    let others = [here.process(turn), here.process(turn)];
    assert!(turn(&here.again()));
    others.into_iter().for_each(segment::Child::join);
    // SAFETY: nobody else is there any more.
    assert_eq!(unsafe { *here.value.get() }, [3 * TURNS; 2]);
    assert!(!here.mutex.is_locked());
    assert_eq!(here.waiters.taken(), 0);
}

#[test]
fn a_wait_across_processes_ends_at_its_deadline() {
    let here = Mapping::new();
    let holder = here.process(|s| {
        s.lock();
        s.ready.release(1);
        s.acquire(&s.semaphore);
        s.mutex.unlock()
    });
    here.acquire(&here.ready);
    let waiter = here.waiters.take().unwrap();
    let deadline = Deadline::after(Duration::from_millis(20));
    // SAFETY: the waiter lies in the same mapping, and is in no list.
    let outcome = unsafe { here.mutex.lock_with(&waiter, &mut Sleep, Some(deadline)) };
    assert_eq!(outcome, Err(Failed::TimedOut));
    assert!(deadline.is_past());
    assert_eq!(here.mutex.owner(), holder.0 as u32);
    here.semaphore.release(1);
    // The same waiter once more.
    // SAFETY: as above.
    unsafe { here.mutex.lock_with(&waiter, &mut Sleep, None) }.unwrap();
    assert_eq!(here.mutex.owner(), tid());
    here.mutex.unlock();
    holder.join();
}

#[test]
fn an_owner_enters_again_in_its_process_only() {
    let here = Mapping::new();
    assert!(here.reentrant.try_lock(tid()) && here.reentrant.try_lock(tid()));
    here.process(|s| !s.reentrant.try_lock(tid()) && !s.reentrant.unlock(tid())).join();
    let other = here.process(|s| {
        let waiter = s.waiters.take().unwrap();
        s.ready.release(1);
        // SAFETY: the waiter lies in the same mapping, and is in no list.
        unsafe { s.reentrant.lock_with(&waiter, &mut Sleep, None) }.is_ok() && s.reentrant.unlock(tid())
    });
    here.acquire(&here.ready);
    assert!(here.reentrant.unlock(tid()) && here.reentrant.unlock(tid()));
    other.join();
}

#[test]
fn units_go_back_and_forth() {
    const TURNS: usize = 2_000;
    let here = Mapping::new();
    let other = here.process(|s| {
        (0..TURNS).all(|_| {
            s.acquire(&s.semaphore);
            s.ready.release(1)
        })
    });
    for _ in 0..TURNS {
        here.semaphore.release(1);
        here.acquire(&here.ready);
    }
    other.join();
    assert_eq!((here.semaphore.count(), here.ready.count()), (0, 0));
}

#[test]
fn an_event_lets_every_process_pass() {
    let here = Mapping::new();
    let wait = |s: &segment::Segment| {
        let waiter = s.waiters.take().unwrap();
        s.ready.release(1);
        // SAFETY: the waiter lies in the same mapping, and is in no list.
        unsafe { s.event.wait_with(&waiter, &mut Sleep, None) }.is_ok()
    };
    let others = [here.process(wait), here.process(wait)];
    here.acquire(&here.ready);
    here.acquire(&here.ready);
    here.event.set();
    others.into_iter().for_each(segment::Child::join);
}

#[test]
fn a_condition_tells_another_process() {
    let here = Mapping::new();
    let other = here.process(|s| {
        s.lock();
        // SAFETY: the mutex is held; the waiter lies in the same mapping, and is in no list.
        while unsafe { (*s.value.get())[0] } == 0 {
            let waiter = s.waiters.take().unwrap();
            // SAFETY: as above.
            unsafe {
                s.condition.enlist(&waiter);
                s.mutex.unlock();
                s.condition.block(&waiter, &mut Sleep, None).unwrap();
            }
            drop(waiter);
            s.lock();
        }
        s.mutex.unlock()
    });
    here.lock();
    assert!(here.step());
    here.condition.notify(1);
    here.mutex.unlock();
    other.join();
}

#[test]
fn three_processes_meet_again_and_again() {
    let here = Mapping::new();
    let rounds = |s: &segment::Segment| {
        (0..300).all(|_| {
            let waiter = s.waiters.take().unwrap();
            // SAFETY: the waiter lies in the same mapping, and is in no list.
            unsafe { s.barrier.wait_with(&waiter, &mut Sleep, None, || true) }.is_ok()
        })
    };
    let others = [here.process(rounds), here.process(rounds)];
    assert!(rounds(&here));
    others.into_iter().for_each(segment::Child::join);
}

#[test]
fn items_go_through_a_queue_between_processes() {
    const ITEMS: u64 = 3_000;
    let here = Mapping::new();
    let put = |s: &segment::Segment| (0..ITEMS).all(|n| s.put(n));
    let putters = [here.process(put), here.process(put)];
    let (mut sum, mut seen) = (0, 0);
    while seen < 2 * ITEMS {
        sum += here.get().unwrap();
        seen += 1;
    }
    putters.into_iter().for_each(segment::Child::join);
    assert_eq!(sum, ITEMS * (ITEMS - 1));
    // And the end is told.
    let getter = here.process(|s| {
        s.ready.release(1);
        s.get().is_none()
    });
    here.acquire(&here.ready);
    here.queue.shutdown();
    getter.join();
    assert!(here.queue.is_empty() && here.hands.taken() == 0);
}

#[test]
fn a_dead_owner_is_told_and_its_lock_recovered() {
    let here = Mapping::new();
    let holder = here.process(|s| {
        s.lock();
        s.ready.release(1);
        s.acquire(&s.semaphore);
        true
    });
    here.acquire(&here.ready);
    let owner = here.mutex.owner();
    assert_eq!(owner, holder.0 as u32);
    assert!(is_alive(owner) && is_alive(tid()));
    holder.kill();
    // A zombie has ended.
    assert!(!is_alive(owner));
    drop(holder);
    assert!(!is_alive(owner));
    assert!(!here.mutex.try_lock(tid()));
    assert!(here.mutex.recover(owner, tid()));
    assert_eq!(here.mutex.owner(), tid());
    assert!(!here.mutex.recover(owner, tid()), "once is enough");
    assert!(here.mutex.unlock() && !here.mutex.is_locked());
}

#[test]
fn a_dead_waiter_takes_no_wake_up_along() {
    let here = Mapping::new();
    here.lock();
    let wait = |s: &segment::Segment| {
        let waiter = s.waiters.take().unwrap();
        s.ready.release(1);
        // SAFETY: the waiter lies in the same mapping, and is in no list.
        unsafe { s.mutex.lock_with(&waiter, &mut Sleep, None) }.is_ok() && s.mutex.unlock()
    };
    let first = here.process(wait);
    here.acquire(&here.ready);
    // Long enough, as a rule, for it to be first in line; the test holds in any case.
    std::thread::sleep(Duration::from_millis(20));
    let second = here.process(wait);
    here.acquire(&here.ready);
    first.kill();
    here.mutex.unlock();
    second.join();
    assert!(!here.mutex.is_locked());
    drop(first);
    // Its place is somebody else's now.
    let places: Vec<_> = std::iter::from_fn(|| here.waiters.take()).collect();
    assert_eq!(places.len(), 16);
}

#[test]
fn whoever_is_killed_at_any_moment_holds_nobody_up_for_ever() {
    let here = Mapping::new();
    let rounds = if std::env::var_os("FENSHEN_SOAK").is_some() { 500 } else { 25 };
    for round in 0..rounds {
        let endless = |s: &segment::Segment| {
            loop {
                s.lock();
                s.step();
                s.mutex.unlock();
            }
        };
        let (victim, other) = (here.process(endless), here.process(endless));
        // SAFETY: a wait of some microseconds.
        unsafe { libc::usleep(2_000 + (round * 7919) % 3_000) };
        victim.kill();
        let dead = victim.0 as u32;
        if here.mutex.recover(dead, tid()) {
            // SAFETY: the mutex is held. The dead one may have been amid a step.
            unsafe { (*here.value.get())[1] = (*here.value.get())[0] };
            here.mutex.unlock();
        }
        // The other one goes on, and so does this one.
        for _ in 0..100 {
            here.lock();
            assert!(here.step());
            here.mutex.unlock();
        }
        other.kill();
        if here.mutex.recover(other.0 as u32, tid()) {
            // SAFETY: as above.
            unsafe { (*here.value.get())[1] = (*here.value.get())[0] };
            here.mutex.unlock();
        }
    }
    assert!(!here.mutex.is_locked());
}
