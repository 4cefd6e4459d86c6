//! The floor over stream sockets: one epoll, one `recv` and one `send` a message.

use crate::READ;
use crate::link::{Link, Read};
use crate::tls::{Context, Session};
use fenshen_reactor::{Epoll, Event, Events, Interest};
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;

const INPUT: u64 = u64::MAX;
const LISTENER: u64 = u64::MAX - 1;

/// Echoes on a port of its own choice, which it prints; with a context, under TLS.
pub(crate) fn serve_tcp(context: Option<Context>) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    serve(&listener, context.as_ref(), || {
        let (client, _) = listener.accept()?;
        client.set_nodelay(true)?;
        Ok(client.into())
    })
}

/// Echoes on a Unix socket at `path`, which it prints.
pub(crate) fn serve_unix(path: &str) -> io::Result<()> {
    let listener = UnixListener::bind(path)?;
    println!("{path}");
    serve(&listener, None, || Ok(listener.accept()?.0.into()))
}

fn serve(
    listener: &impl AsRawFd,
    context: Option<&Context>,
    accept: impl Fn() -> io::Result<OwnedFd>,
) -> io::Result<()> {
    let epoll = Epoll::new()?;
    epoll.add(listener.as_raw_fd(), Interest::READABLE, LISTENER)?;
    epoll.add(0, Interest::READABLE, INPUT)?;
    let mut server = Server { epoll, links: Vec::new(), free: Vec::new(), plain: vec![0; READ], raw: vec![0; READ] };
    let mut events = Events::with_capacity(256);
    loop {
        server.epoll.wait(&mut events, None)?;
        for event in &events {
            match event.token {
                INPUT => return Ok(()),
                LISTENER => {
                    let session = context.map(Session::new).transpose()?;
                    server.add(accept()?, session)?;
                }
                _ => server.serve(event),
            }
        }
    }
}

struct Server {
    epoll: Epoll,
    /// By token, which is a place in the list.
    links: Vec<Option<Link>>,
    free: Vec<usize>,
    plain: Vec<u8>,
    raw: Vec<u8>,
}

impl Server {
    fn add(&mut self, socket: OwnedFd, session: Option<Session>) -> io::Result<()> {
        let place = self.free.pop().unwrap_or_else(|| {
            self.links.push(None);
            self.links.len() - 1
        });
        self.links[place] = Some(Link::new(&self.epoll, socket, place as u64, session)?);
        Ok(())
    }

    /// A connection that fails is dropped; the others live.
    fn serve(&mut self, event: Event) {
        let place = event.token as usize;
        let Some(link) = &mut self.links[place] else { return };
        let alive = Self::echo(&self.epoll, link, event, &mut self.plain, &mut self.raw);
        if !alive.unwrap_or(false) {
            self.links[place] = None;
            self.free.push(place);
        }
    }

    fn echo(epoll: &Epoll, link: &mut Link, event: Event, plain: &mut [u8], raw: &mut [u8]) -> io::Result<bool> {
        if event.writable {
            link.flush(epoll)?;
        }
        if event.readable {
            match link.read(epoll, plain, raw)? {
                Read::End => return Ok(false),
                Read::Some(0) => {}
                Read::Some(count) => link.write(epoll, &plain[..count])?,
            }
        }
        Ok(true)
    }
}
