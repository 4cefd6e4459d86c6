"""Queues from threads to tasks of a loop: each peer's own loop, or asyncio's where it has none."""

import asyncio
import threading
from itertools import repeat
from typing import Any

from .. import Cell, Program, Target, Workload

TABLE = "Queues from threads to tasks"
TARGETS = (Target(5, "culsans"), Target(5, "janus"))


def meeting(pairs: int, *maxsize: int) -> Program:
    """So many threads put and so many tasks get; an operation is an item that has gone through."""

    def program(things: Any, operations: int) -> None:
        async def main() -> None:
            put, get = things.ends(*maxsize)

            def produce() -> None:
                for _ in repeat(None, operations // pairs):
                    put(1)

            async def consume() -> None:
                for _ in repeat(None, operations // pairs):
                    await get()

            threads = [threading.Thread(target=produce) for _ in range(pairs)]
            for thread in threads:
                thread.start()
            await asyncio.gather(*(consume() for _ in range(pairs)))

        things.run(main())

    return program


def answering(things: Any, operations: int) -> None:
    """A thread and a task send an item back and forth; an operation is one way."""

    async def main() -> None:
        there, get = things.ends()
        back = things.SimpleQueue()

        def player() -> None:
            for _ in repeat(None, operations // 2):
                there(1)
                back.get()

        thread = threading.Thread(target=player)
        thread.start()
        for _ in repeat(None, operations // 2):
            await get()
            back.put(1)

    things.run(main())


def workload(name: str, row: str, batch: int, targets: tuple[Target, ...], program: Program, core: bool) -> Workload:
    return Workload(
        f"meeting_{name}",
        f"threads to tasks, {row}",
        batch,
        targets[0] if targets else None,
        program,
        kind="threads",
        unit="items",
        cell=Cell(TABLE, row),
        everywhere=not core,
        also=targets[1:],
    )


WORKLOADS = [
    workload("1_1", "1 to 1", 50_000, TARGETS, meeting(1), False),
    workload("1_1_100", "1 to 1, at most 100", 20_000, TARGETS, meeting(1, 100), False),
    workload("4_4", "4 to 4", 50_000, TARGETS, meeting(4), False),
    workload("1_1_core", "1 to 1, on one core", 50_000, TARGETS, meeting(1), True),
    workload("4_4_100_core", "4 to 4, at most 100, on one core", 20_000, TARGETS, meeting(4, 100), True),
    workload("answered", "back and forth, on one core", 5_000, (), answering, True),
]
