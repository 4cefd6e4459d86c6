"""`Semaphore` and `BoundedSemaphore`, beyond what CPython's own suite asks."""

from __future__ import annotations

import asyncio
import random

import pytest
from fenshen._fenshen import BoundedSemaphore, Semaphore
from on_loops import each_loop, run, turns


@each_loop
@pytest.mark.parametrize("after_release", [False, True])
def test_cancelled_at_any_point_no_permit_is_lost(factory, after_release):
    async def main():
        semaphore = Semaphore(0)
        first, second = (asyncio.ensure_future(semaphore.acquire()) for _ in range(2))
        await turns()
        if after_release:
            semaphore.release()
            first.cancel()
        else:
            first.cancel()
            await turns()
            semaphore.release()
        assert await asyncio.wait_for(second, 1)
        assert first.cancelled()
        assert semaphore._value == 0
        assert not semaphore._waiters

    run(main(), factory)


@each_loop
def test_in_the_order_of_asking(factory):
    async def main():
        semaphore, order = Semaphore(2), []

        async def worker(n):
            async with semaphore:
                order.append(n)
                await asyncio.sleep(0)

        await asyncio.gather(*(worker(n) for n in range(30)))
        assert order == list(range(30))
        assert semaphore._value == 2

    run(main(), factory)


def test_nobody_overtakes_those_who_were_woken():
    async def main():
        semaphore = Semaphore(1)
        await semaphore.acquire()
        waiting = asyncio.ensure_future(semaphore.acquire())
        await turns()
        semaphore.release()
        semaphore.release()
        assert semaphore.locked()
        late = asyncio.ensure_future(semaphore.acquire())
        assert await waiting
        assert await late

    run(main())


def test_values():
    assert "unlocked, value:3" in repr(Semaphore(3))
    assert "[locked]" in repr(Semaphore(0))
    with pytest.raises(ValueError, match=r"^Semaphore initial value must be >= 0$"):
        Semaphore(-1)
    bounded = BoundedSemaphore(2)
    assert isinstance(bounded, Semaphore)
    assert bounded._bound_value == 2
    with pytest.raises(ValueError, match=r"^BoundedSemaphore released too many times$"):
        bounded.release()
    assert Semaphore(2.0)._value == 2
    with pytest.raises(TypeError):
        Semaphore("2")
    semaphore = Semaphore()
    semaphore._value = 5
    assert semaphore._value == 5
    semaphore.release()
    assert semaphore._value == 6


def test_overrides_are_called():
    class Logged(BoundedSemaphore):
        released = 0

        def release(self):
            self.released += 1
            super().release()

    async def main():
        semaphore = Logged(1)
        async with semaphore:
            assert semaphore.locked()
        assert semaphore.released == 1
        assert not semaphore.locked()

    run(main())


@each_loop
@pytest.mark.parametrize("kind", [Semaphore, BoundedSemaphore])
def test_stress_with_cancellations(factory, kind):
    async def main():
        rng, semaphore, inside = random.Random(13), kind(7), 0

        async def worker():
            nonlocal inside
            for _ in range(10):
                async with semaphore:
                    inside += 1
                    assert inside <= 7
                    try:
                        if rng.random() < 0.5:
                            await asyncio.sleep(0)
                    finally:
                        inside -= 1

        tasks = [asyncio.ensure_future(worker()) for _ in range(500)]
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            for task in rng.sample(tasks, 5):
                task.cancel()
        for task in tasks:
            assert task.cancelled() or task.exception() is None
        assert semaphore._value == 7
        assert not semaphore._waiters

    run(main(), factory)
