//! A whole event loop in one screen: timers, a pipe, and call-backs sent by another thread.
//!
//! Run: `cargo run -p fenshen-reactor --example tiny_loop`

use fenshen_reactor::{Epoll, Events, Inbox, Interest, Ticks, Timers, Waker, clock};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;
use std::{process, thread};

/// The waker's token. A reader's is its place in the list of readers.
const WAKE: u64 = u64::MAX;

type Callback = Box<dyn FnOnce(&mut Loop) -> io::Result<()> + Send>;
/// Reads what is there; false at the end of the stream.
type Reader = Box<dyn FnMut() -> io::Result<bool>>;

/// What other threads may touch.
struct Remote {
    inbox: Inbox<Callback>,
    waker: Waker,
}

impl Remote {
    fn call_soon(&self, callback: Callback) -> io::Result<()> {
        if self.inbox.push(callback) {
            self.waker.wake()?;
        }
        Ok(())
    }
}

struct Loop {
    epoll: Epoll,
    events: Events,
    remote: Arc<Remote>,
    timers: Timers<Callback>,
    ready: VecDeque<Callback>,
    readers: Vec<(RawFd, Reader)>,
    ticks: Ticks,
    stopping: bool,
}

impl Loop {
    fn new() -> io::Result<Self> {
        let remote = Remote { inbox: Inbox::new(), waker: Waker::new()? };
        let epoll = Epoll::new()?;
        epoll.add(remote.waker.fd(), Interest::READABLE, WAKE)?;
        Ok(Self {
            epoll,
            events: Events::with_capacity(64),
            remote: Arc::new(remote),
            timers: Timers::new(),
            ready: VecDeque::new(),
            readers: Vec::new(),
            ticks: Ticks::new(),
            stopping: false,
        })
    }

    fn call_later(&mut self, delay: Duration, callback: Callback) {
        self.timers.push(clock::now() + delay.as_secs_f64(), callback);
    }

    fn add_reader(&mut self, file: &impl AsRawFd, reader: Reader) -> io::Result<()> {
        let (fd, token) = (file.as_raw_fd(), self.readers.len() as u64);
        self.epoll.add(fd, Interest::READABLE, token)?;
        self.readers.push((fd, reader));
        Ok(())
    }

    fn run(&mut self) -> io::Result<()> {
        while !self.stopping {
            self.poll()?;
            while let Some(due) = self.timers.pop_due(clock::now()) {
                self.ready.push_back(due);
            }
            self.step()?;
        }
        Ok(())
    }

    /// Waits, unless there is work already, then takes what other threads sent and what is ready to read.
    fn poll(&mut self) -> io::Result<()> {
        self.remote.waker.prepare_sleep();
        let busy = !self.ready.is_empty() || !self.remote.inbox.is_empty();
        let timeout = if busy { Some(Duration::ZERO) } else { self.until_next_timer() };
        match self.epoll.wait(&mut self.events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => self.remote.waker.woken()?,
        }
        self.ready.extend(self.remote.inbox.drain());
        for event in &self.events {
            if event.token != WAKE {
                let (fd, reader) = &mut self.readers[event.token as usize];
                if !reader()? {
                    self.epoll.remove(*fd)?;
                }
            }
        }
        Ok(())
    }

    fn until_next_timer(&self) -> Option<Duration> {
        let seconds = (self.timers.next()? - clock::now()).max(0.0);
        // A deadline too far away for a Duration is no deadline.
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// Runs call-backs, at most 64 and for at most 250 us, so that descriptors don't starve.
    fn step(&mut self) -> io::Result<()> {
        let limit = self.ticks.ticks_per(Duration::from_micros(250));
        let start = Ticks::read();
        for _ in 0..64 {
            let Some(callback) = self.ready.pop_front() else { break };
            callback(self)?;
            if Ticks::since(start) >= limit {
                break;
            }
        }
        Ok(())
    }
}

fn main() -> io::Result<()> {
    let mut event_loop = Loop::new()?;
    let (mut reader, mut writer) = io::pipe()?;
    let mut buffer = [0; 64];
    let source = reader.try_clone()?;
    event_loop.add_reader(
        &source,
        Box::new(move || {
            let count = reader.read(&mut buffer)?;
            match count {
                0 => println!("pipe:   the end"),
                _ => println!("pipe:   {}", String::from_utf8_lossy(&buffer[..count])),
            }
            Ok(count > 0)
        }),
    )?;

    event_loop.call_later(
        Duration::from_millis(10),
        Box::new(move |_| {
            println!("timer:  10 ms");
            writer.write_all(b"written by a timer")
        }),
    );

    let remote = Arc::clone(&event_loop.remote);
    let other = thread::spawn(move || {
        thread::sleep(Duration::from_millis(30));
        remote.call_soon(Box::new(|_| {
            println!("thread: a call-back from {}", process::id());
            Ok(())
        }))?;
        remote.call_soon(Box::new(|event_loop| {
            event_loop.stopping = true;
            Ok(())
        }))
    });
    event_loop.run()?;
    other.join().expect("the other thread doesn't panic")
}
