"""`PriorityQueue`: the least item is the next one."""

from __future__ import annotations

import random
from typing import Any

import pytest
from commands import needs_native

from threads.queues import LONG, Running, blocked, each, unraisable

pytestmark = needs_native


@each
def test_the_least_item_is_next(queue: Any) -> None:
    q = queue.PriorityQueue()
    items = random.Random(1).sample(range(1000), 300)
    for item in items:
        q.put((item, str(item)))
    assert [q.get()[0] for _ in items] == sorted(items)


@each
def test_its_items_are_a_heap_in_a_list(queue: Any) -> None:
    q = queue.PriorityQueue()
    for item in (3, 1, 2):
        q.put(item)
    assert q.queue[0] == 1
    assert sorted(q.queue) == [1, 2, 3]


@each
def test_a_bound(queue: Any) -> None:
    q = queue.PriorityQueue(1)
    q.put(5)
    with pytest.raises(queue.Full):
        q.put_nowait(1)
    putting = blocked(q.put, 1)
    assert q.get() == 5
    putting.end()
    assert q.get(timeout=LONG) == 1
    with pytest.raises(queue.Empty):
        q.get(timeout=0.01)


@each
def test_what_cannot_be_compared_is_refused(queue: Any) -> None:
    q = queue.PriorityQueue()
    q.put(1)
    with pytest.raises(TypeError, match="'<' not supported"):
        q.put("a")
    # The mutex is free again, and the item is where heapq leaves it.
    assert not q.mutex.locked()
    assert (q.qsize(), q.unfinished_tasks) == (2, 1)


@each
def test_a_comparison_that_lets_other_threads_run(queue: Any) -> None:
    class Item:
        def __init__(self, number: int) -> None:
            self.number = number

        def __lt__(self, other: Item) -> bool:
            for _ in range(20):
                pass
            return self.number < other.number

    q = queue.PriorityQueue()

    def put(start: int) -> None:
        for number in range(start, 400, 4):
            q.put(Item(number))

    for running in [Running(put, start) for start in range(4)]:
        running.end()
    assert [q.get().number for _ in range(400)] == list(range(400))


def test_nothing_is_reported_when_nothing_went_wrong() -> None:
    from fenshen import queue

    with unraisable() as seen:
        q = queue.PriorityQueue()
        for item in (2, 1):
            q.put(item)
        q.shutdown(immediate=True)
    assert seen == []
