//! TLS: asyncio's `SSLProtocol` and its transport, driven through the user's own `ssl.SSLContext`.
//!
//! | file | what it does |
//! |---|---|
//! | `protocol.rs` | what a connection is, from `connection_made` to `connection_lost` |
//! | `handshake.rs`, `shutdown.rs` | how its session begins and ends |
//! | `ending.rs` | how it ends otherwise, and who is told |
//! | `reading.rs`, `writing.rs` | what is in between |
//! | `flow.rs` | when either side is told to wait |
//! | `engine.rs` | the `SSLObject` and its two `MemoryBIO`s |
//! | `protocol_type.rs` | `SSLProtocol`: its face towards the transport below |
//! | `transport.rs` | `_SSLProtocolTransport`: its face towards the application |
//! | `known.rs` | what all this needs of the standard library |
//!
//! Whatever a context is set to do in Python it does here: nothing of TLS itself is done again.

mod ending;
mod engine;
mod flow;
mod handshake;
mod known;
mod protocol;
mod protocol_type;
mod reading;
mod shutdown;
mod transport;
mod writing;

use pyo3::ffi::{PyObject, PyTypeObject};

use crate::object::{Obj, Res};

/// Looks up what is needed. Runs once, before the types are made.
pub(crate) unsafe fn init() -> Res<()> {
    known::init()
}

/// Makes `SSLProtocol`.
pub(crate) unsafe fn build() -> Res<*mut PyTypeObject> {
    protocol_type::build()
}

/// Makes `_SSLProtocolTransport`.
pub(crate) unsafe fn build_transport() -> Res<*mut PyTypeObject> {
    transport::build()
}

/// Whether `o` is exactly an `SSLProtocol`, so that [`feed`] and [`feed_eof`] may be called on it.
#[inline(always)]
pub(crate) unsafe fn is_protocol(o: *mut PyObject) -> bool {
    protocol_type::check(o)
}

/// What `data_received` does, for bytes that live as long as the call.
pub(crate) unsafe fn feed(p: *mut PyObject, data: &[u8]) -> Res<()> {
    let held = Obj::from(p);
    protocol_type::fed(held.ptr().cast(), data)
}

/// What `eof_received` does: true keeps the transport open.
pub(crate) unsafe fn feed_eof(p: *mut PyObject) -> Res<bool> {
    let held = Obj::from(p);
    protocol::eof(held.ptr().cast())
}
