"""Everything runs in the order in which asyncio runs it."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import sys
from typing import Any

import pytest
import random_program
from fenshen import _fenshen
from twins import ASYNCIO, OURS, Side, on_both, open_loop

BATCHES = 10
SEEDS = 4000 if os.environ.get("FENSHEN_SOAK") else 40


def compare(seed: int, expected: list[str], got: list[str]) -> None:
    """Fails at the first difference, showing what came before it."""
    for i, (a, b) in enumerate(zip(expected, got, strict=False)):
        before = "\n".join(expected[max(0, i - 25) : i])
        assert a == b, f"seed {seed}, event {i}\n{before}\nasyncio: {a}\n   ours: {b}"
    assert len(expected) == len(got), f"seed {seed}"


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_programs(batch: int) -> None:
    for seed in range(batch * SEEDS, (batch + 1) * SEEDS):
        compare(seed, random_program.run(ASYNCIO, seed), random_program.run(OURS, seed))


@pytest.mark.skipif(sys.version_info < (3, 13), reason="asyncio's own locks were mended in 3.13, and ours are as those")
@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_programs_with_our_locks_and_queues(batch: int) -> None:
    for seed in range(batch * SEEDS, (batch + 1) * SEEDS):
        compare(seed, random_program.run(ASYNCIO, seed), random_program.run(OURS, seed, _fenshen))


def test_random_programs_under_a_busy_collector() -> None:
    before = gc.get_threshold()
    gc.set_threshold(3, 2, 2)
    try:
        for seed in range(SEEDS // 4):
            compare(seed, random_program.run(ASYNCIO, seed), random_program.run(OURS, seed))
    finally:
        gc.set_threshold(*before)


@pytest.mark.parametrize("seed", range(5))
def test_timers_come_by_deadline(seed: int) -> None:
    def program(side: Side) -> list[float]:
        rng = random.Random(seed)
        called: list[float] = []
        with open_loop(side) as loop:
            now = loop.time()
            offsets = [rng.uniform(-5, 0) for _ in range(2000)]
            handles = [loop.call_at(now + offset, called.append, offset) for offset in offsets]
            for handle in rng.sample(handles, 900):
                handle.cancel()
            loop.call_later(0.01, loop.stop)
            loop.run_forever()
        return called

    called = on_both(program)
    assert called == sorted(called)
    assert len(called) == 1100


def test_equal_deadlines_come_in_the_order_they_were_set() -> None:
    with open_loop(OURS) as loop:
        called: list[int] = []
        when = loop.time() + 0.005
        for n in range(500):
            loop.call_at(when, called.append, n)
        loop.call_at(when + 0.01, loop.stop)
        loop.run_forever()
        assert called == list(range(500))


def test_a_turn_ends_where_asyncios_ends() -> None:
    """What a callback schedules runs after everything that was ready before it, and not in the turn of `stop()`."""

    def program(side: Side) -> list[Any]:
        seen: list[Any] = []
        with open_loop(side) as loop:

            async def task(n: int) -> None:
                seen.append(("task", n))
                await asyncio.sleep(0)
                seen.append(("task again", n))

            def callback(n: int) -> None:
                seen.append(n)
                if n == 2:
                    loop.stop()
                if n < 5:
                    loop.call_soon(callback, n + 1)
                    loop.call_soon_threadsafe(callback, n + 10)
                    tasks.append(loop.create_task(task(n)))
                    loop.call_at(loop.time() - 1, seen.append, ("timer", n))

            tasks: list[Any] = []
            callback(0)
            loop.run_forever()
            seen.append("stopped")
            loop.stop()
            loop.run_forever()
            seen.append("stopped before it ran")
            loop.run_until_complete(asyncio.wait(tasks))
        return seen

    on_both(program)
