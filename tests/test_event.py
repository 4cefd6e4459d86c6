"""`Event`, beyond what CPython's own suite asks."""

from __future__ import annotations

import asyncio
import collections
import random

import pytest
from fenshen._fenshen import Event
from on_loops import each_loop, run, turns


@each_loop
def test_set_and_cleared_at_once_still_wakes(factory):
    async def main():
        event = Event()
        tasks = [asyncio.ensure_future(event.wait()) for _ in range(10)]
        await turns()
        event.set()
        event.clear()
        assert await asyncio.gather(*tasks) == [True] * 10
        assert not event.is_set()
        assert not event._waiters

    run(main(), factory)


@each_loop
def test_cancelled_waiters_leave(factory):
    async def main():
        event = Event()
        tasks = [asyncio.ensure_future(event.wait()) for _ in range(4)]
        await turns()
        assert isinstance(event._waiters, collections.deque)
        assert len(event._waiters) == 4
        tasks[0].cancel()
        await turns()
        assert len(event._waiters) == 3
        event.set()
        tasks[1].cancel()
        await asyncio.wait(tasks)
        assert tasks[1].cancelled()
        assert await tasks[2]
        assert not event._waiters

    run(main(), factory)


def test_set_from_a_derived_class_and_its_attributes():
    class Mine(Event):
        pass

    async def main():
        event = Mine()
        event.note = 1
        event.set()
        assert await event.wait()
        assert event._value is True
        event._value = False
        assert not event.is_set()
        assert "Mine object" in repr(event)
        assert "[unset]" in repr(event)

    run(main())


def test_no_arguments():
    with pytest.raises(TypeError):
        Event(1)
    with pytest.raises(TypeError):
        Event().wait(1)


@each_loop
def test_stress_with_cancellations(factory):
    async def main():
        rng, events = random.Random(5), [Event() for _ in range(20)]

        async def worker(n):
            for i in range(20):
                await events[(n + i) % 20].wait()
                if rng.random() < 0.3:
                    events[(n + i) % 20].clear()

        tasks = [asyncio.ensure_future(worker(n)) for n in range(500)]
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            rng.choice(events).set()
            rng.choice(tasks).cancel()
        for task in tasks:
            assert task.cancelled() or task.exception() is None
        assert not any(event._waiters for event in events)

    run(main(), factory)
