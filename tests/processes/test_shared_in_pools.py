"""What processes share, as arguments and results of pool tasks."""

from __future__ import annotations

import os
import signal

import pytest
from fenshen.futures import ProcessPoolExecutor
from fenshen.multiprocessing import OwnerDied

from processes.sides import PATIENCE, needs_native, our_contexts

pytestmark = needs_native


def _take(lock):
    return lock.acquire(timeout=PATIENCE)


def _count(value):
    for _ in range(100):
        with value.get_lock():
            value.value += 1
    return value


def _die_with(lock):
    lock.acquire()
    os.kill(os.getpid(), signal.SIGKILL)


@our_contexts
def test_arguments_and_results(ctx):
    value, several = ctx.Value("i", 0), [ctx.Event(), ctx.Condition(), ctx.Barrier(2), ctx.Array("d", 3)]
    with ProcessPoolExecutor(2, mp_context=ctx) as pool:
        again = [pool.submit(_count, value) for _ in range(4)][-1].result(PATIENCE)
        event, _, _, array = pool.submit(list, several).result(PATIENCE)
    event.set()
    array[1] = 5
    assert (again.value, value.value) == (400, 400)
    assert (several[0].is_set(), several[3][:]) == (True, [0, 5, 0])


@our_contexts
def test_a_worker_that_ends_in_order_is_not_missed_and_one_that_is_killed_is(ctx):
    taken, lost = ctx.Lock(), ctx.RLock()
    with ProcessPoolExecutor(1, mp_context=ctx) as pool:
        assert pool.submit(_take, taken).result(PATIENCE) is True
    assert not taken.acquire(timeout=0.3)
    with ProcessPoolExecutor(1, mp_context=ctx) as pool:
        assert pool.submit(_die_with, lost).exception(PATIENCE) is not None
        with pytest.raises(OwnerDied):
            lost.acquire(timeout=PATIENCE)
        assert pool.submit(_take, lost).result(PATIENCE) is True
