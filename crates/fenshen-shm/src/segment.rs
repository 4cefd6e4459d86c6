//! A piece of memory that several processes have mapped, and that has no name.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fstat, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A memfd (see memfd_create(2)), wholly mapped.
///
/// It cannot shrink, whoever has it: nobody's access can be made to fail by another. It goes when the last process that
/// has it mapped or open has ended.
///
/// ```
/// use fenshen_shm::Segment;
///
/// let ours = Segment::create(c"example", 4096)?;
/// let theirs = Segment::adopt(std::os::fd::AsFd::as_fd(&ours).try_clone_to_owned()?)?;
/// // SAFETY: the memory is 4096 bytes long, and nobody else writes it now.
/// unsafe {
///     ours.start().write(7);
///     assert_eq!(theirs.start().read(), 7);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Segment {
    fd: OwnedFd,
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: it owns a mapping, which any thread may use; what lies in it is for its users to guard.
unsafe impl Send for Segment {}
// SAFETY: as above.
unsafe impl Sync for Segment {}

impl Segment {
    /// Makes one of `len` bytes, all zero. The name is for debuggers (`/proc/PID/maps`) alone.
    ///
    /// # Errors
    /// What the kernel says: no memory, no file descriptor left; or `len` is zero.
    pub fn create(name: &CStr, len: usize) -> io::Result<Segment> {
        let fd = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&fd, len as u64)?;
        fcntl_add_seals(&fd, SealFlags::SHRINK)?;
        Segment::adopt(fd)
    }

    /// Maps the whole of one that another process made.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn adopt(fd: OwnedFd) -> io::Result<Segment> {
        let len = usize::try_from(fstat(&fd)?.st_size).map_err(|_| io::ErrorKind::InvalidData)?;
        // SAFETY: a new mapping, wherever the kernel has room for it.
        let start =
            unsafe { mmap(std::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &fd, 0)? };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Segment { fd, start, len })
    }

    /// Where it begins in this process.
    #[must_use]
    pub fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Its length in bytes, as mapped here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// False: there is no empty one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A place for a `T` at an offset, if that lies within the segment and is aligned.
    #[must_use]
    pub fn place<T>(&self, offset: usize) -> Option<NonNull<T>> {
        let end = offset.checked_add(size_of::<T>())?;
        let fits = end <= self.len && offset.is_multiple_of(align_of::<T>());
        // SAFETY: within the mapping.
        fits.then(|| unsafe { self.start.add(offset).cast() })
    }

    /// What it is, wherever it is open: the numbers of its device and of its inode.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn identity(&self) -> io::Result<(u64, u64)> {
        let stat = fstat(&self.fd)?;
        Ok((stat.st_dev, stat.st_ino))
    }
}

impl AsFd for Segment {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: the mapping is this segment's, and nobody may use it any longer. It cannot fail for a whole mapping.
        unsafe { munmap(self.start.as_ptr().cast(), self.len).ok() };
    }
}
