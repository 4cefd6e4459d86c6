"""`Semaphore` and `BoundedSemaphore`: as the standard library's, side by side."""

from __future__ import annotations

import math
import pickle
import threading
import weakref

import pytest
from commands import needs_native
from fenshen import threading as ours

from threads.sides import Running, aside, assert_same, assert_waits, each_side, running, told, until

pytestmark = needs_native

each_kind = pytest.mark.parametrize("kind", ["Semaphore", "BoundedSemaphore"])


@each_side
@each_kind
def test_so_many_and_no_more(threads, kind):
    semaphore = getattr(threads, kind)(3)
    assert [semaphore.acquire(False) for _ in range(4)] == [True, True, True, False]
    semaphore.release()
    semaphore.release(2)
    assert semaphore._value == 3


@each_side
@each_kind
def test_as_a_context(threads, kind):
    semaphore = getattr(threads, kind)()
    with semaphore as entered:
        assert entered is True
        assert semaphore._value == 0
    with pytest.raises(KeyError), semaphore:
        raise KeyError
    assert semaphore._value == 1


def test_words():
    assert_same(
        lambda t: t.Semaphore(7),
        lambda t: t.BoundedSemaphore(7),
        lambda t: t.Semaphore(-1),
        lambda t: t.BoundedSemaphore(-1),
        lambda t: t.Semaphore("many"),
        lambda t: t.Semaphore().release(0),
        lambda t: t.Semaphore().release(-3),
        lambda t: t.Semaphore().release("many"),
        lambda t: t.BoundedSemaphore().release(),
        lambda t: t.BoundedSemaphore(2).release(2),
        lambda t: t.BoundedSemaphore(2).release(n=0),
        lambda t: t.Semaphore().acquire(False, 1),
        lambda t: t.Semaphore().acquire(blocking=[], timeout=0),
        lambda t: t.Semaphore().acquire(False, None),
        lambda t: t.Semaphore().acquire(1, "soon"),
        lambda t: t.Semaphore(0).acquire(0),
        lambda t: t.Semaphore(0).acquire(timeout=-5),
        lambda t: t.Semaphore(0).acquire(timeout=0),
        lambda t: t.Semaphore(0).acquire(True, 0.001),
        lambda t: t.Semaphore(0).acquire(timeout=1e100),
        lambda t: t.Semaphore(True)._value == 1,
        lambda t: t.BoundedSemaphore(5)._initial_value,
    )
    assert_same(
        lambda t: t.Semaphore(1, 2),
        lambda t: t.Semaphore().acquire(1, 2, 3),
        lambda t: t.Semaphore().release(m=1),
        words=False,
    )


@each_side
@each_kind
def test_timeouts_are_never_early(threads, kind):
    semaphore = getattr(threads, kind)(0)
    assert_waits(lambda timeout: semaphore.acquire(timeout=timeout), False)


def test_those_who_wait_are_served_in_order():
    semaphore, served = ours.Semaphore(0), []
    waiters = []
    for n in range(8):
        waiters.append(Running(lambda n=n: semaphore.acquire() and served.append(n)))
        until(lambda n=n: waiters[n].is_asleep())
    for n in range(8):
        semaphore.release()
        # Whoever comes now has nothing to take: the unit is the oldest waiter's.
        assert not semaphore.acquire(False)
        waiters[n].get()
    assert served == list(range(8))
    assert semaphore._value == 0


@each_side
@each_kind
def test_many_at_once(threads, kind):
    semaphore = getattr(threads, kind)(4)
    for _ in range(4):
        semaphore.acquire()
    waiters = [Running(semaphore.acquire) for _ in range(3)]
    semaphore.release(4)
    assert [w.get() for w in waiters] == [True] * 3
    assert semaphore._value == 1


@each_side
@each_kind
def test_never_too_many(threads, kind):
    semaphore, inside, most = getattr(threads, kind)(3), ours.AtomicInt(), []

    def work():
        for _ in range(300):
            with semaphore:
                most.append(inside.add())
                inside.sub()

    with running(*[work] * 6):
        pass
    assert max(most) <= 3
    assert semaphore._value == 3


@each_side
def test_a_derived_ones_release_is_called(threads):
    calls = []

    class Mine(threads.BoundedSemaphore):
        def release(self, n=1):
            calls.append(n)
            super().release(n)

    semaphore = Mine(2)
    with semaphore:
        pass
    semaphore.acquire()
    semaphore.release(n=1)
    assert calls == [1, 1]
    semaphore.release = lambda: calls.append("own")
    with semaphore:
        pass
    assert calls[-1] == "own"


@each_side
def test_a_derived_one_with_another_init(threads):
    class Mine(threads.Semaphore):
        def __init__(self, name, value):
            super().__init__(value)
            self.name = name

    assert (Mine("a", 5).name, Mine("a", 5)._value) == ("a", 5)
    assert repr(Mine("a", 5)).endswith(": value=5>")


@each_side
def test_what_is_no_number_of_units_never_runs_out(threads):
    semaphore = threads.Semaphore(math.inf)
    for _ in range(5):
        assert semaphore.acquire(False)
    semaphore.release()
    assert semaphore._value == math.inf
    bounded = threads.BoundedSemaphore(math.inf)
    bounded.acquire()
    bounded.release()
    assert threads.Semaphore(2.0)._value == 2


@each_side
def test_its_private_parts(threads):
    semaphore = threads.Semaphore(1)
    with semaphore._cond:
        semaphore._value += 2
        semaphore._cond.notify(2)
    assert [semaphore.acquire(False) for _ in range(4)] == [True, True, True, False]
    waiter = Running(lambda: told(semaphore._cond))
    until(lambda: semaphore._cond._waiters)
    semaphore.release()
    assert waiter.get() is True


def test_a_value_that_is_set_is_handed_out():
    semaphore = ours.Semaphore(0)
    waiters = [Running(semaphore.acquire) for _ in range(2)]
    until(lambda: all(w.is_asleep() for w in waiters))
    semaphore._value = 3
    assert [w.get() for w in waiters] == [True, True]
    assert semaphore._value == 1


@each_side
@each_kind
def test_weak_references_and_pickling(threads, kind):
    semaphore = getattr(threads, kind)()
    semaphore.note = "an attribute"
    ref = weakref.ref(semaphore)
    assert ref().note == "an attribute"
    with pytest.raises(TypeError, match=r"cannot pickle '_thread\.lock' object"):
        pickle.dumps(semaphore)
    del semaphore
    assert ref() is None


def test_each_is_the_other():
    assert isinstance(ours.Semaphore(), threading.Semaphore)
    assert isinstance(ours.BoundedSemaphore(), threading.BoundedSemaphore)
    assert isinstance(ours.BoundedSemaphore(), threading.Semaphore)
    assert isinstance(threading.BoundedSemaphore(), ours.Semaphore)
    assert not isinstance(ours.Semaphore(), threading.BoundedSemaphore)
    assert issubclass(ours.BoundedSemaphore, ours.Semaphore)
    assert aside(ours.Semaphore().acquire) is True
