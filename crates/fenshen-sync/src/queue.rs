//! A bounded queue between threads: a monitor with one list for those who wait for an item, and one for those who wait for
//! a place (C. A. R. Hoare, "Monitors: An Operating System Structuring Concept", Communications of the ACM 17(10), 1974:
//! the bounded buffer).
//!
//! As in Hoare's monitors, and unlike with condition variables, what is waited for is handed over: whoever puts an item
//! gives it to the thread that has waited longest, and whoever takes one puts in the item of the longest-waiting putter.
//! So nobody who comes by later gets before those that wait, and a thread that wakes up has what it waited for.
//! Two things always hold while the latch is free: where a getter waits, there is no item; where a putter waits, there is
//! no place. Those that are [away](Waiter::away) don't count: they are passed over, and try again when they are back.

mod calls;
mod ends;

use std::cell::UnsafeCell;
use std::fmt;

use crate::deadline::Deadline;
use crate::hand::{Hand, NotPut, Refused};
use crate::latch::{Held, Latch};
use crate::list::WaitList;
use crate::park::{Park, Sleep, wait};
use crate::store::Store;
use crate::threads::current;
use crate::waiter::{Grant, Waiter, Wake};
use crate::word::Scope;

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
enum State {
    Open,
    /// What is in may still be had.
    ShutDown,
    /// It may not.
    ShutDownNow,
}

#[repr(C)]
struct Inner<S> {
    store: S,
    /// How many items it takes.
    limit: usize,
    /// Places that are kept for those who were [called](Queue::enlist_put) to put an item in.
    kept: usize,
    /// Items that were put and not yet [done](Queue::task_done).
    unfinished: usize,
    state: State,
    retired: bool,
}

/// A queue of the items that a [`Store`] keeps.
///
/// ```
/// use std::thread;
/// use fenshen_sync::{Fifo, Queue, Refused};
///
/// let queue = Queue::new(Fifo::default(), 2);
/// thread::scope(|s| {
///     s.spawn(|| {
///         for n in 0..100 {
///             queue.put(n).unwrap();
///         }
///         queue.shutdown();
///     });
///     let mut sum = 0;
///     while let Ok(n) = queue.get() {
///         sum += n;
///     }
///     assert_eq!(sum, 4950);
/// });
/// assert_eq!(queue.try_get(), Err(Refused::ShutDown));
/// ```
#[repr(C)]
pub struct Queue<S: Store> {
    /// Guards everything that follows, and every item in a hand that waits.
    latch: Latch,
    scope: Scope,
    getters: WaitList,
    putters: WaitList,
    /// Those who wait until there is no unfinished task.
    joiners: WaitList,
    inner: UnsafeCell<Inner<S>>,
}

// SAFETY: everything is guarded by the latch, and items go from thread to thread.
unsafe impl<S: Store + Send> Send for Queue<S> where S::Item: Send {}
// SAFETY: as above.
unsafe impl<S: Store + Send> Sync for Queue<S> where S::Item: Send {}

/// The queue, with the latch held.
struct Inside<'a, S: Store> {
    queue: &'a Queue<S>,
    held: Held<'a>,
}

/// Waiters to be told something when the latch is free.
#[must_use]
struct Told(*const Waiter, *const Waiter);

impl Told {
    const NOBODY: Told = Told(std::ptr::null(), std::ptr::null());

    #[inline]
    fn given(self) {
        for waiter in [self.0, self.1] {
            if !waiter.is_null() {
                // SAFETY: it was taken out of its list, with the latch held, and has not been granted anything.
                unsafe { Waiter::grant(waiter, Grant::GIVEN) };
            }
        }
    }
}

