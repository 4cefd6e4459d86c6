//! `Connection`: messages over a socket or a pipe, in the standard library's format.
//!
//! | file | what it holds |
//! |---|---|
//! | `stream.rs` | messages to bytes of the stream and back |
//! | `connection_type.rs` | the Python face |

mod connection_type;
mod stream;

pub(super) use connection_type::build;
