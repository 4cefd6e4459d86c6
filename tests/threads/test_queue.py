"""`Queue`: what every queue does, held to the standard library's."""

from __future__ import annotations

import copy
import gc
import pickle
import queue as standard
import sys
import time
import types
import weakref
from typing import Any

import pytest
from commands import PYTHON, needs_native, run
from fenshen import queue as native

from threads.queues import LONG, Running, blocked, each, each_with_shutdown, until

pytestmark = needs_native


@each
def test_items_come_out_as_they_went_in(queue: Any) -> None:
    q = queue.Queue()
    for i in range(100):
        q.put(i)
    assert (q.qsize(), q.empty(), q.full()) == (100, False, False)
    assert [q.get() for _ in range(100)] == list(range(100))
    assert (q.qsize(), q.empty(), q.full()) == (0, True, False)


@each
def test_a_bound(queue: Any) -> None:
    q = queue.Queue(2)
    assert q.maxsize == 2
    q.put(1)
    q.put(2, timeout=0)
    assert q.full()
    for refused in (
        lambda: q.put(3, block=False),
        lambda: q.put_nowait(3),
        lambda: q.put(3, True, 0),
        lambda: q.put(3, timeout=0.01),
    ):
        with pytest.raises(standard.Full):
            refused()
    assert (q.get(), q.get_nowait()) == (1, 2)
    for refused in (lambda: q.get(False), q.get_nowait, lambda: q.get(timeout=0.01), lambda: q.get(True, 0)):
        with pytest.raises(standard.Empty):
            refused()


@each
@pytest.mark.parametrize("maxsize", [0, -1, -(10**30), 10**30, True, 2.5, 0.0, float("inf")])
def test_any_number_is_a_bound(queue: Any, maxsize: Any) -> None:
    q = queue.Queue(maxsize)
    taken = 0
    while taken < 5:
        try:
            q.put_nowait(taken)
        except queue.Full:
            break
        taken += 1
    assert q.maxsize is maxsize
    assert taken == {True: 1, 2.5: 3}.get(maxsize, 5)
    assert q.full() == (taken < 5)


@each
def test_what_is_no_number_is_noticed_when_it_matters(queue: Any) -> None:
    q = queue.Queue(None)
    with pytest.raises(TypeError, match="'>' not supported between instances of 'NoneType' and 'int'"):
        q.put(1)


@each
def test_the_bound_may_be_changed(queue: Any) -> None:
    q = queue.Queue(1)
    q.put(1)
    q.maxsize = 2
    q.put(2, block=False)
    q.maxsize = 1
    assert q.full()
    with pytest.raises(queue.Full):
        q.put_nowait(3)
    q.get()
    with pytest.raises(queue.Full):
        q.put_nowait(3)
    q.maxsize = 0
    q.put_nowait(3)
    assert not q.full()


def test_a_higher_bound_lets_in_who_waits() -> None:
    q = native.Queue(1)
    q.put(1)
    putting = blocked(q.put, 2)
    q.maxsize = 2
    putting.end()
    assert q.qsize() == 2


@each
def test_wrong_timeouts(queue: Any) -> None:
    q = queue.Queue(1)
    for wrong in (lambda: q.get(timeout=-1), lambda: q.get(True, -0.5), lambda: q.put(1, timeout=-1)):
        with pytest.raises(ValueError, match=r"^'timeout' must be a non-negative number$"):
            wrong()
    with pytest.raises(TypeError, match="'<' not supported between instances of 'str' and 'int'"):
        q.get(timeout="1")
    with pytest.raises(OverflowError):
        q.get(timeout=1e30)
    with pytest.raises(queue.Empty):
        q.get(False, timeout=-1)
    q.put(1)
    assert q.get(timeout=1e30) == 1
    unbounded = queue.Queue()
    unbounded.put(1, timeout=-1)
    unbounded.put(1, timeout="never looked at")
    with pytest.raises(ValueError, match="non-negative"):
        unbounded.get(timeout=-1)
    assert unbounded.qsize() == 2


