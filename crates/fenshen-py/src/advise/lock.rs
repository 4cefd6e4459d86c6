//! Where the interpreter lock is: learned by an experiment, before anything is measured.
//!
//! While this thread holds the lock, another one asks for it. It can only sleep then in the lock's condition
//! variable, so the futex that the kernel names is part of that. Before the condition variable, in the interpreter's
//! static memory, stand the address of the last holder's state and whether it still holds the lock: the words that
//! read as this thread's state and 1 now, and as the other's once that one holds the lock.

use std::ffi::{c_int, c_void};
use std::mem::transmute;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use pyo3::ffi;
use pyo3::prelude::*;

use crate::proc;
use crate::watchdog::without_signals;

/// The two words by which glibc's condition variable wakes its waiters.
const SIGNALS: usize = 8;
/// What follows them: the lock's mutex, and the condition variable in which a thread that gave the lock up waits until
/// another has it.
const REST: usize = 40 + 48;
/// The holder's words are looked for so far before them.
const BEFORE: usize = 96;
/// The experiment takes no longer.
const PATIENCE: Duration = Duration::from_millis(300);
/// So often the same futex must be seen.
const TIMES: u32 = 4;

/// What is known of the lock.
#[derive(Clone, Copy)]
pub(super) struct InterpreterLock {
    signals: usize,
    /// Where the holder's state is, and after it whether it holds the lock.
    holder: Option<usize>,
}

impl InterpreterLock {
    /// Whether a thread that sleeps in this futex waits for the lock.
    pub(super) fn is_waited_for(&self, futex: usize) -> bool {
        (self.signals..self.signals + SIGNALS + REST).contains(&futex)
    }

    /// The address of the holder's Python state, zero for nobody; None if it can't be told.
    pub(super) fn holder(&self) -> Option<usize> {
        self.holder.map(|at| if locked(at) { word(at) } else { 0 })
    }
}

/// What the experiment has found; empty before it, and where there is no lock.
static LEARNED: OnceLock<Option<InterpreterLock>> = OnceLock::new();

/// The interpreter lock, if it is known.
pub(super) fn known() -> Option<InterpreterLock> {
    LEARNED.get().copied().flatten()
}

/// Learns where it is, once; tells what is known.
pub(super) fn learn(py: Python<'_>) -> &'static str {
    if cfg!(Py_GIL_DISABLED) {
        return "none";
    }
    match LEARNED.get_or_init(|| experiment(py)) {
        Some(InterpreterLock { holder: Some(_), .. }) => "known",
        Some(_) => "waits",
        None => "unknown",
    }
}

/// What the two threads tell each other.
#[derive(Default)]
struct Trial {
    tid: AtomicI32,
    holder: AtomicUsize,
    confirmed: AtomicBool,
}

fn experiment(py: Python<'_>) -> Option<InterpreterLock> {
    let trial = Arc::new(Trial::default());
    let theirs = trial.clone();
    let other = without_signals(|| std::thread::Builder::new().spawn(move || take_the_lock(&theirs))).ok()?;
    let futex = watch(&trial.tid);
    // SAFETY: this thread is attached, as `py` says; the address is only compared.
    let state = unsafe { ffi::PyThreadState_Get() } as usize;
    let holder = futex.and_then(|futex| find(futex & !(SIGNALS - 1), state));
    trial.holder.store(holder.unwrap_or(0), Ordering::Release);
    let ended = py.detach(|| other.join()).is_ok();
    let holder = holder.filter(|_| ended && trial.confirmed.load(Ordering::Acquire));
    futex.map(|futex| InterpreterLock { signals: futex & !(SIGNALS - 1), holder })
}

fn take_the_lock(trial: &Trial) {
    // SAFETY: it only tells the thread's number.
    trial.tid.store(unsafe { libc::syscall(libc::SYS_gettid) } as i32, Ordering::Release);
    // SAFETY: the interpreter is alive: the thread that waits for this one's end runs in it.
    unsafe {
        let before = ffi::PyGILState_Ensure();
        let at = trial.holder.load(Ordering::Acquire);
        let confirmed = at != 0 && locked(at) && word(at) == ffi::PyThreadState_Get() as usize;
        trial.confirmed.store(confirmed, Ordering::Release);
        ffi::PyGILState_Release(before);
    }
}

/// The futex in which the other thread sleeps again and again.
fn watch(tid: &AtomicI32) -> Option<usize> {
    let limit = Instant::now() + PATIENCE;
    let (mut found, mut times) = (0, 0);
    while Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(1));
        let mut text = [0; 256];
        let tid = tid.load(Ordering::Acquire);
        let Some(futex) = proc::read(tid, "syscall", &mut text).and_then(futex) else {
            continue;
        };
        times = if futex & !(SIGNALS - 1) == found { times + 1 } else { 1 };
        found = futex & !(SIGNALS - 1);
        if times == TIMES {
            return Some(futex);
        }
    }
    None
}

/// The futex in which a thread sleeps, from the text of its `syscall` file.
pub(super) fn futex(text: &str) -> Option<usize> {
    let mut words = text.split_ascii_whitespace();
    let number: libc::c_long = words.next()?.parse().ok()?;
    let argument = words.next()?.strip_prefix("0x")?;
    (number == libc::SYS_futex).then(|| usize::from_str_radix(argument, 16).ok()).flatten()
}

/// Where the holder's words are: this thread holds the lock, and `state` is its state.
fn find(signals: usize, state: usize) -> Option<usize> {
    let memory = static_memory()?;
    let first = signals.checked_sub(BEFORE)?;
    if !memory.contains(&first) || !memory.contains(&(signals + SIGNALS)) {
        return None;
    }
    (first..signals - 8).step_by(8).find(|&at| word(at) == state && locked(at))
}

fn word(at: usize) -> usize {
    // SAFETY: `find` chose an aligned word in the interpreter's static memory, which is there as long as the process.
    unsafe { AtomicUsize::from_ptr(ptr::with_exposed_provenance_mut(at)) }.load(Ordering::Relaxed)
}

fn locked(at: usize) -> bool {
    // SAFETY: as above; the word after the holder is in the same memory.
    unsafe { AtomicU32::from_ptr(ptr::with_exposed_provenance_mut(at + 8)) }.load(Ordering::Relaxed) == 1
}

/// The interpreter's static memory, as far as the dynamic linker knows it: that of the symbol `_PyRuntime`.
fn static_memory() -> Option<std::ops::Range<usize>> {
    type Find = unsafe extern "C" fn(*const c_void, *mut libc::Dl_info, *mut *const libc::Elf64_Sym, c_int) -> c_int;
    /// `RTLD_DL_SYMENT`: tell the symbol, too.
    const SYMBOL: c_int = 1;
    // SAFETY: both names are looked up where they are public; the function is glibc's, with its documented signature,
    // and fills in what it is given.
    unsafe {
        let runtime = libc::dlsym(libc::RTLD_DEFAULT, c"_PyRuntime".as_ptr());
        let find = libc::dlsym(libc::RTLD_DEFAULT, c"dladdr1".as_ptr());
        if runtime.is_null() || find.is_null() {
            return None;
        }
        let find = transmute::<*mut c_void, Find>(find);
        let mut info = std::mem::zeroed::<libc::Dl_info>();
        let mut symbol = ptr::null();
        if find(runtime, &raw mut info, &raw mut symbol, SYMBOL) == 0 || symbol.is_null() {
            return None;
        }
        let start = runtime as usize;
        (info.dli_saddr == runtime).then(|| start..start + (*symbol).st_size as usize)
    }
}
