//! The pool: hands tasks to workers, takes their results, and deals with their deaths.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use fenshen_shm::{Message, Receiver, Segment};
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};

use crate::crew::{Aftermath, Cancelled, Crew};
use crate::event::{Counts, Event, Gone};
use crate::hand::{Flying, Hand, Stage};
use crate::job::{Cargo, Job, Place};
use crate::kind::{self, DONE, ITEM, LEAVE, NOTE, READY, ROOM};
use crate::link::{Ends, Link, face};
use crate::many::Many;
use crate::window::Window;

/// How many results of one worker are taken before the next one's turn.
const TURN: usize = 256;
const BELL: u64 = u64::MAX;

/// A task whose result has come.
struct Finished<C> {
    /// None if it had ended before.
    job: Option<Arc<Job<C>>>,
    after: Aftermath<C>,
    /// The worker was to have no more tasks, and has none now.
    retiring: bool,
}

/// The pool's side of a worker that is listened to.
struct Ear {
    id: u32,
    receiver: Receiver,
    shared: Arc<Segment>,
    pidfd: Arc<OwnedFd>,
    /// It wrote nonsense: nothing of it is read any more.
    deaf: bool,
}

/// Supervised workers and their tasks.
///
/// Any thread may push and cancel. One at a time drives the pool: it [waits](Pool::wait) until something has happened, and
/// takes a [turn](Pool::turn) then. No call-back is made with the pool's lock held.
pub struct Pool<C> {
    pub(crate) crew: Mutex<Crew<C>>,
    /// Those whom the driver listens to.
    ears: Mutex<Vec<Ear>>,
    newcomers: Mutex<Vec<Ear>>,
    epoll: OwnedFd,
    bell: OwnedFd,
    last: Mutex<u32>,
    /// How many tasks a worker runs at once, where that is not one after another.
    pub(crate) many: Option<u32>,
}

impl<C> std::fmt::Debug for Pool<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

/// A worker that is about to start: what its process needs.
#[derive(Debug)]
pub struct Opening {
    link: LinkBox,
    /// What the worker must get.
    pub ends: Ends,
    /// And what wakes its loop, where it has one.
    pub doorbell: Option<OwnedFd>,
}

struct LinkBox(Link);

