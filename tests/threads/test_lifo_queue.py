"""`LifoQueue`: the newest item is the next one."""

from __future__ import annotations

from typing import Any

from commands import needs_native
from fenshen import queue as native

from threads.queues import blocked, each

pytestmark = needs_native


@each
def test_the_newest_item_is_next(queue: Any) -> None:
    q = queue.LifoQueue(3)
    for i in range(3):
        q.put(i)
    assert q.full()
    assert [q.get() for _ in range(3)] == [2, 1, 0]


@each
def test_a_waiting_getter_is_given_the_item(queue: Any) -> None:
    q = queue.LifoQueue()
    getting = blocked(q.get)
    q.put(1)
    assert getting.end() == 1
    assert q.empty()


@each
def test_its_items_are_a_list(queue: Any) -> None:
    q = queue.LifoQueue()
    for i in range(3):
        q.put(i)
    assert q.queue == [0, 1, 2]
    q.queue.append(3)
    assert (q.get(), q.get(), q.qsize()) == (3, 2, 2)


@each
def test_a_derived_class_may_override_one_hook(queue: Any) -> None:
    class Doubling(queue.LifoQueue):  # type: ignore[misc]
        def _put(self, item: Any) -> None:
            super()._put(2 * item)

    q = Doubling()
    q.put(1)
    q.put(2)
    assert (q.get(), q.get()) == (4, 2)


def test_an_item_let_in_for_a_waiting_putter_is_the_newest() -> None:
    q = native.LifoQueue(2)
    q.put(1)
    q.put(2)
    putting = blocked(q.put, 3)
    assert q.get() == 2
    putting.end()
    assert (q.get(), q.get()) == (3, 1)
