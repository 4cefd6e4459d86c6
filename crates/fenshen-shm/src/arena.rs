//! Slabs: pieces of a growing segment for what is too large for a ring, written by one side and read by the other.
//!
//! The writer's [`Arena`] hands out slabs, keeps those that came back, and uses them again while their pages are warm. A
//! slab is named by its slot and by a generation, which rises at each use; the reader gives it back by writing that
//! generation into the slot's word of [`Releases`]. A word with another generation means nothing, so a release that comes
//! late, or twice, frees nothing that is in use.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, fstat, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::corrupt::Corrupt;
use crate::sync::{AtomicU32, Ordering};
use crate::views::{self, Held};

/// How many slabs one arena has at most.
pub const SLOTS: usize = 256;
/// Slabs begin and end at multiples of this.
const PAGE: u64 = 4096;
/// What is kept for the next use at most, in bytes; more goes back to the kernel.
const KEPT: u64 = 256 << 20;

/// Which generation of each slab its reader is done with. It lies in shared memory; all zero is a fresh one.
#[derive(Debug)]
#[repr(C)]
pub struct Releases([AtomicU32; SLOTS]);

/// Where a slab lies, as told in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Slab {
    /// Where it begins in the arena, in bytes.
    pub offset: u64,
    /// How much of it is used, in bytes.
    pub len: u64,
    /// Which one it is.
    pub slot: u32,
    /// How often it has been used.
    pub generation: u32,
}

/// A mapping, unmapped when dropped.
#[derive(Debug)]
struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: it owns the mapping, which any thread may use.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(fd: BorrowedFd<'_>, offset: u64, len: u64, flags: MapFlags) -> io::Result<Mapping> {
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping, wherever the kernel has room for it.
        let start = unsafe { mmap(std::ptr::null_mut(), len, access, flags, fd, offset)? };
        Ok(Mapping { start: NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?, len })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is its own, and nobody uses it any longer.
        unsafe { munmap(self.start.as_ptr().cast(), self.len).ok() };
    }
}

#[derive(Debug)]
struct Slot {
    offset: u64,
    size: u64,
    memory: Option<Mapping>,
    generation: u32,
    used: bool,
}

