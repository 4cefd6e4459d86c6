"""`Barrier`: as the standard library's, side by side."""

from __future__ import annotations

import gc
import pickle
import threading
import time
import weakref

import pytest
from commands import needs_native
from fenshen import threading as ours

from threads.sides import Running, aside, assert_same, each_side, running, until

pytestmark = needs_native


def broken(action):
    """Whether it raises the error of a broken barrier."""
    try:
        action()
    except threading.BrokenBarrierError as e:
        return str(e) == ""
    return False


@each_side
def test_rounds(threads):
    barrier, passed = threads.Barrier(4), []

    def meet():
        for n in range(200):
            index = barrier.wait()
            assert 0 <= index < 4
            passed.append(n)
            barrier.wait()
            assert len(passed) == 4 * (n + 1)
            barrier.wait()

    with running(*[meet] * 4):
        pass
    assert barrier.n_waiting == 0


@each_side
def test_each_has_its_number(threads):
    barrier = threads.Barrier(5)
    waiters = [Running(barrier.wait) for _ in range(4)]
    until(lambda: barrier.n_waiting == 4)
    assert repr(barrier).endswith(": waiters=4/5>")
    assert barrier.wait() == 4
    assert sorted(w.get() for w in waiters) == [0, 1, 2, 3]


@each_side
def test_the_last_one_acts_before_all_go_on(threads):
    done = []
    barrier = threads.Barrier(3, action=lambda: done.append(threading.get_ident()))

    def meet():
        index = barrier.wait()
        return index, len(done), threading.get_ident()

    results = [w.get() for w in [Running(meet) for _ in range(3)]]
    assert [count for _, count, _ in results] == [1] * 3
    assert done == [ident for index, _, ident in results if index == 2]


@each_side
def test_an_action_that_fails_breaks_it(threads):
    barrier = threads.Barrier(2, lambda: 1 / 0)
    waiter = Running(barrier.wait)
    until(lambda: barrier.n_waiting == 1)
    with pytest.raises(ZeroDivisionError):
        barrier.wait()
    assert broken(waiter.get)
    assert barrier.broken
    assert broken(barrier.wait)
    assert repr(barrier).endswith(": broken>")


def test_who_comes_during_the_action_is_of_the_next_round():
    acting, go_on = threading.Event(), threading.Event()

    def act():
        acting.set()
        assert go_on.wait(60)

    barrier = ours.Barrier(2, act)
    first = [Running(barrier.wait) for _ in range(2)]
    assert acting.wait(60)
    early = Running(barrier.wait)
    barrier.reset()  # a round that all have come to is not stopped
    assert barrier.n_waiting == 0
    go_on.set()
    assert sorted(w.get() for w in first) == [0, 1]
    until(lambda: barrier.n_waiting == 1)
    assert barrier.wait() == 1
    assert early.get() == 0


@each_side
def test_an_aborted_one_and_a_reset(threads):
    barrier = threads.Barrier(3)
    waiters = [Running(barrier.wait) for _ in range(2)]
    until(lambda: barrier.n_waiting == 2)
    barrier.abort()
    assert all(broken(w.get) for w in waiters)
    assert broken(barrier.wait)
    assert barrier.n_waiting == 0
    barrier.reset()
    assert not barrier.broken
    with running(*[barrier.wait] * 3):
        pass
    waiter = Running(barrier.wait)
    until(lambda: barrier.n_waiting == 1)
    barrier.reset()
    assert broken(waiter.get)
    assert not barrier.broken


@each_side
@pytest.mark.parametrize(("timeout", "by_default"), [(0.02, False), (0.02, True), (0, False), (-1, False)])
def test_a_timeout_breaks_it_and_is_never_early(threads, timeout, by_default):
    barrier = threads.Barrier(2, timeout=timeout if by_default else 60)
    began = time.monotonic()
    assert broken(lambda: barrier.wait(None if by_default else timeout))
    assert time.monotonic() - began >= timeout
    assert barrier.broken


@each_side
def test_one_loses_patience_and_all_miss_it(threads):
    barrier = threads.Barrier(4)
    waiters = [Running(barrier.wait) for _ in range(2)]
    until(lambda: barrier.n_waiting == 2)
    assert broken(lambda: barrier.wait(0.01))
    assert all(broken(w.get) for w in waiters)


def test_words():
    assert_same(
        lambda t: t.Barrier(3),
        lambda t: t.Barrier(1).wait(),
        lambda t: t.Barrier(2.0).parties,
        lambda t: t.Barrier(2).wait(1e100),
        lambda t: t.Barrier(2, timeout="soon").wait(0),
        lambda t: t.Barrier(2).n_waiting,
        lambda t: t.Barrier(2).broken,
        lambda t: t.Barrier(2, timeout=3)._timeout,
        lambda t: t.Barrier(2, print)._action is print,
    )
    assert_same(
        lambda t: t.Barrier(),
        lambda t: t.Barrier(1, 2, 3, 4),
        lambda t: t.Barrier(2).wait(1, 2),
        lambda t: setattr(t.Barrier(2), "broken", True),
        words=False,
    )
    assert_same(lambda t: t.Barrier(0), lambda t: t.Barrier(-1))


@each_side
def test_alone(threads):
    done = []
    barrier = threads.Barrier(1, lambda: done.append(1))
    assert [barrier.wait() for _ in range(3)] == [0, 0, 0]
    assert len(done) == 3


@each_side
def test_weak_references_cycles_and_pickling(threads):
    barrier = threads.Barrier(1)
    barrier._action = barrier.wait
    ref = weakref.ref(barrier)
    with pytest.raises(TypeError, match=r"cannot pickle '_thread\.lock' object"):
        pickle.dumps(barrier)
    del barrier
    gc.collect()
    assert ref() is None


def test_each_is_the_other():
    assert isinstance(ours.Barrier(1), threading.Barrier)
    assert isinstance(threading.Barrier(1), ours.Barrier)
    assert ours.BrokenBarrierError is threading.BrokenBarrierError
    assert aside(ours.Barrier(1).wait) == 0
