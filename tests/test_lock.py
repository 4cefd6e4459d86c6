"""`Lock`, beyond what CPython's own suite asks."""

from __future__ import annotations

import asyncio
import collections
import random

import pytest
from fenshen._fenshen import Lock
from on_loops import each_loop, run, turns


@each_loop
def test_handed_on_in_the_order_of_asking(factory):
    async def main():
        lock, order = Lock(), []

        async def worker(n):
            async with lock:
                order.append(n)
                await asyncio.sleep(0)

        await asyncio.gather(*(worker(n) for n in range(20)))
        assert order == list(range(20))
        assert not lock.locked()

    run(main(), factory)


@each_loop
@pytest.mark.parametrize("after_release", [False, True])
def test_cancelled_at_any_point_the_next_gets_it(factory, after_release):
    async def main():
        lock = Lock()
        await lock.acquire()
        first, second = (asyncio.ensure_future(lock.acquire()) for _ in range(2))
        await turns()
        if after_release:
            lock.release()
            first.cancel()
        else:
            first.cancel()
            await turns()
            lock.release()
        assert await second
        assert first.cancelled()
        assert lock.locked()
        assert not lock._waiters

    run(main(), factory)


def test_a_woken_waiter_is_not_overtaken():
    async def main():
        lock = Lock()
        await lock.acquire()
        waiting = asyncio.ensure_future(lock.acquire())
        await turns()
        lock.release()
        late = asyncio.ensure_future(lock.acquire())
        assert await waiting
        assert not late.done()
        lock.release()
        assert await late

    run(main())


def test_release_of_what_nobody_holds():
    with pytest.raises(RuntimeError, match=r"^Lock is not acquired\.$"):
        Lock().release()


def test_overrides_are_called():
    class Logged(Lock):
        def __init__(self):
            super().__init__()
            self.calls = []

        async def acquire(self):
            self.calls.append("acquire")
            return await super().acquire()

        def release(self):
            self.calls.append("release")
            super().release()

    async def main():
        lock = Logged()
        async with lock:
            assert lock.locked()
        assert lock.calls == ["acquire", "release"]
        patched, calls = Lock(), []
        release = patched.release
        patched.release = lambda: (calls.append(1), release())
        async with patched:
            pass
        assert calls == [1]
        assert not patched.locked()

    run(main())


def test_private_attributes():
    async def main():
        lock = Lock()
        assert lock._waiters is None
        assert lock._locked is False
        assert lock._loop is None
        await lock.acquire()
        waiting = asyncio.ensure_future(lock.acquire())
        await turns()
        assert isinstance(lock._waiters, collections.deque)
        assert len(lock._waiters) == 1
        assert "locked, waiters:1" in repr(lock)
        lock.release()
        await waiting

    run(main())


def test_an_exception_in_the_block_comes_out_and_the_lock_is_free():
    async def main():
        lock = Lock()
        with pytest.raises(KeyError):
            async with lock:
                raise KeyError
        assert not lock.locked()

    run(main())


@each_loop
def test_stress_with_cancellations(factory):
    async def main():
        rng, lock, inside = random.Random(3), Lock(), 0

        async def worker():
            nonlocal inside
            for _ in range(10):
                async with lock:
                    inside += 1
                    assert inside == 1
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
        assert not lock.locked()
        assert not lock._waiters
        assert await asyncio.wait_for(lock.acquire(), 1)

    run(main(), factory)
