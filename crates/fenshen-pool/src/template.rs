//! A template: a single-threaded process in the state that workers are to start in, of which they are copies.
//!
//! A program with threads cannot safely fork workers, nor can it give a later worker the state that it had in the
//! beginning. So it forks one process before it has threads, which waits for orders and makes the workers. They are
//! children of the program itself, not of the template (`CLONE_PARENT`): the program waits for them, and they name it
//! their parent.
//!
//! Orders and answers go over a socket pair, each order with the files that its worker needs. A few orders are on their
//! way at a time, so that the template copies while the program still asks. The number of the copy that is being made
//! stands in memory that the two share, so a worker whose template is killed before it could answer is known, and ended.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::clone;
use crate::lifeline::{Lifeline, check, tie};
use crate::wire;

/// How many orders are on their way at a time: no more than the kernel takes in one direction without anyone reading
/// (`net.unix.max_dgram_qlen`, 10 where nobody changed it).
const WINDOW: usize = 8;

/// What is to be called around each copy, in the template, besides what this crate's own threads need.
pub trait Around {
    /// Before it is made.
    fn before(&mut self) {}
    /// After it was made, in the template.
    fn in_template(&mut self) {}
    /// After it was made, in the copy.
    fn in_worker(&mut self) {}
}

impl Around for () {}

/// What a worker is told: bytes that the program and it have agreed on, and files.
#[derive(Debug)]
pub struct Told {
    /// The bytes, as they were ordered.
    pub bytes: Vec<u8>,
    /// Files of the worker's own, in the order in which they were ordered.
    pub files: Vec<OwnedFd>,
}

/// What a worker is to be told.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Any number of bytes.
    pub bytes: &'a [u8],
    /// At most 252 files; the worker gets copies.
    pub files: &'a [BorrowedFd<'a>],
}

/// The program's side of a template.
#[derive(Debug)]
pub struct Template {
    socket: OwnedFd,
    newest: Arc<Newest>,
    /// Whose it is, and not its forked children's.
    program: u32,
    /// The worker of the last answer.
    told: AtomicI32,
}

/// The template's own side, which the program drops when it has forked.
#[derive(Debug)]
pub struct Seat {
    socket: OwnedFd,
    newest: Arc<Newest>,
}

impl Template {
    /// Both sides of a template that is to be forked: the child drops the first and calls [`Seat::serve`], the program
    /// drops the second.
    ///
    /// # Errors
    /// As `socketpair` and `mmap`: too many open files.
    pub fn new() -> io::Result<(Template, Seat)> {
        let (ours, theirs) = wire::pair()?;
        let newest = Arc::new(Newest::new()?);
        let seat = Seat { socket: theirs, newest: newest.clone() };
        Ok((Template { socket: ours, newest, program: std::process::id(), told: AtomicI32::new(0) }, seat))
    }

    /// Forks a template that is tied to this program, and has every worker do `work`, whose outcome is its exit status.
    /// Returns the number of the template too: it is a child of this process, which waits for it when this is dropped.
    ///
    /// # Errors
    /// As [`new`](Template::new) and `fork`.
    ///
    /// # Safety
    /// As for `fork`: what the other threads of this process hold at that moment is held for ever in the template and in
    /// its workers.
    pub unsafe fn fork(
        lifeline: &mut Lifeline,
        around: &mut impl Around,
        work: impl FnOnce(Told) -> i32,
    ) -> io::Result<(Template, i32)> {
        let (template, seat) = Template::new()?;
        let mask = Mask::block_all();
        // SAFETY: the caller's promise; the child ends below.
        match unsafe { libc::fork() } {
            0 => {}
            pid => {
                mask.restore();
                return check(pid).map(|pid| (template, pid));
            }
        }
        drop(template); // another process' now, which says nothing
        lifeline.let_go();
        let served = tie(lifeline.end()).and_then(|_tied| {
            // SAFETY: this process was just forked, by its parent.
            unsafe { seat.serve(around) }
        });
        let status = match served {
            Ok(None) => 0,
            Ok(Some(told)) if tie(lifeline.end()).map(std::mem::forget).is_ok() => {
                mask.restore();
                work(told)
            }
            _ => 1,
        };
        // SAFETY: it only ends the process, which is a copy of one that has its own ideas about its end.
        unsafe { libc::_exit(status) }
    }

