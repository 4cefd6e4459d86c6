"""`Lock`: as the standard library's, side by side."""

from __future__ import annotations

import pickle
import threading
import time
import weakref

import pytest
from commands import needs_native
from fenshen import threading as ours

from threads.sides import Running, aside, assert_same, assert_waits, each_side, running

pytestmark = needs_native


def held(threads):
    lock = threads.Lock()
    lock.acquire()
    return lock


@each_side
def test_anyone_may_release_it(threads):
    lock = held(threads)
    aside(lock.release)
    assert not lock.locked()
    assert lock.acquire(False)
    assert not aside(lambda: lock.acquire(False))


@each_side
def test_as_a_context(threads):
    lock = threads.Lock()
    with lock as entered:
        assert entered is True
        assert lock.locked()
    with pytest.raises(KeyError), lock:
        raise KeyError
    assert not lock.locked()


def test_words():
    assert_same(
        lambda t: t.Lock(),
        held,
        lambda t: t.Lock().release(),
        lambda t: t.Lock().acquire(timeout=-2),
        lambda t: t.Lock().acquire(False, 1),
        lambda t: t.Lock().acquire(blocking=0, timeout=0.5),
        lambda t: t.Lock().acquire(timeout=1e100),
        lambda t: t.Lock().acquire(timeout=float("nan")),
        lambda t: t.Lock().acquire(timeout="soon"),
        lambda t: t.Lock().acquire(1, 2, 3),
        lambda t: t.Lock().acquire(patience=1),
        lambda t: held(t).acquire(0),
        lambda t: held(t).acquire(blocking=True, timeout=0),
        lambda t: held(t).acquire(timeout=0.001),
        lambda t: t.Lock().acquire(True, -1),
        lambda t: t.Lock().acquire(timeout=t.TIMEOUT_MAX),
    )


@each_side
def test_timeouts_are_never_early(threads):
    lock = held(threads)
    assert_waits(lambda timeout: lock.acquire(timeout=timeout), False)


@each_side
def test_a_waiter_gets_it(threads):
    lock = held(threads)
    waiter = Running(lambda: lock.acquire(timeout=60))
    assert not waiter.is_over()
    lock.release()
    assert waiter.get() is True
    assert lock.locked()


@each_side
def test_nobody_is_passed_over_for_ever(threads):
    lock, stop = threads.Lock(), threading.Event()

    def hog():
        while not stop.is_set():
            with lock:
                pass

    with running(hog, hog):
        for _ in range(20):
            assert lock.acquire(timeout=60)
            lock.release()
        stop.set()


@each_side
def test_one_at_a_time(threads):
    lock, count = threads.Lock(), [0]

    def work():
        for _ in range(2000):
            with lock:
                seen = count[0]
                if seen % 64 == 0:
                    time.sleep(0)  # lets the others run, between looking and writing
                count[0] = seen + 1

    with running(work, work, work, work):
        pass
    assert count == [8000]


@each_side
def test_weak_references_and_pickling(threads):
    lock = threads.Lock()
    ref = weakref.ref(lock)
    assert ref() is lock
    with pytest.raises(TypeError, match=r"cannot pickle '_thread\.lock' object"):
        pickle.dumps(lock)
    del lock
    assert ref() is None


@each_side
def test_made_new(threads):
    lock = held(threads)
    lock._at_fork_reinit()
    assert not lock.locked()
    assert lock.acquire(False)


def test_each_is_the_other():
    assert isinstance(ours.Lock(), type(threading.Lock()))
    assert isinstance(threading.Lock(), ours.Lock)
    assert not isinstance(threading.RLock(), ours.Lock)
