"""The laws of `fenshen.Semaphore`, where it is shared and where it is not."""

from __future__ import annotations

import asyncio

import fenshen
import pytest
from on_loops import each_loop, run

from together.sides import PATIENCE, begin, blocked, either, needs_native

pytestmark = needs_native


@either
def test_so_many_and_no_more(shared):
    semaphore = fenshen.Semaphore(2, shared=shared)
    assert (semaphore.value, semaphore.locked(), semaphore.shared) == (2, False, shared)
    with semaphore, semaphore:
        assert semaphore.locked()
        assert not semaphore.acquire(blocking=False)
        assert not semaphore.acquire(timeout=0.01)
        assert f"{semaphore!r}".endswith(": value 0>")
    semaphore.release(3)
    assert semaphore.value == 5
    with pytest.raises(ValueError, match="one or more"):
        semaphore.release(0)
    with pytest.raises(ValueError, match="non-negative"):
        semaphore.acquire(timeout=-1)
    with pytest.raises(ValueError, match=">= 0"):
        fenshen.Semaphore(-1)


@either
@each_loop
def test_threads_and_tasks_wait_for_it_in_order(factory, shared):
    semaphore = fenshen.Semaphore(0, shared=shared)
    order = []

    async def main():
        async def take():
            async with semaphore:
                order.append("task")

        def take_too():
            with semaphore:
                order.append("thread")

        assert await semaphore.aacquire(0.01) is False
        task = asyncio.ensure_future(take())
        await asyncio.sleep(0.01)
        with blocked(take_too) as thread:
            semaphore.release()
            await asyncio.wait_for(task, PATIENCE)
            thread.result(PATIENCE)

    run(main(), factory)
    assert order == ["task", "thread"]
    assert semaphore.value == 1


@either
@each_loop
def test_what_a_cancelled_task_was_given_is_the_next_ones(factory, shared):
    semaphore = fenshen.Semaphore(0, shared=shared)

    async def main():
        with pytest.raises(RuntimeError, match=r"`await semaphore.aacquire\(\)`"):
            semaphore.acquire()
        first, second = (asyncio.ensure_future(semaphore.aacquire()) for _ in range(2))
        await asyncio.sleep(0)
        semaphore.release()
        first.cancel()
        assert await asyncio.wait_for(second, PATIENCE) is True
        with pytest.raises(asyncio.CancelledError):
            await first

    run(main(), factory)
    assert semaphore.value == 0


@either
def test_never_too_many(shared):
    semaphore, inside, most = fenshen.Semaphore(2, shared=shared), [], []

    def thread():
        for _ in range(200):
            with semaphore:
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    async def task():
        for _ in range(200):
            async with semaphore:
                inside.append(1)
                most.append(len(inside))
                await asyncio.sleep(0)
                inside.pop()

    async def main():
        await asyncio.gather(*(task() for _ in range(3)))

    threads = [begin(thread) for _ in range(2)]
    run(main())
    for future in threads:
        future.result(PATIENCE)
    assert max(most) <= 2
    assert semaphore.value == 2