/// A file without a name for an arena, empty, for the writer and for the reader.
///
/// # Errors
/// What the kernel says.
pub fn file() -> io::Result<OwnedFd> {
    let fd = memfd_create(c"fenshen-slabs", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    fcntl_add_seals(&fd, SealFlags::SHRINK)?;
    Ok(fd)
}

/// The writer's side.
#[derive(Debug)]
pub struct Arena {
    fd: OwnedFd,
    /// The file's length.
    end: u64,
    slots: Vec<Slot>,
    releases: NonNull<Releases>,
}

// SAFETY: what it points to is atomic, and lives as long as `new` was promised.
unsafe impl Send for Arena {}

impl Arena {
    /// The writer of an empty file.
    ///
    /// # Safety
    /// The releases are mapped as long as the arena lives.
    #[must_use]
    pub unsafe fn new(fd: OwnedFd, releases: NonNull<Releases>) -> Arena {
        Arena { fd, end: 0, slots: Vec::new(), releases }
    }

    fn reclaim(&mut self) {
        // SAFETY: mapped, as `new` was promised.
        let releases = unsafe { self.releases.as_ref() };
        for (slot, word) in self.slots.iter_mut().zip(&releases.0) {
            if slot.used && word.load(Ordering::Acquire) == slot.generation {
                slot.used = false;
            }
        }
        self.trim(KEPT);
    }

    /// Gives what is kept beyond `most` bytes back to the kernel, the largest first.
    fn trim(&mut self, most: u64) {
        let kept = |slots: &[Slot]| -> u64 { slots.iter().filter(|s| !s.used).map(|s| s.size).sum() };
        while kept(&self.slots) > most {
            let Some(largest) = self.slots.iter_mut().filter(|s| !s.used && s.size > 0).max_by_key(|s| s.size) else {
                return;
            };
            let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            fallocate(&self.fd, hole, largest.offset, largest.size).ok();
            (largest.size, largest.memory) = (0, None);
        }
    }

    /// A slab for `len` bytes, and where to write them; `None` if all slots are in use.
    ///
    /// # Errors
    /// What the kernel says: no memory.
    pub fn take(&mut self, len: u64) -> io::Result<Option<(Slab, NonNull<u8>)>> {
        let size = len.max(1).next_multiple_of(PAGE);
        let mut found = self.fitting(size);
        if found.is_none() {
            self.reclaim();
            found = self.fitting(size).or_else(|| self.spare());
        }
        let Some(index) = found else {
            return Ok(None);
        };
        if self.slots[index].size < size {
            self.make(index, size)?;
        }
        let slot = &mut self.slots[index];
        let Some(memory) = &slot.memory else {
            return Ok(None);
        };
        slot.used = true;
        slot.generation = slot.generation.wrapping_add(1).max(1);
        let slab = Slab { offset: slot.offset, len, slot: index as u32, generation: slot.generation };
        Ok(Some((slab, memory.start)))
    }

    /// The smallest free one that is large enough, and not far too large.
    fn fitting(&self, size: u64) -> Option<usize> {
        let most = (2 * size).max(16 * PAGE);
        let fits = |s: &Slot| !s.used && s.size >= size && s.size <= most;
        let each = self.slots.iter().enumerate().filter(|(_, s)| fits(s));
        each.min_by_key(|(_, s)| s.size).map(|(i, _)| i)
    }

    /// A slot to make a slab in: one without memory, a new one, or the smallest free one.
    fn spare(&mut self) -> Option<usize> {
        let free = |slots: &[Slot]| slots.iter().enumerate().filter(|(_, s)| !s.used).map(|(i, s)| (s.size, i)).min();
        match free(&self.slots) {
            Some((0, empty)) => Some(empty),
            _ if self.slots.len() < SLOTS => {
                self.slots.push(Slot { offset: 0, size: 0, memory: None, generation: 0, used: false });
                Some(self.slots.len() - 1)
            }
            smallest => smallest.map(|(_, i)| i),
        }
    }

    fn make(&mut self, index: usize, size: u64) -> io::Result<()> {
        // A little larger than asked for, so that the next ones, which are often about as large, find it fitting.
        let size = (size + size / 8).next_multiple_of(PAGE);
        let old = &mut self.slots[index];
        if old.size > 0 {
            fallocate(&self.fd, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, old.offset, old.size).ok();
            (old.size, old.memory) = (0, None);
        }
        ftruncate(&self.fd, self.end + size)?;
        let memory = Mapping::new(self.fd.as_fd(), self.end, size, MapFlags::SHARED)?;
        let slot = &mut self.slots[index];
        (slot.offset, slot.size, slot.memory) = (self.end, size, Some(memory));
        self.end += size;
        Ok(())
    }

    /// Takes a slab back that its reader will never give back, or has never been told of.
    pub fn free(&mut self, slab: Slab) {
        if let Some(slot) = self.slots.get_mut(slab.slot as usize)
            && slot.generation == slab.generation
        {
            slot.used = false;
        }
    }

    /// How many slabs are in use.
    pub fn used(&mut self) -> usize {
        self.reclaim();
        self.slots.iter().filter(|s| s.used).count()
    }

    /// Gives every page that is not in use back to the kernel.
    pub fn shrink(&mut self) {
        self.reclaim();
        self.trim(0);
    }
}

/// The reader's side.
#[derive(Debug)]
pub struct Slabs {
    file: File,
    releases: NonNull<Releases>,
    /// What keeps the releases mapped.
    keep: Arc<dyn std::any::Any + Send + Sync>,
}

// SAFETY: what it points to is atomic, and kept.
unsafe impl Send for Slabs {}
// SAFETY: as above.
unsafe impl Sync for Slabs {}

/// A slab's contents, for the reader alone: what it writes there nobody else sees. Dropped, it is given back.
#[derive(Debug)]
pub struct View {
    mapping: Mapping,
    len: usize,
    _held: Held,
}

#[derive(Debug)]
pub(crate) struct Release {
    releases: NonNull<Releases>,
    slab: Slab,
    /// The process that reads it: what a fork copied is not given back.
    owner: u32,
    _keep: Arc<dyn std::any::Any + Send + Sync>,
}

// SAFETY: as for `Slabs`.
unsafe impl Send for Release {}
// SAFETY: as for `Slabs`.
unsafe impl Sync for Release {}

impl Drop for Release {
    fn drop(&mut self) {
        if self.owner != std::process::id() {
            return;
        }
        // SAFETY: mapped, as `Slabs::new` was promised.
        let words = unsafe { self.releases.as_ref() };
        words.0[self.slab.slot as usize].store(self.slab.generation, Ordering::Release);
    }
}

impl View {
    /// Its contents.
    #[must_use]
    pub fn bytes(&self) -> NonNull<[u8]> {
        NonNull::slice_from_raw_parts(self.mapping.start, self.len)
    }
}

impl Drop for View {
    fn drop(&mut self) {
        views::leave(self.mapping.start);
    }
}

impl Slabs {
    /// The reader of an arena's file.
    ///
    /// # Safety
    /// The releases are mapped as long as `keep` lives.
    #[must_use]
    pub unsafe fn new(fd: OwnedFd, releases: NonNull<Releases>, keep: Arc<dyn std::any::Any + Send + Sync>) -> Slabs {
        Slabs { file: fd.into(), releases, keep }
    }

    fn check(&self, slab: Slab) -> io::Result<Release> {
        let end = slab.offset.checked_add(slab.len).ok_or(Corrupt("a slab's length"))?;
        if slab.slot as usize >= SLOTS || slab.generation == 0 || !slab.offset.is_multiple_of(PAGE) || slab.len == 0 {
            return Err(Corrupt("a slab's name").into());
        }
        let size = u64::try_from(fstat(&self.file)?.st_size).unwrap_or(0);
        if end > size {
            return Err(Corrupt("a slab's place").into());
        }
        Ok(Release { releases: self.releases, slab, owner: std::process::id(), _keep: self.keep.clone() })
    }

    /// Maps a slab, writable and private: a page is copied when it is written to.
    ///
    /// # Errors
    /// [`Corrupt`] if there can be no such slab, or what the kernel says.
    pub fn map(&self, slab: Slab) -> io::Result<View> {
        let release = self.check(slab)?;
        let mapping = Mapping::new(self.file.as_fd(), slab.offset, slab.len, MapFlags::PRIVATE)?;
        let held = Arc::new(Mutex::new(Some(release)));
        views::enter(mapping.start, mapping.len, &held);
        Ok(View { mapping, len: slab.len as usize, _held: held })
    }

    /// Copies a slab's contents, and gives it back.
    ///
    /// # Errors
    /// [`Corrupt`] if there can be no such slab, or what the kernel says.
    pub fn copy(&self, slab: Slab) -> io::Result<Vec<u8>> {
        let _release = self.check(slab)?;
        // The length is the writer's word: an allocation that fails must not end the reader.
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(slab.len as usize).map_err(|_| io::ErrorKind::OutOfMemory)?;
        bytes.resize(slab.len as usize, 0);
        self.file.read_exact_at(&mut bytes, slab.offset)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::{Arena, Releases, Slab, Slabs, file};
    use std::os::fd::AsFd;
    use std::ptr::NonNull;
    use std::sync::Arc;

    fn pair() -> (Arena, Slabs) {
        // SAFETY: all zero is a fresh one, as the type says, and it is leaked.
        let releases = NonNull::from(Box::leak(Box::new(unsafe { std::mem::zeroed::<Releases>() })));
        let fd = file().expect("a file");
        let other = fd.as_fd().try_clone_to_owned().expect("a descriptor");
        // SAFETY: they live for ever.
        unsafe { (Arena::new(fd, releases), Slabs::new(other, releases, Arc::new(()))) }
    }

    fn put(arena: &mut Arena, bytes: &[u8]) -> Slab {
        let (slab, at) = arena.take(bytes.len() as u64).expect("memory").expect("a slot");
        // SAFETY: the slab is that long.
        unsafe { at.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        slab
    }

    #[test]
    fn a_slab_that_was_given_back_is_used_again() {
        let (mut arena, slabs) = pair();
        let first = put(&mut arena, &[1; 10_000]);
        assert_eq!(slabs.copy(first).expect("whole"), [1; 10_000]);
        let second = put(&mut arena, &[2; 10_000]);
        assert_eq!((second.slot, second.generation), (first.slot, first.generation + 1));
        assert_eq!(arena.used(), 1);
    }

    #[test]
    fn a_view_is_private_and_holds_its_slab() {
        let (mut arena, slabs) = pair();
        let slab = put(&mut arena, &[1; 5000]);
        let (mine, other) = (slabs.map(slab).expect("whole"), slabs.map(slab).expect("whole"));
        // SAFETY: both views live, and nobody else writes.
        unsafe {
            mine.bytes().cast::<u8>().write(9);
            assert_eq!(other.bytes().cast::<[u8; 2]>().read(), [1, 1]);
        }
        assert_eq!(arena.used(), 1);
        assert_ne!(put(&mut arena, &[3; 5000]).slot, slab.slot);
        drop((mine, other));
        assert_eq!(arena.used(), 1);
    }

    #[test]
    fn before_a_fork_a_view_gets_pages_of_its_own() {
        let (mut arena, slabs) = pair();
        let slab = put(&mut arena, &[1; 10_000]);
        let view = slabs.map(slab).expect("whole");
        // SAFETY: nobody else writes there.
        unsafe { view.bytes().cast::<u8>().add(5000).write(9) };
        crate::before_fork();
        assert_eq!(arena.used(), 0);
        assert_eq!(put(&mut arena, &[2; 10_000]).slot, slab.slot);
        // SAFETY: as above.
        let bytes = unsafe { view.bytes().as_ref() };
        assert!(bytes.iter().enumerate().all(|(i, &byte)| byte == if i == 5000 { 9 } else { 1 }));
        drop(view);
        assert_eq!(arena.used(), 1);
    }

    #[test]
    fn a_release_that_comes_late_frees_nothing() {
        let (mut arena, slabs) = pair();
        let first = put(&mut arena, &[1; 100]);
        let view = slabs.map(first).expect("whole");
        arena.free(first);
        let second = put(&mut arena, &[2; 100]);
        assert_eq!(second.slot, first.slot);
        drop(view);
        assert_eq!(arena.used(), 1);
    }

    #[test]
    fn slots_run_out_and_nothing_breaks() {
        let (mut arena, slabs) = pair();
        let all: Vec<Slab> = (0..super::SLOTS).map(|n| put(&mut arena, &[n as u8; 64])).collect();
        assert!(arena.take(64).expect("memory").is_none());
        assert_eq!(slabs.copy(all[7]).expect("whole"), [7; 64]);
        assert!(arena.take(1 << 20).expect("memory").is_some());
        assert_eq!(slabs.copy(all[8]).expect("whole"), [8; 64]);
        arena.shrink();
    }

    #[test]
    fn nonsense_is_refused() {
        let (mut arena, slabs) = pair();
        let slab = put(&mut arena, &[1; 100]);
        for wrong in [
            Slab { offset: u64::MAX, ..slab },
            Slab { offset: 1, ..slab },
            Slab { len: 1 << 40, ..slab },
            Slab { len: u64::MAX, ..slab },
            Slab { len: 0, ..slab },
            Slab { slot: 9999, ..slab },
            Slab { generation: 0, ..slab },
        ] {
            assert!(slabs.map(wrong).is_err() && slabs.copy(wrong).is_err(), "{wrong:?}");
        }
    }
}
