"""`Event`: as the standard library's, side by side."""

from __future__ import annotations

import gc
import pickle
import threading
import warnings
import weakref

import pytest
from commands import needs_native
from fenshen import threading as ours

from threads.sides import Running, assert_same, assert_waits, each_side, running, told, until

pytestmark = needs_native


@each_side
def test_set_and_cleared(threads):
    event = threads.Event()
    assert event.is_set() is False
    event.set()
    event.set()
    assert event.is_set() is True
    assert event.wait() is True
    assert event.wait(0) is True
    event.clear()
    event.clear()
    assert event.wait(0) is False
    assert event.wait(-1) is False


@each_side
def test_all_who_wait_pass(threads):
    event = threads.Event()
    waiters = [Running(event.wait) for _ in range(10)]
    until(lambda: all(w.is_asleep() for w in waiters))
    event.set()
    event.clear()  # whoever waited passes all the same
    assert [w.get() for w in waiters] == [True] * 10
    assert event.is_set() is False


@each_side
def test_timeouts_are_never_early(threads):
    event = threads.Event()
    assert_waits(event.wait, False)


@each_side
def test_two_threads_wake_each_other(threads):
    ping, pong, order = threads.Event(), threads.Event(), []

    def player(mine, other, me):
        for _ in range(300):
            assert mine.wait(60)
            mine.clear()
            order.append(me)
            other.set()

    ping.set()
    with running(lambda: player(ping, pong, 0), lambda: player(pong, ping, 1)):
        pass
    assert order == [0, 1] * 300


def set_one(threads):
    event = threads.Event()
    event.set()
    return event


def test_words():
    assert_same(
        lambda t: t.Event(),
        set_one,
        lambda t: t.Event().wait("soon"),
        lambda t: t.Event().wait(1e100),
        lambda t: set_one(t).wait("soon"),
        lambda t: t.Event().wait(timeout=0.0),
        lambda t: t.Event().wait(float("nan")),
        lambda t: t.Event().set(),
        lambda t: t.Event().clear(),
    )
    assert_same(lambda t: t.Event(1), lambda t: t.Event().wait(1, 2), lambda t: t.Event().wait(patience=1), words=False)


@each_side
def test_old_names(threads):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert threads.Event().isSet() is False
    assert [(w.category, str(w.message), w.filename) for w in caught] == [
        (DeprecationWarning, "isSet() is deprecated, use is_set() instead", __file__)
    ]


@each_side
def test_overridden_methods(threads):
    class Either(threads.Event):
        def is_set(self):
            return "overridden"

    event = Either()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert event.isSet() == "overridden"
    assert event.wait(0) is False
    calls = []
    original = event.set
    event.set = lambda: (calls.append(1), original())
    event.set()
    assert (calls, event.wait()) == ([1], True)
    assert repr(event).endswith(": set>")
    assert f"{Either.__module__}.{Either.__qualname__}" in repr(event)


@each_side
def test_its_private_parts(threads):
    event = threads.Event()
    assert event._flag is False
    with event._cond:
        assert event._cond.acquire(False) is False
    assert event._cond is event._cond
    waiter = Running(lambda: told(event._cond))
    until(lambda: event._cond._waiters)
    event.set()
    assert waiter.get() is True
    event._flag = False
    assert event.is_set() is False
    event._flag = True
    assert event.wait(0) is True
    with event._cond:
        event._at_fork_reinit()
        assert event._cond.acquire(False) is True
    assert event.is_set() is True


def test_a_flag_that_is_set_wakes():
    event = ours.Event()
    with running(lambda: event.wait()) as (waiter,):
        until(lambda: waiter.is_asleep())
        event._flag = True


@each_side
def test_weak_references_cycles_and_pickling(threads):
    event = threads.Event()
    event.me, ref = event, weakref.ref(event)
    with pytest.raises(TypeError, match=r"cannot pickle '_thread\.lock' object"):
        pickle.dumps(event)
    del event
    gc.collect()
    assert ref() is None


class State:
    """Knows what to keep of an event."""

    def __getstate__(self):
        return {"flag": self.is_set()}

    def __setstate__(self, state):
        self.__init__()
        if state["flag"]:
            self.set()


class StandardEvent(State, threading.Event):
    pass


class OurEvent(State, ours.Event):
    pass


@pytest.mark.parametrize("kind", [StandardEvent, OurEvent])
def test_a_derived_one_may_know_its_state(kind):
    event = kind()
    event.set()
    copy = pickle.loads(pickle.dumps(event))
    event.clear()
    assert type(copy) is kind
    assert copy.wait(0) is True


def test_each_is_the_other():
    assert isinstance(ours.Event(), threading.Event)
    assert isinstance(threading.Event(), ours.Event)
    assert not isinstance(ours.Event(), ours.Condition)

    class Mine(ours.Event):
        pass

    assert type(Mine()) is Mine
    assert Mine().__class__ is Mine
    assert not isinstance(threading.Event(), Mine)