impl std::fmt::Debug for LinkBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link")
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No call-back is made under a lock, so nobody panics there with something half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<C: Cargo> Pool<C> {
    /// A pool without workers.
    ///
    /// # Errors
    /// What the kernel says: no descriptor left.
    pub fn new() -> io::Result<Pool<C>> {
        Pool::with(None)
    }

    /// One whose workers run up to `most` tasks at once each, as [loop workers](crate::LoopWorker) do.
    ///
    /// # Errors
    /// As for [`new`](Pool::new).
    pub fn of_loops(most: u32) -> io::Result<Pool<C>> {
        Pool::with(Some(most))
    }

    fn with(many: Option<u32>) -> io::Result<Pool<C>> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &bell, epoll::EventData::new_u64(BELL), epoll::EventFlags::IN)?;
        Ok(Pool {
            crew: Mutex::new(Crew::new()),
            ears: Mutex::default(),
            newcomers: Mutex::default(),
            epoll,
            bell,
            last: Mutex::new(0),
            many,
        })
    }

    /// Whether its workers run many tasks at once each.
    pub fn is_of_loops(&self) -> bool {
        self.many.is_some()
    }

    /// What workers ring when the pool sleeps.
    pub fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// Readable when there may be something to take a turn for, while the pool [listens](Pool::listen).
    pub fn waiter(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// Wakes whoever waits.
    pub fn ring(&self) {
        rustix::io::write(&self.bell, &1_u64.to_ne_bytes()).ok();
    }

    /// Prepares a worker.
    ///
    /// # Errors
    /// What the kernel says: no descriptor or memory left.
    pub fn prepare(&self) -> io::Result<Opening> {
        let (link, ends) = Link::new()?;
        let doorbell = self.many.map(|_| eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)).transpose()?;
        Ok(Opening { link: LinkBox(link), ends, doorbell })
    }

    /// Takes in a worker whose process was started, with at most so many tasks. Returns what it is called.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn add(&self, place: Opening, pidfd: OwnedFd, most: Option<u32>) -> io::Result<(u32, Aftermath<C>)> {
        let id = {
            let mut last = lock(&self.last);
            *last += 1;
            *last
        };
        let Link { shared, sender, receiver } = place.link.0;
        let pidfd = Arc::new(pidfd);
        face(&shared).listening.listen();
        let ear = Ear { id, receiver, shared: shared.clone(), pidfd: pidfd.clone(), deaf: false };
        let mut after = Aftermath::default();
        let mut crew = lock(&self.crew);
        epoll::add(&self.epoll, &pidfd, epoll::EventData::new_u64(id.into()), epoll::EventFlags::IN)?;
        lock(&self.newcomers).push(ear);
        let many = self.many.zip(place.doorbell).map(|(most, doorbell)| Many::new(most, doorbell));
        crew.hands.push(Hand::new(id, sender, shared, pidfd, most, many));
        crew.feed(&mut after);
        drop(crew);
        // It may have said something before it was listened to.
        self.ring();
        Ok((id, after))
    }

    /// Puts a task into the queue, and sends it if a worker can take it. Returns whether some worker has nothing to do but
    /// this task.
    pub fn push(&self, job: Arc<Job<C>>) -> Aftermath<C> {
        let mut after = Aftermath::default();
        let timed = job.cargo.timeout().is_some();
        let mut crew = lock(&self.crew);
        crew.queue.push_back(job);
        crew.feed(&mut after);
        drop(crew);
        if timed {
            self.ring();
        }
        after
    }

    /// The same for one that is to come before all others.
    pub fn push_first(&self, job: Arc<Job<C>>) -> Aftermath<C> {
        let mut after = Aftermath::default();
        let mut crew = lock(&self.crew);
        job.put(Place::Queued);
        crew.queue.push_front(job);
        crew.feed(&mut after);
        after
    }

    /// Cancels a task; one that runs only if it may be killed, which ends its worker.
    pub fn cancel(&self, job: &Job<C>, kill: bool) -> (Cancelled, Aftermath<C>) {
        let mut after = Aftermath::default();
        let outcome = lock(&self.crew).cancel(job, kill, &mut after);
        (outcome, after)
    }

    /// Whether a worker has begun a task and not ended it.
    pub fn is_running(&self, job: &Job<C>) -> bool {
        match job.place() {
            Place::Sent(worker, seq) => lock(&self.crew).hand(worker).is_some_and(|hand| hand.has_begun(seq)),
            Place::Queued | Place::Ended => false,
        }
    }

    /// Takes out every task that has not begun.
    pub fn clear(&self) -> Vec<Arc<Job<C>>> {
        let mut after = Aftermath::default();
        let all = lock(&self.crew).clear(&mut after);
        drop(after);
        all
    }

    /// The program was interrupted: takes out every task that has not begun, and interrupts those that began after the
    /// interrupt had reached their worker.
    pub fn interrupt(&self) -> Vec<Arc<Job<C>>> {
        let mut after = Aftermath::default();
        let all = lock(&self.crew).interrupt(&mut after);
        drop(after);
        all
    }

    /// Whether an interrupt has lately reached a worker, as one that the terminal sends reaches all.
    pub fn was_interrupted(&self) -> bool {
        lock(&self.crew).hands.iter().any(|hand| hand.interrupted().is_some())
    }

    /// No more tasks will come: every worker ends when there is nothing left to do.
    pub fn close(&self) -> Aftermath<C> {
        let mut after = Aftermath::default();
        let mut crew = lock(&self.crew);
        crew.closing = true;
        crew.feed(&mut after);
        drop(crew);
        self.ring();
        after
    }

    /// Tells a worker to end when it has run what it has begun, and gives others what it has not; whether there is such a
    /// worker.
    pub fn retire(&self, worker: u32) -> (bool, Aftermath<C>) {
        let mut after = Aftermath::default();
        let is_there = lock(&self.crew).retire(worker, &mut after).is_some();
        (is_there, after)
    }

    /// How many tasks wait, how many were sent, how many workers there are, and how many of these have nothing to do.
    pub fn counts(&self) -> Counts {
        let crew = lock(&self.crew);
        Counts {
            queued: crew.queue.len(),
            sent: crew.hands.iter().map(|h| h.flying.len()).sum(),
            workers: crew.hands.len(),
            idle: crew.hands.iter().filter(|h| h.flying.is_empty() && h.stage != Stage::Ending).count(),
        }
    }

    /// Has the next result ring the bell; false if there is something to take a turn for already. While another thread
    /// takes a turn, which may run the user's code, nobody waits for that: it is that thread's to listen when it is done.
    pub fn listen(&self) -> bool {
        self.try_ears().is_none_or(|mut ears| self.listen_with(&mut ears))
    }

    fn try_ears(&self) -> Option<MutexGuard<'_, Vec<Ear>>> {
        match self.ears.try_lock() {
            Ok(ears) => Some(ears),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn listen_with(&self, ears: &mut Vec<Ear>) -> bool {
        self.welcome(ears);
        ears.iter_mut().all(|ear| {
            face(&ear.shared).listening.listen();
            ear.deaf || matches!(ear.receiver.is_empty(), Ok(true))
        })
    }

    fn welcome(&self, ears: &mut Vec<Ear>) {
        ears.append(&mut lock(&self.newcomers));
    }

    /// Sleeps until something may have happened. Only the driver calls it.
    ///
    /// # Errors
    /// What the kernel says; an interrupted sleep is none.
    pub fn wait(&self, most: Option<Duration>) -> io::Result<()> {
        if !self.listen_with(&mut lock(&self.ears)) {
            return Ok(());
        }
        let until = match (self.due(), most) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let until = until.map(|d| Timespec { tv_sec: d.as_secs() as i64, tv_nsec: i64::from(d.subsec_nanos()) });
        let mut events = [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }; 16];
        match epoll::wait(&self.epoll, &mut events[..], until.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes what has come, and tells `each` of it. Only the driver calls it; another who does gets `false` at once.
    pub fn turn(&self, each: &mut dyn FnMut(Event<C>)) -> bool {
        let Some(mut ears) = self.try_ears() else {
            return false;
        };
        let mut buffer = [0; 8];
        rustix::io::read(&self.bell, &mut buffer).ok();
        self.welcome(&mut ears);
        let mut gone = Vec::new();
        for ear in ears.iter_mut() {
            face(&ear.shared).listening.hush();
            let ended = has_ended(&ear.pidfd);
            self.hear(ear, if ended { usize::MAX } else { TURN }, each);
            if ended {
                gone.push(ear.id);
            }
        }
        let left: Vec<Ear> = ears.extract_if(.., |ear| gone.contains(&ear.id)).collect();
        for ear in left {
            epoll::delete(&self.epoll, &ear.pidfd).ok();
            self.bury(&ear, each);
        }
        self.look_at_clock(each);
        let mut after = Aftermath::default();
        lock(&self.crew).balance(&mut after);
        tell(after, each);
        true
    }

    /// Takes what a worker has sent.
    fn hear(&self, ear: &mut Ear, most: usize, each: &mut dyn FnMut(Event<C>)) {
        for _ in 0..most {
            if ear.deaf {
                return;
            }
            let outcome = ear.receiver.receive().and_then(|message| match message {
                Some(message) => self.take(ear.id, message, each).map(|()| true),
                None => Ok(false),
            });
            match outcome {
                Ok(true) => ear.receiver.pass(),
                Ok(false) => break,
                Err(error) => {
                    ear.deaf = true;
                    if let Some(hand) = lock(&self.crew).hand(ear.id) {
                        hand.kill();
                    }
                    each(Event::Corrupt(ear.id, error.to_string()));
                }
            }
        }
        face(&ear.shared).crowded.wake();
    }

    fn take(&self, worker: u32, message: Message, each: &mut dyn FnMut(Event<C>)) -> io::Result<()> {
        let (what, flavour) = kind::split(message.kind);
        match what {
            DONE => {
                let Finished { job, after, retiring } = self.finished(worker, message.tag)?;
                if let Some(job) = job {
                    each(Event::Done(job, flavour, message));
                }
                if retiring {
                    each(Event::Retiring(worker));
                }
                tell(after, each);
            }
            ITEM => {
                let job = lock(&self.crew).hand(worker).map_or(Ok(None), |hand| hand.item(message.tag as u32))?;
                if let Some(job) = job {
                    each(Event::Item(job, flavour, message));
                }
            }
            NOTE => each(Event::Note(worker, flavour, message)),
            READY => {
                let mut after = Aftermath::default();
                let mut crew = lock(&self.crew);
                if let Some(hand) = crew.hand(worker) {
                    hand.ready();
                }
                crew.feed(&mut after);
                drop(crew);
                each(Event::Ready(worker));
                tell(after, each);
            }
            LEAVE => self.leaves(worker, each)?,
            ROOM => {
                let mut after = Aftermath::default();
                lock(&self.crew).feed(&mut after);
                tell(after, each);
            }
            _ => return Err(fenshen_shm::Corrupt("a result's kind").into()),
        }
        Ok(())
    }

    fn leaves(&self, worker: u32, each: &mut dyn FnMut(Event<C>)) -> io::Result<()> {
        let mut after = Aftermath::default();
        let mut crew = lock(&self.crew);
        // One that was sent a signal may live with it, and has left all the same.
        let Some(is_free) = crew.retire(worker, &mut after) else {
            return Ok(());
        };
        drop(crew);
        if !is_free {
            return Err(fenshen_shm::Corrupt("the leases of one who leaves").into());
        }
        each(Event::Retiring(worker));
        tell(after, each);
        Ok(())
    }

    fn finished(&self, worker: u32, tag: u64) -> io::Result<Finished<C>> {
        let mut after = Aftermath::default();
        let mut crew = lock(&self.crew);
        let Some(hand) = crew.hand(worker) else {
            return Ok(Finished { job: None, after, retiring: false });
        };
        let Some(Flying { job, window, .. }) = hand.ended(tag as u32) else {
            return Err(fenshen_shm::Corrupt("a result's task").into());
        };
        if window.is_none() {
            hand.credit.ran((tag >> 32) as u32);
        }
        let retiring = hand.stage == Stage::Retiring && hand.flying.is_empty();
        if let Some(job) = &job {
            job.put(Place::Ended);
        }
        crew.feed(&mut after);
        Ok(Finished { job, after, retiring })
    }

    /// A worker has ended, and everything that it sent was taken.
    fn bury(&self, ear: &Ear, each: &mut dyn FnMut(Event<C>)) {
        let mut after = Aftermath::default();
        let mut crew = lock(&self.crew);
        let Some(at) = crew.hands.iter().position(|h| h.id == ear.id) else {
            return;
        };
        let mut hand = crew.hands.remove(at);
        let mut lost = Vec::new();
        while let Some(Flying { seq, job, window, asked }) = hand.flying.pop_back() {
            let Some(job) = job else { continue };
            // What was not begun is lost with nobody, unless it is what workers die of before they begin it; what was
            // begun is, unless it may be tried again.
            let begun = asked || hand.has_begun(seq);
            let next = hand.flying.is_empty() && hand.stage != Stage::Starting;
            let again = match begun {
                true => window.is_none_or(Window::is_untouched) && job.may_retry(),
                false => !next || job.may_be_offered(),
            };
            if again {
                job.put(Place::Queued);
                crew.queue.push_front(job);
            } else {
                job.put(Place::Ended);
                lost.push(job);
            }
        }
        crew.feed(&mut after);
        drop(crew);
        let expected = hand.stage == Stage::Ending;
        let was_ready = hand.stage != Stage::Starting;
        drop(hand);
        each(Event::Gone(Gone { worker: ear.id, lost, expected, was_ready }));
        tell(after, each);
    }

    /// Sends every worker a signal, by its number, that ends it. One that lives on ends when it has run what it has.
    pub fn kill(&self, signal: i32) {
        let mut crew = lock(&self.crew);
        for hand in &mut crew.hands {
            hand.stage = Stage::Ending;
            send(&hand.pidfd, signal);
        }
        crew.dismiss();
    }

    /// What the running tasks of a worker are, oldest first.
    pub fn tasks_of(&self, worker: u32) -> Vec<Arc<Job<C>>> {
        lock(&self.crew).hand(worker).map_or_else(Vec::new, |h| h.flying.iter().filter_map(|f| f.job.clone()).collect())
    }
}

fn tell<C: Cargo>(after: Aftermath<C>, each: &mut dyn FnMut(Event<C>)) {
    for (job, error) in after.refused {
        each(Event::Refused(job, error));
    }
}

fn has_ended(pidfd: &OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, poll};
    let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
    matches!(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(n) if n > 0)
}

fn send(pidfd: &OwnedFd, signal: i32) {
    use std::os::fd::AsRawFd;
    // SAFETY: the kernel checks both; a process that has ended is no harm.
    unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, std::ptr::null::<()>(), 0) };
}
