"""Queues: in one thread, from threads to threads on all cores, and back and forth on one."""

from itertools import repeat
from typing import Any

from .. import Cell, Program, Target, Workload
from .crew import together

TABLE = "Queues"
TARGET, MATCH = Target(10, "stdlib"), Target(1, "stdlib")


def put_get(name: str) -> Program:
    """One thread; an operation is an item put and got."""

    def program(things: Any, operations: int) -> None:
        items = getattr(things, name)()
        for _ in repeat(None, operations):
            items.put(1)
            items.get()

    return program


def passing(name: str, pairs: int, *maxsize: int) -> Program:
    """So many threads put and so many get; an operation is an item that has gone through."""

    def program(things: Any, operations: int) -> None:
        items = getattr(things, name)(*maxsize)

        def put() -> None:
            for _ in repeat(None, operations // pairs):
                items.put(1)

        def get() -> None:
            for _ in repeat(None, operations // pairs):
                items.get()

        together(*repeat(put, pairs), *repeat(get, pairs))

    return program


def ping_pong(name: str) -> Program:
    """Two threads send an item back and forth through two queues; an operation is one way."""

    def program(things: Any, operations: int) -> None:
        make = getattr(things, name)
        queues = [make(), make()]

        def player(mine: Any, other: Any) -> None:
            for _ in repeat(None, operations // 2):
                other.put(mine.get())

        queues[0].put(1)
        together(lambda: player(*queues), lambda: player(*reversed(queues)))

    return program


def workload(
    name: str, row: str, batch: int, target: Target | None, program: Program, *, everywhere: bool = True
) -> Workload:
    return Workload(
        f"threads_{name}",
        row,
        batch,
        target,
        program,
        kind="threads",
        unit="items",
        cell=Cell(TABLE, row),
        everywhere=everywhere,
    )


WORKLOADS = [
    workload("put_get", "Queue, put + get in one thread", 50_000, None, put_get("Queue"), everywhere=False),
    workload("put_get_lifo", "LifoQueue, the same", 50_000, None, put_get("LifoQueue"), everywhere=False),
    workload("put_get_priority", "PriorityQueue, the same", 50_000, None, put_get("PriorityQueue"), everywhere=False),
    workload("put_get_simple", "SimpleQueue, the same", 200_000, MATCH, put_get("SimpleQueue"), everywhere=False),
    workload("queue_1_1", "Queue, 1 to 1", 50_000, TARGET, passing("Queue", 1)),
    workload("queue_1_1_100", "Queue(100), 1 to 1", 50_000, TARGET, passing("Queue", 1, 100)),
    workload("queue_4_4", "Queue, 4 to 4", 50_000, TARGET, passing("Queue", 4)),
    workload("queue_4_4_100", "Queue(100), 4 to 4", 50_000, TARGET, passing("Queue", 4, 100)),
    workload("queue_1_1_core", "Queue, 1 to 1, on one core", 50_000, None, passing("Queue", 1), everywhere=False),
    workload("queue_4_4_core", "Queue, 4 to 4, on one core", 50_000, None, passing("Queue", 4), everywhere=False),
    workload("lifo_1_1", "LifoQueue, 1 to 1", 50_000, None, passing("LifoQueue", 1)),
    workload("priority_1_1", "PriorityQueue, 1 to 1", 50_000, None, passing("PriorityQueue", 1)),
    workload("simple_1_1", "SimpleQueue, 1 to 1", 200_000, MATCH, passing("SimpleQueue", 1)),
    workload("simple_4_4", "SimpleQueue, 4 to 4", 200_000, MATCH, passing("SimpleQueue", 4)),
    workload("queue_ping_pong", "Queue, back and forth", 10_000, None, ping_pong("Queue"), everywhere=False),
    workload(
        "simple_ping_pong", "SimpleQueue, back and forth", 10_000, None, ping_pong("SimpleQueue"), everywhere=False
    ),
]