@each
def test_wrong_arguments(queue: Any) -> None:
    q = queue.Queue()
    for wrong in (
        q.put,
        lambda: q.put(1, item=2),
        lambda: q.get(1, 2, 3),
        lambda: q.get(when=1),
        lambda: queue.Queue(1, 2),
    ):
        with pytest.raises(TypeError):
            wrong()
    q.put(item=1, block=True, timeout=None)
    q.put_nowait(item=2)
    assert (q.get(block=True, timeout=None), q.get(block=1)) == (1, 2)


@each
def test_a_wait_is_never_too_short(queue: Any) -> None:
    q = queue.Queue(1)
    began = time.monotonic()
    with pytest.raises(queue.Empty):
        q.get(timeout=0.05)
    assert time.monotonic() - began >= 0.05
    q.put(1)
    began = time.monotonic()
    with pytest.raises(queue.Full):
        q.put(2, timeout=0.05)
    assert time.monotonic() - began >= 0.05


@each
def test_getters_and_putters_wait_for_each_other(queue: Any) -> None:
    q = queue.Queue(1)
    getting = blocked(q.get)
    q.put("a")
    assert getting.end() == "a"
    q.put("b")
    putting = blocked(q.put, "c", timeout=LONG)
    assert q.get() == "b"
    putting.end()
    assert q.get(timeout=LONG) == "c"


def test_getters_and_putters_are_served_as_they_came() -> None:
    q = native.Queue(1)
    getters = [blocked(q.get) for _ in range(4)]
    for i in range(4):
        q.put(i)
    assert [getter.end() for getter in getters] == [0, 1, 2, 3]
    q.put(0)
    putters = [blocked(q.put, i) for i in range(1, 5)]
    assert [q.get() for _ in range(5)] == list(range(5))
    for putter in putters:
        putter.end()


@each
def test_tasks(queue: Any) -> None:
    q = queue.Queue()
    q.join()
    for i in range(3):
        q.put(i)
    assert q.unfinished_tasks == 3
    joining = blocked(q.join)
    for _ in range(3):
        q.get()
        q.task_done()
    joining.end()
    with pytest.raises(ValueError, match=r"^task_done\(\) called too many times$"):
        q.task_done()
    q.unfinished_tasks = 1
    q.task_done()
    q.join()
    assert q.unfinished_tasks == 0


@each
def test_workers_and_join(queue: Any) -> None:
    q = queue.Queue(3)
    total: list[int] = []

    def work() -> None:
        while (n := q.get()) is not None:
            total.append(n)
            q.task_done()
        q.task_done()

    workers = [Running(work) for _ in range(4)]
    for i in range(200):
        q.put(i)
    q.join()
    assert sorted(total) == list(range(200))
    for _ in workers:
        q.put(None)
    q.join()
    for worker in workers:
        worker.end()


@each_with_shutdown
def test_shutdown(queue: Any) -> None:
    q = queue.Queue(1)
    assert q.is_shutdown is False
    q.put(1)
    putting = blocked(q.put, 2)
    q.shutdown()
    with pytest.raises(queue.ShutDown):
        putting.end()
    assert q.is_shutdown is True
    for refused in (lambda: q.put(3), lambda: q.put_nowait(3), lambda: q.put(3, timeout=-1)):
        with pytest.raises(queue.ShutDown):
            refused()
    assert q.get() == 1
    for refused in (q.get, q.get_nowait, lambda: q.get(timeout=-1), lambda: q.get(timeout=0.01)):
        with pytest.raises(queue.ShutDown):
            refused()
    q.task_done()
    q.join()


@each_with_shutdown
def test_shutdown_at_once(queue: Any) -> None:
    q = queue.Queue()
    for i in range(3):
        q.put(i)
    q.get()
    joining = blocked(q.join)
    q.shutdown(immediate=True)
    assert (q.qsize(), q.unfinished_tasks) == (0, 1)
    q.task_done()
    joining.end()
    with pytest.raises(queue.ShutDown):
        q.get()
    empty = queue.Queue()
    getting = blocked(empty.get)
    empty.shutdown(True)
    with pytest.raises(queue.ShutDown):
        getting.end()


