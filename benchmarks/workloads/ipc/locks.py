"""Locks and semaphores: what it costs to take one and give it back, alone and among processes."""

from itertools import repeat
from typing import Any

from .. import Cell, Program, Target, Workload
from .crew import alone, several

TABLE = "Locks and semaphores"
LEVEL = Target(1, "stdlib")


def pairs(operations: int, lock: Any) -> None:
    """An operation is `acquire()` and `release()`."""
    for _ in repeat(None, operations):
        lock.acquire()
        lock.release()


def blocks(operations: int, lock: Any) -> None:
    for _ in repeat(None, operations):
        with lock:
            pass


def worked_under(operations: int, lock: Any) -> None:
    """Some work under the lock, some without it."""
    for _ in repeat(None, operations):
        with lock:
            sum(range(20))
        sum(range(20))


def uncontended(name: str, body: Any = pairs) -> Program:
    return alone(lambda things: getattr(things, name)(), body)


def contended(name: str, processes: int, body: Any = pairs) -> Program:
    return several(lambda things: (getattr(things, name)(),), *repeat(body, processes))


def workload(name: str, row: str, batch: int, target: Target | None, program: Program, everywhere: bool) -> Workload:
    return Workload(
        f"ipc_{name}", row, batch, target, program, kind="ipc", cell=Cell(TABLE, row), everywhere=everywhere
    )


WORKLOADS = [
    workload("lock", "Lock, acquire + release", 100_000, LEVEL, uncontended("Lock"), False),
    workload("lock_with", "Lock, with", 100_000, LEVEL, uncontended("Lock", blocks), False),
    workload("rlock", "RLock, acquire + release", 100_000, LEVEL, uncontended("RLock"), False),
    workload("semaphore", "Semaphore, acquire + release", 100_000, LEVEL, uncontended("Semaphore"), False),
    workload("bounded", "BoundedSemaphore, acquire + release", 100_000, LEVEL, uncontended("BoundedSemaphore"), False),
    workload("lock_2", "Lock, 2 processes want it", 10_000, None, contended("Lock", 2), True),
    workload("lock_4", "Lock, 4 processes want it", 10_000, None, contended("Lock", 4), True),
    workload(
        "lock_4_worked",
        "Lock, 4 processes, work within and without",
        8_000,
        None,
        contended("Lock", 4, worked_under),
        True,
    ),
    workload("rlock_4", "RLock, 4 processes want it", 10_000, None, contended("RLock", 4), True),
    workload("semaphore_4", "Semaphore, 4 processes want it", 10_000, None, contended("Semaphore", 4), True),
]
