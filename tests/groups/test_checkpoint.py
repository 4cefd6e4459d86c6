"""A thread's cancellation: raised once, by a checkpoint or by the wait that the thread is in or comes to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

import fenshen
import pytest
from commands import needs_native
from fenshen import TaskGroup, multiprocessing, queue
from fenshen import threading as ours
from fenshen._cancelling import Cancellation
from fenshen.futures import Future, ThreadPoolExecutor, wait
from threads.sides import FUTEX, Running, until

from groups import parts

pytestmark = needs_native


def held(kind: Callable[[], Any]) -> Any:
    """A lock that this thread holds."""
    lock = kind()
    lock.acquire()
    return lock


def full() -> Any:
    """A queue that takes no more."""
    found: Any = queue.Queue(1)
    found.put(None)
    return found


def wait_for_notice() -> None:
    condition = ours.Condition()
    with condition:
        condition.wait()


# Each is made by the thread that does not wait.
WAITS: dict[str, Callable[[], Callable[[], object]]] = {
    "Lock.acquire": lambda: held(ours.Lock).acquire,
    "RLock.acquire": lambda: held(ours.RLock).acquire,
    "Condition.wait": lambda: wait_for_notice,
    "Semaphore.acquire": lambda: ours.Semaphore(0).acquire,
    "Event.wait": lambda: ours.Event().wait,
    "Event.wait with a timeout": lambda: lambda: ours.Event().wait(parts.PATIENCE),
    "Barrier.wait": lambda: ours.Barrier(2).wait,
    "Queue.get": lambda: queue.Queue().get,
    "Queue.put": lambda: lambda: full().put(1),
    "Queue.join": lambda: lambda: full().join(),
    "SimpleQueue.get": lambda: queue.SimpleQueue().get,
    "Future.result": lambda: Future().result,
    "Future.exception": lambda: Future().exception,
    "wait": lambda: lambda: wait([Future()]),
    "multiprocessing.Lock.acquire": lambda: held(multiprocessing.Lock).acquire,
    "multiprocessing.Event.wait": lambda: multiprocessing.Event().wait,
}

each_wait = pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in WAITS.items()])


class Worker:
    """A thread whose work is cancelled."""

    def __init__(self, *steps: Callable[[], object]):
        self.cancellation = Cancellation()
        self.raised: list[str] = []
        self.origins: set[int] = set()
        self._steps = steps
        self.running = Running(self._run)

    def _run(self) -> None:
        with self.cancellation:
            for step in self._steps:
                try:
                    step()
                except CancelledError as e:
                    self.raised.append(str(e))
                    self.origins.add(e._cancellation)  # type: ignore[attr-defined]


@each_wait
def test_a_wait_that_goes_on_ends(make: Callable[[], Callable[[], object]]) -> None:
    worker = Worker(make(), fenshen.checkpoint, lambda: ours.Event().wait(0.001))
    until(lambda: sleeps(worker.running))
    assert worker.cancellation.cancel("why")
    assert not worker.cancellation.cancel()
    worker.running.get()
    assert worker.raised == ["why"]
    assert worker.cancellation.raised
    assert worker.origins == {worker.cancellation.origin}


def sleeps(running: Running) -> bool:
    """Whether it sleeps on a futex, with a timeout or not."""
    number = running._thread.native_id
    if number is None:
        return False
    with open(f"/proc/self/task/{number}/syscall") as f:
        return f.read().split()[0] == FUTEX and bool(running._thread.ident)


@each_wait
def test_a_wait_that_begins_later_ends(make: Callable[[], Callable[[], object]]) -> None:
    gate = threading.Event()
    worker = Worker(lambda: spin_until(gate), make(), make_harmless())
    worker.cancellation.cancel()
    gate.set()
    worker.running.get()
    assert worker.raised == [""]


def spin_until(gate: threading.Event) -> None:
    while not gate.is_set():
        pass


def make_harmless() -> Callable[[], object]:
    return lambda: ours.Event().wait(0.001)


def test_what_need_not_wait_does_not_raise() -> None:
    def work() -> None:
        ours.Lock().acquire()
        event = ours.Event()
        event.set()
        event.wait()
        items: Any = queue.Queue()
        items.put(1)
        items.get()

    gate = threading.Event()
    worker = Worker(lambda: spin_until(gate), work, fenshen.checkpoint)
    worker.cancellation.cancel()
    gate.set()
    worker.running.get()
    assert worker.raised == [""]


def test_a_condition_is_held_again_when_its_wait_raises() -> None:
    condition = ours.Condition()
    owned = []

    def work() -> None:
        with condition:
            try:
                condition.wait()
            finally:
                owned.append(condition._is_owned())

    worker = Worker(work)
    until(lambda: len(condition._waiters))
    worker.cancellation.cancel()
    worker.running.get()
    assert owned == [True]
    assert worker.raised == [""]
    assert condition.acquire(False)


def test_nothing_is_lost_by_a_wait_that_raises() -> None:
    items: Any = queue.Queue()
    for i in range(50):
        got: list[int] = []
        worker = Worker(lambda got=got: got.append(items.get()))
        putter = Running(lambda i=i: items.put(i))
        worker.cancellation.cancel()
        worker.running.get()
        putter.get()
        assert got == [i] or items.get_nowait() == i


def test_checkpoint_raises_once_in_a_thread_of_a_group() -> None:
    raised = []

    def work() -> str:
        try:
            parts.spin()
        except CancelledError:
            raised.append(1)
        fenshen.checkpoint()
        assert ours.Event().wait(0.001) is False  # clean-up may wait
        return "cleaned up"

    with TaskGroup() as group:
        child = group.to_thread(work)
        group.cancel()
    assert raised == [1] or child.cancelled()  # the latter if it had not begun


def test_a_thread_that_returns_all_the_same_has_its_result() -> None:
    begun = threading.Event()

    def work() -> str:
        try:
            parts.spin(begun)
        except CancelledError:
            return "cleaned up"

    with TaskGroup() as group:
        child = group.to_thread(work)
        begun.wait(parts.PATIENCE)
        group.cancel()
    assert child.result() == "cleaned up"
    assert not child.cancelled()


def test_a_cancelled_error_of_its_own_is_an_error() -> None:
    def work() -> None:
        future: Any = Future()
        future.cancel()
        future.result()

    with pytest.raises(parts.ExceptionGroup) as caught, TaskGroup() as group:
        child = group.to_thread(work)
    assert isinstance(caught.value.exceptions[0], CancelledError)
    assert not child.cancelled()


def test_a_pools_thread_forgets_what_it_was_told() -> None:
    with ThreadPoolExecutor(1) as pool:
        with TaskGroup(thread_pool=pool) as group:
            begun = threading.Event()
            group.to_thread(parts.spin, begun)
            begun.wait(parts.PATIENCE)
            group.cancel()
        assert pool.submit(fenshen.checkpoint).result() is None
        assert pool.submit(ours.Event().wait, 0.001).result() is False


def test_outside_of_groups_nothing_happens() -> None:
    assert fenshen.checkpoint() is None
    assert Running(fenshen.checkpoint).get() is None
