//! One connection, of a server or of a client: reading and writing that never wait.

use crate::tls::Session;
use fenshen_reactor::{Epoll, Interest};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// A connected stream socket that doesn't block, with TLS on it or without, and what it has yet to write.
pub(crate) struct Link {
    socket: OwnedFd,
    token: u64,
    session: Option<Session>,
    unsent: Vec<u8>,
}

/// What a read brought.
pub(crate) enum Read {
    /// So many bytes. With TLS it may be none.
    Some(usize),
    /// The other side has closed, or reset.
    End,
}

impl Link {
    /// Watches `socket` for reading from now on; its events carry `token`.
    pub(crate) fn new(epoll: &Epoll, socket: OwnedFd, token: u64, session: Option<Session>) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        epoll.add(socket.as_raw_fd(), Interest::READABLE, token)?;
        Ok(Self { socket, token, session, unsent: Vec::new() })
    }

    /// One `recv`; what it brought, without the encryption, lies in `plain`. `raw` is scratch for TLS.
    pub(crate) fn read(&mut self, epoll: &Epoll, plain: &mut [u8], raw: &mut [u8]) -> io::Result<Read> {
        let into = if self.session.is_some() { &mut *raw } else { &mut *plain };
        let count = match rustix::net::recv(self.socket.as_fd(), into, RecvFlags::empty()) {
            Ok((0, _)) | Err(Errno::CONNRESET | Errno::PIPE) => return Ok(Read::End),
            Ok((count, _)) => count,
            Err(Errno::AGAIN) => return Ok(Read::Some(0)),
            Err(error) => return Err(error.into()),
        };
        let Some(session) = &mut self.session else { return Ok(Read::Some(count)) };
        session.feed(&raw[..count])?;
        let read = session.read(plain)?;
        if read == 0 && session.has_output() {
            self.flush_session(epoll)?; // of the handshake
        }
        Ok(Read::Some(read))
    }

    /// One `send`; the rest waits for room.
    pub(crate) fn write(&mut self, epoll: &Epoll, data: &[u8]) -> io::Result<()> {
        match &mut self.session {
            None => self.send(epoll, data),
            Some(session) => {
                session.write(data)?;
                self.flush_session(epoll)
            }
        }
    }

    /// Writes what waits, now that there is room.
    pub(crate) fn flush(&mut self, epoll: &Epoll) -> io::Result<()> {
        let waiting = std::mem::take(&mut self.unsent);
        if waiting.is_empty() {
            return Ok(());
        }
        self.send(epoll, &waiting)?;
        if self.unsent.is_empty() {
            epoll.modify(self.socket.as_raw_fd(), Interest::READABLE, self.token)?;
        }
        Ok(())
    }

    fn flush_session(&mut self, epoll: &Epoll) -> io::Result<()> {
        let Some(session) = &mut self.session else { return Ok(()) };
        let output = session.take_output();
        self.send(epoll, &output)?;
        if let Some(session) = &mut self.session {
            session.give_back(output);
        }
        Ok(())
    }

    fn send(&mut self, epoll: &Epoll, data: &[u8]) -> io::Result<()> {
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(data);
            return Ok(());
        }
        let sent = match rustix::net::send(self.socket.as_fd(), data, SendFlags::NOSIGNAL) {
            Ok(sent) => sent,
            Err(Errno::AGAIN) => 0,
            Err(error) => return Err(error.into()),
        };
        if sent < data.len() {
            self.unsent.extend_from_slice(&data[sent..]);
            epoll.modify(self.socket.as_raw_fd(), Interest::READABLE | Interest::WRITABLE, self.token)?;
        }
        Ok(())
    }
}
