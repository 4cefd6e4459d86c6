//! A queue in shared memory, within one process: order, bounds, long messages, outboxes, spoilt memory.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use fenshen_shm::{Counted, Outbox, Refused, Segment, SharedQueue};
use fenshen_sync::Deadline;
use proptest::prelude::*;

fn queue(bound: u64) -> SharedQueue {
    let segment = Segment::create(c"test", SharedQueue::LEN).expect("there is memory");
    SharedQueue::create(Arc::new(segment), bound).expect("there are descriptors")
}

fn message(number: u64, len: usize) -> Vec<u8> {
    number.to_le_bytes().iter().copied().cycle().take(len).collect()
}

fn soon() -> Option<Deadline> {
    Some(Deadline::after(Duration::from_secs(60)))
}

fn polled(queue: &SharedQueue) -> bool {
    let mut poll =
        libc::pollfd { fd: std::os::fd::AsRawFd::as_raw_fd(&queue.pollable()), events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, which is ours.
    unsafe { libc::poll(&mut poll, 1, 0) == 1 }
}

#[test]
fn messages_come_out_as_they_went_in() {
    let queue = queue(0);
    for round in 0..50_u64 {
        let lens = [0, 1, 7, 8, 9, 100, 4096, SharedQueue::INLINE, SharedQueue::INLINE + 1, 1 << 20];
        for (i, len) in lens.into_iter().enumerate() {
            assert_eq!(queue.put(&message(round * 16 + i as u64, len)), Ok(true));
        }
        assert_eq!(queue.len(), lens.len() as u64);
        for (i, len) in lens.into_iter().enumerate() {
            assert_eq!(queue.get(soon()), Some(message(round * 16 + i as u64, len)));
        }
        assert!(queue.is_empty());
    }
}

#[test]
fn a_bound_counts_messages() {
    let queue = queue(2);
    assert_eq!((queue.put(b"1"), queue.put(b"2"), queue.put(b"3")), (Ok(true), Ok(true), Ok(false)));
    assert!(queue.is_full());
    assert_eq!(queue.get(soon()).as_deref(), Some(b"1".as_slice()));
    assert!(!queue.is_full());
    assert_eq!(queue.put(b"3"), Ok(true));
}

#[test]
fn a_second_view_shows_the_same() {
    let ours = queue(3);
    let fd = ours.segment().as_fd().try_clone_to_owned().expect("there are descriptors");
    let sign = ours.sign().try_clone_to_owned().expect("there are descriptors");
    let theirs = SharedQueue::adopt(Arc::new(Segment::adopt(fd).expect("it is one")), sign).expect("it is one");
    ours.put(b"hello").expect("there is room");
    assert_eq!((theirs.bound(), theirs.len()), (3, 1));
    assert_eq!(theirs.get(soon()).as_deref(), Some(b"hello".as_slice()));
    assert!(ours.is_empty());
}

#[test]
fn many_put_and_many_get_each_message_once() {
    let queue = Arc::new(queue(0));
    let each = 20_000_u64;
    let seen = thread::scope(|scope| {
        for putter in 0..3 {
            let queue = &queue;
            scope.spawn(move || {
                for i in 0..each {
                    queue.put(&(putter * each + i).to_le_bytes()).expect("it is whole");
                }
            });
        }
        let getters: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let take = |_| queue.get(soon()).expect("there are as many");
                    (0..each).map(take).map(|m| u64::from_le_bytes(m.try_into().expect("eight bytes"))).collect()
                })
            })
            .collect();
        getters.into_iter().map(|g| g.join().expect("no panic")).collect::<Vec<Vec<u64>>>()
    });
    for of_one in &seen {
        for putter in 0..3 {
            let of_both = of_one.iter().filter(|&&n| n / each == putter);
            assert!(of_both.is_sorted(), "what one puts, each gets in order");
        }
    }
    let mut all: Vec<u64> = seen.into_iter().flatten().collect();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..3 * each));
}

