"""Operations that interrupt an operation of the same thread on the same queue.

The standard library's queue, written in Python, waits for itself there. Ours finishes what can be left for later when
the interrupted operation ends, and raises RuntimeError for what cannot.
"""

from __future__ import annotations

import gc
import signal
from typing import Any

import pytest
from commands import needs_native
from fenshen import queue

from threads.queues import LONG, blocked, unraisable

pytestmark = needs_native


class Putting(queue.Queue[Any]):
    """Puts twice what it is told to."""

    def _put(self, item: Any) -> None:
        if item < 100:
            self.put(item + 100)
        super()._put(item)


def test_put_from_a_hook_is_finished_by_the_put_that_it_interrupts() -> None:
    q = Putting()
    q.put(1)
    assert (list(q.queue), q.unfinished_tasks) == ([1, 101], 2)


def test_put_from_a_comparison() -> None:
    q: queue.PriorityQueue[Any] = queue.PriorityQueue()

    class Item:
        def __init__(self, number: int) -> None:
            self.number = number

        def __lt__(self, other: Item) -> bool:
            if self.number < 10:
                q.put(Item(10 * self.number + 10))
            return self.number < other.number

    q.put(Item(50))
    q.put(Item(1))
    q.put(Item(3))
    got = [q.get().number for _ in range(q.qsize())]
    assert got[0] == 1
    assert {20, 40} <= set(got)
    assert q.unfinished_tasks >= len(got)


def test_a_finaliser_that_puts_at_any_time() -> None:
    class Item:
        def __init__(self, q: Any) -> None:
            self.q = q

        def __del__(self) -> None:
            self.q.put("gone")

    for q in (queue.Queue(), queue.LifoQueue()):
        for _ in range(50):
            knot = [Item(q)]
            knot.append(knot)  # type: ignore[arg-type]
            del knot
            q.put("item")
        gc.collect()
        got = [q.get_nowait() for _ in range(100)]
        assert got.count("gone") == 50


def ring(handler: Any) -> Any:
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    return before


def be_quiet(before: Any) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("exposed", [False, True])
@pytest.mark.parametrize("name", ["Queue", "LifoQueue", "PriorityQueue"])
def test_a_signal_handler_puts_for_the_get_that_it_interrupts(name: str, exposed: bool) -> None:
    q = getattr(queue, name)()
    if exposed:
        assert not q.queue
    before = ring(lambda *_: q.put("rung"))
    try:
        assert q.get(timeout=LONG) == "rung"
    finally:
        be_quiet(before)


@pytest.mark.parametrize("exposed", [False, True])
def test_a_signal_handler_gets_for_the_put_that_it_interrupts(exposed: bool) -> None:
    q: queue.Queue[Any] = queue.Queue(1)
    q.put("first")
    if exposed:
        assert q.queue
    got = []
    before = ring(lambda *_: got.append(q.get_nowait()))
    try:
        q.put("second", timeout=LONG)
    finally:
        be_quiet(before)
    assert (got, q.get_nowait()) == (["first"], "second")


def test_a_signal_handler_puts_during_a_hook() -> None:
    class Slow(queue.Queue[Any]):
        def _put(self, item: Any) -> None:
            if item == "slow":
                signal.raise_signal(signal.SIGALRM)
            super()._put(item)

    q = Slow()
    before = signal.signal(signal.SIGALRM, lambda *_: q.put("from the handler"))
    try:
        q.put("slow")
    finally:
        signal.signal(signal.SIGALRM, before)
    assert list(q.queue) == ["slow", "from the handler"]


def test_a_signal_handler_puts_at_every_point_of_a_hot_loop() -> None:
    for q in (queue.Queue(), Putting(), queue.PriorityQueue()):
        rung = 0

        def handler(*_: Any, q: Any = q) -> None:
            nonlocal rung
            rung += 1
            q.put(1000 + rung)

        before = signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        put = 0
        try:
            while rung < 30:
                q.put(200)
                put += 1
        finally:
            be_quiet(before)
        got = [q.get() for _ in range(q.qsize())]
        assert (got.count(200), len(got)) == (put, put + rung)
        assert q.unfinished_tasks == len(got)


