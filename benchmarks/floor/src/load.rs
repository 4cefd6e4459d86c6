//! The load over stream sockets.

use crate::READ;
use crate::link::{Link, Read};
use crate::server_cpu::ServerCpu;
use crate::tls::{Context, Session};
use crate::wire::Wire;
use fenshen_reactor::{Epoll, Events};
use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// What a measurement found.
pub(crate) struct Measured {
    pub(crate) messages: u64,
    pub(crate) took: Duration,
    pub(crate) cpu: Duration,
}

impl Measured {
    /// As the benchmarks read it.
    pub(crate) fn print(&self) {
        println!("{} {} {}", self.messages, self.took.as_secs_f64(), self.cpu.as_secs_f64());
    }
}

/// Counts from the end of the warm-up until the time is over. The warm-up lasts a tenth, and until every connection has
/// had about two messages back, so that the memory that they need is there; what is measured, at least one each.
pub(crate) struct Count<'a> {
    server: &'a ServerCpu,
    connections: u64,
    length: Duration,
    start: Instant,
    cpu: Duration,
    warm: bool,
    pub(crate) messages: u64,
}

impl<'a> Count<'a> {
    pub(crate) fn new(server: &'a ServerCpu, connections: usize, length: Duration) -> Self {
        Self {
            server,
            connections: connections as u64,
            length,
            start: Instant::now(),
            cpu: Duration::ZERO,
            warm: false,
            messages: 0,
        }
    }

    pub(crate) fn is_warm(&self) -> bool {
        self.warm
    }

    /// To be asked now and then; the measurement when it is over.
    pub(crate) fn finished(&mut self) -> io::Result<Option<Measured>> {
        let took = self.start.elapsed();
        if !self.warm && took > self.length / 10 && self.messages >= 2 * self.connections {
            (self.warm, self.messages, self.cpu) = (true, 0, self.server.used()?);
            self.start = Instant::now();
        } else if self.warm && took > self.length && self.messages >= self.connections {
            return Ok(Some(Measured { messages: self.messages, took, cpu: self.server.used()? - self.cpu }));
        }
        Ok(None)
    }
}

/// One connection's state: how much of the present message has come back, and when it left.
struct Client {
    link: Link,
    have: usize,
    left: Instant,
}

/// Connections to one server with a message on its way on each.
pub(crate) struct Load {
    epoll: Epoll,
    clients: Vec<Client>,
    message: Vec<u8>,
    plain: Vec<u8>,
    raw: Vec<u8>,
}

/// A TCP connection that sends what it is given at once.
pub(crate) fn connect_tcp(address: &str) -> io::Result<OwnedFd> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream.into())
}

impl Load {
    pub(crate) fn connect(wire: Wire, address: &str, connections: usize, size: usize) -> io::Result<Self> {
        let context = if wire == Wire::Tls { Some(Context::client()?) } else { None };
        let epoll = Epoll::new()?;
        let mut clients = Vec::with_capacity(connections);
        for token in 0..connections {
            let socket = match wire {
                Wire::Unix => UnixStream::connect(address)?.into(),
                _ => connect_tcp(address)?,
            };
            let mut session = context.as_ref().map(Session::new).transpose()?;
            if let Some(session) = &mut session {
                session.handshake(&socket)?;
            }
            let link = Link::new(&epoll, socket, token as u64, session)?;
            clients.push(Client { link, have: 0, left: Instant::now() });
        }
        let message = (0..size).map(|index| (index % 251) as u8).collect();
        Ok(Self { epoll, clients, message, plain: vec![0; READ], raw: vec![0; READ] })
    }

    pub(crate) fn connections(&self) -> usize {
        self.clients.len()
    }

    /// Keeps a message on its way on every connection for as long. `late` is told how long each message was away.
    pub(crate) fn run(&mut self, mut count: Count<'_>, mut late: impl FnMut(Duration)) -> io::Result<Measured> {
        let mut events = Events::with_capacity(256);
        let now = Instant::now();
        for client in &mut self.clients {
            client.left = now;
            client.link.write(&self.epoll, &self.message)?;
        }
        let measured = loop {
            if let Some(measured) = count.finished()? {
                break measured;
            }
            self.turn(&mut events, &mut |away| {
                count.messages += 1;
                if count.is_warm() {
                    late(away);
                }
                true
            })?;
        };
        self.settle(&mut events)?;
        Ok(measured)
    }

    /// Waits until every message is back, so that another run can begin.
    fn settle(&mut self, events: &mut Events) -> io::Result<()> {
        let mut away = self.clients.len();
        while away > 0 {
            self.turn(events, &mut |_| {
                away -= 1;
                false
            })?;
        }
        Ok(())
    }

    /// One wait, and what it brought. `back` is told of each message that is whole, and says whether to send another.
    fn turn(&mut self, events: &mut Events, back: &mut impl FnMut(Duration) -> bool) -> io::Result<()> {
        if self.epoll.wait(events, Some(Duration::from_secs(5)))? == 0 {
            return Err(io::Error::other("the server has not answered for 5 s"));
        }
        for event in &*events {
            let client = &mut self.clients[event.token as usize];
            if event.writable {
                client.link.flush(&self.epoll)?;
            }
            if !event.readable {
                continue;
            }
            let Read::Some(count) = client.link.read(&self.epoll, &mut self.plain, &mut self.raw)? else {
                return Err(io::Error::other("the server closed a connection"));
            };
            if self.plain[..count] != self.message[client.have..][..count] {
                return Err(io::Error::other("the server changed a message"));
            }
            client.have += count;
            if client.have == self.message.len() {
                client.have = 0;
                let now = Instant::now();
                if back(now - client.left) {
                    client.left = now;
                    client.link.write(&self.epoll, &self.message)?;
                }
            }
        }
        Ok(())
    }
}

/// Loads a server and prints what it did.
pub(crate) fn load(
    wire: Wire,
    address: &str,
    server: &ServerCpu,
    connections: usize,
    size: usize,
    length: Duration,
) -> io::Result<()> {
    let mut load = Load::connect(wire, address, connections, size)?;
    load.run(Count::new(server, connections, length), |_| ())?.print();
    Ok(())
}
