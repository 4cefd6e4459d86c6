//! A queue for those who do not block: their wake-up is a [call](crate::Wake::Call), after which they go on.
//!
//! A getter is handed its item, as a thread is. A putter is handed a place, which is kept for it until it has put its item
//! in: so one that gives up has put nothing.

use super::{Inside, Queue, Told};
use crate::hand::{Hand, NotPut, Refused};
use crate::store::Store;
use crate::waiter::{Grant, Waiter};

impl<S: Store> Queue<S> {
    /// Takes the next item, or puts the hand in line for one.
    ///
    /// # Errors
    /// `ShutDown` and `Retired`; the hand is in no line then.
    ///
    /// # Safety
    /// The hand is in no list, and stays where it is until an item or an error was returned, or
    /// [`withdraw_get`](Queue::withdraw_get) is called.
    pub unsafe fn enlist_get(&self, hand: &Hand<S::Item>) -> Result<Option<S::Item>, Refused> {
        // SAFETY: the caller's promise.
        unsafe { self.line_up_to_get(hand, false, None) }
    }

    /// Goes on after the call. If there is no item, the hand is in line again, or still.
    ///
    /// # Errors
    /// As [`enlist_get`](Queue::enlist_get).
    ///
    /// # Safety
    /// The hand was put in line here.
    pub unsafe fn resume_get(&self, hand: &Hand<S::Item>) -> Result<Option<S::Item>, Refused> {
        let Some(grant) = hand.waiter.granted() else {
            return Ok(None);
        };
        if let Some(item) = hand.item.take() {
            return Ok(Some(item));
        }
        let refused = (grant == Grant::REFUSED).then_some(Refused::ShutDown);
        // SAFETY: the caller's promise; what was granted something is in no list.
        unsafe { self.line_up_to_get(hand, true, refused) }
    }

    /// Takes the hand out of the line. Returns the item that it was given meanwhile: the caller's, to use or to
    /// [return](Queue::return_item).
    ///
    /// # Safety
    /// The hand was put in line here.
    pub unsafe fn withdraw_get(&self, hand: &Hand<S::Item>) -> Option<S::Item> {
        let inside = self.lock();
        // SAFETY: the latch is held.
        let alone = unsafe { self.getters.remove(&hand.waiter) };
        drop(inside);
        if !alone {
            hand.waiter.settled();
        }
        hand.item.take()
    }

    /// Puts an item back that was taken, and is not used: in front of all others. Returns it if it is not to be had any
    /// more, as all others that were left when the queue was [shut down](Queue::shutdown_now).
    pub fn return_item(&self, item: S::Item) -> Option<S::Item> {
        self.give_back(item)
    }

    unsafe fn line_up_to_get(
        &self,
        hand: &Hand<S::Item>,
        again: bool,
        refused: Option<Refused>,
    ) -> Result<Option<S::Item>, Refused> {
        let inside = self.lock();
        if let Some(item) = inside.inner().store.get() {
            let told = inside.admit();
            drop(inside);
            told.given();
            return Ok(Some(item));
        }
        if let Some(why) = inside.closed().or(refused) {
            return Err(why);
        }
        // SAFETY: the latch is held; the hand is the caller's promise.
        unsafe { self.getters.push(&hand.waiter, again) };
        Ok(None)
    }

    /// Puts an item in, or the hand in line for a place; then the item is returned.
    ///
    /// # Errors
    /// `ShutDown` and `Retired`, with the item; the hand is in no line then.
    ///
    /// # Safety
    /// As for [`enlist_get`](Queue::enlist_get), until the item was put in, an error was returned, or
    /// [`withdraw_put`](Queue::withdraw_put) is called.
    pub unsafe fn enlist_put(&self, hand: &Hand<S::Item>, item: S::Item) -> Result<Option<S::Item>, NotPut<S::Item>> {
        // SAFETY: the caller's promise.
        unsafe { self.line_up_to_put(self.lock(), hand, item, false) }
    }

    /// Goes on after the call. If the item is returned, the hand is in line again, or still.
    ///
    /// # Errors
    /// As [`enlist_put`](Queue::enlist_put).
    ///
    /// # Safety
    /// The hand was put in line here.
    pub unsafe fn resume_put(&self, hand: &Hand<S::Item>, item: S::Item) -> Result<Option<S::Item>, NotPut<S::Item>> {
        let Some(grant) = hand.waiter.granted() else {
            return Ok(Some(item));
        };
        let inside = self.lock();
        if grant == Grant::GIVEN {
            inside.inner().kept -= 1;
        }
        // SAFETY: the caller's promise; what was granted something is in no list.
        let outcome = unsafe { self.line_up_to_put(inside, hand, item, true) };
        self.admit_all();
        outcome
    }

    /// Takes the hand out of the line. A place that it was given meanwhile is the next one's.
    ///
    /// # Safety
    /// The hand was put in line here.
    pub unsafe fn withdraw_put(&self, hand: &Hand<S::Item>) {
        let inside = self.lock();
        // SAFETY: the latch is held.
        let alone = unsafe { self.putters.remove(&hand.waiter) };
        drop(inside);
        if alone || hand.waiter.settled() != Grant::GIVEN {
            return;
        }
        let inside = self.lock();
        inside.inner().kept -= 1;
        drop(inside);
        self.admit_all();
    }

    /// Lets putters in as long as there are places, which a getter that waits makes too.
    fn admit_all(&self) {
        loop {
            let inside = self.lock();
            let told = if inside.closed().is_none() { inside.admit() } else { Told::NOBODY };
            drop(inside);
            if told.0.is_null() {
                return;
            }
            told.given();
        }
    }

    unsafe fn line_up_to_put(
        &self,
        inside: Inside<'_, S>,
        hand: &Hand<S::Item>,
        item: S::Item,
        again: bool,
    ) -> Result<Option<S::Item>, NotPut<S::Item>> {
        if let Some(why) = inside.closed() {
            drop(inside);
            return Err(NotPut { why, item });
        }
        if inside.is_full() {
            // SAFETY: the latch is held; the hand is the caller's promise.
            unsafe { self.putters.push(&hand.waiter, again) };
            return Ok(Some(item));
        }
        inside.inner().unfinished += 1;
        let told = inside.hand_over(item, S::put);
        drop(inside);
        told.given();
        Ok(None)
    }

    /// Puts the waiter in line for the end of every task; returns whether that has come already.
    ///
    /// # Safety
    /// The waiter is in no list, and stays where it is until it was called or [`withdraw_join`](Queue::withdraw_join) is.
    pub unsafe fn enlist_join(&self, waiter: &Waiter) -> bool {
        let inside = self.lock();
        if inside.inner().unfinished == 0 {
            return true;
        }
        // SAFETY: the latch is held; the waiter is the caller's promise.
        unsafe { self.joiners.push_back(waiter) };
        false
    }

    /// Takes the waiter out of that line.
    ///
    /// # Safety
    /// It was put in line here.
    pub unsafe fn withdraw_join(&self, waiter: &Waiter) {
        let inside = self.lock();
        // SAFETY: the latch is held.
        let alone = unsafe { self.joiners.remove(waiter) };
        drop(inside);
        if !alone {
            waiter.settled();
        }
    }
}
