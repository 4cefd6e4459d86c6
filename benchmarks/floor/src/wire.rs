//! What the bytes travel by.

use std::io;
use std::str::FromStr;

/// A kind of socket, and whether TLS is on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Tcp,
    Unix,
    Udp,
    Tls,
}

impl FromStr for Wire {
    type Err = io::Error;

    fn from_str(word: &str) -> io::Result<Self> {
        match word {
            "tcp" => Ok(Self::Tcp),
            "unix" => Ok(Self::Unix),
            "udp" => Ok(Self::Udp),
            "tls" => Ok(Self::Tls),
            _ => Err(io::Error::other(format!("no such wire: {word}"))),
        }
    }
}
