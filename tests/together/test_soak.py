"""Items through threads, tasks and processes, with timeouts and cancellations at random: each arrives once.

10,000,000 under FENSHEN_SOAK=1, otherwise a hundredth of it.
"""

from __future__ import annotations

import array
import asyncio
import os
import random
from queue import Empty, Full

import fenshen
import pytest
from fenshen import multiprocessing
from fenshen.queue import ShutDown
from on_loops import FACTORIES
from processes.sides import started

from together.sides import begin, needs_native

pytestmark = needs_native

ITEMS = 10_000_000 if os.environ.get("FENSHEN_SOAK") == "1" else 100_000
PATIENCE = 3600.0 if ITEMS > 1_000_000 else 120.0
SEED = 20261121


def _put(queue, first, step, chance):
    for i in range(first, ITEMS, step):
        while True:
            try:
                queue.put(i, timeout=chance.choice([None, 0, 1e-4, 1]))
                break
            except Full:
                pass


def _get(queue, chance):
    seen = array.array("q")
    while True:
        try:
            seen.append(queue.get(timeout=chance.choice([None, 0, 1e-4, 1])))
        except Empty:
            pass
        except ShutDown:
            return seen


async def _cancelled_at_random(coroutine, chance):
    """Its outcome; it may have been cancelled, and then it has done nothing."""
    task = asyncio.ensure_future(coroutine)
    for _ in range(chance.randrange(3)):
        await asyncio.sleep(0)
    task.cancel()
    return await task


async def _aput(queue, first, step, chance):
    for i in range(first, ITEMS, step):
        while True:
            put = queue.aput(i, timeout=chance.choice([None, 0, 1e-4, 1]))
            try:
                await (_cancelled_at_random(put, chance) if chance.random() < 0.02 else put)
                break
            except (Full, asyncio.CancelledError):
                pass


async def _aget(queue, chance):
    seen = array.array("q")
    while True:
        get = queue.aget(timeout=chance.choice([None, 0, 1e-4, 1]))
        try:
            seen.append(await (_cancelled_at_random(get, chance) if chance.random() < 0.02 else get))
        except (Empty, asyncio.CancelledError):
            pass
        except ShutDown:
            return seen


def _tasks_put(queue, firsts, step, seed):
    async def main():
        chances = (random.Random(seed + first) for first in firsts)
        each = zip(firsts, chances, strict=False)
        await asyncio.gather(*(_aput(queue, first, step, chance) for first, chance in each))

    _on_some_loop(main(), seed)


def _tasks_get(queue, seed):
    async def main():
        return await asyncio.gather(*(_aget(queue, random.Random(seed + i)) for i in range(2)))

    return _on_some_loop(main(), seed)


def _on_some_loop(main, seed):
    loop = list(FACTORIES.values())[seed % len(FACTORIES)]()
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()


def _process_puts(queue, first, step):
    _put(queue, first, step, random.Random(first))


def _process_gets(queue, results):
    seen = _get(queue, random.Random(7))
    for at in range(0, len(seen), 10_000):
        results.put(seen[at : at + 10_000].tobytes())
    results.shutdown()


def _begin(queue, step, seed):
    """Two threads and two tasks that put, and as many that get."""
    chances = (random.Random(SEED + seed + i) for i in range(4))
    putting = [begin(_put, queue, i, step, chance) for i, chance in zip((0, 1), chances, strict=False)]
    getting = [begin(_get, queue, chance) for chance in chances]
    return [*putting, begin(_tasks_put, queue, (2, 3), step, seed)], [*getting, begin(_tasks_get, queue, seed + 1)]


def _end(queue, putting, getting):
    """What was got, when all has been put."""
    for future in putting:
        future.result(PATIENCE)
    queue.shutdown()
    one, two, (three, four) = (future.result(PATIENCE) for future in getting)
    return [*one, *two, *three, *four]


@pytest.mark.parametrize("seed", range(3))
def test_each_arrives_once(seed):
    queue = fenshen.Queue(100)
    putting, getting = _begin(queue, 4, seed)
    assert sorted(_end(queue, putting, getting)) == list(range(ITEMS))


@pytest.mark.parametrize("seed", range(3))
def test_each_arrives_once_with_processes(seed):
    queue, results = fenshen.Queue(100, shared=True), fenshen.Queue(shared=True)
    ctx = multiprocessing.get_context("fork")
    with started(ctx, _process_puts, (queue, 4, 5)) as (putter,), started(ctx, _process_gets, (queue, results)):
        putting, getting = _begin(queue, 5, seed)
        for future in putting:
            future.result(PATIENCE)
        putter.join(PATIENCE)
        assert putter.exitcode == 0
        seen = _end(queue, putting, getting)
        for part in results:
            seen.extend(array.array("q", part))
    assert sorted(seen) == list(range(ITEMS))