#[test]
fn what_finds_no_room_waits_in_the_outbox() {
    let queue = Arc::new(queue(0));
    let outbox = Outbox::new(Arc::clone(&queue));
    let lens = |i: u64| if i.is_multiple_of(100) { 40_000 } else { 200 };
    for i in 0..5000 {
        outbox.put(&message(i, lens(i)), true).expect("it is never full");
    }
    assert_eq!(queue.len(), 5000);
    assert!(outbox.waiting() > 0);
    assert_eq!(queue.unfinished(), 5000);
    for i in 0..5000 {
        assert_eq!(queue.get(soon()), Some(message(i, lens(i))));
        assert!(queue.task_done());
    }
    assert!(outbox.flush(soon()));
    assert!(!queue.task_done());
    assert_eq!((queue.len(), queue.unfinished()), (0, 0));
}

#[test]
fn an_outbox_counts_against_the_bound() {
    let queue = Arc::new(queue(30));
    let outbox = Outbox::new(Arc::clone(&queue));
    for i in 0..30 {
        outbox.put(&message(i, SharedQueue::INLINE), true).expect("it is not full");
    }
    assert!(outbox.waiting() > 0);
    assert_eq!(outbox.put(b"one more", true), Err(Refused::Full));
    outbox.abandon();
    assert!(queue.len() < 30);
    assert!(outbox.flush(soon()));
}

#[test]
fn memory_of_long_messages_is_used_again() {
    let queue = queue(0);
    for i in 0..400 {
        queue.put(&message(i, 300_000)).expect("there is memory");
        assert_eq!(queue.get(soon()).map(|m| m.len()), Some(300_000));
    }
    assert!(memory(&queue) < 4 << 20, "{} bytes for one message at a time", memory(&queue));
}

/// How much memory a queue takes, in bytes.
fn memory(queue: &SharedQueue) -> u64 {
    let file = std::fs::File::from(queue.segment().as_fd().try_clone_to_owned().expect("there are descriptors"));
    std::os::unix::fs::MetadataExt::blocks(&file.metadata().expect("it is open")) * 512
}

#[test]
fn memory_of_many_messages_is_kept_until_somebody_waits_in_vain() {
    let queue = queue(0);
    for _ in 0..2 {
        for i in 0..100 {
            queue.put(&message(i, 100_000)).expect("there is memory");
        }
        for i in 0..100 {
            assert_eq!(queue.get(soon()), Some(message(i, 100_000)));
        }
        assert!(memory(&queue) > 8 << 20);
    }
    queue.wait_for_item(Some(Deadline::after(Duration::from_millis(1))));
    assert!(memory(&queue) < 4 << 20, "{} bytes for nothing", memory(&queue));
    queue.put(&message(7, 100_000)).expect("there is memory");
    assert_eq!(queue.get(soon()), Some(message(7, 100_000)));
}

#[test]
fn a_message_may_lie_in_pieces() {
    let queue = Arc::new(queue(0));
    let outbox = Outbox::new(Arc::clone(&queue));
    for len in [10, 100, SharedQueue::INLINE, SharedQueue::INLINE + 1, 100_000] {
        let whole = message(3, len);
        let (before, after) = whole.split_at(len / 3);
        assert!(outbox.put_pieces(&[before, &[], after], true).is_ok());
        assert_eq!(queue.get(soon()), Some(whole));
    }
    let whole = message(4, 40_000);
    let (before, after) = whole.split_at(20_000);
    for _ in 0..500 {
        outbox.put_pieces(&[before, after], true).expect("it is never full");
    }
    assert!(outbox.waiting() > 0);
    for _ in 0..500 {
        assert_eq!(queue.get(soon()).as_ref(), Some(&whole));
    }
}

