//! Those who wait, oldest first: an intrusive list whose links are relative to its own address, so that it works
//! wherever the memory that holds it and its waiters is mapped.

use std::cell::Cell;

use crate::threads::generation;
use crate::waiter::{Grant, Waiter};
use crate::word::Scope;

/// A list of waiters. It has no lock of its own: whoever owns it guards it. All zero is an empty one.
#[derive(Debug, Default)]
#[repr(C)]
pub struct WaitList {
    /// Offsets from this list's address; zero for none.
    first: Cell<isize>,
    last: Cell<isize>,
    /// In which generation of forks the list was last empty: the threads of an older one don't exist here.
    generation: Cell<u32>,
    scope: Cell<u32>,
}

impl WaitList {
    /// An empty list.
    #[must_use]
    pub fn new(scope: Scope) -> WaitList {
        WaitList { scope: Cell::new(scope as u32), ..WaitList::default() }
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
        if self.scope.get() == Scope::Process as u32 && self.generation.get() != generation() {
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
    /// The caller guards the list; the waiter is in none, and stays alive and in place until it is taken out.
    pub unsafe fn push_back(&self, waiter: *const Waiter) {
        self.refresh();
        let (at, last) = (self.offset(waiter), self.last.get());
        // SAFETY: the caller's promise, and that of those who put in the others.
        unsafe {
            (*waiter).previous.set(last);
            (*waiter).next.set(0);
            (*waiter).linked.set(true);
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
            (*waiter).linked.set(true);
            match self.at(first) {
                Some(first) => (*first).previous.set(at),
                None => self.last.set(at),
            }
        }
        self.first.set(at);
    }

    /// Takes the oldest out; null if nobody waits.
    ///
    /// # Safety
    /// The caller guards the list, and grants the waiter something soon.
    pub unsafe fn pop(&self) -> *const Waiter {
        let first = self.first();
        if !first.is_null() {
            // SAFETY: it is in the list.
            unsafe { self.unlink(first) };
        }
        first
    }

    /// Takes a waiter out; returns whether it was in.
    ///
    /// # Safety
    /// The caller guards the list, and the waiter is in this one or in none.
    pub unsafe fn remove(&self, waiter: &Waiter) -> bool {
        self.refresh();
        if waiter.linked.get() {
            // SAFETY: it is in the list.
            unsafe { self.unlink(waiter) };
            return true;
        }
        false
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
            (*waiter).linked.set(false);
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
    /// The caller guards the list, and grants each something soon.
    pub(crate) unsafe fn take(&self, count: u64) -> Chain<'_> {
        let first = self.first();
        let mut taken = 0;
        while taken < count {
            let Some(waiter) = self.at(self.first.get()) else { break };
            // SAFETY: it is in the list, and stays in place until it is granted something.
            unsafe {
                self.first.set((*waiter).next.get());
                (*waiter).linked.set(false);
                if taken + 1 == count {
                    (*waiter).next.set(0);
                }
            }
            taken += 1;
        }
        match self.at(self.first.get()) {
            // SAFETY: it is in the list.
            Some(first) => unsafe { (*first).previous.set(0) },
            None => self.last.set(0),
        }
        Chain { list: self, next: if taken == 0 || first.is_null() { 0 } else { self.offset(first) } }
    }

    /// Takes everybody out, as a chain that [`Chain::next`] walks.
    ///
    /// # Safety
    /// The caller guards the list, and grants each something soon.
    pub(crate) unsafe fn take_all(&self) -> Chain<'_> {
        self.refresh();
        let first = self.first.replace(0);
        self.last.set(0);
        let mut next = self.at(first);
        while let Some(waiter) = next {
            // SAFETY: it was in the list until now.
            unsafe {
                (*waiter).linked.set(false);
                next = self.at((*waiter).next.get());
            }
        }
        Chain { list: self, next: first }
    }
}

/// Waiters that were taken out together. Nobody but the holder of the chain knows them, and they all wait.
pub(crate) struct Chain<'a> {
    list: &'a WaitList,
    next: isize,
}

impl Chain<'_> {
    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        let (mut count, mut next) = (0, self.list.at(self.next));
        while let Some(waiter) = next {
            count += 1;
            // SAFETY: it waits until it is granted something.
            next = self.list.at(unsafe { (*waiter).next.get() });
        }
        count
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
