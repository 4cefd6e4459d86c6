"""What a queue is made of, for programs that reach inside: `mutex`, `queue`, the conditions, and the hooks."""

from __future__ import annotations

import collections
import threading
import time
from typing import Any

import pytest
from commands import needs_native
from fenshen import queue as native

from threads.queues import LONG, Running, blocked, each, each_with_shutdown

pytestmark = needs_native


@each
def test_what_is_inside(queue: Any) -> None:
    q = queue.Queue(3)
    q.put(1)
    q.put(2)
    assert type(q.queue) is collections.deque
    assert list(q.queue) == [1, 2]
    assert q.queue is q.queue
    assert q.mutex is q.mutex
    for condition in (q.not_empty, q.not_full, q.all_tasks_done):
        assert isinstance(condition, threading.Condition)
        with condition:
            assert q.mutex.locked()
    assert not q.mutex.locked()
    assert (q.unfinished_tasks, q.maxsize) == (2, 3)


@each
def test_the_items_may_be_changed(queue: Any) -> None:
    q = queue.Queue(3)
    q.put(1)
    with q.mutex:
        q.queue.extend([2, 3])
        q.queue.rotate(1)
    assert q.full()
    assert [q.get() for _ in range(3)] == [3, 1, 2]
    q.put("a")
    with q.mutex:
        q.queue.clear()
    assert q.empty()
    q.queue = collections.deque(["b"])
    assert q.get_nowait() == "b"


@each
@pytest.mark.parametrize(
    "operation",
    [
        lambda q: q.put(1),
        lambda q: q.get(),
        lambda q: q.get_nowait(),
        lambda q: q.qsize(),
        lambda q: q.empty(),
        lambda q: q.full(),
        lambda q: q.task_done(),
        lambda q: q.join(),
    ],
)
def test_who_holds_the_mutex_has_the_queue_to_himself(queue: Any, operation: Any) -> None:
    q = queue.Queue()
    q.put(0)
    q.mutex.acquire()
    waiting = blocked(operation, q)
    if q.unfinished_tasks:
        q.unfinished_tasks = 1
    q.mutex.release()
    if operation.__code__.co_names != ("join",):
        waiting.end()
    else:
        q.task_done()
        waiting.end()


@each
def test_the_program_may_notify(queue: Any) -> None:
    q = queue.Queue(1)
    with q.mutex:
        pass
    getting = blocked(q.get)
    with q.not_empty:
        q.queue.append("mine")
        q.not_empty.notify()
    assert getting.end() == "mine"
    q.put(1)
    putting = blocked(q.put, 2)
    with q.mutex:
        q.queue.clear()
        q.not_full.notify()
    putting.end()
    joining = blocked(q.join)
    with q.all_tasks_done:
        q.unfinished_tasks = 0
        q.all_tasks_done.notify_all()
    joining.end()


@each
def test_the_program_may_wait(queue: Any) -> None:
    q = queue.Queue(1)

    def wait(condition: Any, true: Any) -> bool:
        with condition:
            return bool(condition.wait_for(true, LONG))

    waiting = blocked(wait, q.not_empty, lambda: q.queue)
    q.put(1)
    assert waiting.end()
    waiting = blocked(wait, q.not_full, lambda: not q.queue)
    q.get()
    assert waiting.end()
    waiting = blocked(wait, q.all_tasks_done, lambda: not q.unfinished_tasks)
    q.task_done()
    assert waiting.end()


def test_a_queue_is_exposed_while_threads_wait_in_it() -> None:
    q = native.Queue(1)
    getters = [blocked(q.get) for _ in range(3)]
    assert len(q.queue) == 0
    with q.mutex:
        q.queue.extend([1, 2])
        q.not_empty.notify_all()
    q.put(3)
    assert sorted(getter.end() for getter in getters) == [1, 2, 3]
    other = native.Queue(1)
    other.put(1)
    putting, timed = blocked(other.put, 2), blocked(other.put, 3, timeout=LONG)
    joining = blocked(other.join)
    with other.mutex:
        assert list(other.queue) == [1]
    got = [other.get(timeout=LONG) for _ in range(3)]
    assert got[0] == 1
    assert sorted(got) == [1, 2, 3]
    putting.end()
    timed.end()
    for _ in got:
        other.task_done()
    joining.end()


def test_a_wait_keeps_its_end_when_the_queue_is_exposed() -> None:
    q = native.Queue()
    began = time.monotonic()
    getting = blocked(q.get, timeout=0.3)
    q.queue  # noqa: B018
    with pytest.raises(native.Empty):
        getting.end()
    assert time.monotonic() - began >= 0.3


