//! Threads and a loop's tasks in one line for one semaphore, served in the order in which they came.
//!
//! A thread waits with a record on its stack and sleeps on its word. A task waits with a record in its future, whose
//! wake-up is a call that posts the task's number to its loop's inbox. The semaphore does not know which is which.
//!
//! Run: `cargo run -p fenshen-sync --example one_queue`

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::{io, thread};

use fenshen_reactor::{Epoll, Events, Inbox, Interest, Waker};
use fenshen_sync::{Scope, Semaphore, Waiter, Wake};

/// What other threads may touch of a loop: the numbers of tasks that are to go on.
struct Remote {
    inbox: Inbox<usize>,
    waker: Waker,
}

/// One task's way back into its loop. Every call that may come owns a reference to it.
struct Ticket {
    remote: Arc<Remote>,
    task: usize,
}

unsafe fn post(data: *const ()) {
    // SAFETY: `Acquire` gave a reference to every wait, and this is the wait's only call.
    let ticket = unsafe { Arc::from_raw(data.cast::<Ticket>()) };
    if ticket.remote.inbox.push(ticket.task) {
        ticket.remote.waker.wake().expect("an eventfd can be written to");
    }
}

/// Takes a unit of a semaphore.
struct Acquire<'a> {
    semaphore: &'a Semaphore,
    ticket: Arc<Ticket>,
    waiter: Waiter,
    waits: bool,
}

impl<'a> Acquire<'a> {
    fn new(semaphore: &'a Semaphore, ticket: Ticket) -> Acquire<'a> {
        let ticket = Arc::new(ticket);
        let wake = Wake::Call { call: post, data: Arc::as_ptr(&ticket).cast() };
        Acquire { semaphore, ticket, waiter: Waiter::new(0, wake), waits: false }
    }
}

impl Future for Acquire<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        // SAFETY: nothing is moved out; a future that has been polled stays in place, and so does its waiter.
        let this = unsafe { self.get_unchecked_mut() };
        if this.waits && this.waiter.granted().is_none() {
            return Poll::Pending;
        }
        // For the call that comes if it has to wait (once more).
        let reference = Arc::into_raw(Arc::clone(&this.ticket));
        // SAFETY: the waiter is in no list, or was put in line here and has been granted something.
        let taken = unsafe {
            if this.waits { this.semaphore.resume(&this.waiter) } else { this.semaphore.enlist(&this.waiter) }
        };
        this.waits = !taken;
        if taken {
            // SAFETY: it is in no line, so there is no call that owns it.
            drop(unsafe { Arc::from_raw(reference) });
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl Drop for Acquire<'_> {
    fn drop(&mut self) {
        // SAFETY: it was put in line here.
        if self.waits && unsafe { self.semaphore.withdraw(&self.waiter) } {
            // SAFETY: it was taken out in time, so there is no call that owns the reference.
            drop(unsafe { Arc::from_raw(Arc::as_ptr(&self.ticket)) });
        }
    }
}

type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// A loop that does nothing but run tasks.
struct Loop<'a> {
    remote: Arc<Remote>,
    epoll: Epoll,
    tasks: HashMap<usize, Task<'a>>,
}

impl<'a> Loop<'a> {
    fn new() -> io::Result<Self> {
        let remote = Arc::new(Remote { inbox: Inbox::new(), waker: Waker::new()? });
        let epoll = Epoll::new()?;
        epoll.add(remote.waker.fd(), Interest::READABLE, 0)?;
        Ok(Loop { remote, epoll, tasks: HashMap::new() })
    }

    fn ticket(&self, task: usize) -> Ticket {
        Ticket { remote: Arc::clone(&self.remote), task }
    }

    /// Takes a task in and runs it up to its first wait.
    fn spawn(&mut self, number: usize, task: impl Future<Output = ()> + 'a) {
        self.tasks.insert(number, Box::pin(task));
        self.step(number);
    }

    fn step(&mut self, number: usize) {
        let mut context = Context::from_waker(std::task::Waker::noop());
        if self.tasks.get_mut(&number).is_some_and(|task| task.as_mut().poll(&mut context).is_ready()) {
            self.tasks.remove(&number);
        }
    }

    /// Runs until no task is left.
    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(4);
        while !self.tasks.is_empty() {
            self.remote.waker.prepare_sleep();
            if self.remote.inbox.is_empty() {
                self.epoll.wait(&mut events, None)?;
            }
            self.remote.waker.woken()?;
            for number in self.remote.inbox.drain() {
                self.step(number);
            }
        }
        Ok(())
    }
}

/// Has threads and tasks wait in turn, and one of the tasks give up; returns who was served, in order.
fn serve() -> io::Result<Vec<String>> {
    let semaphore = &Semaphore::new(0, Scope::Process);
    let served = Mutex::new(Vec::new());
    let in_turn = &|who: String| {
        served.lock().expect("nobody panics").push(who);
        // To the next in line.
        semaphore.release(1);
    };
    thread::scope(|scope| {
        let mut tasks = Loop::new()?;
        for n in 0..6 {
            if n % 2 == 0 {
                scope.spawn(move || {
                    semaphore.acquire();
                    in_turn(format!("thread {n}"));
                });
            } else {
                let acquire = Acquire::new(semaphore, tasks.ticket(n));
                tasks.spawn(n, async move {
                    acquire.await;
                    in_turn(format!("task {n}"));
                });
            }
            while semaphore.waiting() <= n {
                thread::yield_now();
            }
        }
        tasks.tasks.remove(&3);
        semaphore.release(1);
        tasks.run()
    })?;
    Ok(served.into_inner().expect("nobody panics"))
}

pub(crate) fn main() -> io::Result<()> {
    let served = serve()?;
    println!("served: {}", served.join(", "));
    assert_eq!(served, ["thread 0", "task 1", "thread 2", "thread 4", "task 5"]);
    Ok(())
}
