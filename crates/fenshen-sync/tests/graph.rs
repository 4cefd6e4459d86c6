//! The wait-for graph against definitions that are tried out one by one.
#![cfg(not(any(loom, shuttle)))]

use std::sync::Mutex;

use fenshen_sync::graph::{Target, Wait, look};
use fenshen_sync::{Grant, Scope, Waiter, Wake};
use proptest::prelude::*;

/// There is one graph in a process.
static ALONE: Mutex<()> = Mutex::new(());

/// Whom a thread waits for in a test, and how.
#[derive(Clone, Debug)]
enum For {
    Nobody,
    Anyone,
    End(u32),
    Lock(u32),
    /// Any of these, as a bit set.
    Any(u8),
    /// The same with a deadline.
    Timed(u32),
    /// One that has just been granted what it waited for.
    Granted(u32),
}

const MOST: u32 = 6;

fn target() -> impl Strategy<Value = For> {
    prop_oneof![
        1 => Just(For::Nobody),
        1 => Just(For::Anyone),
        4 => (1..=MOST).prop_map(For::End),
        4 => (0..=MOST).prop_map(For::Lock),
        3 => any::<u8>().prop_map(|set| For::Any(set & 0x7e)),
        1 => (1..=MOST).prop_map(For::Timed),
        1 => (1..=MOST).prop_map(For::Granted),
    ]
}

unsafe fn members(set: *const (), into: &mut Vec<u32>) -> bool {
    let set = set as usize;
    into.extend((1..=MOST).filter(|t| set & 1 << t != 0));
    true
}

/// What each thread's wait means, by itself: whom it waits for, without a deadline.
fn helpers(wait: &For) -> Option<Vec<u32>> {
    match wait {
        For::End(thread) => Some(vec![*thread]),
        For::Lock(0) | For::Nobody | For::Anyone | For::Timed(_) | For::Granted(_) => None,
        For::Lock(owner) => Some(vec![*owner]),
        For::Any(set) => Some((1..=MOST).filter(|t| set & 1 << t != 0).collect()),
    }
}

/// The union of all sets whose members wait for members only, each set tried out.
fn brute_stuck(waits: &[For]) -> Vec<u32> {
    let mut union = 0_u32;
    for set in 1..1_u32 << MOST {
        let is_in = |thread: u32| set & 1 << (thread - 1) != 0;
        let closed = (1..=MOST)
            .filter(|&t| is_in(t))
            .all(|t| helpers(&waits[t as usize - 1]).is_some_and(|h| !h.is_empty() && h.iter().all(|&h| is_in(h))));
        if closed {
            union |= set;
        }
    }
    (1..=MOST).filter(|t| union & 1 << (t - 1) != 0).collect()
}

fn brute_ring(waits: &[For], thread: u32) -> Vec<u32> {
    let next = |t: u32| helpers(&waits[t as usize - 1]).and_then(|h| h.first().copied());
    let mut at = thread;
    for _ in 0..MOST {
        match next(at) {
            Some(then) => at = then,
            None => return Vec::new(),
        }
    }
    // After as many steps as there are threads, the walk is in its ring.
    let mut ring = vec![at];
    let mut then = next(at).expect("a ring goes on");
    while then != at {
        ring.push(then);
        then = next(then).expect("a ring goes on");
    }
    ring
}

fn with_graph<R>(waits: &[For], body: impl FnOnce() -> R) -> R {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let locks: Vec<fenshen_sync::Mutex> = waits.iter().map(|_| fenshen_sync::Mutex::new(Scope::Process)).collect();
    let waiters: Vec<Waiter> = waits.iter().map(|_| Waiter::new(0, Wake::Thread)).collect();
    let mut entered = Vec::new();
    for (n, wait) in waits.iter().enumerate() {
        let target = match wait {
            For::Nobody => continue,
            For::Anyone => Target::Anyone,
            For::End(thread) | For::Timed(thread) | For::Granted(thread) => Target::Thread(*thread),
            For::Lock(owner) => {
                assert!(locks[n].try_lock(*owner));
                Target::Owner { cell: locks[n].owner_cell(), strict: true }
            }
            For::Any(set) => Target::Among { list: members, of: *set as usize as *const () },
        };
        let timed = matches!(wait, For::Timed(_));
        entered.push(Box::new(Wait::new(n as u32 + 1, &waiters[n], target, timed, 0)));
        if matches!(wait, For::Granted(_)) {
            // SAFETY: it waits in no list.
            unsafe { Waiter::grant(&waiters[n], Grant::GIVEN) };
        }
    }
    // SAFETY: they are boxed, and are taken out below.
    entered.iter().for_each(|wait| unsafe { look().enter(wait) });
    let outcome = body();
    entered.iter().for_each(|wait| look().leave(wait));
    assert_eq!(look().all().count(), 0);
    outcome
}

/// From its least member on.
fn turned(mut ring: Vec<u32>) -> Vec<u32> {
    if let Some(least) = ring.iter().min() {
        let at = ring.iter().position(|t| t == least).unwrap_or(0);
        ring.rotate_left(at);
    }
    ring
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn finds_what_is_stuck(waits in prop::collection::vec(target(), MOST as usize)) {
        let (stuck, rings) = with_graph(&waits, || {
            let look = look();
            (look.stuck(), (1..=MOST).map(|t| look.ring(t)).collect::<Vec<_>>())
        });
        prop_assert_eq!(&stuck, &brute_stuck(&waits));
        for (thread, ring) in (1..=MOST).zip(rings) {
            prop_assert_eq!(turned(ring.clone()), turned(brute_ring(&waits, thread)), "from {}", thread);
            prop_assert!(!stuck.contains(&thread) || ring.iter().all(|t| stuck.contains(t)));
        }
    }
}

#[test]
fn a_wait_amid_another_counts_alone() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let waiters = [Waiter::new(1, Wake::Thread), Waiter::new(1, Wake::Thread)];
    let outer = Wait::new(1, &waiters[0], Target::Thread(1), false, 0);
    let inner = Wait::new(1, &waiters[1], Target::Anyone, false, 0);
    // SAFETY: both stay here until they are taken out.
    unsafe {
        look().enter(&outer);
        assert_eq!(look().stuck(), [1]);
        look().enter(&inner);
    }
    assert!(look().stuck().is_empty());
    look().leave(&outer);
    look().leave(&inner);
}

#[test]
fn a_long_chain_is_looked_at_in_no_time() {
    const LONG: u32 = 2_000;
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let waiter = Waiter::new(0, Wake::Thread);
    let chain: Vec<Wait> = (1..LONG).map(|n| Wait::new(n, &waiter, Target::Thread(n + 1), false, 0)).collect();
    // SAFETY: the vector is not touched until all are taken out.
    chain.iter().for_each(|wait| unsafe { look().enter(wait) });
    assert!(look().stuck().is_empty());
    let last = Wait::new(LONG, &waiter, Target::Thread(1), false, 0);
    // SAFETY: as above.
    unsafe { look().enter(&last) };
    assert_eq!(look().stuck().len(), LONG as usize);
    look().leave(&last);
    chain.iter().for_each(|wait| look().leave(wait));
}
