"""`Condition`: as the standard library's, side by side, over every kind of lock."""

from __future__ import annotations

import gc
import inspect
import pickle
import threading
import time
import warnings
import weakref

import pytest
from commands import needs_native
from fenshen import threading as ours

from threads.sides import Running, aside, assert_same, assert_waits, each_side, outcome, running, until

pytestmark = needs_native


class Duck:
    """A lock that has nothing but what it must have."""

    def __init__(self):
        self._lock = threading.Lock()
        self.acquire = self._lock.acquire
        self.release = self._lock.release

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *args):
        self.release()

    def __str__(self):
        return "a duck"


LOCKS = {
    "none": lambda: None,
    "our Lock": ours.Lock,
    "our RLock": ours.RLock,
    "Lock": threading.Lock,
    "RLock": threading.RLock,
    "Python's RLock": threading._PyRLock,
    "a duck": Duck,
}
each_lock = pytest.mark.parametrize("lock", list(LOCKS.values()), ids=list(LOCKS))


@each_side
@each_lock
def test_those_told_go_on_in_order(threads, lock):
    condition, woken = threads.Condition(lock()), []

    def wait(n):
        with condition:
            condition.wait()
            woken.append(n)

    waiters = []
    for n in range(6):
        waiters.append(Running(lambda n=n: wait(n)))
        until(lambda n=n: len(condition._waiters) == n + 1)
    for count, all_woken in ((1, [0]), (2, [0, 1, 2]), (0, [0, 1, 2]), (-1, [0, 1, 2])):
        with condition:
            condition.notify(count)
            assert len(condition._waiters) == 6 - len(all_woken)
        until(lambda all_woken=all_woken: len(woken) == len(all_woken))
        assert sorted(woken) == all_woken
    with condition:
        condition.notify_all()
    for waiter in waiters:
        waiter.get()
    assert not condition._waiters


@each_side
@each_lock
def test_timeouts_are_never_early_and_the_lock_is_held_again(threads, lock):
    condition = threads.Condition(lock())
    with condition:
        assert_waits(condition.wait, False)
        assert condition.wait(0) is False
        assert condition.wait(-1) is False
        assert condition._is_owned()
        assert not condition._waiters
    assert aside(lambda: condition.acquire(False) and condition.release()) is None


@each_side
@each_lock
def test_it_waits_for_something(threads, lock):
    condition, state = threads.Condition(lock()), []

    def wait():
        with condition:
            return condition.wait_for(lambda: state and state[-1] == "yes" and "found")

    waiter = Running(wait)
    for news in ("no", "not yet", "yes"):
        with condition:
            state.append(news)
            condition.notify()
    assert waiter.get() == "found"
    with condition:
        began = time.monotonic()
        assert condition.wait_for(list, 0.02) == []
        assert time.monotonic() - began >= 0.02
        assert condition.wait_for(lambda: 0, timeout=-1) == 0
        assert condition.wait_for(lambda: 7, timeout=0) == 7


@each_side
@each_lock
def test_a_turn_each(threads, lock):
    condition, turns = threads.Condition(lock()), []

    def player(me):
        for _ in range(200):
            with condition:
                condition.wait_for(lambda: len(turns) % 2 == me)
                turns.append(me)
                condition.notify()

    with running(lambda: player(0), lambda: player(1)):
        pass
    assert turns == [0, 1] * 200


@each_side
def test_an_rlock_is_released_altogether(threads):
    condition = threads.Condition(threads.RLock())
    with condition, condition, condition:
        teller = Running(lambda: tell(condition))
        assert condition.wait(60)
        teller.get()
        assert condition._is_owned()
    assert not condition._is_owned()


def tell(condition):
    with condition:
        condition.notify()


def test_words():
    assert_same(
        lambda t: t.Condition(threading.Lock()),
        lambda t: t.Condition(Duck()),
        lambda t: t.Condition(5),
        lambda t: t.Condition().wait(),
        lambda t: t.Condition().notify(),
        lambda t: t.Condition().notify_all(),
        lambda t: t.Condition(threading.Lock()).wait(),
        lambda t: t.Condition(Duck()).notify(),
        lambda t: t.Condition().release(),
        lambda t: t.Condition(threading.Lock()).release(),
        lambda t: t.Condition(threading.Lock()).acquire(timeout=-2),
        lambda t: entered(t).wait(1e100),
        lambda t: entered(t).wait("soon"),
        lambda t: entered(t).notify(2.5),
        lambda t: t.Condition().wait_for(lambda: 1 / 0),
        lambda t: t.Condition().acquire(),
        lambda t: t.Condition().__enter__(),
    )
    assert_same(
        lambda t: t.Condition(1, 2), lambda t: entered(t).wait(1, 2), lambda t: entered(t).notify(x=1), words=False
    )


