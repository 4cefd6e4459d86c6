"""`Condition`, beyond what CPython's own suite asks."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref

import pytest
from fenshen._fenshen import Condition, Lock
from on_loops import each_loop, run, turns


class Derived(Lock):
    async def acquire(self):
        await asyncio.sleep(0)
        return await super().acquire()


@each_loop
@pytest.mark.parametrize("make", [lambda: None, Lock, Derived, asyncio.Lock], ids=["none", "ours", "derived", "theirs"])
def test_any_lock(factory, make):
    async def main():
        condition = Condition(make())
        woken = []

        async def waiter(n):
            async with condition:
                assert await condition.wait() is True
                assert condition.locked()
                woken.append(n)

        tasks = [asyncio.ensure_future(waiter(n)) for n in range(4)]
        await turns(10)
        async with condition:
            condition.notify(2)
        await turns(20)
        assert woken == [0, 1]
        async with condition:
            condition.notify_all()
        await asyncio.gather(*tasks)
        assert woken == [0, 1, 2, 3]
        assert not condition.locked()
        assert not condition._waiters

    run(main(), factory)


@each_loop
def test_cancelled_while_it_takes_the_lock_back(factory):
    async def main():
        condition = Condition()

        async def waiter():
            async with condition:
                try:
                    await condition.wait()
                finally:
                    assert condition.locked()

        task = asyncio.ensure_future(waiter())
        await turns()
        await condition.acquire()
        condition.notify()
        await turns()
        for _ in range(3):
            task.cancel("again")
            await turns()
            assert not task.done()
        condition.release()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not condition.locked()

    run(main(), factory)


@each_loop
def test_a_notification_is_passed_on(factory):
    async def main():
        condition = Condition()

        async def waiter():
            async with condition:
                return await condition.wait()

        first, second = (asyncio.ensure_future(waiter()) for _ in range(2))
        await turns()
        async with condition:
            condition.notify(1)
            first.cancel()
        assert await asyncio.wait_for(second, 1) is True
        assert first.cancelled()

    run(main(), factory)


def test_without_the_lock():
    async def main():
        condition = Condition()
        with pytest.raises(RuntimeError, match="cannot wait on un-acquired lock"):
            await condition.wait()
        with pytest.raises(RuntimeError, match="cannot notify on un-acquired lock"):
            condition.notify()
        with pytest.raises(RuntimeError, match="cannot notify on un-acquired lock"):
            condition.notify_all()

    run(main())


def test_wait_for_gives_the_predicate_s_value_and_its_error():
    async def main():
        condition, values = Condition(), [0, "", [1]]

        async def waiter():
            async with condition:
                return await condition.wait_for(lambda: values.pop(0))

        waiting = asyncio.ensure_future(waiter())
        for _ in range(2):
            await turns()
            async with condition:
                condition.notify_all()
        assert await waiting == [1]
        with pytest.raises(ZeroDivisionError):
            await condition.wait_for(lambda: 1 / 0)

    run(main())


def test_the_lock_s_methods_are_its_own():
    async def main():
        lock = Lock()
        condition = Condition(lock)
        assert condition._lock is lock
        assert condition.acquire == lock.acquire
        await condition.acquire()
        assert lock.locked()
        assert condition.locked()
        condition.release()
        assert not lock.locked()
        calls = []
        condition.release = lambda: (calls.append(1), lock.release())
        async with condition:
            pass
        assert calls == [1]

    run(main())


def test_overrides_are_called():
    class Logged(Condition):
        calls = 0

        async def wait(self):
            type(self).calls += 1
            return await super().wait()

        def notify(self, n=1):
            type(self).calls += 10
            super().notify(n)

    async def main():
        condition, ready = Logged(), []

        async def waiter():
            async with condition:
                return await condition.wait_for(lambda: ready)

        task = asyncio.ensure_future(waiter())
        await turns()
        async with condition:
            ready.append(1)
            condition.notify_all()
        await task
        assert Logged.calls == 11

    run(main())


def test_cycles_are_collected():
    condition = Condition()
    condition.itself = condition
    condition.note = condition.acquire
    seen = weakref.ref(condition)
    del condition
    gc.collect()
    assert seen() is None


@each_loop
def test_stress_with_cancellations(factory):
    async def main():
        rng, condition, tokens = random.Random(11), Condition(), 0

        def is_there_one():
            return tokens > 0

        async def taker():
            nonlocal tokens
            for _ in range(5):
                async with condition:
                    await condition.wait_for(is_there_one)
                    tokens -= 1
                    assert tokens >= 0

        tasks = [asyncio.ensure_future(taker()) for _ in range(500)]
        while not all(task.done() for task in tasks):
            async with condition:
                tokens += 3
                condition.notify(3)
            await asyncio.sleep(0)
            rng.choice(tasks).cancel()
        for task in tasks:
            assert task.cancelled() or task.exception() is None
        assert not condition.locked()
        assert not condition._waiters

    run(main(), factory)
