"""`Barrier` between processes: as the standard library's, side by side."""

from __future__ import annotations

import signal
import threading

import pytest
from fenshen import multiprocessing as ours

from processes.sides import PATIENCE, assert_same, each_context, each_side, is_asleep, needs_native, run, started, until

pytestmark = needs_native


def _meet(barrier, numbers, rounds, action=None):
    for n in range(rounds):
        number = barrier.wait(PATIENCE)
        with numbers:
            numbers[n] += 1 << (4 * number)


@each_context
def test_each_round_has_every_number_once(ctx):
    barrier, numbers = ctx.Barrier(3), ctx.Array("i", 30)
    run(ctx, _meet, *[(barrier, numbers, 30)] * 3)
    assert numbers[:] == [0x111] * 30
    assert (barrier.n_waiting, barrier.parties, barrier.broken) == (0, 3, False)


def together(count, action):
    """What comes of it in so many threads at once: results, or the names of errors."""
    outcomes = []

    def attempt():
        try:
            outcomes.append(action())
        except Exception as e:
            outcomes.append(type(e).__name__)

    threads = [threading.Thread(target=attempt) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return sorted(outcomes, key=str)


@each_side
def test_broken_by_a_timeout(processes):
    barrier = processes.Barrier(3, timeout=0.05)
    assert together(2, barrier.wait) == ["BrokenBarrierError"] * 2
    assert barrier.broken
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait()
    barrier.reset()
    assert not barrier.broken
    assert together(3, lambda: barrier.wait(PATIENCE)) == [0, 1, 2]


@each_side
@pytest.mark.parametrize("end", ["abort", "reset"])
def test_ended_by_somebody(processes, end):
    barrier, outcomes = processes.Barrier(3), []
    aside = threading.Thread(target=lambda: outcomes.extend(together(2, lambda: barrier.wait(PATIENCE))))
    aside.start()
    until(lambda: barrier.n_waiting == 2)
    getattr(barrier, end)()
    aside.join(PATIENCE)
    assert outcomes == ["BrokenBarrierError"] * 2
    assert barrier.broken is (end == "abort")
    until(lambda: barrier.n_waiting == 0)


@each_side
def test_the_action_is_done_once_by_the_last(processes):
    done = []
    barrier = processes.Barrier(3, action=lambda: done.append(barrier.n_waiting))
    for _ in range(4):
        assert together(3, lambda: barrier.wait(PATIENCE)) == [0, 1, 2]
    assert done == [3] * 4


@each_side
def test_an_action_that_fails_breaks_it(processes):
    barrier = processes.Barrier(2, action=lambda: 1 / 0)
    assert together(2, lambda: barrier.wait(PATIENCE)) == ["BrokenBarrierError", "ZeroDivisionError"]
    assert barrier.broken


def test_words():
    def broken(m):
        barrier = m.Barrier(4)
        barrier.abort()
        return barrier

    assert_same(
        lambda m: m.Barrier(4).parties,
        lambda m: m.Barrier(1).wait(),
        lambda m: m.Barrier(2).wait(0),
        lambda m: broken(m).wait(),
        lambda m: broken(m).broken,
    )


def _wait(barrier):
    barrier.wait(PATIENCE)


def test_one_that_is_killed_is_missed_and_not_waited_for_for_ever():
    ctx = ours.get_context("fork")
    barrier = ctx.Barrier(3)
    with started(ctx, _wait, (barrier,)) as [child]:
        # Not before it sleeps: it must have let go of the lock.
        until(lambda: barrier.n_waiting == 1 and is_asleep(child.pid))
        child.kill()
        child.join(PATIENCE)
        assert child.exitcode == -signal.SIGKILL
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait(0.05)
    barrier.reset()
    assert together(3, lambda: barrier.wait(PATIENCE)) == [0, 1, 2]


def test_with_threads_installed():
    from commands import start

    code = """
import fenshen
fenshen.install()
import multiprocessing
barrier = multiprocessing.get_context("fork").Barrier(2)
child = multiprocessing.get_context("fork").Process(target=barrier.wait)
child.start()
print(sorted([barrier.wait(60)]) in ([0], [1]), barrier.parties, barrier.n_waiting, barrier.broken)
child.join()
print(child.exitcode)
"""
    import sys

    with start([sys.executable, "-c", code]) as program:
        out, err = program.communicate(timeout=PATIENCE)
    assert (out, err) == ("True 2 0 False\n0\n", "")
