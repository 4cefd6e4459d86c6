"""Events, conditions and barriers: set and told with nobody there, and between threads on one core.

Two threads that hand plain locks to each other do little but wake: what no pair of threads can be much quicker than.
"""

from itertools import repeat
from typing import Any

from .. import Cell, Program, Target, Workload
from .crew import together

TABLE = "Events, conditions, barriers"
TARGET = Target(3, "stdlib")
WAITERS = 10


def event(things: Any, operations: int) -> None:
    """An operation is `set()`, `is_set()` and `clear()`."""
    signal = things.Event()
    for _ in repeat(None, operations):
        signal.set()
        signal.is_set()
        signal.clear()


def event_set_already(things: Any, operations: int) -> None:
    signal = things.Event()
    signal.set()
    for _ in repeat(None, operations):
        signal.wait()


def event_ping_pong(things: Any, operations: int) -> None:
    """Two threads wake each other; an operation is one wake-up."""
    signals = [things.Event(), things.Event()]

    def player(mine: Any, other: Any) -> None:
        for _ in repeat(None, operations // 2):
            mine.wait()
            mine.clear()
            other.set()

    signals[0].set()
    together(lambda: player(*signals), lambda: player(*reversed(signals)))


def lock_ping_pong(things: Any, operations: int) -> None:
    """Each releases the lock that the other one waits for; an operation is one wake-up."""
    locks = [things.Lock(), things.Lock()]
    for lock in locks:
        lock.acquire()

    def player(mine: Any, other: Any) -> None:
        for _ in repeat(None, operations // 2):
            mine.acquire()
            other.release()

    locks[0].release()
    together(lambda: player(*locks), lambda: player(*reversed(locks)))


def notify(things: Any, operations: int) -> None:
    """Nobody waits; an operation is `with condition: condition.notify()`."""
    condition = things.Condition()
    for _ in repeat(None, operations):
        with condition:
            condition.notify()


def notify_waiters(things: Any, operations: int) -> None:
    """Ten threads wait; when all do, each is told by a `notify()` of its own. An operation is one of them woken."""
    lock = things.Lock()
    told, gathered = things.Condition(lock), things.Condition(lock)
    rounds = operations // WAITERS
    waiting = 0

    def wait() -> None:
        nonlocal waiting
        with lock:
            for _ in repeat(None, rounds):
                waiting += 1
                if waiting == WAITERS:
                    gathered.notify()
                told.wait()

    def tell() -> None:
        nonlocal waiting
        with lock:
            for _ in repeat(None, rounds):
                while waiting < WAITERS:
                    gathered.wait()
                waiting = 0
                for _ in repeat(None, WAITERS):
                    told.notify()

    together(*repeat(wait, WAITERS), tell)


def condition_ping_pong(things: Any, operations: int) -> None:
    """Two threads take turns; an operation is one turn."""
    condition = things.Condition()
    turn = 0

    def player(me: int) -> None:
        nonlocal turn
        for _ in repeat(None, operations // 2):
            with condition:
                while turn != me:
                    condition.wait()
                turn = 1 - me
                condition.notify()

    together(lambda: player(0), lambda: player(1))


def barrier(parties: int) -> Program:
    """An operation is one round of all of them."""

    def program(things: Any, operations: int) -> None:
        meeting = things.Barrier(parties)

        def meet() -> None:
            for _ in repeat(None, operations):
                meeting.wait()

        together(*repeat(meet, parties))

    return program


def workload(name: str, row: str, batch: int, target: Target | None, program: Program, unit: str = "") -> Workload:
    return Workload(
        f"threads_{name}", row, batch, target, program, kind="threads", unit=unit or "operations", cell=Cell(TABLE, row)
    )


WORKLOADS = [
    workload("event", "Event, set + is_set + clear", 100_000, TARGET, event),
    workload("event_wait", "Event, wait() for one that is set", 100_000, None, event_set_already),
    workload("event_ping_pong", "Event, two threads wake each other", 10_000, TARGET, event_ping_pong),
    workload("lock_ping_pong", "Lock, two threads wake each other", 10_000, None, lock_ping_pong)._replace(
        contenders=("stdlib", "fenshen", "fenshen (installed)")  # a lock of aiologic's has an owner
    ),
    workload("notify", "Condition, with + notify(), nobody waits", 100_000, TARGET, notify),
    workload("notify_waiters", "Condition, notify() to each of ten that wait", 10_000, TARGET, notify_waiters),
    workload("condition_ping_pong", "Condition, two threads take turns", 10_000, None, condition_ping_pong),
    workload("barrier_2", "Barrier, rounds of 2 threads", 5_000, TARGET, barrier(2)),
    workload("barrier_4", "Barrier, rounds of 4 threads", 2_500, TARGET, barrier(4)),
]
