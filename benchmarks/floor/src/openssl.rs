//! The little of OpenSSL that is called here, from the shared library that is installed, so that nothing need be there to
//! build with.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::io;
use std::sync::OnceLock;

/// An object of OpenSSL's, of whatever kind.
pub(crate) type Object = *mut c_void;

/// The functions, by OpenSSL's own names in small letters.
pub(crate) struct OpenSsl {
    pub(crate) tls_method: unsafe extern "C" fn() -> Object,
    pub(crate) ctx_new: unsafe extern "C" fn(Object) -> Object,
    pub(crate) ctx_use_certificate_chain_file: unsafe extern "C" fn(Object, *const c_char) -> c_int,
    pub(crate) ctx_use_private_key_file: unsafe extern "C" fn(Object, *const c_char, c_int) -> c_int,
    pub(crate) new: unsafe extern "C" fn(Object) -> Object,
    pub(crate) free: unsafe extern "C" fn(Object),
    pub(crate) set_bio: unsafe extern "C" fn(Object, Object, Object),
    pub(crate) set_accept_state: unsafe extern "C" fn(Object),
    pub(crate) set_connect_state: unsafe extern "C" fn(Object),
    pub(crate) do_handshake: unsafe extern "C" fn(Object) -> c_int,
    pub(crate) read: unsafe extern "C" fn(Object, *mut c_void, c_int) -> c_int,
    pub(crate) write: unsafe extern "C" fn(Object, *const c_void, c_int) -> c_int,
    pub(crate) get_error: unsafe extern "C" fn(Object, c_int) -> c_int,
    pub(crate) err_clear_error: unsafe extern "C" fn(),
    pub(crate) bio_s_mem: unsafe extern "C" fn() -> Object,
    pub(crate) bio_new: unsafe extern "C" fn(Object) -> Object,
    pub(crate) bio_read: unsafe extern "C" fn(Object, *mut c_void, c_int) -> c_int,
    pub(crate) bio_write: unsafe extern "C" fn(Object, *const c_void, c_int) -> c_int,
    pub(crate) bio_ctrl_pending: unsafe extern "C" fn(Object) -> usize,
}

/// `SSL_FILETYPE_PEM`.
pub(crate) const PEM: c_int = 1;
/// `SSL_ERROR_WANT_READ`.
pub(crate) const WANT_READ: c_int = 2;

/// The library, loaded at the first call.
pub(crate) fn openssl() -> io::Result<&'static OpenSsl> {
    static LIBRARY: OnceLock<Option<OpenSsl>> = OnceLock::new();
    let loaded = LIBRARY.get_or_init(OpenSsl::load).as_ref();
    loaded.ok_or_else(|| io::Error::other("OpenSSL 3 (libssl.so.3) was not found"))
}

impl OpenSsl {
    fn load() -> Option<Self> {
        // SAFETY: loading it runs its initialisers, which any program that links with it relies on. It is never
        // unloaded. Each field's type is the function's own in OpenSSL 3's headers.
        unsafe {
            let library = libc::dlopen(c"libssl.so.3".as_ptr(), libc::RTLD_NOW);
            if library.is_null() { None } else { Self::find_all(library) }
        }
    }

    /// # Safety
    /// `library` is open and stays so.
    unsafe fn find_all(library: Object) -> Option<Self> {
        // SAFETY: what `load` says of the types.
        unsafe {
            Some(Self {
                tls_method: find(library, c"TLS_method")?,
                ctx_new: find(library, c"SSL_CTX_new")?,
                ctx_use_certificate_chain_file: find(library, c"SSL_CTX_use_certificate_chain_file")?,
                ctx_use_private_key_file: find(library, c"SSL_CTX_use_PrivateKey_file")?,
                new: find(library, c"SSL_new")?,
                free: find(library, c"SSL_free")?,
                set_bio: find(library, c"SSL_set_bio")?,
                set_accept_state: find(library, c"SSL_set_accept_state")?,
                set_connect_state: find(library, c"SSL_set_connect_state")?,
                do_handshake: find(library, c"SSL_do_handshake")?,
                read: find(library, c"SSL_read")?,
                write: find(library, c"SSL_write")?,
                get_error: find(library, c"SSL_get_error")?,
                err_clear_error: find(library, c"ERR_clear_error")?,
                bio_s_mem: find(library, c"BIO_s_mem")?,
                bio_new: find(library, c"BIO_new")?,
                bio_read: find(library, c"BIO_read")?,
                bio_write: find(library, c"BIO_write")?,
                bio_ctrl_pending: find(library, c"BIO_ctrl_pending")?,
            })
        }
    }
}

/// A function by its name; those of libcrypto are found too, with which libssl is linked.
///
/// # Safety
/// `library` is open and stays so, and `F` is the function's type.
unsafe fn find<F: Copy>(library: Object, name: &CStr) -> Option<F> {
    const { assert!(size_of::<F>() == size_of::<Object>()) };
    // SAFETY: the caller's promise; the string ends in zero.
    unsafe {
        let symbol = libc::dlsym(library, name.as_ptr());
        (!symbol.is_null()).then(|| std::mem::transmute_copy::<Object, F>(&symbol))
    }
}