def test_what_is_thrown_away_may_use_the_queue() -> None:
    q = native.Queue()
    seen = []

    class Item:
        def __del__(self) -> None:
            seen.append(q.qsize())

    q.put(Item())
    q.shutdown(immediate=True)
    assert seen == [0]


def test_exceptions_are_the_standard_ones() -> None:
    assert native.Empty is standard.Empty
    assert native.Full is standard.Full
    assert native.Queue.Empty is standard.Empty
    assert native.Queue.Full is standard.Full
    assert native.LifoQueue.Empty is standard.Empty  # type: ignore[attr-defined]
    assert native.Queue.ShutDown is native.ShutDown  # type: ignore[attr-defined]
    assert native.ShutDown is getattr(standard, "ShutDown", native.ShutDown)
    assert pickle.loads(pickle.dumps(native.ShutDown)) is native.ShutDown


@pytest.mark.parametrize("name", ["Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"])
def test_isinstance_holds_both_ways(name: str) -> None:
    ours, theirs = getattr(native, name), getattr(standard, name)
    assert isinstance(ours(), theirs)
    assert isinstance(theirs(), ours)
    assert issubclass(theirs, ours)
    derived = type("Derived", (ours,), {})
    assert isinstance(derived(), ours)
    assert not isinstance(theirs(), derived)
    if name not in ("Queue", "SimpleQueue"):
        assert isinstance(ours(), standard.Queue)
        assert isinstance(ours(), native.Queue)
        assert not isinstance(native.Queue(), ours)
        assert not isinstance(standard.Queue(), ours)


@each
def test_generic(queue: Any) -> None:
    assert isinstance(queue.Queue[int], types.GenericAlias)
    assert queue.Queue[int].__origin__ is queue.Queue
    assert isinstance(queue.SimpleQueue[int], types.GenericAlias)


@each
def test_weak_references_and_attributes(queue: Any) -> None:
    q = queue.Queue()
    q.note = "mine"
    assert vars(q)["note"] == "mine"
    ref = weakref.ref(q)
    assert ref() is q
    del q
    gc.collect()
    assert ref() is None


@each
def test_derived_classes(queue: Any) -> None:
    class Slotted(queue.Queue):  # type: ignore[misc]
        __slots__ = ("extra",)

    class Named(queue.Queue):  # type: ignore[misc]
        def __init__(self, name: str, maxsize: int = 0) -> None:
            super().__init__(maxsize)
            self.name = name

    slotted, named = Slotted(2), Named("a", maxsize=1)
    slotted.extra = 1
    named.put(slotted)
    assert (named.full(), named.name, named.get().extra) == (True, "a", 1)


@each
def test_nowait_goes_by_what_a_derived_class_makes_of_put_and_get(queue: Any) -> None:
    calls = []

    class Noting(queue.Queue):  # type: ignore[misc]
        def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
            calls.append(("put", block))
            super().put(item, block, timeout)

        def get(self, block: bool = True, timeout: float | None = None) -> Any:
            calls.append(("get", block))
            return super().get(block, timeout)

    q = Noting()
    q.put_nowait(1)
    assert q.get_nowait() == 1
    assert calls == [("put", False), ("get", False)]
    one = queue.Queue()
    one.put = lambda item, block: calls.append((item, block))
    one.put_nowait(2)
    assert calls[-1] == (2, False)


@each
@pytest.mark.parametrize(("name", "what"), [("Queue", "_thread.lock"), ("SimpleQueue", "_queue.SimpleQueue")])
def test_pickling_is_refused(queue: Any, name: str, what: str) -> None:
    for refused in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match=f"^cannot pickle '{what}' object$"):
            refused(getattr(queue, name)())


