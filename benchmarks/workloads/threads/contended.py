"""The same lock, semaphore or queue for two threads and for eight, on all cores."""

import time
from itertools import repeat
from typing import Any

from .. import Cell, Program, Workload
from .crew import together

TABLE = "Contended"
CROWDS = (2, 8)


def shared(name: str, crowd: int) -> Program:
    """Each takes it and counts; an operation is one that was let in."""

    def program(things: Any, operations: int) -> None:
        lock, counts = getattr(things, name)(), [0]

        def count() -> None:
            for _ in repeat(None, operations // crowd):
                with lock:
                    counts[0] += 1

        together(*repeat(count, crowd))
        if counts[0] != operations // crowd * crowd:
            raise AssertionError(f"{operations} were to be let in, one at a time, and the count is {counts[0]}")

    return program


def held(name: str, crowd: int) -> Program:
    """The holder lets the interpreter go, so that the others come and find it taken."""

    def program(things: Any, operations: int) -> None:
        lock, pause = getattr(things, name)(), time.sleep

        def hold() -> None:
            for _ in repeat(None, operations // crowd):
                with lock:
                    pause(0)

        together(*repeat(hold, crowd))

    return program


def put_and_get(crowd: int) -> Program:
    """Each puts an item and gets one, whoever's it is."""

    def program(things: Any, operations: int) -> None:
        items = things.Queue()

        def pass_on() -> None:
            for _ in repeat(None, operations // crowd):
                items.put(1)
                items.get()

        together(*repeat(pass_on, crowd))

    return program


def workload(name: str, row: str, batch: int, program: Program) -> Workload:
    cell = Cell(TABLE, row)
    return Workload(f"threads_{name}", row, batch, None, program, kind="threads", cell=cell, everywhere=True)


WORKLOADS = [
    each
    for crowd in CROWDS
    for each in (
        workload(f"lock_{crowd}", f"Lock, {crowd} threads", 100_000, shared("Lock", crowd)),
        workload(f"lock_held_{crowd}", f"Lock held over a pause, {crowd} threads", 4_000, held("Lock", crowd)),
        workload(f"rlock_{crowd}", f"RLock, {crowd} threads", 100_000, shared("RLock", crowd)),
        workload(f"semaphore_{crowd}", f"Semaphore, {crowd} threads", 40_000, shared("Semaphore", crowd)),
        workload(
            f"semaphore_held_{crowd}", f"Semaphore held over a pause, {crowd} threads", 4_000, held("Semaphore", crowd)
        ),
        workload(f"queue_{crowd}", f"Queue, {crowd} threads that put and get", 40_000, put_and_get(crowd)),
    )
]
