//! Has a loop's thread say where it is, even while C code holds the interpreter: a real-time signal that the program
//! doesn't use, on which `faulthandler` writes the thread's Python stack.
//!
//! `faulthandler.register` makes the function that writes; our own handler stands before it, writes what the loop is
//! at, calls that function, and ends the answer with a zero byte. All of it goes through a pipe, whose ends the
//! watchdog checks before each use: a program may close every descriptor that it doesn't know.

use std::ffi::c_int;
use std::mem::{MaybeUninit, transmute, zeroed};
use std::os::fd::RawFd;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::frames;
use crate::object::ptr_or_null;
use crate::pulse::Pulse;
use crate::task::Task;

/// How long a thread may take to answer.
const PATIENCE: Duration = Duration::from_millis(300);
/// The answer at an instruction where the stack can't be walked, how often the question is put then, and how soon.
const LATER: &[u8] = b"!";
const RETRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(1);
/// So much of an answer is read.
const LONGEST: usize = 256 * 1024;
/// So many characters of a task's name are told.
const NAME: usize = 80;
/// Descriptors below this are left to the program, where there are enough.
const ABOVE: c_int = 64;

/// What is to be asked, taken by whoever gets to it first: the handler, or the watchdog that gives up.
static ASKED: AtomicPtr<Pulse> = AtomicPtr::new(ptr::null_mut());
/// The step that is meant.
static BEAT: AtomicU64 = AtomicU64::new(0);
/// The pipe's end that answers go to.
static ANSWERS: AtomicUsize = AtomicUsize::new(0);
/// The function that `faulthandler` installed.
static DUMP: AtomicUsize = AtomicUsize::new(0);

static CHANNEL: Mutex<Option<Channel>> = Mutex::new(None);

/// The signal and the pipe.
#[derive(Clone, Copy)]
struct Channel {
    signal: c_int,
    read: RawFd,
    write: RawFd,
    /// The pipe's device and inode.
    identity: (u64, u64),
}

impl Channel {
    /// Whether both descriptors are still the pipe, and the signal still ours.
    fn intact(&self) -> bool {
        identity(self.read) == Some(self.identity)
            && identity(self.write) == Some(self.identity)
            && disposition(self.signal).is_some_and(|action| action.sa_sigaction == handler_address())
    }

    fn close(&self) {
        for fd in [self.read, self.write] {
            if identity(fd) == Some(self.identity) {
                // SAFETY: the descriptor is our own pipe's, as just checked, and nothing else uses it.
                unsafe { libc::close(fd) };
            }
        }
    }
}

fn identity(fd: RawFd) -> Option<(u64, u64)> {
    let mut found = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the call fills `found` in, or fails.
    unsafe { (libc::fstat(fd, found.as_mut_ptr()) == 0).then(|| found.assume_init()) }
        .map(|found| (found.st_dev, found.st_ino))
}

fn disposition(signal: c_int) -> Option<libc::sigaction> {
    let mut found = MaybeUninit::uninit();
    // SAFETY: with no new action the call only fills `found` in, or fails.
    unsafe { (libc::sigaction(signal, ptr::null(), found.as_mut_ptr()) == 0).then(|| found.assume_init()) }
}

fn handler_address() -> usize {
    on_signal as *const () as usize
}

/// Makes the pipe, chooses the signal, and registers it with `faulthandler`.
pub(super) fn prepare(py: Python<'_>) -> PyResult<()> {
    // SAFETY: the thread is attached, as `py` says.
    unsafe { frames::learn() };
    let mut channel = CHANNEL.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if channel.as_ref().is_some_and(Channel::intact) {
        return Ok(());
    }
    let before = channel.take();
    if let Some(before) = &before {
        before.close();
    }
    let ours = |signal: c_int| disposition(signal).is_some_and(|action| action.sa_sigaction == handler_address());
    let free = |signal: c_int| disposition(signal).is_some_and(|action| action.sa_sigaction == libc::SIG_DFL);
    let known = before.map(|channel| channel.signal).filter(|&signal| ours(signal));
    let Some(signal) = known.or_else(|| (libc::SIGRTMIN() + 1..libc::SIGRTMAX()).rev().find(|&signal| free(signal)))
    else {
        return Ok(());
    };
    let (read, write) = pipe()?;
    let made = Channel { signal, read, write, identity: identity(write).unwrap_or_default() };
    let arguments = PyDict::new(py);
    arguments.set_item("file", write)?;
    arguments.set_item("all_threads", false)?;
    let registered = py.import("faulthandler").and_then(|m| m.call_method("register", (signal,), Some(&arguments)));
    if let Err(e) = registered {
        made.close();
        return Err(e);
    }
    ANSWERS.store(write as usize, Ordering::Release);
    stand_before(signal);
    *channel = Some(made);
    Ok(())
}

