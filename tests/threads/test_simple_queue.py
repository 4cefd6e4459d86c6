"""`SimpleQueue`: without bound and tasks, and open to whoever interrupts it."""

from __future__ import annotations

import gc
import queue as standard
import signal
import time
import weakref
from typing import Any

import pytest
from commands import needs_native
from fenshen import queue as native

from threads.queues import LONG, Running, blocked, each

pytestmark = needs_native


@each
def test_items_come_out_as_they_went_in(queue: Any) -> None:
    q = queue.SimpleQueue()
    for i in range(50):
        q.put(i)
    q.put_nowait(item=50)
    assert (q.qsize(), q.empty()) == (51, False)
    assert [q.get() for _ in range(51)] == list(range(51))
    assert (q.qsize(), q.empty()) == (0, True)


@each
def test_put_minds_neither_block_nor_timeout(queue: Any) -> None:
    q = queue.SimpleQueue()
    q.put(1, False)
    q.put(2, timeout=-1)
    q.put(3, block=True, timeout=5)
    assert [q.get_nowait() for _ in range(3)] == [1, 2, 3]


@each
def test_waiting(queue: Any) -> None:
    q = queue.SimpleQueue()
    for refused in (q.get_nowait, lambda: q.get(False), lambda: q.get(block=False), lambda: q.get(timeout=0.01)):
        with pytest.raises(standard.Empty):
            refused()
    began = time.monotonic()
    with pytest.raises(queue.Empty):
        q.get(timeout=0.05)
    assert time.monotonic() - began >= 0.05
    getting = blocked(q.get, timeout=LONG)
    q.put("item")
    assert getting.end() == "item"


@each
def test_wrong_arguments(queue: Any) -> None:
    q = queue.SimpleQueue()
    with pytest.raises(ValueError, match=r"^'timeout' must be a non-negative number$"):
        q.get(timeout=-1)
    for wrong in (
        q.put,
        lambda: q.get(timeout="1"),
        lambda: q.get(1, 2, 3),
        lambda: queue.SimpleQueue(1),
        lambda: queue.SimpleQueue(maxsize=1),
    ):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(OverflowError):
        q.get(timeout=1e30)


@each
def test_it_has_no_attributes_but_derived_classes_have(queue: Any) -> None:
    with pytest.raises(AttributeError):
        queue.SimpleQueue().note = 1

    class Derived(queue.SimpleQueue):  # type: ignore[misc]
        def __init__(self, note: str) -> None:
            self.note = note

    q = Derived("mine")
    q.put(q.note)
    assert q.get() == "mine"


@each
def test_weak_references(queue: Any) -> None:
    q = queue.SimpleQueue()
    ref = weakref.ref(q)
    assert ref() is q
    del q
    assert ref() is None


@each
def test_a_finaliser_may_put(queue: Any) -> None:
    q = queue.SimpleQueue()

    class Putting:
        def __del__(self) -> None:
            q.put("last words")

    for _ in range(100):
        knot = [Putting()]
        knot.append(knot)  # type: ignore[arg-type]
        del knot
        q.put("item")
        gc.collect()
    got = [q.get_nowait() for _ in range(200)]
    assert got.count("last words") == 100
    q.put(Putting())
    q.get_nowait()
    assert q.get_nowait() == "last words"


@each
def test_a_signal_handler_may_put_for_the_get_that_it_interrupts(queue: Any) -> None:
    q = queue.SimpleQueue()
    before = signal.signal(signal.SIGALRM, lambda *_: q.put("rung"))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert q.get(timeout=LONG) == "rung"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@each
def test_many_threads(queue: Any) -> None:
    q = queue.SimpleQueue()
    count = 2000

    def put(start: int) -> None:
        for i in range(start, count, 4):
            q.put(i)

    def get() -> list[int]:
        return [q.get(timeout=LONG) for _ in range(count // 4)]

    getting = [Running(get) for _ in range(4)]
    putting = [Running(put, start) for start in range(4)]
    for running in putting:
        running.end()
    got = [running.end() for running in getting]
    assert sorted(i for part in got for i in part) == list(range(count))
    for part in got:
        for start in range(4):
            mine = [i for i in part if i % 4 == start]
            assert mine == sorted(mine)


def test_its_exception_is_an_attribute() -> None:
    assert native.SimpleQueue.Empty is standard.Empty  # type: ignore[attr-defined]
