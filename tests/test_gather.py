"""`gather`, with asyncio's contract."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref

import pytest
from fenshen._fenshen import gather
from on_loops import each_loop, run, turns


async def give(value, delay=0.0):
    await asyncio.sleep(delay)
    return value


async def fail(message="failed"):
    await asyncio.sleep(0)
    raise ValueError(message)


class Awaitable:
    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        return "awaited"


@each_loop
def test_results_in_order(factory):
    async def main():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_later(0.01, future.set_result, 4)
        outer = gather(give(1, 0.02), loop.create_task(give(2)), give(3), future)
        assert repr(outer).startswith("<_GatheringFuture pending")
        assert isinstance(outer, asyncio.Future)
        assert asyncio.isfuture(outer)
        assert await outer == [1, 2, 3, 4]
        assert outer.done()
        assert outer._children[3] is future
        assert await gather() == []
        assert await gather(Awaitable(), give(1)) == ["awaited", 1]

    run(main(), factory)


@each_loop
def test_the_first_failure(factory):
    async def main():
        slow = asyncio.ensure_future(give(1, 0.01))
        with pytest.raises(ValueError, match="failed"):
            await gather(slow, fail(), fail("unheard"))
        assert not slow.done()
        assert await slow == 1
        results = await gather(give(1), fail(), return_exceptions=True)
        assert results[0] == 1
        assert isinstance(results[1], ValueError)

    run(main(), factory)


@each_loop
@pytest.mark.parametrize("return_exceptions", [False, True])
def test_cancelling_it_cancels_the_children(factory, return_exceptions):
    async def main():
        children = [asyncio.ensure_future(give(1, 30)) for _ in range(3)]
        outer = gather(*children, return_exceptions=return_exceptions)
        await turns()
        assert outer.cancel("message")
        assert not outer.done()
        assert outer._cancel_requested
        with pytest.raises(asyncio.CancelledError):
            await outer
        assert all(child.cancelled() for child in children)
        assert not outer.cancel()

    run(main(), factory)


@each_loop
def test_a_cancelled_child(factory):
    async def main():
        child = asyncio.ensure_future(give(1, 30))
        outer = gather(child, give(2))
        await turns()
        child.cancel("why")
        with pytest.raises(asyncio.CancelledError):
            await outer
        assert not outer._cancel_requested
        child = asyncio.ensure_future(give(1, 30))
        outer = gather(child, give(2), return_exceptions=True)
        await turns()
        child.cancel("why")
        first, second = await outer
        assert isinstance(first, asyncio.CancelledError)
        assert second == 2

    run(main(), factory)


def test_a_cancelled_task_that_waits_for_it():
    async def main():
        children = [asyncio.ensure_future(give(1, 30)) for _ in range(3)]

        async def waiter():
            await gather(*children)

        task = asyncio.ensure_future(waiter())
        await turns()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert all(child.cancelled() for child in children)

    run(main())


@each_loop
def test_the_same_one_twice(factory):
    async def main():
        coro = give(1)
        task = asyncio.ensure_future(give(2))
        assert await gather(coro, task, coro, task) == [1, 2, 1, 2]
        op = asyncio.Queue()
        op.put_nowait(5)
        getting = op.get()
        assert await gather(getting, getting) == [5, 5]

    run(main(), factory)


@each_loop
def test_those_that_are_done_already(factory):
    async def main():
        loop = asyncio.get_running_loop()
        done, failed = loop.create_future(), loop.create_future()
        done.set_result(1)
        outer = gather(done, done)
        if sys.version_info >= (3, 12):
            assert outer.done()
        assert await outer == [1, 1]
        failed.set_exception(ValueError("v"))
        with pytest.raises(ValueError, match="v"):
            await gather(done, failed)

    run(main(), factory)


def test_two_loops():
    async def main():
        other = asyncio.new_event_loop()
        foreign = other.create_future()
        mine = asyncio.get_running_loop().create_future()
        with pytest.raises(ValueError, match="The future belongs to a different loop"):
            gather(mine, foreign)
        other.close()
        mine.set_exception(ValueError("retrieved"))
        await turns()

    run(main())


def test_what_cannot_be_awaited():
    async def main():
        with pytest.raises(TypeError):
            gather(1)
        with pytest.raises(TypeError):
            gather(return_exception=True)

    run(main())


def test_outside_of_a_loop():
    from fenshen.loop import new_event_loop

    loop = new_event_loop()
    future = loop.create_future()
    outer = gather(future)
    loop.call_soon(future.set_result, 1)
    assert loop.run_until_complete(outer) == [1]
    loop.close()


def test_dropped_children_do_not_warn():
    async def main():
        reports = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reports.append(context))

        async def forever():
            await asyncio.get_running_loop().create_future()

        gather(forever(), forever())
        await turns()
        gc.collect()
        return reports

    assert run(main()) == []


def test_cycles_are_collected():
    async def main():
        child = asyncio.get_running_loop().create_future()
        outer = gather(child, child)
        outer.note = outer
        seen = weakref.ref(outer)
        del outer, child
        gc.collect()
        return seen()

    assert run(main()) is None


def test_an_exception_nobody_looks_at_is_reported():
    async def main():
        reports = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reports.append(context["message"]))
        gather(fail())
        await turns(5)
        gc.collect()
        return reports

    assert run(main()) == ["_GatheringFuture exception was never retrieved"]


@each_loop
def test_many(factory):
    async def main():
        assert await gather(*(give(i) for i in range(20_000))) == list(range(20_000))

    run(main(), factory)
