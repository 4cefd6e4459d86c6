//! Every interleaving of a pool that takes a task back and a worker that begins it: `RUSTFLAGS="--cfg loom" cargo test
//! --release`.
#![cfg(loom)]

#[path = "../src/lease.rs"]
#[allow(dead_code, reason = "the pool uses the rest")]
mod lease;
#[path = "../src/sync.rs"]
#[allow(dead_code, unused_imports, reason = "the pool uses the rest")]
mod sync;

use std::sync::Arc;

use lease::{LEASES, Leases};
use loom::cell::UnsafeCell;
use loom::thread;

struct Shared {
    leases: Leases,
    /// What whoever has the task does to it.
    task: UnsafeCell<u32>,
}

// SAFETY: the lease guards the task; that it does is what is tested.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    fn offered(seq: u32) -> Arc<Shared> {
        let shared = Shared { leases: Leases::new(), task: UnsafeCell::new(0) };
        shared.leases.offer(seq);
        Arc::new(shared)
    }

    fn have(&self) {
        // SAFETY: nobody else has it: loom would tell.
        self.task.with_mut(|task| unsafe { *task += 1 });
    }
}

#[test]
fn a_task_is_run_or_taken_back_and_never_both() {
    loom::model(|| {
        let shared = Shared::offered(5);
        let other = Arc::clone(&shared);
        let worker = thread::spawn(move || {
            let mine = other.leases.claim(5, 1234);
            if mine {
                other.have();
            }
            mine
        });
        let mine = shared.leases.revoke(5);
        if mine {
            shared.have();
        }
        let theirs = worker.join().expect("it ended");
        assert!(mine != theirs);
        assert_eq!(shared.leases.claimed(5), theirs.then_some(1234));
        assert!(!shared.leases.is_offered(5));
    });
}

#[test]
fn the_dead_had_begun_the_task_exactly_if_its_lease_says_so() {
    loom::model(|| {
        let shared = Shared::offered(1);
        let other = Arc::clone(&shared);
        let worker = thread::spawn(move || {
            // It is killed here, or there.
            if other.leases.claim(1, 7) {
                other.have();
            }
        });
        if let Some(when) = shared.leases.claimed(1) {
            assert_eq!(when, 7);
            assert!(!shared.leases.is_offered(1));
        }
        worker.join().expect("it ended");
    });
}

#[test]
fn a_lease_that_is_used_again_is_not_the_old_one() {
    loom::model(|| {
        let again = 1 + LEASES as u32;
        let shared = Shared::offered(1);
        assert!(shared.leases.claim(1, 7));
        shared.leases.offer(again);
        assert!(!shared.leases.revoke(1) && !shared.leases.claim(1, 8));
        assert_eq!(shared.leases.claimed(1), None);
        assert!(shared.leases.is_offered(again) && shared.leases.claim(again, 9));
        assert_eq!(shared.leases.claimed(again), Some(9));
    });
}
