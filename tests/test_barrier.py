"""`Barrier`, beyond what CPython's own suite asks."""

from __future__ import annotations

import asyncio
import random

import pytest
from fenshen._fenshen import Barrier, BrokenBarrierError
from on_loops import each_loop, run, turns


@each_loop
def test_rounds(factory):
    async def main():
        barrier, rounds = Barrier(5), []

        async def worker(n):
            for i in range(10):
                index = await barrier.wait()
                assert 0 <= index < 5
                rounds.append(i)

        await asyncio.gather(*(worker(n) for n in range(5)))
        assert rounds == sorted(rounds)
        assert barrier.n_waiting == 0
        assert not barrier.broken

    run(main(), factory)


@each_loop
def test_one_that_is_cancelled_leaves(factory):
    async def main():
        barrier = Barrier(3)
        first = asyncio.ensure_future(barrier.wait())
        second = asyncio.ensure_future(barrier.wait())
        await turns()
        assert barrier.n_waiting == 2
        assert "filling, waiters:2/3" in repr(barrier)
        first.cancel()
        await turns()
        assert barrier.n_waiting == 1
        more = [asyncio.ensure_future(barrier.wait()) for _ in range(2)]
        assert sorted(await asyncio.gather(second, *more))[-1] <= 2

    run(main(), factory)


@each_loop
def test_reset_and_abort(factory):
    async def main():
        barrier = Barrier(2)
        waiting = asyncio.ensure_future(barrier.wait())
        await turns()
        await barrier.reset()
        with pytest.raises(BrokenBarrierError, match="Abort or reset of barrier"):
            await waiting
        assert not barrier.broken
        waiting = asyncio.ensure_future(barrier.wait())
        await turns()
        await barrier.abort()
        with pytest.raises(BrokenBarrierError):
            await waiting
        assert barrier.broken
        assert "broken" in repr(barrier)
        with pytest.raises(BrokenBarrierError, match="Barrier aborted"):
            await barrier.wait()

    run(main(), factory)


def test_parties():
    assert Barrier(3).parties == 3
    with pytest.raises(ValueError, match=r"^parties must be > 0$"):
        Barrier(0)
    with pytest.raises(TypeError):
        Barrier()


def test_as_a_context_and_overridden():
    class Logged(Barrier):
        waits = 0

        async def wait(self):
            self.waits += 1
            return await super().wait()

    async def main():
        barrier = Logged(2)

        async def enter():
            async with barrier as index:
                return index

        assert sorted(await asyncio.gather(enter(), enter())) == [0, 1]
        assert barrier.waits == 2

    run(main())


@each_loop
def test_stress_with_cancellations(factory):
    async def main():
        rng, barrier = random.Random(17), Barrier(4)

        async def worker():
            for _ in range(4):
                await barrier.wait()

        tasks = [asyncio.ensure_future(worker()) for _ in range(500)]
        for _ in range(300):
            await asyncio.sleep(0)
            rng.choice(tasks).cancel()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for task in tasks:
            assert task.cancelled() or task.exception() is None
        await turns(10)
        assert barrier.n_waiting == 0
        assert not barrier._cond.locked()
        assert not barrier._cond._waiters
        assert sorted(await asyncio.gather(*(barrier.wait() for _ in range(4)))) == [0, 1, 2, 3]

    run(main(), factory)
