//! A template, the workers that are made of it, and how all of them end.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fenshen_pool::template::{Order, Template, Told};
use fenshen_pool::{Exit, Lifeline, Pidfd};

const PATIENCE: Duration = Duration::from_secs(30);

fn pipe() -> (File, File) {
    let mut ends = [0; 2];
    // SAFETY: there is room for two new files.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (OwnedFd::from_raw_fd(ends[0]).into(), OwnedFd::from_raw_fd(ends[1]).into())
    }
}

/// One test at a time: a fork of another would inherit the program's side of a lifeline.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A template, its number, and what it is tied to.
fn template(work: fn(Told) -> i32) -> (Template, Pidfd, Lifeline) {
    let mut lifeline = Lifeline::new().unwrap();
    // SAFETY: the tests' threads hold nothing that the template needs: the C library's memory is cared for.
    let (template, pid) = unsafe { Template::fork(&mut lifeline, &mut (), work) }.unwrap();
    (template, Pidfd::open(pid).unwrap(), lifeline)
}

fn end(pidfd: &Pidfd) -> Exit {
    assert!(pidfd.wait(PATIENCE).unwrap(), "it has not ended");
    let seen = pidfd.peek().unwrap();
    assert_eq!(pidfd.reap().unwrap(), seen);
    seen.unwrap()
}

fn only(template: &Template, bytes: &[u8]) -> Pidfd {
    let mut made = template.start(&[Order { bytes, files: &[] }]);
    assert_eq!(made.len(), 1);
    Pidfd::open(made.remove(0).unwrap()).unwrap()
}

/// Writes its parent's number and whether the C library knows its own into the first file.
fn report(told: Told) -> i32 {
    // SAFETY: all of them only return numbers; a recursive mutex notes who has it by the number in question.
    let (parent, tid, known) = unsafe {
        let mut mutex: libc::pthread_mutex_t = libc::PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
        let words: *const i32 = (&raw mut mutex).cast();
        libc::pthread_mutex_lock(&raw mut mutex);
        (libc::getppid(), libc::syscall(libc::SYS_gettid) as i32, words.add(2).read())
    };
    let mut file = File::from(told.files.into_iter().next().unwrap());
    writeln!(file, "{parent} {} {}", tid == known, fenshen_sync::tid() == tid as u32).unwrap();
    i32::from(told.bytes[0])
}

#[test]
fn a_worker_is_a_child_of_the_program() {
    let _turn = turn();
    let (template, process, _lifeline) = template(report);
    let (mut read, write) = pipe();
    let made = template.start(&[Order { bytes: &[7], files: &[write.as_fd()] }]);
    drop(write);
    let worker = Pidfd::open(*made[0].as_ref().unwrap()).unwrap();
    let mut text = String::new();
    read.read_to_string(&mut text).unwrap();
    assert_eq!(text, format!("{} true true\n", std::process::id()));
    assert_eq!(end(&worker), Exit::Status(7));
    drop(template);
    assert_eq!(end(&process), Exit::Status(0));
}

#[test]
fn many_at_once_are_in_order() {
    let _turn = turn();
    let (template, process, _lifeline) = template(|told| i32::from(told.bytes[0]));
    let bytes: Vec<[u8; 1]> = (0..100).map(|n| [n]).collect();
    let orders: Vec<Order<'_>> = bytes.iter().map(|bytes| Order { bytes, files: &[] }).collect();
    for (n, pid) in template.start(&orders).into_iter().enumerate() {
        assert_eq!(end(&Pidfd::open(pid.unwrap()).unwrap()), Exit::Status(n as i32));
    }
    drop(template);
    end(&process);
}

#[test]
fn an_order_may_be_long() {
    let _turn = turn();
    let (template, process, _lifeline) = template(|told| {
        i32::from(told.files.is_empty() && told.bytes.len() == 1 << 20 && told.bytes.iter().all(|&byte| byte == 9))
    });
    assert_eq!(end(&only(&template, &vec![9; 1 << 20])), Exit::Status(1));
    drop(template);
    end(&process);
}

#[test]
fn too_many_files_are_refused() {
    let _turn = turn();
    let (template, process, _lifeline) = template(|_| 0);
    let (read, _write) = pipe();
    let files = vec![read.as_fd(); 300];
    let made = template.start(&[Order { bytes: &[], files: &files }, Order { bytes: &[], files: &[] }]);
    assert!(made[0].is_err());
    end(&Pidfd::open(*made[1].as_ref().unwrap()).unwrap());
    drop(template);
    end(&process);
}

#[test]
fn a_template_that_was_killed_makes_none() {
    let _turn = turn();
    let (template, process, _lifeline) = template(|_| 0);
    end(&only(&template, &[]));
    assert!(process.signal(libc::SIGKILL).unwrap());
    assert_eq!(end(&process), Exit::Signal(libc::SIGKILL));
    assert!(!process.signal(0).unwrap());
    assert!(template.start(&[Order { bytes: &[], files: &[] }]).is_empty());
    assert_eq!(template.untold(), None);
}

#[test]
fn a_template_takes_no_signals() {
    let _turn = turn();
    let (template, process, _lifeline) = template(|_| 5);
    process.signal(libc::SIGINT).unwrap();
    process.signal(libc::SIGTERM).unwrap();
    assert_eq!(end(&only(&template, &[])), Exit::Status(5));
    drop(template);
    assert_eq!(end(&process), Exit::Status(0));
}

#[test]
fn nobody_outlives_the_program() {
    let _turn = turn();
    let (template, process, lifeline) = template(|_| {
        loop {
            std::hint::spin_loop();
        }
    });
    let worker = only(&template, &[]);
    assert_eq!(worker.peek().unwrap(), None);
    drop(lifeline);
    assert_eq!(end(&worker), Exit::Signal(libc::SIGKILL));
    assert_eq!(end(&process), Exit::Signal(libc::SIGKILL));
}

#[test]
fn whoever_comes_late_ends_too() {
    let _turn = turn();
    let (template, process, lifeline) = template(|told| {
        let tied = fenshen_pool::tie(told.files[0].as_fd());
        1 + i32::from(tied.is_ok())
    });
    let another = Lifeline::new().unwrap();
    let end_of_it = another.end().try_clone_to_owned().unwrap();
    drop(another);
    let made = template.start(&[Order { bytes: &[], files: &[end_of_it.as_fd()] }]);
    assert_eq!(end(&Pidfd::open(*made[0].as_ref().unwrap()).unwrap()), Exit::Signal(libc::SIGKILL));
    drop((template, lifeline));
    end(&process);
}

#[test]
fn one_ends_while_another_process_has_its_socket() {
    let _turn = turn();
    let (first, process, _lifeline) = template(|_| 0);
    let (second, other, _another) = template(|_| 0);
    drop(first);
    assert_eq!(end(&process), Exit::Status(0));
    drop(second);
    assert_eq!(end(&other), Exit::Status(0));
}
