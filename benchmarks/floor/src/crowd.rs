//! A few busy connections alone, and the same among thousands of idle ones.
//!
//! Talks with whoever started it. First it measures the busy ones alone and prints a line: messages, seconds, seconds of
//! CPU, the median and the 99th percentile of the time a message was away, in microseconds. Then it waits for a line,
//! makes the idle connections, prints `idle`, waits for a line, measures again, prints the second line.

use crate::accept::connect_from;
use crate::load::{Count, Load};
use crate::server_cpu::ServerCpu;
use crate::wire::Wire;
use rustix::net::SocketAddrV4;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How many idle connections are made before their first bytes are waited for.
const AT_ONCE: usize = 50;

pub(crate) fn crowd(
    address: &str,
    server: &ServerCpu,
    idle: usize,
    busy: usize,
    size: usize,
    length: Duration,
) -> io::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    let mut load = Load::connect(Wire::Tcp, address, busy, size)?;
    measure(&mut load, server, length)?;
    wait_for_line()?;
    let _crowd = connect_idle(address.parse().map_err(io::Error::other)?, idle)?;
    println!("idle");
    wait_for_line()?;
    measure(&mut load, server, length)
}

fn measure(load: &mut Load, server: &ServerCpu, length: Duration) -> io::Result<()> {
    let mut away = Vec::with_capacity(1 << 20);
    let measured = load.run(Count::new(server, load.connections(), length), |time| away.push(time))?;
    away.sort_unstable();
    let percentile = |share: usize| away.get(away.len() * share / 100).copied().unwrap_or_default().as_secs_f64() * 1e6;
    let (took, cpu) = (measured.took.as_secs_f64(), measured.cpu.as_secs_f64());
    println!("{} {took} {cpu} {} {}", measured.messages, percentile(50), percentile(99));
    Ok(())
}

/// Each has had one byte answered, so that the server has made all that it makes for a connection.
fn connect_idle(address: SocketAddrV4, count: usize) -> io::Result<Vec<TcpStream>> {
    let mut crowd: Vec<TcpStream> = Vec::with_capacity(count);
    while crowd.len() < count {
        let first = crowd.len();
        for number in first..count.min(first + AT_ONCE) {
            let mut client = connect_from(number as u32, address)?;
            client.write_all(b"x")?;
            crowd.push(client);
        }
        for client in &mut crowd[first..] {
            client.read_exact(&mut [0])?;
        }
    }
    Ok(crowd)
}

fn wait_for_line() -> io::Result<()> {
    match io::stdin().read_line(&mut String::new())? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}