/// A pipe that never blocks, closed on `exec`.
fn pipe() -> PyResult<(RawFd, RawFd)> {
    let mut low = [0; 2];
    // SAFETY: the call fills in both numbers, or fails.
    if unsafe { libc::pipe2(low.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) } < 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    let [read, write] = low.map(|fd| {
        // SAFETY: `fd` was just opened and is known to nobody else; it is closed once there is a copy.
        unsafe {
            match libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, ABOVE) {
                -1 => fd,
                high => {
                    libc::close(fd);
                    high
                }
            }
        }
    });
    Ok((read, write))
}

/// Puts our handler before the one that `faulthandler` has just installed.
fn stand_before(signal: c_int) {
    let Some(action) = disposition(signal) else {
        return;
    };
    if action.sa_sigaction == handler_address() {
        return;
    }
    DUMP.store(action.sa_sigaction, Ordering::Release);
    // SAFETY: an all-zero action is a valid one; the handler is async-signal-safe, and lives as long as the process.
    unsafe {
        let mut ours: libc::sigaction = zeroed();
        ours.sa_sigaction = handler_address();
        // What the program waits for in the kernel goes on by itself where that is possible; a thread with a stack
        // for signals (after an overflow of its own) uses that.
        ours.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
        libc::sigfillset(&raw mut ours.sa_mask);
        libc::sigaction(signal, &raw const ours, ptr::null_mut());
    }
}

/// In a forked child: the pipe is the parent's.
pub(super) fn forget() {
    ASKED.store(ptr::null_mut(), Ordering::Relaxed);
}

extern "C" fn on_signal(signal: c_int) {
    // SAFETY: everything called is async-signal-safe. The pulse was taken from the one place that gives it away, and
    // whoever put it there keeps it alive until it has the answer.
    unsafe {
        let errno = libc::__errno_location();
        let kept = *errno;
        let pulse = ASKED.swap(ptr::null_mut(), Ordering::AcqRel);
        if !pulse.is_null() {
            answer(signal, &*pulse);
            put(&[0]);
        }
        *errno = kept;
    }
}

/// Writes what the loop is at and where, if it is still the step that is meant.
unsafe fn answer(signal: c_int, pulse: &Pulse) {
    let here = libc::syscall(libc::SYS_gettid) as i32;
    let dump = DUMP.load(Ordering::Acquire);
    if pulse.thread() != here || pulse.beat() != Some(BEAT.load(Ordering::Acquire)) || dump == 0 {
        return;
    }
    if !frames::can_be_walked() {
        return put(LATER);
    }
    let at = pulse.at();
    let what = (at & !7) as *mut ffi::PyObject;
    match at & 7 {
        _ if what.is_null() => put(b"?"),
        // The kinds of `event_loop::word`.
        1 | 2 => put_task(what.cast()),
        3 => put(b"d"),
        _ => put(b"h"),
    }
    put(b"\n");
    let dump: extern "C" fn(c_int) = transmute(dump);
    dump(signal);
}

fn put(bytes: &[u8]) {
    let fd = ANSWERS.load(Ordering::Acquire) as RawFd;
    // SAFETY: the bytes are alive; a pipe that is full drops them.
    unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
}

/// Writes a task's number or name. The loop holds the task while it takes a step.
unsafe fn put_task(t: *mut Task) {
    let name = ptr_or_null(&(*t).name);
    if name.is_null() {
        put(b"n");
        let mut digits = [0; 20];
        let mut left = (*t).number;
        let mut first = digits.len();
        while first == digits.len() || left > 0 {
            first -= 1;
            digits[first] = b'0' + (left % 10) as u8;
            left /= 10;
        }
        return put(&digits[first..]);
    }
    put(b"s");
    if ffi::PyUnicode_Check(name) == 0 {
        return;
    }
    #[cfg(not(Py_3_12))]
    if ffi::PyUnicode_IS_READY(name) == 0 {
        return;
    }
    put_text(name);
}