class Calling(queue.Queue[Any]):
    """Calls something from its hook."""

    call: Any = None

    def _put(self, item: Any) -> None:
        call, self.call = self.call, None
        if call is not None:
            call()
        super()._put(item)


@pytest.mark.parametrize("name", ["get", "get_nowait"])
def test_get_from_a_hook_raises(name: str) -> None:
    q = Calling()
    q.put(0)
    q.call = getattr(q, name)
    with pytest.raises(RuntimeError, match="this thread's own operation"):
        q.put(1)
    assert (q.qsize(), q.mutex.locked()) == (1, False)


def test_join_from_a_hook_raises_only_if_it_would_wait() -> None:
    q = Calling()
    q.call = q.join
    q.put(0)
    q.call = q.join
    with pytest.raises(RuntimeError, match="this thread's own operation"):
        q.put(1)


def test_put_from_a_hook_of_a_full_queue() -> None:
    q = Calling(1)
    q.put(0)
    q.get()

    def fill() -> None:
        q.put("aside")
        with pytest.raises(queue.Full):
            q.put_nowait("no place")
        with pytest.raises(RuntimeError, match="this thread's own operation"):
            q.put("would wait")
        with pytest.raises(ValueError, match="non-negative"):
            q.put("wrong", timeout=-1)

    q.call = fill
    q.put(1)
    assert list(q.queue) == [1, "aside"]


def test_what_need_not_wait_works_from_a_hook() -> None:
    q = Calling()
    q.put(0)
    seen = []
    q.call = lambda: seen.extend([q.qsize(), q.empty(), q.full(), q.task_done(), q.unfinished_tasks])
    q.put(1)
    assert seen == [1, False, False, None, 0]


def test_shutdown_from_a_hook() -> None:
    q = Calling()
    q.put(0)
    getting = blocked(q.join)
    q.call = lambda: q.shutdown(immediate=True)
    q.put(1)
    assert (q.qsize(), q.is_shutdown, q.unfinished_tasks) == (0, True, 0)
    getting.end()


def test_what_fails_when_it_is_finished_is_reported() -> None:
    class Picky(queue.Queue[Any]):
        def _put(self, item: Any) -> None:
            if item == "first":
                self.put("bad")
                self.put("good")
            if item == "bad":
                raise KeyError(item)
            super()._put(item)

    q = Picky()
    with unraisable() as seen:
        q.put("first")
    assert [type(error) for error in seen] == [KeyError]
    assert list(q.queue) == ["first", "good"]


def test_an_error_of_the_interrupted_put_is_kept() -> None:
    class Failing(queue.Queue[Any]):
        def _put(self, item: Any) -> None:
            if item == "bad":
                self.put("good")
                raise KeyError(item)
            super()._put(item)

    q = Failing()
    with pytest.raises(KeyError):
        q.put("bad")
    assert list(q.queue) == ["good"]


def test_a_getter_takes_what_was_set_aside_before_it_would_wait() -> None:
    class Looking(queue.Queue[Any]):
        looked = 0

        def _qsize(self) -> int:
            self.looked += 1
            if self.looked == 1:
                self.put("from the look")
            return super()._qsize()

    assert Looking().get(timeout=LONG) == "from the look"


@pytest.mark.parametrize("name", ["qsize", "empty", "full", "get_nowait", "get", "task_done", "join", "shutdown"])
def test_who_holds_the_mutex_does_not_wait_for_himself(name: str) -> None:
    q: queue.Queue[Any] = queue.Queue()
    with q.mutex:
        with pytest.raises(RuntimeError, match=r"^this thread holds the queue's mutex, and would wait for itself$"):
            getattr(q, name)()
        with pytest.raises(RuntimeError):
            q.put(1)
    q.put(1)
    assert q.get() == 1