def entered(threads):
    condition = threads.Condition()
    condition.acquire()
    return condition


@each_side
def test_its_lock_is_the_one_it_was_given(threads):
    lock = threads.Lock()
    condition = threads.Condition(lock)
    assert condition._lock is lock
    with condition:
        assert lock.locked()
    assert type(threads.Condition()._lock) is type(threads.RLock())


@each_side
def test_what_a_lock_has_for_conditions_is_used(threads):
    calls = []

    class Lock:
        def __init__(self):
            self._lock = threading.Lock()

        def acquire(self, *args):
            return self._lock.acquire(*args)

        def release(self):
            self._lock.release()

        def _release_save(self):
            calls.append("save")
            self.release()
            return "state"

        def _acquire_restore(self, state):
            calls.append(f"restore {state}")
            self.acquire()

        def _is_owned(self):
            calls.append("owned")
            return self._lock.locked()

    condition = threads.Condition(Lock())
    condition.acquire()
    assert condition.wait(0.001) is False
    assert calls == ["owned", "save", "restore state"]
    condition.release()


@each_side
def test_a_lock_that_cannot_be_released(threads):
    class Stuck(Duck):
        def __init__(self):
            super().__init__()
            self.release = lambda: 1 / 0

    condition = threads.Condition(Stuck())
    condition.acquire()
    with pytest.raises(ZeroDivisionError):
        condition.wait(60)


@each_side
def test_overridden_methods_are_called(threads):
    calls = []

    class Mine(threads.Condition):
        def wait(self, timeout=None):
            calls.append("wait")
            return super().wait(timeout)

        def notify(self, n=1):
            calls.append(f"notify {n}")
            super().notify(n)

    condition = Mine()
    with condition:
        results = iter([False, False, True])
        assert condition.wait_for(lambda: next(results), 0.05) in (True, False)
        condition.notify_all()
    assert set(calls[:-1]) == {"wait"}
    assert calls[-1] == "notify 0"


def test_the_lock_is_a_derived_ones_own_affair():
    calls = []

    class Mine(ours.Condition):
        def _is_owned(self):
            calls.append("owned")
            return super()._is_owned()

        def _release_save(self):
            calls.append("save")
            return super()._release_save()

        def _acquire_restore(self, saved):
            calls.append("restore")
            super()._acquire_restore(saved)

    for lock in LOCKS.values():
        condition = Mine(lock())
        with condition:
            assert condition.wait(0.001) is False
        assert calls == ["owned", "save", "restore"]
        calls.clear()


@each_side
def test_old_names(threads):
    condition = threads.Condition()
    with condition, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        condition.notifyAll()
    assert [(w.category, str(w.message), w.filename) for w in caught] == [
        (DeprecationWarning, "notifyAll() is deprecated, use notify_all() instead", __file__)
    ]


@each_side
def test_weak_references_cycles_and_pickling(threads):
    condition = threads.Condition(threading.RLock())
    condition.mine = condition
    ref = weakref.ref(condition)
    with pytest.raises(TypeError, match=r"cannot pickle '_thread\.RLock' object"):
        pickle.dumps(condition)
    del condition
    gc.collect()
    assert ref() is None


@each_side
def test_made_new(threads):
    condition = threads.Condition(threading.Lock())
    condition.acquire()
    condition._at_fork_reinit()
    assert condition.acquire(False)


def test_given_another_lock_while_somebody_waits():
    condition = ours.Condition(ours.Lock())

    def wait():
        with condition._lock:
            return condition.wait(60)

    first = condition._lock
    waiter = Running(wait)
    until(lambda: condition._waiters)
    condition.__init__(ours.Lock())
    with condition:
        condition.notify()
    assert waiter.get() is True
    assert not first.locked()


def test_before_its_init():
    bare = ours.Condition.__new__(ours.Condition)
    for action in (bare.acquire, bare.wait, bare.notify, lambda: repr(bare), lambda: bare._lock):
        assert outcome(action).startswith("RuntimeError")


def test_each_is_the_other():
    assert isinstance(ours.Condition(), threading.Condition)
    assert isinstance(threading.Condition(), ours.Condition)
    assert repr(inspect.signature(ours.Condition)) == repr(inspect.signature(threading.Condition))
    assert inspect.signature(ours.Condition().wait_for) == inspect.signature(threading.Condition().wait_for)
