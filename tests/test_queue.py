"""`Queue`, `LifoQueue` and `PriorityQueue`, beyond what CPython's own suite asks."""

from __future__ import annotations

import asyncio
import collections
import gc
import random
import sys
import weakref

import pytest
from fenshen._fenshen import LifoQueue, PriorityQueue, Queue, QueueShutDown
from on_loops import each_loop, run, turns


def test_shutdown_error_is_the_standard_one_where_there_is_one():
    if sys.version_info >= (3, 13):
        assert QueueShutDown is asyncio.QueueShutDown
    else:
        assert issubclass(QueueShutDown, Exception)


@each_loop
def test_shutdown_on_every_version(factory):
    async def main():
        queue = Queue(1)
        queue.put_nowait(1)
        putting = asyncio.ensure_future(queue.put(2))
        await turns()
        queue.shutdown()
        with pytest.raises(QueueShutDown):
            await putting
        with pytest.raises(QueueShutDown):
            queue.put_nowait(3)
        assert await queue.get() == 1
        with pytest.raises(QueueShutDown):
            await queue.get()
        with pytest.raises(QueueShutDown):
            queue.get_nowait()
        queue.task_done()
        await queue.join()
        other = Queue()
        other.put_nowait(1)
        joining = asyncio.ensure_future(other.join())
        await turns()
        other.shutdown(immediate=True)
        await joining
        assert other.empty()
        assert "shutdown" in repr(other)

    run(main(), factory)


@each_loop
def test_get_cancelled_after_its_wake_up_loses_no_item(factory):
    async def main():
        queue = Queue()
        first, second = (asyncio.ensure_future(queue.get()) for _ in range(2))
        await turns()
        queue.put_nowait("item")
        first.cancel()
        assert await second == "item"
        assert first.cancelled() or await asyncio.wait([first])

    run(main(), factory)


@each_loop
def test_put_cancelled_after_its_wake_up_loses_no_place(factory):
    async def main():
        queue = Queue(1)
        queue.put_nowait(0)
        first, second = (asyncio.ensure_future(queue.put(i)) for i in (1, 2))
        await turns()
        assert queue.get_nowait() == 0
        first.cancel()
        await second
        assert queue.get_nowait() == 2
        assert not queue._putters

    run(main(), factory)


def test_order():
    async def main():
        for made, expected in ((Queue(), [3, 1, 2]), (LifoQueue(), [2, 1, 3]), (PriorityQueue(), [1, 2, 3])):
            for item in (3, 1, 2):
                await made.put(item)
            assert [await made.get() for _ in range(3)] == expected

    run(main())


def test_priority_of_what_does_not_compare():
    queue = PriorityQueue()
    queue.put_nowait((1, object()))
    with pytest.raises(TypeError):
        queue.put_nowait((1, object()))


class Unique(Queue):
    def _init(self, maxsize):
        self._queue = set()

    def _put(self, item):
        self._queue.add(item)

    def _get(self):
        return self._queue.pop()


class Front(Queue):
    def _put(self, item):
        self._queue.appendleft(item)


class Counting(Queue):
    def __init__(self, maxsize=0):
        self.calls = collections.Counter()
        super().__init__(maxsize)

    def put_nowait(self, item):
        self.calls["put"] += 1
        return super().put_nowait(item)

    def get_nowait(self):
        self.calls["get"] += 1
        return super().get_nowait()


class Weighted(Queue):
    """As a user limits a queue by the size of its items."""

    def qsize(self):
        return sum(self._queue)


@each_loop
def test_derived_classes(factory):
    async def main():
        unique = Unique()
        for _ in range(3):
            await unique.put("x")
        assert unique.qsize() == 1
        assert await unique.get() == "x"
        front = Front()
        for item in range(3):
            await front.put(item)
        assert [await front.get() for _ in range(3)] == [2, 1, 0]
        counting = Counting(1)
        await counting.put(1)
        putting = asyncio.ensure_future(counting.put(2))
        await turns()
        assert [await counting.get(), await counting.get()] == [1, 2]
        await putting
        assert counting.calls == {"put": 2, "get": 2}
        weighted = Weighted(10)
        await weighted.put(9)
        await weighted.put(5)
        assert weighted.full()
        with pytest.raises(asyncio.QueueFull):
            weighted.put_nowait(1)

    run(main(), factory)


