"""Queues from processes to processes, on all cores."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import repeat
from typing import Any

from .. import Cell, Program, Target, Workload
from .crew import Body, crew

TABLE = "Queues"
TARGET, MATCH = Target(5, "stdlib"), Target(1, "stdlib")
SMALL, LARGE = 100, 100_000


def put(operations: int, queue: Any, size: int) -> None:
    item = b"x" * size
    for _ in repeat(None, operations):
        queue.put(item)


def get(operations: int, queue: Any, size: int) -> None:
    for _ in repeat(None, operations):
        item = queue.get()
    assert len(item) == size


def put_and_join(operations: int, queue: Any, size: int) -> None:
    put(operations, queue, size)
    queue.join()


def get_and_tell(operations: int, queue: Any, size: int) -> None:
    for _ in repeat(None, operations):
        queue.get()
        queue.task_done()


def passing(name: str, pairs: int, size: int, *maxsize: int, putting: Body = put, getting: Body = get) -> Program:
    """So many processes put and so many get; an operation is an item that has gone through."""

    @contextmanager
    def program(things: Any) -> Iterator[Any]:
        queue = getattr(things, name)(*maxsize)
        takes = (queue, size)
        with crew(things, *repeat((putting, takes), pairs), *repeat((getting, takes), pairs)) as members:
            yield lambda operations: members.run(operations // pairs)

    return program


def echo(operations: int, there: Any, back: Any) -> None:
    for _ in repeat(None, operations // 2):
        back.put(there.get())


@contextmanager
def ping_pong(things: Any) -> Iterator[Any]:
    """Two processes send an item back and forth through two queues; an operation is one way."""
    there, back = things.Queue(), things.Queue()
    item = b"x" * SMALL
    with crew(things, (echo, (there, back))) as members:

        def body(operations: int) -> None:
            members.begin(operations)
            for _ in repeat(None, operations // 2):
                there.put(item)
                back.get()
            members.end()

        yield body


def in_one(name: str) -> Program:
    """One process; an operation is an item put and got. A queue whose thread is slow to pass it on waits for that."""

    @contextmanager
    def program(things: Any) -> Iterator[Any]:
        queue, item = getattr(things, name)(), b"x" * SMALL

        def body(operations: int) -> None:
            for _ in repeat(None, operations):
                queue.put(item)
                queue.get()

        yield body

    return program


def workload(name: str, row: str, batch: int, target: Target | None, program: Program, core: bool = False) -> Workload:
    return Workload(
        f"ipc_{name}",
        row,
        batch,
        target,
        program,
        kind="ipc",
        unit="items",
        cell=Cell(TABLE, row),
        everywhere=not core,
    )


JOINED = passing("JoinableQueue", 1, SMALL, putting=put_and_join, getting=get_and_tell)
WORKLOADS = [
    workload("queue_1_1", "Queue, 1 to 1, 100 B", 20_000, TARGET, passing("Queue", 1, SMALL)),
    workload("queue_2_2", "Queue, 2 to 2, 100 B", 20_000, TARGET, passing("Queue", 2, SMALL)),
    workload("queue_100_1_1", "Queue(100), 1 to 1, 100 B", 10_000, None, passing("Queue", 1, SMALL, 100)),
    workload("queue_1_1_100k", "Queue, 1 to 1, 100 KB", 600, None, passing("Queue", 1, LARGE)),
    workload("queue_2_2_100k", "Queue, 2 to 2, 100 KB", 600, None, passing("Queue", 2, LARGE)),
    workload("queue_ping_pong", "Queue, two processes, back and forth", 1_000, None, ping_pong, core=True),
    workload("queue_in_one", "Queue, put + get in one process", 1_000, None, in_one("Queue"), core=True),
    workload("joinable_1_1", "JoinableQueue, 1 to 1, 100 B, task_done + join", 10_000, None, JOINED),
    workload(
        "common_1_1", "fenshen.Queue(shared=True), 1 to 1, 100 B", 20_000, TARGET, passing("CommonQueue", 1, SMALL)
    ),
    workload(
        "common_2_2", "fenshen.Queue(shared=True), 2 to 2, 100 B", 20_000, TARGET, passing("CommonQueue", 2, SMALL)
    ),
    workload("common_100_1_1", "the same, at most 100, 1 to 1", 10_000, None, passing("CommonQueue", 1, SMALL, 100)),
    workload("simple_1_1", "SimpleQueue, 1 to 1, 100 B", 20_000, MATCH, passing("SimpleQueue", 1, SMALL)),
    workload("simple_2_2", "SimpleQueue, 2 to 2, 100 B", 20_000, MATCH, passing("SimpleQueue", 2, SMALL)),
    workload("simple_1_1_100k", "SimpleQueue, 1 to 1, 100 KB", 600, None, passing("SimpleQueue", 1, LARGE)),
    workload("simple_in_one", "SimpleQueue, put + get in one process", 10_000, None, in_one("SimpleQueue"), core=True),
]