/// Writes a `str` as UTF-8, on one line.
unsafe fn put_text(o: *mut ffi::PyObject) {
    let data = ffi::PyUnicode_DATA(o);
    let len = (ffi::PyUnicode_GET_LENGTH(o) as usize).min(NAME);
    let kind = ffi::PyUnicode_KIND(o);
    let mut text = [0; NAME * 4];
    let mut used = 0;
    for i in 0..len {
        let code = match kind {
            1 => u32::from(*data.cast::<u8>().add(i)),
            2 => u32::from(*data.cast::<u16>().add(i)),
            _ => *data.cast::<u32>().add(i),
        };
        let shown = char::from_u32(code).filter(|c| !c.is_control()).unwrap_or(' ');
        used += shown.encode_utf8(&mut text[used..]).len();
    }
    put(&text[..used]);
}

/// Asks the thread of a loop where it is in step `beat`; None if it doesn't say in time, or when `give_up` says so.
pub(super) fn ask(pulse: &Arc<Pulse>, beat: u64, give_up: impl Fn() -> bool) -> Option<Vec<u8>> {
    for _ in 0..RETRIES {
        let answer = ask_once(pulse, beat, &give_up)?;
        if !answer.starts_with(LATER) {
            return Some(answer);
        }
        std::thread::sleep(PAUSE);
    }
    None
}

fn ask_once(pulse: &Arc<Pulse>, beat: u64, give_up: &impl Fn() -> bool) -> Option<Vec<u8>> {
    let channel = (*CHANNEL.lock().unwrap_or_else(std::sync::PoisonError::into_inner))?;
    let tid = pulse.thread();
    if tid == 0 || !channel.intact() || blocks(tid, channel.signal) {
        return None;
    }
    // What came too late the last time.
    while read_some(channel.read, &mut Vec::new(), Duration::ZERO).is_some_and(|n| n > 0) {}
    BEAT.store(beat, Ordering::Release);
    ASKED.store(Arc::as_ptr(pulse).cast_mut(), Ordering::Release);
    // SAFETY: the signal has our handler, as just checked.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, channel.signal) } == 0;
    let limit = Instant::now() + PATIENCE;
    let mut answer = Vec::new();
    let mut whole = false;
    while sent && !whole && Instant::now() < limit && answer.len() < LONGEST && !give_up() {
        match read_some(channel.read, &mut answer, Duration::from_millis(20)) {
            Some(_) => whole = answer.last() == Some(&0),
            None => break,
        }
    }
    if ASKED.swap(ptr::null_mut(), Ordering::AcqRel).is_null() && !whole {
        // The handler is at work, however slowly, or its answer is lost: the pulse must outlive it.
        std::mem::forget(pulse.clone());
    }
    (whole && answer.len() > 1).then_some(answer)
}

/// Reads what there is, waiting for so long at most; None when the pipe fails.
fn read_some(fd: RawFd, into: &mut Vec<u8>, patience: Duration) -> Option<usize> {
    let mut ready = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let mut bytes = [0; 4096];
    // SAFETY: the descriptor and the buffer are alive for the calls, and the buffer is as long as is said.
    unsafe {
        match libc::poll(&raw mut ready, 1, patience.as_millis() as c_int) {
            0 => return Some(0),
            n if n < 0 => return None,
            _ => {}
        }
        let n = libc::read(fd, bytes.as_mut_ptr().cast(), bytes.len());
        if n <= 0 {
            return None;
        }
        into.extend_from_slice(&bytes[..n as usize]);
        Some(n as usize)
    }
}

/// Whether a thread blocks the signal: it would come at some later time, or into a `sigwait` of the program's.
fn blocks(tid: i32, signal: c_int) -> bool {
    let Ok(status) = std::fs::read_to_string(format!("/proc/self/task/{tid}/status")) else {
        return true;
    };
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
    let blocked = blocked.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    blocked.is_none_or(|mask| mask >> (signal - 1) & 1 != 0)
}
