"""`Condition` between processes: as the standard library's, side by side."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
import threading
import time

import pytest
from fenshen import multiprocessing as ours

from processes.sides import (
    PATIENCE,
    assert_same,
    each_context,
    each_side,
    is_asleep,
    needs_native,
    our_contexts,
    run,
    started,
    until,
)

pytestmark = needs_native


def waiting(condition) -> int:
    return condition._sleeping_count.get_value() - condition._woken_count.get_value()


def _wait(condition, ready, woken):
    with condition:
        ready.release()
        if condition.wait(PATIENCE):
            woken.release()


def ended(semaphore, count):
    """Wait until it has so many units, and see that it gets no more."""
    until(lambda: semaphore.get_value() >= count)
    time.sleep(0.1)
    assert semaphore.get_value() == count


@each_context
@pytest.mark.parametrize("lock", ["Lock", "RLock"])
def test_as_many_go_on_as_are_notified(ctx, lock):
    condition, ready, woken = ctx.Condition(getattr(ctx, lock)()), ctx.Semaphore(0), ctx.Semaphore(0)
    with started(ctx, _wait, *[(condition, ready, woken)] * 4) as children:
        for _ in children:
            assert ready.acquire(timeout=PATIENCE)
        until(lambda: waiting(condition) == 4)
        with condition:
            condition.notify()
        ended(woken, 1)
        with condition:
            condition.notify(2)
        ended(woken, 3)
        with condition:
            condition.notify_all()
        ended(woken, 4)
        for child in children:
            child.join(PATIENCE)
        assert [child.exitcode for child in children] == [0] * 4
    assert waiting(condition) == 0


def test_words():
    def held(action):
        def outcome(m):
            condition = m.Condition()
            with condition:
                return action(condition)

        return outcome

    assert_same(
        lambda m: m.Condition(),
        lambda m: m.Condition().wait(),
        lambda m: m.Condition().notify(),
        lambda m: m.Condition().notify_all(),
        lambda m: m.Condition(m.Lock()).wait_for(lambda: False),
        lambda m: m.Condition().release(),
        held(lambda c: c),
        held(lambda c: c.wait(0)),
        held(lambda c: c.wait(-1)),
        held(lambda c: c.wait(timeout=0.001)),
        held(lambda c: c.wait("soon")),
        held(lambda c: c.notify(0)),
        held(lambda c: c.notify(-1)),
        held(lambda c: c.notify(3)),
        held(lambda c: c.notify_all()),
        held(lambda c: c.wait_for(lambda: 7)),
        held(lambda c: c.wait_for(lambda: False, 0.001)),
        held(lambda c: (c.acquire(), c.release())),
    )


@each_side
def test_an_rlock_is_let_go_altogether(processes):
    condition, taken = processes.Condition(), []

    def take():
        with condition:
            taken.append(1)
            condition.notify()

    with condition, condition:
        thread = threading.Thread(target=take)
        thread.start()
        assert condition.wait(PATIENCE) is True
        assert condition._lock._semlock._count() == 2
    thread.join()
    assert taken == [1]


def test_the_oldest_first():
    condition, order, threads = ours.Condition(), [], []

    def wait(n):
        with condition:
            assert condition.wait(PATIENCE)
            order.append(n)

    for n in range(10):
        threads.append(threading.Thread(target=wait, args=(n,)))
        threads[-1].start()
        until(lambda n=n: condition._waiting() == n + 1)
    for n in range(10):
        with condition:
            condition.notify()
        until(lambda n=n: len(order) == n + 1)
    for thread in threads:
        thread.join()
    assert order == list(range(10))


def test_over_a_lock_of_the_standard_librarys():
    condition = ours.Condition(multiprocessing.get_context("fork").RLock())
    assert not condition._lock._semlock._is_mine()
    with condition, condition:
        assert condition.wait(0.01) is False
        assert condition._lock._semlock._count() == 2
        condition.notify()
    with pytest.raises(AssertionError, match="lock is not owned"):
        condition.notify()


@our_contexts
def test_a_killed_waiter_uses_up_one_notification_at_most(ctx):
    condition, ready, woken = ctx.Condition(), ctx.Semaphore(0), ctx.Semaphore(0)
    with started(ctx, _wait, *[(condition, ready, woken)] * 3) as children:
        for _ in children:
            assert ready.acquire(timeout=PATIENCE)
        until(lambda: waiting(condition) == 3 and all(is_asleep(child.pid) for child in children))
        children[1].kill()
        children[1].join(PATIENCE)
        for _ in range(3):
            with condition:
                condition.notify()
        for child in children:
            child.join(PATIENCE)
        assert [child.exitcode for child in children] == [0, -signal.SIGKILL, 0]


def _poll(condition, stop):
    with condition:
        while not stop.value:
            condition.wait(0.0005)


def test_timeouts_beside_notifications():
    """Whoever gives up takes no notification along."""
    ctx = ours.get_context("fork")
    condition, ready, woken = ctx.Condition(), ctx.Semaphore(0), ctx.Semaphore(0)
    stop = ctx.RawValue("i", 0)
    with started(ctx, _poll, *[(condition, stop)] * 2) as pollers:
        for _ in range(10):
            with started(ctx, _wait, (condition, ready, woken)) as [waiter]:
                assert ready.acquire(timeout=PATIENCE)
                with condition:
                    # It let the lock go in `wait`, so it is one of those who wait, and not the last.
                    condition.notify(3)
                waiter.join(PATIENCE)
                assert waiter.exitcode == 0
        stop.value = 1
        for poller in pollers:
            poller.join(PATIENCE)
        assert [poller.exitcode for poller in pollers] == [0, 0]
    assert waiting(condition) == 0


def _pass_on(condition, turn, me, rounds, count):
    with condition:
        for _ in range(rounds):
            assert condition.wait_for(lambda: turn.value % count == me, PATIENCE)
            turn.value += 1
            condition.notify_all()


@each_context
def test_in_turns(ctx):
    condition, turn = ctx.Condition(), ctx.RawValue("i", 0)
    run(ctx, _pass_on, *[(condition, turn, me, 50, 3) for me in range(3)])
    assert turn.value == 150


INTERRUPTED = """
import signal, threading, time
from fenshen import multiprocessing
condition = multiprocessing.Condition()
def other():
    with condition:
        print(condition.wait(60))
thread = threading.Thread(target=other)
signal.signal(signal.SIGALRM, signal.default_int_handler)
with condition:
    thread.start()
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        condition.wait()
    except KeyboardInterrupt:
        print("interrupted", condition._lock._semlock._is_mine(), flush=True)
while not condition._waiting():
    time.sleep(0.001)
with condition:
    condition.notify()
thread.join()
"""


def test_an_interrupted_wait_holds_the_lock_again():
    ran = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=PATIENCE)
    assert (ran.stdout, ran.stderr) == ("interrupted True\nTrue\n", "")
