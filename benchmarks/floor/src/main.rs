//! The floor of the echo benchmarks, and the load that every server gets.
//!
//! ```text
//! floor serve tcp|unix|udp|tls [CERTIFICATE KEY | PATH]        echoes; prints its address; ends with its standard input
//! floor load tcp|unix|udp|tls ADDRESS PID CONNECTIONS SIZE SECONDS         messages, seconds, seconds of PID's CPU
//! floor accept ADDRESS PID CONNECTIONS SECONDS                             connections, seconds, seconds of PID's CPU
//! floor crowd ADDRESS PID IDLE BUSY SIZE SECONDS                           see `crowd.rs`
//! ```
//! The load keeps one message on its way on each connection. PID is the server's process. What is measured begins after
//! a tenth of SECONDS has passed, and later where the connections have not warmed up by then.

mod accept;
mod crowd;
mod datagrams;
mod link;
mod load;
mod openssl;
mod server_cpu;
mod streams;
mod tls;
mod wire;

use server_cpu::ServerCpu;
use std::io;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;
use wire::Wire;

/// The most that one read takes: what asyncio's transports ask for, and more than the largest message.
const READ: usize = 256 * 1024;

/// The words of the command line, taken one by one.
struct Words(std::vec::IntoIter<String>);

impl Words {
    fn text(&mut self) -> io::Result<String> {
        self.0.next().ok_or_else(|| io::Error::other("a word is missing: see the head of benchmarks/floor/src/main.rs"))
    }

    fn number<T: FromStr>(&mut self) -> io::Result<T> {
        let word = self.text()?;
        word.parse().map_err(|_| io::Error::other(format!("not a number that will do: {word}")))
    }

    fn seconds(&mut self) -> io::Result<Duration> {
        Duration::try_from_secs_f64(self.number()?).map_err(io::Error::other)
    }
}

fn run(mut words: Words) -> io::Result<()> {
    match words.text()?.as_str() {
        "serve" => match words.text()?.parse()? {
            Wire::Udp => datagrams::serve(),
            Wire::Unix => streams::serve_unix(&words.text()?),
            Wire::Tcp => streams::serve_tcp(None),
            Wire::Tls => streams::serve_tcp(Some(tls::Context::server(&words.text()?, &words.text()?)?)),
        },
        "load" => {
            let (wire, address) = (words.text()?.parse()?, words.text()?);
            let cpu = ServerCpu::of(words.number()?)?;
            let (connections, size) = (words.number()?, words.number()?);
            match wire {
                Wire::Udp => datagrams::load(&address, &cpu, connections, size, words.seconds()?),
                _ => load::load(wire, &address, &cpu, connections, size, words.seconds()?),
            }
        }
        "accept" => {
            let (address, cpu) = (words.text()?, ServerCpu::of(words.number()?)?);
            accept::accept(&address, &cpu, words.number()?, words.seconds()?)
        }
        "crowd" => {
            let (address, cpu) = (words.text()?, ServerCpu::of(words.number()?)?);
            crowd::crowd(&address, &cpu, words.number()?, words.number()?, words.number()?, words.seconds()?)
        }
        other => Err(io::Error::other(format!("no such command: {other}"))),
    }
}

fn main() -> ExitCode {
    let words = Words(std::env::args().skip(1).collect::<Vec<_>>().into_iter());
    match run(words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}
