//! Those who wait, oldest first: an intrusive list whose links are relative to its own address, so that it works
//! wherever the memory that holds it and its waiters is mapped.

use crate::sync::Cell;
use crate::threads::{generation, hook};
use crate::tid::is_alive;
use crate::waiter::{Grant, Waiter};
use crate::word::Scope;

/// A list of waiters. It has no lock of its own: whoever owns it guards it. All zero is an empty one.
#[derive(Debug)]
#[repr(C)]
pub struct WaitList {
    /// Offsets from this list's address; zero for none.
    first: Cell<isize>,
    last: Cell<isize>,
    /// In which generation of forks the list was last empty: the threads of an older one don't exist here.
    generation: Cell<u32>,
    scope: u32,
}

impl Default for WaitList {
    /// An empty list of one process.
    fn default() -> WaitList {
        WaitList::new(Scope::Process)
    }
}

impl WaitList {
    /// An empty list.
    #[must_use]
    pub fn new(scope: Scope) -> WaitList {
        WaitList { first: Cell::new(0), last: Cell::new(0), generation: Cell::new(generation()), scope: scope as u32 }
    }

    #[inline]
    fn offset(&self, waiter: *const Waiter) -> isize {
        waiter as isize - std::ptr::from_ref(self) as isize
    }

    #[inline]
    fn at(&self, offset: isize) -> Option<*const Waiter> {
        (offset != 0).then(|| (std::ptr::from_ref(self) as isize + offset) as *const Waiter)
    }

    /// Forgets waiters of threads that a fork has left behind.
    #[inline]
    fn refresh(&self) {
        if self.scope == Scope::Process as u32 && self.generation.get() != generation() {
            self.first.set(0);
            self.last.set(0);
            self.generation.set(generation());
        }
    }