#[test]
fn the_pollable_end_shows_whether_there_is_something() {
    let queue = queue(0);
    queue.put(b"before").expect("there is room");
    assert!(polled(&queue));
    queue.put(b"after").expect("there is room");
    queue.get(soon());
    assert!(polled(&queue));
    queue.get(soon());
    assert!(!polled(&queue));
    queue.put(b"again").expect("there is room");
    assert!(polled(&queue));
}

#[test]
fn what_is_refused_stays() {
    let queue = queue(0);
    queue.put(b"stays").expect("there is room");
    let taken = queue.take(|_| None::<Vec<u8>>, true, false);
    assert!(matches!(taken, Err(Refused::NoMemory)));
    assert_eq!(queue.get(soon()).as_deref(), Some(b"stays".as_slice()));
}

#[derive(Clone, Debug)]
enum Step {
    Put(usize),
    Get,
    Done,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let len = prop_oneof![8 => 0..300_usize, 1 => 10_000..SharedQueue::INLINE, 1 => SharedQueue::INLINE..200_000];
    prop::collection::vec(
        prop_oneof![3 => len.prop_map(Step::Put), 2 => Just(Step::Get), 1 => Just(Step::Done)],
        0..400,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_is_what_a_deque_is(steps in steps(), bound in prop_oneof![Just(0_u64), 1..20_u64]) {
        let queue = queue(bound);
        let (mut model, mut unfinished, mut number) = (VecDeque::new(), 0_i64, 0);
        for step in steps {
            match step {
                Step::Put(len) => {
                    let outcome = match len <= SharedQueue::INLINE {
                        true => queue.try_put(&message(number, len), Counted::Now, true),
                        false => queue.stage(&message(number, len), true)
                            .and_then(|s| queue.put_staged(s, Counted::Now, true).map_err(|e| e.1)),
                    };
                    match outcome {
                        Ok(n) => {
                            prop_assert_eq!(n, number);
                            model.push_back(message(number, len));
                            (unfinished, number) = (unfinished + 1, number + 1);
                        }
                        Err(Refused::Full) => prop_assert!(bound != 0 && model.len() as u64 == bound),
                        Err(why) => {
                            prop_assert_eq!(why, Refused::NoRoom);
                            prop_assert!(model.iter().map(Vec::len).sum::<usize>() + len > SharedQueue::LEN / 2);
                        }
                    }
                }
                Step::Get => prop_assert_eq!(queue.get(Some(Deadline::now())), model.pop_front()),
                Step::Done => {
                    prop_assert_eq!(queue.task_done(), unfinished > 0);
                    unfinished = (unfinished - 1).max(0);
                }
            }
            prop_assert_eq!(queue.len(), model.len() as u64);
            prop_assert_eq!(queue.unfinished(), unfinished);
        }
    }

    /// Whatever somebody writes over the head and the ring, the others get an error or a message, and go on.
    #[test]
    fn spoilt_memory_harms_nobody(spots in prop::collection::vec((0..SharedQueue::LEN / 8, any::<u64>()), 1..40)) {
        let queue = queue(0);
        for i in 0..20 {
            queue.put(&message(i, if i.is_multiple_of(5) { 20_000 } else { 50 })).expect("there is room");
        }
        for (at, value) in spots {
            // Half of it goes where it hurts most.
            let at = if value & 1 == 0 { at % 40 } else { at };
            // SAFETY: within the segment; nobody else uses it now.
            unsafe { queue.segment().start().cast::<u64>().add(at).write(value) };
        }
        for i in 0..20 {
            let taken = queue.take(|len| Some(vec![0; len]), false, false);
            taken.and_then(fenshen_shm::Taken::finish).ok();
            queue.try_put(&message(i, 50), Counted::Now, false).ok();
            if let Ok(staged) = queue.stage(&message(i, 20_000), false) {
                queue.put_staged(staged, Counted::Now, false).ok();
            }
        }
        let _ = (queue.len(), queue.unfinished(), queue.task_done(), polled(&queue));
    }
}