def test_nothing_is_lost_when_a_queue_is_exposed_amid_the_traffic() -> None:
    for round_ in range(20):
        q = native.Queue(round_ % 4)
        count = 400

        def put(start: int, q: Any = q, count: int = count) -> None:
            for i in range(start, count, 2):
                q.put(i)

        def get(q: Any = q, count: int = count) -> list[int]:
            return [q.get(timeout=LONG) for _ in range(count // 2)]

        running = [Running(put, 0), Running(put, 1)]
        getting = [Running(get), Running(get)]
        q.queue  # noqa: B018
        for each_ in running:
            each_.end()
        assert sorted(i for part in getting for i in part.end()) == list(range(count))


@each
def test_every_hook_overridden(queue: Any) -> None:
    class Newest(queue.Queue):  # type: ignore[misc]
        def _init(self, maxsize: int) -> None:
            self.told = maxsize
            self.items: dict[Any, None] = {}

        def _qsize(self) -> int:
            return len(self.items)

        def _put(self, item: Any) -> None:
            self.items[item] = None

        def _get(self) -> Any:
            return self.items.popitem()[0]

    q = Newest(2)
    assert q.told == 2
    q.put("a")
    q.put("a")
    q.put("b")
    assert (q.qsize(), q.full(), q.unfinished_tasks) == (2, True, 3)
    putting = blocked(q.put, "c")
    assert q.get() == "b"
    putting.end()
    assert (q.get(), q.get(), q.empty()) == ("c", "a", True)
    getting = blocked(q.get)
    q.put("d")
    assert getting.end() == "d"


@each
def test_some_hooks_overridden(queue: Any) -> None:
    class Unique(queue.Queue):  # type: ignore[misc]
        def _init(self, maxsize: int) -> None:
            super()._init(maxsize)
            self.seen: set[Any] = set()

        def _put(self, item: Any) -> None:
            if item not in self.seen:
                self.seen.add(item)
                super()._put(item)

    q = Unique(self_maxsize := 2)
    for item in (1, 1, 2):
        q.put(item)
    assert (list(q.queue), q.maxsize) == ([1, 2], self_maxsize)

    class AsSet(queue.Queue):  # type: ignore[misc]
        def _init(self, maxsize: int) -> None:
            self.queue = set()

        def _put(self, item: Any) -> None:
            self.queue.add(item)

        def _get(self) -> Any:
            return self.queue.pop()

    s = AsSet()
    s.put(1)
    s.put(1)
    assert (s.qsize(), s.get(), s.empty()) == (1, 1, True)


@each
def test_a_hook_that_fails(queue: Any) -> None:
    class Failing(queue.Queue):  # type: ignore[misc]
        fails = False

        def _put(self, item: Any) -> None:
            if self.fails:
                raise KeyError(item)
            super()._put(item)

        def _get(self) -> Any:
            if self.fails:
                raise IndexError
            return super()._get()

    q = Failing()
    q.put(1)
    q.fails = True
    with pytest.raises(KeyError):
        q.put(2)
    with pytest.raises(IndexError):
        q.get()
    q.fails = False
    assert (q.unfinished_tasks, q.get(), q.mutex.locked()) == (1, 1, False)


@each
def test_a_hook_set_on_one_queue(queue: Any) -> None:
    q = queue.Queue()
    q.put(1)
    seen = []
    q._put = seen.append
    q.put(2)
    assert (seen, q.qsize()) == ([2], 1)


@each
def test_the_hooks_themselves(queue: Any) -> None:
    q = queue.Queue()
    q._put(1)
    q._put(2)
    assert (q._qsize(), q._get(), q.get(), q.unfinished_tasks) == (2, 1, 2, 0)
    q._init(0)
    assert q.empty()


@each
def test_another_mutex(queue: Any) -> None:
    class Reentrant(queue.Queue):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.mutex = threading.RLock()
            self.not_empty = threading.Condition(self.mutex)
            self.not_full = threading.Condition(self.mutex)
            self.all_tasks_done = threading.Condition(self.mutex)

    q = Reentrant()
    with q.mutex:
        q.put(1)
        assert q.get() == 1
    getting = blocked(q.get, timeout=LONG)
    q.put(2)
    assert getting.end() == 2
    with pytest.raises(queue.Empty):
        q.get(timeout=0.01)


@each_with_shutdown
def test_an_exposed_queue_shuts_down(queue: Any) -> None:
    q = queue.Queue(1)
    q.put(1)
    assert list(q.queue) == [1]
    putting = blocked(q.put, 2)
    joining = blocked(q.join)
    q.shutdown(immediate=True)
    with pytest.raises(queue.ShutDown):
        putting.end()
    joining.end()
    for refused in (q.get, q.get_nowait, lambda: q.put(1)):
        with pytest.raises(queue.ShutDown):
            refused()
    other = queue.Queue()
    other.put(1)
    assert other.mutex
    other.shutdown()
    assert (other.get(), other.is_shutdown) == (1, True)
    with pytest.raises(queue.ShutDown):
        other.get(timeout=-1)


@each
def test_an_exposed_queue_counts_tasks(queue: Any) -> None:
    q = queue.Queue()
    q.put(1)
    assert q.mutex
    joining = blocked(q.join)
    q.task_done()
    joining.end()
    with pytest.raises(ValueError, match=r"^task_done\(\) called too many times$"):
        q.task_done()


@each
def test_methods_put_in_place_of_a_condition_s_own(queue: Any) -> None:
    """As tests of other people's queues do, to see that a thread waits and is told."""
    q = queue.Queue(1)
    waits, told = threading.Event(), []
    own_wait, own_notify = q.not_full.wait, q.not_full.notify

    def wait(timeout: float | None = None) -> bool:
        waits.set()
        return bool(own_wait(timeout))

    def notify(n: int = 1) -> None:
        told.append(n)
        own_notify(n)

    q.not_full.wait, q.not_full.notify = wait, notify
    q.put("first")
    putting = Running(q.put, "second", timeout=LONG)
    assert waits.wait(LONG)
    assert q.get() == "first"
    putting.end()
    assert told == [1]
    assert q.get() == "second"
