//! That the model of the kernel's half can lose a wake-up: an algorithm that does is found out.
#![cfg(loom)]
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::Ordering;

use fenshen_sync::{Scope, Word};
use loom::thread;

/// Wakes a sleeper; `careful` changes the word first, as one must.
fn wake_one(careful: bool) {
    loom::model(move || {
        let word = Arc::new(Word::new(0));
        let sleeper = Arc::clone(&word);
        let thread = thread::spawn(move || {
            while sleeper.load(Ordering::Acquire) == 0 {
                sleeper.sleep(0, None, Scope::Process);
            }
        });
        if careful {
            word.store(1, Ordering::Release);
            word.wake(1, Scope::Process);
        } else {
            word.wake(1, Scope::Process);
            word.store(1, Ordering::Release);
        }
        thread.join().unwrap();
    });
}

#[test]
fn a_word_that_is_changed_first_wakes() {
    wake_one(true);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_wake_up_that_comes_first_is_lost() {
    wake_one(false);
}
