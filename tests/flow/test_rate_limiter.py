"""`RateLimiter`: so many a second, by a clock that only these tests turn where figures matter."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from fenshen.flow import RateLimiter, rate_limiter

from flow.sides import PATIENCE, auntil, each_loop, on_fenshen


class Clock:
    """Time goes on by sleeping, and only so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rate_limiter, "time", clock)
    return clock


def test_evenly_after_the_burst(clock: Clock) -> None:
    limiter = RateLimiter(4, burst=3)
    times = []
    for _ in range(7):
        with limiter:
            times.append(clock.now - 1000)
    assert times == [0, 0, 0, 0.25, 0.5, 0.75, 1.0]


def test_a_pause_brings_the_burst_back_and_no_more(clock: Clock) -> None:
    limiter = RateLimiter(10, burst=2)
    assert [limiter.acquire(timeout=0) for _ in range(3)] == [True, True, False]
    clock.sleep(0.1)
    assert [limiter.acquire(timeout=0) for _ in range(2)] == [True, False]
    clock.sleep(100)
    assert [limiter.acquire(timeout=0) for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize("seed", range(5))
def test_never_more_than_burst_and_rate_allow(clock: Clock, seed: int) -> None:
    import random

    chance = random.Random(seed)
    rate, burst = chance.choice([0.5, 3, 100]), chance.randint(1, 7)
    limiter = RateLimiter(rate, burst)
    times = []
    for _ in range(300):
        clock.sleep(chance.expovariate(1.5 * rate))
        if limiter.acquire(timeout=chance.choice([None, 0, 0.5 / rate])):
            times.append(clock.now)
    assert len(times) > 150
    for first in range(len(times)):
        for last in range(first, len(times)):
            assert last - first + 1 <= burst + rate * (times[last] - times[first]) + 1e-6


def test_who_could_not_have_it_in_time_does_not_wait(clock: Clock) -> None:
    limiter = RateLimiter(1)
    assert limiter.acquire()
    before = clock.now
    assert not limiter.acquire(timeout=0.5)
    assert clock.now == before
    assert limiter.acquire(timeout=1.5)
    assert clock.now == before + 1


@each_loop
def test_threads_and_tasks_share_one_rate(run: Callable[[Any], Any]) -> None:
    limiter, passed = RateLimiter(400, burst=5), []

    def by_thread() -> None:
        for _ in range(10):
            with limiter:
                passed.append(time.monotonic())

    async def by_task() -> None:
        for _ in range(10):
            async with limiter:
                passed.append(time.monotonic())

    async def main() -> None:
        threads = [asyncio.to_thread(by_thread) for _ in range(2)]
        await asyncio.gather(*threads, *[by_task() for _ in range(2)])

    began = time.monotonic()
    run(main())
    assert len(passed) == 40
    assert max(passed) - began >= (40 - 5) / 400 - 0.001


def test_cancelled_task_takes_nothing() -> None:
    async def main() -> None:
        limiter = RateLimiter(0.001)  # the next is due in a quarter of an hour
        await limiter.aacquire()
        first = asyncio.ensure_future(limiter.aacquire())
        await auntil(lambda: not limiter._first.idle)
        second = asyncio.ensure_future(limiter.aacquire())
        await auntil(lambda: len(limiter._first._line) == 1)
        due = limiter._due
        for task in (first, second):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert limiter._first.idle
        assert limiter._due == due
        assert not await asyncio.to_thread(limiter.acquire, 0.01)

    on_fenshen(main())


@each_loop
def test_blocking_a_running_loop_is_refused(run: Callable[[Any], Any]) -> None:
    limiter = RateLimiter(1)

    async def main() -> None:
        with pytest.raises(RuntimeError, match="aacquire"):
            limiter.acquire()
        with pytest.raises(RuntimeError, match="async with"), limiter:
            pass
        assert limiter.acquire(timeout=0)

    run(main())


def test_keys_have_rates_of_their_own(clock: Clock) -> None:
    limiter = RateLimiter(1, per_key=True)
    assert limiter.key("a").acquire(timeout=0)
    assert limiter.key("b").acquire(timeout=0)
    for number in range(2000):
        limiter.key(number)
    assert not limiter.key("a").acquire(timeout=0)
    with pytest.raises(RuntimeError, match="per key"):
        limiter.acquire()
    with pytest.raises(RuntimeError, match="per key"):
        on_fenshen(limiter.aacquire())


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (float("nan"), 1), (1, 0)])
def test_what_is_no_rate(rate: float, burst: int) -> None:
    with pytest.raises(ValueError, match=r"rate|burst"):
        RateLimiter(rate, burst)


def test_thread_that_waits_can_be_interrupted() -> None:
    limiter = RateLimiter(0.001)
    assert limiter.acquire()
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        limiter.acquire()
    timer.join(PATIENCE)
    assert limiter._first.idle
