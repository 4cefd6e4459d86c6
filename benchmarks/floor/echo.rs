//! The floor of the echo benchmarks, and their load: `echo serve`, `echo load PORT CONNECTIONS SIZE SECONDS`.
//!
//! `serve` echoes with one epoll and nothing else: one `recv`, one `send` a message. It prints its port and ends with its
//! standard input. `load` keeps one message on its way on each connection and prints how many came back a second.
//! A single file without dependencies, so that `rustc -O` builds it.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

const EPOLL_CTL_ADD: i32 = 1;
const EPOLLIN: u32 = 1;

#[derive(Clone, Copy)]
#[cfg_attr(target_arch = "x86_64", repr(C, packed))]
#[cfg_attr(not(target_arch = "x86_64"), repr(C))]
struct Event {
    events: u32,
    data: u64,
}

unsafe extern "C" {
    fn epoll_create1(flags: i32) -> i32;
    fn epoll_ctl(epoll: i32, operation: i32, fd: i32, event: *mut Event) -> i32;
    fn epoll_wait(epoll: i32, events: *mut Event, room: i32, milliseconds: i32) -> i32;
}

struct Poller {
    epoll: RawFd,
    events: [Event; 256],
}

impl Poller {
    fn new() -> io::Result<Poller> {
        // SAFETY: takes no pointers.
        let epoll = unsafe { epoll_create1(0) };
        if epoll < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Poller { epoll, events: [Event { events: 0, data: 0 }; 256] })
    }

    fn add(&self, fd: RawFd) -> io::Result<()> {
        let mut event = Event { events: EPOLLIN, data: fd as u64 };
        // SAFETY: `event` lives through the call, which is all the kernel needs.
        match unsafe { epoll_ctl(self.epoll, EPOLL_CTL_ADD, fd, &mut event) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn wait(&mut self, milliseconds: i32) -> &[Event] {
        // SAFETY: the kernel writes at most `len` events into the array, which we hold alone.
        let count = unsafe { epoll_wait(self.epoll, self.events.as_mut_ptr(), self.events.len() as i32, milliseconds) };
        &self.events[..count.max(0) as usize]
    }
}

fn serve() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    let mut poller = Poller::new()?;
    let mut clients: HashMap<RawFd, TcpStream> = HashMap::new();
    let mut buffer = [0u8; 4096];
    poller.add(listener.as_raw_fd())?;
    poller.add(0)?;
    loop {
        let ready: Vec<RawFd> = poller.wait(-1).iter().map(|event| event.data as RawFd).collect();
        for fd in ready {
            if fd == 0 {
                return Ok(());
            }
            if fd == listener.as_raw_fd() {
                let (client, _) = listener.accept()?;
                client.set_nodelay(true)?;
                poller.add(client.as_raw_fd())?;
                clients.insert(client.as_raw_fd(), client);
                continue;
            }
            let Some(client) = clients.get_mut(&fd) else {
                continue;
            };
            match client.read(&mut buffer) {
                Ok(count) if count > 0 => client.write_all(&buffer[..count])?,
                _ => drop(clients.remove(&fd)),
            }
        }
    }
}

fn load(port: u16, connections: usize, size: usize, seconds: f64) -> io::Result<()> {
    let mut poller = Poller::new()?;
    let mut clients: HashMap<RawFd, (TcpStream, usize)> = HashMap::new();
    let message = vec![b'x'; size];
    let mut buffer = vec![0u8; size];
    for _ in 0..connections {
        let mut client = TcpStream::connect(("127.0.0.1", port))?;
        client.set_nodelay(true)?;
        poller.add(client.as_raw_fd())?;
        client.write_all(&message)?;
        clients.insert(client.as_raw_fd(), (client, 0));
    }
    // The first tenth warms up and does not count.
    let (mut start, mut counted, mut warm) = (Instant::now(), 0u64, false);
    loop {
        let elapsed = start.elapsed();
        if !warm && elapsed > Duration::from_secs_f64(seconds / 10.0) {
            (start, counted, warm) = (Instant::now(), 0, true);
        } else if warm && elapsed > Duration::from_secs_f64(seconds) {
            println!("{counted} {}", elapsed.as_secs_f64());
            return Ok(());
        }
        let ready: Vec<RawFd> = poller.wait(1000).iter().map(|event| event.data as RawFd).collect();
        for fd in ready {
            let Some((client, have)) = clients.get_mut(&fd) else {
                continue;
            };
            let count = client.read(&mut buffer)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            *have += count;
            if *have >= size {
                *have -= size;
                counted += 1;
                client.write_all(&message)?;
            }
        }
    }
}

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let number = |index: usize| words.get(index).and_then(|word| word.parse::<f64>().ok());
    match (words.get(1).map(String::as_str), number(2), number(3), number(4), number(5)) {
        (Some("serve"), ..) => serve(),
        (Some("load"), Some(port), Some(connections), Some(size), Some(seconds)) => {
            load(port as u16, connections as usize, size as usize, seconds)
        }
        _ => Err(io::Error::other("usage: echo serve | echo load PORT CONNECTIONS SIZE SECONDS")),
    }
}