    /// Whether nobody waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.first.get() == 0 || {
            self.refresh();
            self.first.get() == 0
        }
    }

    /// The oldest, or null.
    pub fn first(&self) -> *const Waiter {
        self.refresh();
        self.at(self.first.get()).unwrap_or(std::ptr::null())
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        let mut count = 0;
        self.each(|_| count += 1);
        count
    }

    /// Who waits, oldest first.
    pub(crate) fn owners(&self) -> Vec<u32> {
        let mut owners = Vec::new();
        self.each(|waiter| owners.push(waiter.owner()));
        owners
    }

    fn each(&self, mut visit: impl FnMut(&Waiter)) {
        self.refresh();
        let mut next = self.at(self.first.get());
        while let Some(waiter) = next {
            // SAFETY: whoever is in the list is alive.
            let waiter = unsafe { &*waiter };
            visit(waiter);
            next = self.at(waiter.next.get());
        }
    }

    /// Puts a waiter behind all others.
    ///
    /// # Safety
    /// The caller guards the list; the waiter is in none, and stays alive and in place until it is taken out and granted
    /// something. In a shared list, it is a shared one.
    pub unsafe fn push_back(&self, waiter: *const Waiter) {
        hook();
        self.refresh();
        let (at, last) = (self.offset(waiter), self.last.get());
        // SAFETY: the caller's promise, and that of those who put in the others.
        unsafe {
            (*waiter).previous.set(last);
            (*waiter).next.set(0);
            (*waiter).link();
            match self.at(last) {
                Some(last) => (*last).next.set(at),
                None => self.first.set(at),
            }
        }
        self.last.set(at);
    }

    /// Puts a waiter before all others: one that had waited already.
    ///
    /// # Safety
    /// As [`push_back`](WaitList::push_back).
    pub unsafe fn push_front(&self, waiter: *const Waiter) {
        self.refresh();
        let (at, first) = (self.offset(waiter), self.first.get());
        // SAFETY: as above.
        unsafe {
            (*waiter).next.set(first);
            (*waiter).previous.set(0);
            (*waiter).link();
            match self.at(first) {
                Some(first) => (*first).previous.set(at),
                None => self.last.set(at),
            }
        }
        self.first.set(at);
    }

    /// Puts a waiter behind all others, or, if it waits `again`, before them.
    ///
    /// # Safety
    /// As [`push_back`](WaitList::push_back).
    pub(crate) unsafe fn push(&self, waiter: *const Waiter, again: bool) {
        // SAFETY: the caller's promise.
        unsafe { if again { self.push_front(waiter) } else { self.push_back(waiter) } }
    }

    /// Takes the oldest out; null if nobody waits.
    ///
    /// # Safety
    /// The caller guards the list, and grants the waiter something soon: something that anyone may be told, since the
    /// waiter may be [`away`](Waiter::away).
    pub unsafe fn pop(&self) -> *const Waiter {
        let first = self.first();
        if !first.is_null() {
            // SAFETY: it is in the list.
            unsafe { self.unlink(first) };
        }
        first
    }

    /// Takes out the oldest that is at its place, to give it what only one can have; null if nobody is. Those that are
    /// [`away`](Waiter::away) are passed over, and try again when they are back. In shared memory, those that died are
    /// taken out.
    ///
    /// # Safety
    /// The caller guards the list, and grants the waiter something soon.
    #[inline]
    pub unsafe fn claim(&self) -> *const Waiter {
        if self.first.get() == 0 {
            return std::ptr::null();
        }
        // SAFETY: the caller's promise.
        unsafe { self.claim_one() }
    }

    unsafe fn claim_one(&self) -> *const Waiter {
        self.refresh();
        let mut next = self.at(self.first.get());
        while let Some(waiter) = next {
            // SAFETY: whoever is in the list is alive, or its process was killed and the record is still there.
            unsafe {
                next = self.at((*waiter).next.get());
                if self.is_dead(&*waiter) {
                    self.unlink(waiter);
                } else if (*waiter).claim() {
                    self.unlink(waiter);
                    return waiter;
                }
            }
        }
        std::ptr::null()
    }

    fn is_dead(&self, waiter: &Waiter) -> bool {
        self.scope == Scope::Shared as u32 && !is_alive(waiter.owner())
    }

    /// Takes a waiter out; returns whether it was in, and nobody else will grant it anything.
    ///
    /// # Safety
    /// The caller guards the list, and the waiter is in this one or in none.
    pub unsafe fn remove(&self, waiter: &Waiter) -> bool {
        self.refresh();
        if waiter.is_left_behind() {
            waiter.unlink();
            return true;
        }
        if waiter.is_linked() {
            // SAFETY: it is in the list.
            unsafe { self.unlink(waiter) };
            return true;
        }
        false
    }

    /// Takes out all waiters of a thread that died.
    ///
    /// # Safety
    /// The caller guards the list.
    pub(crate) unsafe fn strike(&self, dead: u32) {
        let mut next = self.at(self.first.get());
        while let Some(waiter) = next {
            // SAFETY: the records of a dead process are still there.
            unsafe {
                next = self.at((*waiter).next.get());
                if (*waiter).owner() == dead {
                    self.unlink(waiter);
                }
            }
        }
    }

    /// Makes a whole list of one whose guard was killed amid a change. Every change leaves the links forwards whole.
    ///
    /// # Safety
    /// The caller guards the list.
    #[cold]
    pub(crate) unsafe fn mend(&self) {
        self.refresh();
        let mut last = 0;
        let mut at = self.first.get();
        while let Some(waiter) = self.at(at) {
            // SAFETY: the records of a dead process are still there.
            unsafe {
                let next = (*waiter).next.get();
                if self.is_dead(&*waiter) {
                    match self.at(last) {
                        Some(last) => (*last).next.set(next),
                        None => self.first.set(next),
                    }
                    (*waiter).unlink();
                } else {
                    (*waiter).previous.set(last);
                    last = at;
                }
                at = next;
            }
        }
        self.last.set(last);
    }

    unsafe fn unlink(&self, waiter: *const Waiter) {
        // SAFETY: it is in the list, and so are its neighbours.
        unsafe {
            let (next, previous) = ((*waiter).next.get(), (*waiter).previous.get());
            match self.at(previous) {
                Some(previous) => (*previous).next.set(next),
                None => self.first.set(next),
            }
            match self.at(next) {
                Some(next) => (*next).previous.set(previous),
                None => self.last.set(previous),
            }
            (*waiter).unlink();
        }
    }

    /// Empties the list without a look at those in it, who are not there any more.
    pub(crate) fn forget(&self) {
        self.first.set(0);
        self.last.set(0);
    }

    /// Takes the `count` oldest out, or all if there are fewer, as a chain that [`Chain::next`] walks.
    ///
    /// # Safety
    /// As [`pop`](WaitList::pop).
    pub(crate) unsafe fn take(&self, count: u64) -> Chain<'_> {
        // SAFETY: the caller's promise.
        self.chain(count, || unsafe { self.pop() })
    }

    /// The same, but for those that are away, as [`claim`](WaitList::claim) does.
    ///
    /// # Safety
    /// As `claim`.
    pub(crate) unsafe fn claim_some(&self, count: u64) -> Chain<'_> {
        // SAFETY: the caller's promise.
        self.chain(count, || unsafe { self.claim() })
    }

    /// Takes everybody out, as a chain.
    ///
    /// # Safety
    /// As [`pop`](WaitList::pop).
    pub(crate) unsafe fn take_all(&self) -> Chain<'_> {
        // SAFETY: the caller's promise.
        unsafe { self.take(u64::MAX) }
    }

    fn chain(&self, count: u64, mut next: impl FnMut() -> *const Waiter) -> Chain<'_> {
        let mut chain = Chain { list: self, next: 0, len: 0 };
        let mut last: *const Waiter = std::ptr::null();
        while chain.len < count {
            let waiter = next();
            if waiter.is_null() {
                break;
            }
            // SAFETY: it was in the list until now, and waits until it is granted something.
            unsafe {
                (*waiter).next.set(0);
                match last.as_ref() {
                    Some(last) => last.next.set(self.offset(waiter)),
                    None => chain.next = self.offset(waiter),
                }
            }
            last = waiter;
            chain.len += 1;
        }
        chain
    }
}

/// Waiters that were taken out together. Nobody but the holder of the chain knows them, and they all wait.
#[must_use]
pub(crate) struct Chain<'a> {
    list: &'a WaitList,
    next: isize,
    len: u64,
}

impl Chain<'_> {
    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Tells each of them what it is granted. No latch is held: a wake-up may be a call.
    pub(crate) fn grant(self, grant: Grant) {
        for waiter in self {
            // SAFETY: it waits, in no list, and the chain is done with it.
            unsafe { Waiter::grant(waiter, grant) };
        }
    }
}

impl Iterator for Chain<'_> {
    type Item = *const Waiter;

    fn next(&mut self) -> Option<*const Waiter> {
        let waiter = self.list.at(self.next)?;
        // SAFETY: it waits until it is granted something, which happens after this.
        self.next = unsafe { (*waiter).next.get() };
        Some(waiter)
    }
}
