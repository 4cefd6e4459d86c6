"""`RLock`: as the standard library's, side by side."""

from __future__ import annotations

import pickle
import threading
import weakref

import pytest
from commands import needs_native
from fenshen import threading as ours

from threads.sides import Running, aside, assert_same, assert_waits, each_side, outcome, running

pytestmark = needs_native


def held(threads, times=1):
    lock = threads.RLock()
    for _ in range(times):
        lock.acquire()
    return lock


@each_side
def test_as_often_released_as_taken(threads):
    lock = held(threads, 3)
    for _ in range(2):
        lock.release()
        assert not aside(lambda: lock.acquire(False))
    lock.release()
    assert aside(lambda: lock.acquire(False)) is True


@each_side
def test_only_its_owner_releases_it(threads):
    lock = held(threads)
    assert outcome(lambda: aside(lock.release)) == "RuntimeError: cannot release un-acquired lock"
    assert not aside(lock._is_owned)
    assert lock._is_owned()


def test_words():
    assert_same(
        lambda t: t.RLock(),
        lambda t: held(t, 2),
        lambda t: t.RLock().release(),
        lambda t: t.RLock()._release_save(),
        lambda t: t.RLock().acquire(timeout=-2),
        lambda t: t.RLock().acquire(False, 1),
        lambda t: t.RLock().acquire(timeout=1e100),
        lambda t: t.RLock().acquire(timeout="soon"),
        lambda t: held(t).acquire(timeout=0.001),
        lambda t: held(t)._is_owned(),
        lambda t: aside(held(t)._is_owned),
    )


@each_side
def test_saved_and_restored(threads):
    lock = held(threads, 3)
    saved = lock._release_save()
    assert not lock._is_owned()
    assert aside(lambda: lock.acquire(False) and lock.release()) is None
    lock._acquire_restore(saved)
    for _ in range(3):
        lock.release()
    assert not lock._is_owned()


@each_side
def test_timeouts_are_never_early(threads):
    lock = held(threads)
    aside(lambda: assert_waits(lambda timeout: lock.acquire(timeout=timeout), False))


@each_side
def test_a_waiter_gets_it_when_it_is_released_altogether(threads):
    lock = held(threads, 2)
    waiter = Running(lambda: lock.acquire(timeout=60) and lock.release())
    lock.release()
    assert not waiter.is_over()
    lock.release()
    assert waiter.get() is None


@each_side
def test_one_at_a_time(threads):
    lock, count = threads.RLock(), [0]

    def work():
        for _ in range(2000):
            with lock, lock:
                count[0] += 1

    with running(work, work, work, work):
        pass
    assert count == [8000]


@each_side
def test_weak_references_and_pickling(threads):
    lock = threads.RLock()
    ref = weakref.ref(lock)
    assert ref() is lock
    with pytest.raises(TypeError, match=r"cannot pickle '_thread\.RLock' object"):
        pickle.dumps(lock)
    del lock
    assert ref() is None


def test_it_can_be_derived_from():
    class Counting(ours.RLock):
        entered = 0

        def __enter__(self):
            self.entered += 1
            return super().__enter__()

    lock = Counting()
    with lock, lock:
        assert lock._is_owned()
    assert lock.entered == 2


def test_each_is_the_other():
    assert isinstance(ours.RLock(), type(threading.RLock()))
    assert isinstance(threading.RLock(), ours.RLock)
    assert not isinstance(threading.Lock(), ours.RLock)
