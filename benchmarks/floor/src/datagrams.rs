//! UDP: its floor and its load.

use crate::load::Count;
use crate::server_cpu::ServerCpu;
use fenshen_reactor::{Epoll, Events, Interest};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// The largest datagram there is.
const LARGEST: usize = 65536;
/// Room for what all clients may have on its way, if the system's limit allows it.
const BUFFER: usize = 4 << 20;
/// A message that has been away for so long is lost, and is sent again.
const LOST: Duration = Duration::from_millis(250);

/// Echoes on a port of its own choice, which it prints: one `recvfrom` and one `sendto` a message.
pub(crate) fn serve() -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    rustix::net::sockopt::set_socket_recv_buffer_size(&socket, BUFFER)?;
    socket.set_nonblocking(true)?;
    println!("{}", socket.local_addr()?);
    let epoll = Epoll::new()?;
    epoll.add(socket.as_raw_fd(), Interest::READABLE, 1)?;
    epoll.add(0, Interest::READABLE, 0)?;
    let (mut events, mut buffer) = (Events::with_capacity(2), vec![0; LARGEST]);
    loop {
        epoll.wait(&mut events, None)?;
        if events.iter().any(|event| event.token == 0) {
            return Ok(());
        }
        // As many as wait, but not for ever: the end of the standard input is looked for too.
        for _ in 0..256 {
            match rustix::net::recvfrom(&socket, &mut *buffer, RecvFlags::empty()) {
                Ok((count, _, Some(from))) => {
                    rustix::net::sendto(&socket, &buffer[..count], SendFlags::empty(), &from)?;
                }
                Ok(_) | Err(Errno::CONNREFUSED) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// One socket's state. A message begins with its number, so that one that comes late is not taken for the next.
struct Client {
    socket: UdpSocket,
    number: u32,
    left: Instant,
}

impl Client {
    fn send(&mut self, message: &mut [u8]) -> io::Result<()> {
        message[..4].copy_from_slice(&self.number.to_ne_bytes());
        self.left = Instant::now();
        self.socket.send(message)?;
        Ok(())
    }
}

/// Loads a server with a message on its way from each socket, and prints what it did.
pub(crate) fn load(address: &str, server: &ServerCpu, sockets: usize, size: usize, length: Duration) -> io::Result<()> {
    let address: SocketAddr = address.parse().map_err(io::Error::other)?;
    let epoll = Epoll::new()?;
    let mut message = vec![b'x'; size.max(4)];
    let mut buffer = vec![0; LARGEST];
    let mut clients = Vec::with_capacity(sockets);
    for token in 0..sockets {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(address)?;
        socket.set_nonblocking(true)?;
        epoll.add(socket.as_raw_fd(), Interest::READABLE, token as u64)?;
        let mut client = Client { socket, number: 0, left: Instant::now() };
        client.send(&mut message)?;
        clients.push(client);
    }
    let (mut count, mut events) = (Count::new(server, sockets, length), Events::with_capacity(256));
    let (mut lost, mut looked) = (0, Instant::now());
    let measured = loop {
        if let Some(measured) = count.finished()? {
            break measured;
        }
        epoll.wait(&mut events, Some(LOST))?;
        for event in &events {
            let client = &mut clients[event.token as usize];
            let received = client.socket.recv(&mut buffer)?;
            if received == message.len() && buffer[..4] == client.number.to_ne_bytes() {
                count.messages += 1;
                client.number += 1;
                client.send(&mut message)?;
            }
        }
        if looked.elapsed() > LOST {
            looked = Instant::now();
            for client in clients.iter_mut().filter(|client| client.left.elapsed() > LOST) {
                lost += 1;
                client.send(&mut message)?;
            }
        }
    };
    if lost * 100 > measured.messages {
        return Err(io::Error::other(format!("{lost} of {} datagrams were lost", measured.messages)));
    }
    measured.print();
    Ok(())
}