def test_an_override_on_one_object_counts():
    async def main():
        queue = Queue()
        queue._put = lambda item: queue._queue.append(-item)
        await queue.put(1)
        return await queue.get()

    assert run(main()) == -1


def test_the_container_that_is_shown_is_the_one_that_is_used():
    async def main():
        queue = Queue()
        queue.put_nowait(1)
        assert isinstance(queue._queue, collections.deque)
        queue._queue.append(2)
        queue.put_nowait(3)
        assert [await queue.get() for _ in range(3)] == [1, 2, 3]
        queue._queue = collections.deque([7])
        assert queue.get_nowait() == 7
        lifo = LifoQueue()
        lifo.put_nowait(1)
        lifo._queue.append(2)
        assert [lifo.get_nowait(), lifo.get_nowait()] == [2, 1]
        queue._maxsize = 1
        queue.put_nowait(0)
        assert queue.full()
        assert queue.maxsize == 1

    run(main())


def test_sizes():
    assert not Queue(-1).full()
    queue = Queue(1.5)
    queue.put_nowait(1)
    assert not queue.full()
    queue.put_nowait(1)
    assert queue.full()
    assert not Queue(10**400).full()
    with pytest.raises(TypeError):
        Queue("a")
    with pytest.raises(TypeError, match="loop"):
        Queue(loop=None)


def test_generic():
    assert Queue[int].__origin__ is Queue
    assert PriorityQueue[int].__args__ == (int,)


def test_a_cycle_through_an_item_is_collected():
    class Item:
        pass

    queue, item = Queue(), Item()
    queue.put_nowait(item)
    item.queue = queue
    seen = weakref.ref(item)
    del queue, item
    gc.collect()
    assert seen() is None


def test_items_that_come_back_to_the_queue_as_they_die():
    class Item:
        def __init__(self, queue):
            self.queue = queue

        def __del__(self):
            self.queue.put_nowait("again")

    queue = Queue()
    for _ in range(10):
        queue.put_nowait(Item(queue))
    queue.shutdown  # noqa: B018
    while queue.qsize() > 0 and not isinstance(queue.get_nowait(), str):
        gc.collect()
    assert queue.qsize() == 9


@each_loop
@pytest.mark.parametrize("kind", [Queue, LifoQueue, PriorityQueue, Front])
def test_stress_with_cancellations(factory, kind):
    """Whatever is cancelled when: every item that was put is got exactly once or is still there."""

    async def main():
        rng = random.Random(7)
        queue = kind(5)
        put, got = [], []

        async def producer(n):
            for i in range(20):
                item = n * 100 + i
                await queue.put(item)
                put.append(item)
                if rng.random() < 0.2:
                    await asyncio.sleep(0)

        async def consumer():
            for _ in range(20):
                item = await queue.get()
                got.append(item)
                queue.task_done()
                if rng.random() < 0.2:
                    await asyncio.sleep(0)

        tasks = [asyncio.ensure_future(producer(n)) for n in range(250)]
        tasks += [asyncio.ensure_future(consumer()) for _ in range(250)]
        for _ in range(200):
            await asyncio.sleep(0)
            for task in rng.sample(tasks, 3):
                task.cancel()
        consumers = [asyncio.ensure_future(consumer()) for _ in range(100)]
        producers = [asyncio.ensure_future(producer(n)) for n in range(300, 330)]
        await asyncio.wait([*tasks, *consumers, *producers], timeout=0.5)
        for task in (*tasks, *consumers, *producers):
            task.cancel()
        await asyncio.gather(*tasks, *consumers, *producers, return_exceptions=True)
        rest = []
        while not queue.empty():
            rest.append(queue.get_nowait())
            queue.task_done()
        assert sorted(put) == sorted(got + rest)
        assert not queue._getters
        assert not queue._putters
        await queue.join()

    run(main(), factory)


def test_no_references_are_lost_or_kept():
    item = object()

    async def main():
        queue = Queue(3)
        for _ in range(1000):
            await queue.put(item)
            await queue.get()
            waiting = asyncio.ensure_future(queue.get())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])

    before = sys.getrefcount(item)
    run(main())
    gc.collect()
    assert sys.getrefcount(item) == before
