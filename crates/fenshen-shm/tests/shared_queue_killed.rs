//! Processes that are killed while they put and get: the others go on, and no message is torn. One test, in a process
//! that has nothing else to do when it forks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fenshen_shm::{Outbox, Segment, SharedQueue};
use fenshen_sync::Deadline;

/// A message that shows whether it is whole: its bytes are all alike but for the length in front.
fn message(n: u64) -> Vec<u8> {
    let len = match n % 50 {
        0 => 60_000,
        k => 8 + k as usize * 7,
    };
    let mut message = vec![(n % 251) as u8; len];
    message[..8].copy_from_slice(&(len as u64).to_le_bytes());
    message
}

fn is_whole(message: &[u8]) -> bool {
    message.len() >= 8
        && message[..8] == (message.len() as u64).to_le_bytes()
        && message[8..].windows(2).all(|pair| pair[0] == pair[1])
}

fn fork(child: impl FnOnce()) -> libc::pid_t {
    // SAFETY: no other thread of this process is in the middle of anything; the child goes its own way at once.
    match unsafe { libc::fork() } {
        0 => {
            child();
            // SAFETY: it ends the process.
            unsafe { libc::_exit(0) }
        }
        pid => pid,
    }
}

fn kill(pid: libc::pid_t) {
    let mut status = 0;
    // SAFETY: a child of this process, not yet waited for.
    unsafe {
        libc::kill(pid, libc::SIGKILL);
        libc::waitpid(pid, &mut status, 0);
    }
}

#[test]
fn the_killed_harm_nobody() {
    let segment = Segment::create(c"test", SharedQueue::LEN).expect("there is memory");
    let queue = Arc::new(SharedQueue::create(Arc::new(segment), 2000).expect("there are descriptors"));
    queue.pollable();
    let put = |queue: &Arc<SharedQueue>| {
        let outbox = Outbox::new(Arc::clone(queue));
        for n in 0.. {
            if outbox.put(&message(n), true).is_err() {
                queue.wait_for_place(None);
                queue.pass_place_on();
            }
        }
    };
    let get = |queue: &Arc<SharedQueue>| {
        loop {
            let message = queue.get(None).expect("the memory is sound");
            assert!(is_whole(&message));
        }
    };
    let start = Instant::now();
    let long = std::env::var_os("FENSHEN_SOAK").map_or(3, |_| 60);
    let mut children = Vec::new();
    let mut random = 12_345_u64;
    let mut rounds = 0_u32;
    while start.elapsed() < Duration::from_secs(long) {
        while children.len() < 4 {
            let queue = &queue;
            rounds += 1;
            children.push(if rounds.is_multiple_of(2) { fork(|| put(queue)) } else { fork(|| get(queue)) });
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_micros(random >> 51));
        kill(children.swap_remove((random >> 33) as usize % 4));
    }
    children.into_iter().for_each(kill);
    assert!(rounds > 20, "only {rounds} were killed");
    let until = Some(Deadline::after(Duration::from_secs(60)));
    // The dead leave no more than what the queue held.
    while !queue.is_empty() {
        assert!(is_whole(&queue.get(until).expect("the memory is sound")));
    }
    while queue.is_full() {
        queue.wait_for_place(until);
    }
    for n in 0..2000 {
        assert_eq!(queue.put(&message(n)).map(|_| queue.get(until)), Ok(Some(message(n))));
    }
    // Enough long ones that each place is used: the dead hold none.
    for _ in 0..3 {
        let all: Vec<_> = (0..150).map(|_| queue.put(&message(0))).collect();
        assert!(all.into_iter().all(|outcome| outcome == Ok(true)));
        (0..150).for_each(|_| assert_eq!(queue.get(until), Some(message(0))));
    }
}
