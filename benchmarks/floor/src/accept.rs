//! How many connections a second a server accepts, echoes one byte on, and sees closed.

use crate::load::Count;
use crate::server_cpu::ServerCpu;
use fenshen_reactor::{Epoll, Events, Interest};
use rustix::net::{AddressFamily, SocketAddrV4, SocketType, ipproto, sockopt};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// Connections from one address before the next is used, so that ports that rest after a close are never short.
const FROM_ONE: u32 = 10_000;

/// A connection from one of our many addresses: 127.0.0.1 for the first few thousand, and so on.
pub(crate) fn connect_from(number: u32, to: SocketAddrV4) -> io::Result<TcpStream> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, Some(ipproto::TCP))?;
    let from = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + number / FROM_ONE % 200);
    choose_port_late(&socket)?;
    rustix::net::bind(&socket, &SocketAddrV4::new(from, 0))?;
    rustix::net::connect(&socket, &to)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    Ok(socket.into())
}

/// Lets `bind` fix the address alone: a port may then serve for several servers at once.
fn choose_port_late(socket: &OwnedFd) -> io::Result<()> {
    let yes: libc::c_int = 1;
    // SAFETY: the call reads one `int`.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const yes).cast(),
            size_of_val(&yes) as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes connections, `at_once` of them at a time, and prints how many were answered.
pub(crate) fn accept(address: &str, server: &ServerCpu, at_once: usize, length: Duration) -> io::Result<()> {
    let address: SocketAddrV4 = address.parse().map_err(io::Error::other)?;
    let epoll = Epoll::new()?;
    let mut made = 0;
    let mut open = |token: usize| {
        let mut client = connect_from(made, address)?;
        made += 1;
        client.write_all(b"x")?;
        epoll.add(client.as_raw_fd(), Interest::READABLE, token as u64)?;
        io::Result::Ok(client)
    };
    let mut clients = (0..at_once).map(&mut open).collect::<io::Result<Vec<_>>>()?;
    let (mut count, mut events) = (Count::new(server, at_once, length), Events::with_capacity(256));
    let measured = loop {
        if let Some(measured) = count.finished()? {
            break measured;
        }
        if epoll.wait(&mut events, Some(Duration::from_secs(5)))? == 0 {
            return Err(io::Error::other("the server has not answered for 5 s"));
        }
        for event in &events {
            let client = &mut clients[event.token as usize];
            if client.read(&mut [0])? == 0 {
                return Err(io::Error::other("the server closed a connection"));
            }
            count.messages += 1;
            // The old one is closed by being replaced.
            *client = open(event.token as usize)?;
        }
    };
    measured.print();
    Ok(())
}