    /// Has the template make a worker for each order. Returns their numbers, or why there is none, in the order of the
    /// orders. There are fewer of them than orders if the template has ended: then the next order, and those after it,
    /// have no worker.
    pub fn start(&self, orders: &[Order<'_>]) -> Vec<io::Result<i32>> {
        let mut answers = Vec::with_capacity(orders.len());
        let mut sent = 0;
        while answers.len() < orders.len() {
            while sent < orders.len() && sent < answers.len() + WINDOW {
                match self.order(orders[sent]) {
                    Ok(()) => sent += 1,
                    Err(error) if is_end(&error) => break,
                    Err(error) if sent == answers.len() => {
                        answers.push(Err(error));
                        sent += 1;
                    }
                    Err(_) => break, // once more when those before it have been answered
                }
            }
            if sent > answers.len() {
                match self.answer() {
                    Some(answer) => answers.push(answer),
                    None => break,
                }
            } else if answers.len() < orders.len() && !self.is_there() {
                break;
            }
        }
        answers
    }

    fn order(&self, order: Order<'_>) -> io::Result<()> {
        let mut files = order.files.to_vec();
        let long = (order.bytes.len() >= wire::LONGEST).then(|| file_of(order.bytes)).transpose()?;
        let mut message = vec![u8::from(long.is_some())];
        match &long {
            Some(file) => files.push(file.as_fd()),
            None => message.extend_from_slice(order.bytes),
        }
        wire::send(self.socket.as_fd(), &message, &files)
    }

    /// The next answer; None if there is none to come.
    fn answer(&self) -> Option<io::Result<i32>> {
        let (bytes, _) = match wire::receive(self.socket.as_fd()) {
            // An end with orders that were not read is told of before the answers that there are still.
            Err(error) if error.raw_os_error() == Some(libc::ECONNRESET) => wire::receive(self.socket.as_fd()).ok()?,
            outcome => outcome.ok()?,
        };
        let answer = i32::from_ne_bytes(bytes.try_into().ok()?);
        if answer < 0 {
            return Some(Err(io::Error::from_raw_os_error(-answer)));
        }
        self.told.store(answer, Ordering::Relaxed);
        Some(Ok(answer))
    }

    fn is_there(&self) -> bool {
        wire::send(self.socket.as_fd(), &[IDLE], &[]).is_ok()
    }

    /// The worker that the template made and did not tell of any more before it ended. The template must have ended: it
    /// was waited for. The worker is a child of the program, which ends it.
    #[must_use]
    pub fn untold(&self) -> Option<i32> {
        let newest = self.newest.word().load(Ordering::Acquire);
        (newest != 0 && newest != self.told.load(Ordering::Relaxed)).then_some(newest)
    }
}

/// What signals a thread has blocked. A template has all of them: what a terminal sends to everybody is not for it.
struct Mask(libc::sigset_t);

impl Mask {
    fn block_all() -> Mask {
        // SAFETY: both sets are this function's own.
        unsafe {
            let (mut all, mut before): (libc::sigset_t, libc::sigset_t) = (std::mem::zeroed(), std::mem::zeroed());
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
            Mask(before)
        }
    }

    fn restore(&self) {
        // SAFETY: the set is one that the kernel gave.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
    }
}

impl Drop for Template {
    /// In words: the other processes that the program forks have the socket too. Only the program drops it with anybody
    /// listening.
    fn drop(&mut self) {
        if std::process::id() == self.program {
            let _ = wire::send(self.socket.as_fd(), &[END], &[]);
        }
    }
}

/// Instead of an order, to see whether somebody is there.
const IDLE: u8 = 2;
/// Instead of an order: there will be none.
const END: u8 = 3;

fn is_end(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPIPE | libc::ECONNRESET | libc::ENOTCONN))
}