class Kept(native.Queue[Any]):
    """A queue whose program says what there is to pickle of it."""

    def __getstate__(self) -> list[Any]:
        return list(self.queue)

    def __setstate__(self, items: list[Any]) -> None:
        self.__init__()  # type: ignore[misc]
        for item in items:
            self.put(item)


def test_a_derived_class_may_be_pickled() -> None:
    q = Kept()
    q.put(1)
    assert pickle.loads(pickle.dumps(q)).get() == 1


def test_copying_is_refused() -> None:
    with pytest.raises(TypeError, match=r"cannot pickle '_thread\.lock' object"):
        copy.copy(native.Queue())


@each
def test_an_init_that_is_called_again_begins_anew(queue: Any) -> None:
    q = queue.Queue(1)
    q.put(1)
    q.__init__(2)
    assert (q.qsize(), q.maxsize, q.unfinished_tasks) == (0, 2, 0)
    q.put(1)
    q.put(2)
    assert q.full()


def test_without_an_init_it_is_an_empty_queue_without_bound() -> None:
    class Bare(native.Queue[Any]):
        def __init__(self) -> None:
            pass

    class Overriding(Bare):
        def _put(self, item: Any) -> None:
            super()._put(2 * item)

    plain, overriding = Bare(), Overriding()
    priority = native.PriorityQueue.__new__(native.PriorityQueue)
    for q in (plain, overriding, priority):
        assert q.empty()
        assert not q.full()
        q.put(1)
    assert (plain.get(), overriding.get(), priority.get()) == (1, 2, 1)


@each
def test_queues_that_hold_themselves_are_collected(queue: Any) -> None:
    class Owner:
        pass

    refs = []
    for name in ("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"):
        q, owner = getattr(queue, name)(), Owner()
        owner.queue = q  # type: ignore[attr-defined]
        q.put((1, owner))
        refs.append(weakref.ref(owner))
    exposed, owner = queue.Queue(), Owner()
    owner.queue = exposed.queue  # type: ignore[attr-defined]
    exposed.put(owner)
    exposed.back = exposed
    refs.append(weakref.ref(owner))
    del q, owner, exposed
    gc.collect()
    assert [ref() for ref in refs] == [None] * 5


def test_nothing_leaks() -> None:
    class Item:
        pass

    def round_trip() -> None:
        q = native.Queue(2)
        q.put(Item())
        q.put(Item())
        with pytest.raises(native.Full):
            q.put(Item(), timeout=0.001)
        q.get()
        assert q.mutex is q.mutex
        assert q.queue is q.queue
        q.put(Item())
        q.shutdown(immediate=True)
        with pytest.raises(native.ShutDown):
            q.put(Item())
        lifo, simple = native.LifoQueue(), native.SimpleQueue()
        lifo.put(Item())
        simple.put(Item())
        with pytest.raises(native.Empty):
            native.Queue().get(timeout=0.001)

    def count() -> tuple[int, int]:
        gc.collect()
        return sum(isinstance(o, Item) for o in gc.get_objects()), sys.getrefcount(native.Empty)

    round_trip()
    before = count()
    for _ in range(100):
        round_trip()
    items, references = count()
    assert items == before[0] == 0
    assert references - before[1] < 50


def test_the_queue_outlives_those_who_wait() -> None:
    q = native.Queue()
    ref = weakref.ref(q)
    getting = blocked(q.get)
    del q
    waiting = ref()
    assert waiting is not None
    waiting.put("item")
    del waiting
    assert getting.end() == "item"
    del getting
    until(lambda: gc.collect() is not None and ref() is None)


def test_without_the_native_engine_the_names_are_the_standard_librarys() -> None:
    program = (
        "import queue; from fenshen import queue as q; "
        "print(q.Queue is queue.Queue, q.SimpleQueue is queue.SimpleQueue, q.ShutDown)"
    )
    status, out, err = run([*PYTHON, "-c", program], FENSHEN_ENGINE="stdlib")
    assert (status, err) == (0, "")
    assert out.startswith("True True <class ")