impl<S: Store> Inside<'_, S> {
    #[inline]
    #[allow(clippy::mut_from_ref, reason = "the latch is held, and each use ends before the next")]
    fn inner(&self) -> &mut Inner<S> {
        // SAFETY: the latch is held.
        unsafe { &mut *self.queue.inner.get() }
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.inner().store.len() + self.inner().kept >= self.inner().limit
    }

    /// Why no item may be put, if so.
    #[inline]
    fn closed(&self) -> Option<Refused> {
        let inner = self.inner();
        if inner.retired {
            return Some(Refused::Retired);
        }
        (inner.state != State::Open).then_some(Refused::ShutDown)
    }

    /// Gives an item to the longest-waiting getter, else to the store.
    #[inline]
    fn hand_over(&self, item: S::Item, put: fn(&mut S, S::Item)) -> Told {
        // SAFETY: the latch is held. Whoever is in the list is a living hand's waiter, its first field.
        unsafe {
            let getter = self.queue.getters.claim();
            match getter.cast::<Hand<S::Item>>().as_ref() {
                Some(hand) => hand.item.set(Some(item)),
                None => put(&mut self.inner().store, item),
            }
            Told(getter, std::ptr::null())
        }
    }

    /// Puts in the item of the longest-waiting putter, if there is a place; one that brings it later gets the place.
    #[inline]
    fn admit(&self) -> Told {
        if self.queue.putters.is_empty() || self.is_full() {
            return Told::NOBODY;
        }
        // SAFETY: as above.
        unsafe {
            let putter = self.queue.putters.claim();
            match putter.cast::<Hand<S::Item>>().as_ref().map(|hand| hand.item.take()) {
                Some(Some(item)) => {
                    self.inner().unfinished += 1;
                    // A getter waits beside a putter only as long as a place is kept.
                    let Told(getter, _) = self.hand_over(item, S::put);
                    return Told(putter, getter);
                }
                Some(None) => self.inner().kept += 1,
                None => {}
            }
            Told(putter, std::ptr::null())
        }
    }

    /// Takes every item out, the next one first.
    fn take_all(&self) -> Vec<S::Item> {
        std::iter::from_fn(|| self.inner().store.get()).collect()
    }

    /// Lets go of the latch, and then tells everyone who waits for an item or a place.
    fn tell_both(self, grant: Grant) {
        let queue = self.queue;
        self.tell_all(&queue.getters, grant);
        queue.lock().tell_all(&queue.putters, grant);
    }

    /// Lets go of the latch, and then tells everyone in a list.
    fn tell_all(self, list: &WaitList, grant: Grant) {
        // SAFETY: the latch is held; nobody else knows those in the chain once they are out.
        let chain = unsafe { list.take_all() };
        drop(self.held);
        for waiter in chain {
            // SAFETY: it was in the list until now.
            unsafe { Waiter::grant(waiter, grant) };
        }
    }
}

impl<S: Store> Queue<S> {
    /// A queue of up to `limit` items, for threads of this process.
    #[must_use]
    pub fn new(store: S, limit: usize) -> Queue<S> {
        Queue::with_scope(store, limit, Scope::Process)
    }

    /// The same where it may lie in shared memory, if the store may.
    #[must_use]
    pub fn with_scope(store: S, limit: usize, scope: Scope) -> Queue<S> {
        Queue {
            latch: Latch::new(),
            scope,
            getters: WaitList::new(scope),
            putters: WaitList::new(scope),
            joiners: WaitList::new(scope),
            inner: UnsafeCell::new(Inner {
                store,
                limit: limit.max(1),
                kept: 0,
                unfinished: 0,
                state: State::Open,
                retired: false,
            }),
        }
    }

