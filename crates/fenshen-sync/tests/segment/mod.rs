//! A piece of shared memory with one of every primitive in it, and processes that meet there.

use std::cell::UnsafeCell;
use std::ffi::CString;
use std::panic::{AssertUnwindSafe, catch_unwind};

use fenshen_sync::{
    Barrier, Condition, Event, Hand, Mutex, Queue, ReentrantMutex, Ring, Scope, Semaphore, SharedWaiters, Sleep, tid,
};

#[repr(C)]
pub(crate) struct Segment {
    pub(crate) mutex: Mutex,
    pub(crate) reentrant: ReentrantMutex,
    pub(crate) semaphore: Semaphore,
    pub(crate) ready: Semaphore,
    pub(crate) event: Event,
    pub(crate) condition: Condition,
    pub(crate) barrier: Barrier,
    /// What the mutex guards.
    pub(crate) value: UnsafeCell<[u64; 2]>,
    pub(crate) waiters: SharedWaiters<16>,
    pub(crate) queue: Queue<Ring<u64, 8>>,
    pub(crate) hands: SharedWaiters<8, Hand<u64>>,
}

/// A mapping of a segment.
pub(crate) struct Mapping {
    fd: i32,
    at: *mut Segment,
}

impl Mapping {
    pub(crate) fn new() -> Mapping {
        let name = CString::new("fenshen-sync-test").unwrap();
        // SAFETY: the name is a C string.
        let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
        assert!(fd >= 0);
        // SAFETY: the descriptor is ours.
        assert_eq!(unsafe { libc::ftruncate(fd, size_of::<Segment>() as libc::off_t) }, 0);
        let mapping = Mapping::of(fd);
        let new = Segment {
            mutex: Mutex::new(Scope::Shared),
            reentrant: ReentrantMutex::new(Scope::Shared),
            semaphore: Semaphore::new(0, Scope::Shared),
            ready: Semaphore::new(0, Scope::Shared),
            event: Event::new(Scope::Shared),
            condition: Condition::new(Scope::Shared),
            barrier: Barrier::new(3, Scope::Shared),
            value: UnsafeCell::new([0; 2]),
            waiters: SharedWaiters::new(),
            queue: Queue::with_scope(Ring::default(), 2, Scope::Shared),
            hands: SharedWaiters::new(),
        };
        // SAFETY: the mapping is large enough, aligned to a page, and nobody else's yet.
        unsafe { mapping.at.write(new) };
        mapping
    }

    fn of(fd: i32) -> Mapping {
        let (size, access) = (size_of::<Segment>(), libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: a new mapping, wherever the kernel likes.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), size, access, libc::MAP_SHARED, fd, 0) };
        assert_ne!(at, libc::MAP_FAILED);
        Mapping { fd, at: at.cast() }
    }

    /// The same memory once more, elsewhere.
    pub(crate) fn again(&self) -> Mapping {
        // SAFETY: the descriptor is open.
        let other = Mapping::of(unsafe { libc::dup(self.fd) });
        assert_ne!(other.at, self.at);
        other
    }

    /// Runs `body` in another process, which maps the memory elsewhere.
    pub(crate) fn process(&self, body: impl FnOnce(&Segment) -> bool) -> Child {
        // SAFETY: the child does nothing but what follows, and ends.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0);
        if pid == 0 {
            // SAFETY: these only arrange for this process' end: when the test's thread ends, or after a minute.
            unsafe {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                libc::alarm(60);
            }
            let done = catch_unwind(AssertUnwindSafe(|| body(&self.again()))).unwrap_or(false);
            // SAFETY: without the parent's exit handlers.
            unsafe { libc::_exit(i32::from(!done)) };
        }
        Child(pid)
    }
}

impl std::ops::Deref for Mapping {
    type Target = Segment;

    fn deref(&self) -> &Segment {
        // SAFETY: it was written by `new`, and stays mapped as long as this lives.
        unsafe { &*self.at }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: both are ours.
        unsafe {
            libc::munmap(self.at.cast(), size_of::<Segment>());
            libc::close(self.fd);
        }
    }
}

/// A process. It does not outlive this.
pub(crate) struct Child(pub(crate) i32);

impl Child {
    /// Kills it; it is a zombie after this.
    pub(crate) fn kill(&self) {
        // SAFETY: the process is ours, and has not been waited for.
        unsafe {
            libc::kill(self.0, libc::SIGKILL);
            let mut info = std::mem::zeroed();
            libc::waitid(libc::P_PID, self.0 as libc::id_t, &mut info, libc::WEXITED | libc::WNOWAIT);
        }
    }

    fn wait(&self) -> i32 {
        let mut status = 0;
        // SAFETY: as above.
        while unsafe { libc::waitpid(self.0, &mut status, 0) } < 0 {
            assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EINTR));
        }
        status
    }

    /// Waits for its end; it did what it should.
    pub(crate) fn join(self) {
        let status = self.wait();
        std::mem::forget(self);
        assert_eq!(status, 0, "the other process failed");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        self.wait();
    }
}

impl Segment {
    pub(crate) fn lock(&self) {
        if !self.mutex.try_lock(tid()) {
            let waiter = self.waiters.take().expect("there are enough places");
            // SAFETY: the waiter lies in the same segment, and is in no list.
            unsafe { self.mutex.lock_with(&waiter, &mut Sleep, None) }.expect("there is no deadline");
        }
    }

    pub(crate) fn put(&self, item: u64) -> bool {
        let hand = self.hands.take().expect("there are enough places");
        // SAFETY: the hand lies in the same segment, and is in no list.
        unsafe { self.queue.put_with(&hand, item, &mut Sleep, None) }.is_ok()
    }

    pub(crate) fn get(&self) -> Option<u64> {
        let hand = self.hands.take().expect("there are enough places");
        // SAFETY: as above.
        unsafe { self.queue.get_with(&hand, &mut Sleep, None) }.ok()
    }

    pub(crate) fn acquire(&self, semaphore: &Semaphore) {
        if !semaphore.try_acquire() {
            let waiter = self.waiters.take().expect("there are enough places");
            // SAFETY: as above.
            unsafe { semaphore.acquire_with(&waiter, &mut Sleep, None) }.expect("there is no deadline");
        }
    }

    /// Two numbers that only differ while somebody is amid this.
    pub(crate) fn step(&self) -> bool {
        // SAFETY: the mutex is held.
        unsafe {
            let value = self.value.get();
            let before = std::ptr::read_volatile(value);
            std::ptr::write_volatile(&raw mut (*value)[0], before[0] + 1);
            std::hint::spin_loop();
            std::ptr::write_volatile(&raw mut (*value)[1], before[1] + 1);
            before[0] == before[1]
        }
    }
}
