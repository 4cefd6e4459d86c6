"""Locks and semaphores that nobody else wants: what it costs to take one and give it back."""

from itertools import repeat
from typing import Any

from .. import Cell, Program, Target, Workload
from .crew import together

TABLE = "Locks and semaphores, uncontended"
LOCK, SEMAPHORE = Target(1.3, "stdlib"), Target(8, "stdlib")


def pairs(name: str) -> Program:
    """An operation is `acquire()` and `release()`."""

    def program(things: Any, operations: int) -> None:
        lock = getattr(things, name)()
        for _ in repeat(None, operations):
            lock.acquire()
            lock.release()

    return program


def blocks(name: str) -> Program:
    """An operation is an empty `with` statement."""

    def program(things: Any, operations: int) -> None:
        lock = getattr(things, name)()
        for _ in repeat(None, operations):
            with lock:
                pass

    return program


def refused(things: Any, operations: int) -> None:
    """Another thread has taken the lock: `acquire(blocking=False)` says so."""
    lock = things.Lock()
    together(lock.acquire)
    for _ in repeat(None, operations):
        lock.acquire(blocking=False)


def within(things: Any, operations: int) -> None:
    """The thread holds it already."""
    lock = things.RLock()
    lock.acquire()
    for _ in repeat(None, operations):
        lock.acquire()
        lock.release()


def workload(name: str, row: str, target: Target | None, program: Program) -> Workload:
    return Workload(f"threads_{name}", row, 200_000, target, program, kind="threads", cell=Cell(TABLE, row))


WORKLOADS = [
    workload("lock", "Lock, acquire + release", LOCK, pairs("Lock")),
    workload("lock_with", "Lock, with", LOCK, blocks("Lock")),
    workload("lock_refused", "Lock, acquire(blocking=False) of a held one", None, refused),
    workload("rlock", "RLock, acquire + release", LOCK, pairs("RLock")),
    workload("rlock_with", "RLock, with", LOCK, blocks("RLock")),
    workload("rlock_again", "RLock, taken again by its owner", None, within),
    workload("semaphore", "Semaphore, acquire + release", SEMAPHORE, pairs("Semaphore")),
    workload("semaphore_with", "Semaphore, with", SEMAPHORE, blocks("Semaphore")),
    workload("bounded_semaphore", "BoundedSemaphore, acquire + release", SEMAPHORE, pairs("BoundedSemaphore")),
]
