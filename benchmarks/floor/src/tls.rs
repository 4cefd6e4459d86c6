//! TLS between two buffers in memory: what came from the socket goes in, what is to be sent comes out.

use crate::openssl::{Object, OpenSsl, PEM, WANT_READ, openssl};
use rustix::net::{RecvFlags, SendFlags};
use std::ffi::{CString, c_int};
use std::io;
use std::os::fd::OwnedFd;

/// What all sessions of one side share.
pub(crate) struct Context {
    ssl: &'static OpenSsl,
    context: Object,
    is_server: bool,
}

impl Context {
    /// For a server, with its certificate and its key, both files of PEM.
    pub(crate) fn server(certificate: &str, key: &str) -> io::Result<Self> {
        let made = Self::new(true)?;
        let (certificate, key) = (CString::new(certificate)?, CString::new(key)?);
        // SAFETY: a context, and strings that end in zero.
        let loaded = unsafe {
            (made.ssl.ctx_use_certificate_chain_file)(made.context, certificate.as_ptr()) == 1
                && (made.ssl.ctx_use_private_key_file)(made.context, key.as_ptr(), PEM) == 1
        };
        if loaded { Ok(made) } else { Err(io::Error::other("the certificate or its key was not loaded")) }
    }

    /// For a client, which trusts everybody.
    pub(crate) fn client() -> io::Result<Self> {
        Self::new(false)
    }

    fn new(is_server: bool) -> io::Result<Self> {
        let ssl = openssl()?;
        // SAFETY: a method is static; a null context is looked for.
        let context = unsafe { (ssl.ctx_new)((ssl.tls_method)()) };
        if context.is_null() {
            return Err(io::Error::other("OpenSSL made no context"));
        }
        Ok(Self { ssl, context, is_server })
    }
}

/// One connection's state.
pub(crate) struct Session {
    ssl: &'static OpenSsl,
    session: Object,
    input: Object,
    output: Object,
    encrypted: Vec<u8>,
}

impl Session {
    /// A session that has not shaken hands.
    pub(crate) fn new(context: &Context) -> io::Result<Self> {
        let ssl = context.ssl;
        // SAFETY: the session takes the two buffers over and frees them with itself.
        unsafe {
            let session = (ssl.new)(context.context);
            let (input, output) = ((ssl.bio_new)((ssl.bio_s_mem)()), (ssl.bio_new)((ssl.bio_s_mem)()));
            if session.is_null() || input.is_null() || output.is_null() {
                return Err(io::ErrorKind::OutOfMemory.into());
            }
            (ssl.set_bio)(session, input, output);
            if context.is_server {
                (ssl.set_accept_state)(session)
            } else {
                (ssl.set_connect_state)(session)
            }
            Ok(Self { ssl, session, input, output, encrypted: Vec::new() })
        }
    }

    /// Shakes hands over a socket that blocks.
    pub(crate) fn handshake(&mut self, socket: &OwnedFd) -> io::Result<()> {
        let mut received = [0; 4096];
        loop {
            // SAFETY: the session is ours.
            let done = unsafe {
                (self.ssl.err_clear_error)();
                (self.ssl.do_handshake)(self.session)
            };
            let output = self.take_output();
            if !output.is_empty() {
                rustix::net::send(socket, &output, SendFlags::NOSIGNAL)?;
            }
            self.give_back(output);
            if done == 1 {
                return Ok(());
            }
            self.expect_want_read(done)?;
            let (count, _) = rustix::net::recv(socket, &mut received, RecvFlags::empty())?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.feed(&received[..count])?;
        }
    }

    /// Takes what came from the socket.
    pub(crate) fn feed(&mut self, raw: &[u8]) -> io::Result<()> {
        // SAFETY: the buffer is the session's; it copies the bytes.
        let taken = unsafe { (self.ssl.bio_write)(self.input, raw.as_ptr().cast(), raw.len() as c_int) };
        if taken == raw.len() as c_int { Ok(()) } else { Err(io::ErrorKind::OutOfMemory.into()) }
    }

    /// Decrypts whatever is whole into `plain`, and shakes hands where that is due.
    pub(crate) fn read(&mut self, plain: &mut [u8]) -> io::Result<usize> {
        let mut have = 0;
        while have < plain.len() {
            let room = &mut plain[have..];
            // SAFETY: OpenSSL writes at most as much as there is room.
            let count = unsafe {
                (self.ssl.err_clear_error)();
                (self.ssl.read)(self.session, room.as_mut_ptr().cast(), room.len() as c_int)
            };
            if count <= 0 {
                self.expect_want_read(count)?;
                break;
            }
            have += count as usize;
        }
        Ok(have)
    }

    /// Encrypts; the records are the session's output.
    pub(crate) fn write(&mut self, plain: &[u8]) -> io::Result<()> {
        // SAFETY: OpenSSL reads the bytes during the call. Into memory it writes all of them or fails.
        let count = unsafe {
            (self.ssl.err_clear_error)();
            (self.ssl.write)(self.session, plain.as_ptr().cast(), plain.len() as c_int)
        };
        if count == plain.len() as c_int { Ok(()) } else { Err(io::Error::other("OpenSSL did not encrypt")) }
    }

    /// Whether there is something to send.
    pub(crate) fn has_output(&self) -> bool {
        // SAFETY: the buffer is the session's.
        unsafe { (self.ssl.bio_ctrl_pending)(self.output) > 0 }
    }

    /// What is to be sent; to be given back when it has been, so that the memory is used again.
    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        let mut output = std::mem::take(&mut self.encrypted);
        // SAFETY: the buffer is the session's; it writes at most what it said it has into room that is as large.
        unsafe {
            let pending = (self.ssl.bio_ctrl_pending)(self.output);
            output.reserve(pending);
            let count = (self.ssl.bio_read)(self.output, output.as_mut_ptr().cast(), pending as c_int);
            output.set_len(count.max(0) as usize);
        }
        output
    }

    pub(crate) fn give_back(&mut self, mut output: Vec<u8>) {
        output.clear();
        self.encrypted = output;
    }

    fn expect_want_read(&self, result: c_int) -> io::Result<()> {
        // SAFETY: the session is ours, and `result` is what its last call returned.
        match unsafe { (self.ssl.get_error)(self.session, result) } {
            WANT_READ => Ok(()),
            error => Err(io::Error::other(format!("OpenSSL's error {error}"))),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: the session is ours and not used again; its buffers go with it.
        unsafe { (self.ssl.free)(self.session) }
    }
}