    #[inline]
    fn lock(&self) -> Inside<'_, S> {
        let lists = &[&self.getters, &self.putters, &self.joiners];
        Inside { queue: self, held: self.latch.over(self.scope, lists) }
    }

    /// Puts an item in if there is a place.
    ///
    /// # Errors
    /// `WouldWait`, `ShutDown` and `Retired`, with the item.
    #[inline]
    pub fn try_put(&self, item: S::Item) -> Result<(), NotPut<S::Item>> {
        let inside = self.lock();
        let closed = inside.closed();
        if closed.is_some() || inside.is_full() {
            let why = closed.unwrap_or(Refused::WouldWait);
            drop(inside);
            return Err(NotPut { why, item });
        }
        inside.inner().unfinished += 1;
        let told = inside.hand_over(item, S::put);
        drop(inside);
        told.given();
        Ok(())
    }

    /// Takes the next item if there is one.
    ///
    /// # Errors
    /// `WouldWait`, `ShutDown` and `Retired`.
    #[inline]
    pub fn try_get(&self) -> Result<S::Item, Refused> {
        let inside = self.lock();
        match inside.inner().store.get() {
            Some(item) => {
                let told = inside.admit();
                drop(inside);
                told.given();
                Ok(item)
            }
            None => Err(inside.closed().unwrap_or(Refused::WouldWait)),
        }
    }

    /// Puts an item in, and sleeps until there is a place for it.
    ///
    /// # Errors
    /// `ShutDown` and `Retired`, with the item.
    pub fn put(&self, item: S::Item) -> Result<(), NotPut<S::Item>> {
        self.put_slowly(item, current(), Wake::Thread, &mut Sleep, None)
    }

    /// Takes the next item, and sleeps until there is one.
    ///
    /// # Errors
    /// `ShutDown` and `Retired`.
    pub fn get(&self) -> Result<S::Item, Refused> {
        self.get_slowly(current(), Wake::Thread, &mut Sleep, None)
    }

    /// Puts an item in, and blocks by `park` until there is a place for it, until the deadline.
    ///
    /// # Errors
    /// All but `WouldWait`, with the item. An interruption that comes when it has just been put in is none.
    pub fn put_slowly(
        &self,
        item: S::Item,
        me: u32,
        wake: Wake,
        park: &mut impl Park,
        deadline: Option<Deadline>,
    ) -> Result<(), NotPut<S::Item>> {
        let hand = Hand::new(me, wake);
        // SAFETY: `put_with` takes the hand out before it returns.
        unsafe { self.put_with(&hand, item, park, deadline) }
    }

    /// Takes the next item, and blocks by `park` until there is one, until the deadline.
    ///
    /// # Errors
    /// All but `WouldWait`. An item that comes in the moment of an interruption goes to the next getter, or back.
    pub fn get_slowly(
        &self,
        me: u32,
        wake: Wake,
        park: &mut impl Park,
        deadline: Option<Deadline>,
    ) -> Result<S::Item, Refused> {
        let hand = Hand::new(me, wake);
        // SAFETY: `get_with` takes the hand out before it returns.
        unsafe { self.get_with(&hand, park, deadline) }
    }

    /// [`put_slowly`](Queue::put_slowly) with a hand of the caller's.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Safety
    /// The hand is in no list, and stays where it is during the call. If the queue is shared, it lies in the same mapping
    /// of the same memory.
    pub unsafe fn put_with(
        &self,
        hand: &Hand<S::Item>,
        item: S::Item,
        park: &mut impl Park,
        deadline: Option<Deadline>,
    ) -> Result<(), NotPut<S::Item>> {
        hand.item.set(Some(item));
        let mut again = false;
        loop {
            {
                let inside = self.lock();
                let closed = inside.closed();
                if closed.is_some() || !inside.is_full() {
                    let item = hand.item.take();
                    let told = match (closed, item) {
                        (None, Some(item)) => {
                            inside.inner().unfinished += 1;
                            inside.hand_over(item, S::put)
                        }
                        (Some(why), Some(item)) => {
                            drop(inside);
                            return Err(NotPut { why, item });
                        }
                        (_, None) => return Ok(()),
                    };
                    drop(inside);
                    told.given();
                    return Ok(());
                }
                // SAFETY: the latch is held; the hand is the caller's promise.
                unsafe { self.putters.push(&hand.waiter, again) };
            }
            // SAFETY: the latch guards the list, and the waiter has just been put in.
            let ended = unsafe { wait(park, &self.latch, self.scope, &self.putters, &hand.waiter, deadline) };
            let why = match ended {
                Ok(Grant::GIVEN) => return Ok(()),
                Ok(Grant::REFUSED) => Refused::ShutDown,
                Ok(_) => {
                    again = true;
                    continue;
                }
                Err((failed, _)) => failed.into(),
            };
            return match hand.item.take() {
                Some(item) => Err(NotPut { why, item }),
                // It was put in as the interruption came; of that, the park has a note.
                None => Ok(()),
            };
        }
    }

    /// [`get_slowly`](Queue::get_slowly) with a hand of the caller's.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Safety
    /// As for [`put_with`](Queue::put_with).
    pub unsafe fn get_with(
        &self,
        hand: &Hand<S::Item>,
        park: &mut impl Park,
        deadline: Option<Deadline>,
    ) -> Result<S::Item, Refused> {
        let (mut again, mut refused) = (false, None);
        loop {
            {
                let inside = self.lock();
                if let Some(item) = inside.inner().store.get() {
                    let told = inside.admit();
                    drop(inside);
                    told.given();
                    return Ok(item);
                }
                if let Some(why) = inside.closed().or(refused) {
                    return Err(why);
                }
                // SAFETY: the latch is held; the hand is the caller's promise.
                unsafe { self.getters.push(&hand.waiter, again) };
            }
            // SAFETY: the latch guards the list, and the waiter has just been put in.
            let ended = unsafe { wait(park, &self.latch, self.scope, &self.getters, &hand.waiter, deadline) };
            let item = hand.item.take();
            match (ended, item) {
                (Ok(_), Some(item)) => return Ok(item),
                // While it was away, an item may have come before the end.
                (Ok(Grant::REFUSED), None) => refused = Some(Refused::ShutDown),
                (Ok(_), None) => again = true,
                (Err((failed, _)), item) => {
                    if let Some(item) = item {
                        drop(self.give_back(item));
                    }
                    return Err(failed.into());
                }
            }
        }
    }

    /// Puts an item back that was handed over, and is not used: in front of all others. Returns it if it was not to be had
    /// any more.
    fn give_back(&self, item: S::Item) -> Option<S::Item> {
        let inside = self.lock();
        if inside.inner().state == State::ShutDownNow {
            self.count_down(inside, 1);
            return Some(item);
        }
        let told = inside.hand_over(item, S::put_back);
        drop(inside);
        told.given();
        None
    }

    /// How many items are in it.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().inner().store.len()
    }

    /// Whether no item is in it.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no place for another item.
    #[inline]
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.lock().is_full()
    }

    /// How many items it takes.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.lock().inner().limit
    }

    /// Sets how many items it takes. What is in stays in, and whoever waits for a place that is there now gets it.
    pub fn set_limit(&self, limit: usize) {
        self.lock().inner().limit = limit.max(1);
        loop {
            let told = self.lock().admit();
            if told.0.is_null() {
                return;
            }
            told.given();
        }
    }

    /// How many wait for an item, for a place, and for the end of every task.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize, usize) {
        let _inside = self.lock();
        (self.getters.len(), self.putters.len(), self.joiners.len())
    }

    /// The store, with the latch held: `look` must neither block nor use the queue.
    pub fn peek<R>(&self, look: impl FnOnce(&S) -> R) -> R {
        look(&self.lock().inner().store)
    }

    /// The store of a queue that nobody else uses.
    pub fn store_mut(&mut self) -> &mut S {
        &mut self.inner.get_mut().store
    }

    /// In a forked child: frees the latch, whose holder may not exist there.
    pub fn reset_latch(&self) {
        self.latch.reset();
    }
}

impl<S: Store> fmt::Debug for Queue<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("len", &self.len()).field("limit", &self.limit()).finish_non_exhaustive()
    }
}
