"""Tasks: switching between them, making them, waiting for futures."""

import asyncio

from .. import Target, Workload

TASKS = 100


async def nothing() -> None:
    pass


async def sleep_zero(operations: int) -> None:
    async def switch() -> None:
        for _ in range(operations // TASKS):
            await asyncio.sleep(0)

    await asyncio.gather(*[switch() for _ in range(TASKS)])


async def spawn(operations: int) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(operations):
        await loop.create_task(nothing())


async def ping_pong(operations: int) -> None:
    """Two tasks wake each other through futures; an operation is one wake-up."""
    loop = asyncio.get_running_loop()
    waiting = [loop.create_future(), loop.create_future()]

    async def player(me: int) -> None:
        other = 1 - me
        for _ in range(operations // 2):
            await waiting[me]
            waiting[me] = loop.create_future()
            waiting[other].set_result(None)

    waiting[0].set_result(None)
    await asyncio.gather(player(0), player(1))


async def gather(operations: int) -> None:
    await asyncio.gather(*[asyncio.create_task(nothing()) for _ in range(operations)])


WORKLOADS = [
    Workload("sleep0", "task switch: sleep(0), 100 tasks", 50_000, Target(2, "uvloop"), sleep_zero),
    Workload("spawn", "spawn and await a task", 20_000, Target(3, "uvloop"), spawn),
    Workload("ping_pong", "future ping-pong", 20_000, Target(2.5, "uvloop"), ping_pong),
    Workload("gather", "create_task + gather, 100k", 100_000, Target(1.8, "uvloop"), gather),
]
