//! A queue for those who do not block.
#![cfg(not(any(loom, shuttle)))]

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use fenshen_sync::{Fifo, Hand, NotPut, Queue, Refused, Wake};

unsafe fn count(calls: *const ()) {
    // SAFETY: the tests keep the count alive.
    unsafe { (*calls.cast::<AtomicU32>()).fetch_add(1, Ordering::AcqRel) };
}

fn hand(calls: &AtomicU32) -> Hand<u32> {
    Hand::new(0, Wake::Call { call: count, data: std::ptr::from_ref(calls).cast() })
}

fn queue(limit: usize) -> Queue<Fifo<u32>> {
    Queue::new(Fifo::default(), limit)
}

#[test]
fn an_item_is_handed_to_whoever_came_first() {
    let (queue, calls) = (queue(8), [AtomicU32::new(0), AtomicU32::new(0)]);
    let hands = [hand(&calls[0]), hand(&calls[1])];
    // SAFETY: the hands stay here until they have their items.
    unsafe {
        assert_eq!(queue.enlist_get(&hands[0]), Ok(None));
        assert_eq!(queue.enlist_get(&hands[1]), Ok(None));
        assert_eq!(queue.try_put(1), Ok(()));
        assert_eq!([&calls[0], &calls[1]].map(|c| c.load(Ordering::Acquire)), [1, 0]);
        assert_eq!(queue.resume_get(&hands[1]), Ok(None), "it is not its turn");
        assert_eq!(queue.try_put(2), Ok(()));
        assert_eq!(queue.resume_get(&hands[0]), Ok(Some(1)));
        assert_eq!(queue.resume_get(&hands[1]), Ok(Some(2)));
    }
}

#[test]
fn who_gives_up_leaves_the_item_to_the_next() {
    let (queue, calls) = (queue(8), [AtomicU32::new(0), AtomicU32::new(0)]);
    let hands = [hand(&calls[0]), hand(&calls[1])];
    // SAFETY: the hands stay here until they are out of the line.
    unsafe {
        assert_eq!(queue.enlist_get(&hands[0]), Ok(None));
        assert_eq!(queue.enlist_get(&hands[1]), Ok(None));
        assert_eq!(queue.try_put(1), Ok(()));
        assert_eq!(queue.withdraw_get(&hands[0]), Some(1));
        assert_eq!(queue.return_item(1), None);
        assert_eq!(queue.resume_get(&hands[1]), Ok(Some(1)));
        assert_eq!(queue.enlist_get(&hands[1]), Ok(None));
        assert_eq!(queue.withdraw_get(&hands[1]), None);
    }
    assert_eq!(queue.try_put(2), Ok(()));
    assert_eq!(queue.try_get(), Ok(2));
}

#[test]
fn a_place_is_kept_until_the_item_comes() {
    let (queue, calls) = (queue(1), [AtomicU32::new(0), AtomicU32::new(0)]);
    let hands = [hand(&calls[0]), hand(&calls[1])];
    assert_eq!(queue.try_put(0), Ok(()));
    // SAFETY: the hands stay here until they are out of the line.
    unsafe {
        assert_eq!(queue.enlist_put(&hands[0], 1), Ok(Some(1)));
        assert_eq!(queue.enlist_put(&hands[1], 2), Ok(Some(2)));
        assert_eq!(queue.try_get(), Ok(0));
        assert_eq!(calls[0].load(Ordering::Acquire), 1);
        assert_eq!(queue.try_put(9), Err(NotPut { why: Refused::WouldWait, item: 9 }));
        assert_eq!(queue.try_get(), Err(Refused::WouldWait));
        queue.withdraw_put(&hands[0]);
        assert_eq!(calls[1].load(Ordering::Acquire), 1);
        assert_eq!(queue.resume_put(&hands[1], 2), Ok(None));
    }
    assert_eq!((queue.try_get(), queue.unfinished()), (Ok(2), 2));
}

#[test]
fn a_getter_that_waits_for_a_kept_place_makes_room_for_the_next_putter() {
    let (queue, calls) = (queue(1), [AtomicU32::new(0), AtomicU32::new(0)]);
    let (putter, getter) = (hand(&calls[0]), hand(&calls[1]));
    assert_eq!(queue.try_put(0), Ok(()));
    thread::scope(|scope| {
        // SAFETY: the hands stay here until they are out of the line.
        unsafe {
            assert_eq!(queue.enlist_put(&putter, 1), Ok(Some(1)));
            let blocked = scope.spawn(|| queue.put(2));
            while queue.waiting().1 < 2 {
                thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(queue.try_get(), Ok(0));
            assert_eq!(queue.enlist_get(&getter), Ok(None));
            assert_eq!(queue.resume_put(&putter, 1), Ok(None));
            assert_eq!(queue.resume_get(&getter), Ok(Some(1)));
            assert_eq!(blocked.join().expect("it does not panic"), Ok(()));
        }
    });
    assert_eq!(queue.try_get(), Ok(2));
}

#[test]
fn the_end_is_told_to_all() {
    let (queue, calls) = (queue(1), [AtomicU32::new(0), AtomicU32::new(0)]);
    let (getter, putter) = (hand(&calls[0]), hand(&calls[1]));
    // SAFETY: the hands stay here until they are out of the line.
    unsafe {
        assert_eq!(queue.enlist_get(&getter), Ok(None));
        queue.shutdown();
        assert_eq!(queue.resume_get(&getter), Err(Refused::ShutDown));
        queue.reopen();
        assert_eq!(queue.try_put(0), Ok(()));
        assert_eq!(queue.enlist_put(&putter, 1), Ok(Some(1)));
        assert!(!queue.enlist_join(getter.waiter()));
        assert_eq!(queue.shutdown_now(), [0]);
        assert_eq!(queue.resume_put(&putter, 1), Err(NotPut { why: Refused::ShutDown, item: 1 }));
        assert!(getter.waiter().granted().is_some());
        queue.withdraw_join(getter.waiter());
        assert!(queue.enlist_join(getter.waiter()));
    }
}
