//! What is found where another process has written nonsense.

use std::fmt;
use std::io;

/// What lies in shared memory cannot be true: the other side's memory was overwritten.
///
/// Whatever is read there is copied once and then checked, so that nothing but this comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt(pub &'static str);

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shared memory was overwritten: {}", self.0)
    }
}

impl std::error::Error for Corrupt {}

impl From<Corrupt> for io::Error {
    fn from(error: Corrupt) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}