impl Seat {
    /// The life of a template: makes a worker for each order, and returns when the program has dropped its side. Returns
    /// in each worker too, with what it is told.
    ///
    /// # Errors
    /// As `recvmsg`.
    ///
    /// # Safety
    /// The calling thread is the only one of its process, and the process is a child of the program.
    pub unsafe fn serve(self, around: &mut impl Around) -> io::Result<Option<Told>> {
        loop {
            let answer = match wire::receive(self.socket.as_fd()) {
                Ok((bytes, _)) if bytes.first().is_none_or(|&first| first == END) => return Ok(None),
                Ok((bytes, _)) if bytes[0] == IDLE => continue,
                // SAFETY: the caller's promise.
                Ok((bytes, files)) => match unsafe { self.copy(around) } {
                    Ok(0) => return told(bytes, files).map(Some),
                    Ok(pid) => pid,
                    Err(error) => -number(&error),
                },
                Err(error) if error.raw_os_error() == Some(libc::EMFILE) => -libc::EMFILE,
                Err(error) if is_end(&error) => return Ok(None),
                Err(error) => return Err(error),
            };
            if wire::send(self.socket.as_fd(), &answer.to_ne_bytes(), &[]).is_err() {
                return Ok(None);
            }
            self.newest.word().store(0, Ordering::Release);
        }
    }

    unsafe fn copy(&self, around: &mut impl Around) -> io::Result<i32> {
        around.before();
        let forking = fenshen_sync::Forking::begin();
        // SAFETY: the caller's promise.
        let outcome = unsafe { clone::beside(self.newest.word()) };
        if let Ok(0) = outcome {
            forking.in_child();
            around.in_worker();
        } else {
            forking.in_parent();
            around.in_template();
        }
        outcome
    }
}

fn told(mut bytes: Vec<u8>, mut files: Vec<OwnedFd>) -> io::Result<Told> {
    if bytes[0] == 0 {
        bytes.remove(0);
        return Ok(Told { bytes, files });
    }
    let file = files.pop().ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(Told { bytes: contents(file)?, files })
}

/// A file without a name that has these bytes.
fn file_of(bytes: &[u8]) -> io::Result<OwnedFd> {
    // SAFETY: the name ends with a zero byte; the outcome is a file that nobody else has.
    let fd = unsafe { check(libc::memfd_create(c"fenshen-order".as_ptr(), libc::MFD_CLOEXEC))? };
    // SAFETY: it was just opened.
    let mut file = std::fs::File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    file.write_all(bytes)?;
    Ok(file.into())
}

fn contents(file: OwnedFd) -> io::Result<Vec<u8>> {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::from(file);
    let mut bytes = vec![0; file.metadata()?.len() as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

fn number(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

/// The number of the copy that was made last and not yet told of, in memory that the program and its template share.
#[derive(Debug)]
struct Newest(NonNull<AtomicI32>);

// SAFETY: it is an atomic number in a mapping that stays where it is until the last drop.
unsafe impl Send for Newest {}
// SAFETY: as above.
unsafe impl Sync for Newest {}

impl Newest {
    const SIZE: usize = 4096;

    fn new() -> io::Result<Newest> {
        // SAFETY: a new mapping, anywhere; the kernel fills it with zeros.
        let place = unsafe {
            let how = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
            libc::mmap(std::ptr::null_mut(), Newest::SIZE, libc::PROT_READ | libc::PROT_WRITE, how, -1, 0)
        };
        match NonNull::new(place.cast::<AtomicI32>()) {
            Some(word) if place != libc::MAP_FAILED => Ok(Newest(word)),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn word(&self) -> &AtomicI32 {
        // SAFETY: it is mapped for as long as `self` is there.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Newest {
    fn drop(&mut self) {
        // SAFETY: it was mapped by `new`, with that length, and nobody can look at it any more.
        unsafe { libc::munmap(self.0.as_ptr().cast(), Newest::SIZE) };
    }
}
