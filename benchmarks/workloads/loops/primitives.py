"""asyncio's primitives among 100 tasks."""

import asyncio

from .. import Target, Workload

TASKS = 100
TARGET = Target(2, "uvloop")


async def queue(operations: int) -> None:
    """50 tasks put and 50 get; an operation is one item passed."""
    pairs = TASKS // 2
    items: asyncio.Queue[int] = asyncio.Queue(10)

    async def put() -> None:
        for number in range(operations // pairs):
            await items.put(number)

    async def get() -> None:
        for _ in range(operations // pairs):
            await items.get()

    await asyncio.gather(*[put() for _ in range(pairs)], *[get() for _ in range(pairs)])


async def lock(operations: int) -> None:
    """Everybody wants the one lock, and holds it over one switch."""
    mutex = asyncio.Lock()

    async def hold() -> None:
        for _ in range(operations // TASKS):
            async with mutex:
                await asyncio.sleep(0)

    await asyncio.gather(*[hold() for _ in range(TASKS)])


async def semaphore(operations: int) -> None:
    """Ten may enter at a time."""
    door = asyncio.Semaphore(10)

    async def enter() -> None:
        for _ in range(operations // TASKS):
            async with door:
                await asyncio.sleep(0)

    await asyncio.gather(*[enter() for _ in range(TASKS)])


async def event(operations: int) -> None:
    """99 tasks wait for each of a row of events, one task sets them; an operation is one task woken."""
    waiters = TASKS - 1
    events = [asyncio.Event() for _ in range(operations // waiters)]

    async def wait() -> None:
        for each in events:
            await each.wait()

    async def fire() -> None:
        for each in events:
            await asyncio.sleep(0)
            each.set()

    await asyncio.gather(*[wait() for _ in range(waiters)], fire())


WORKLOADS = [
    Workload("queue", "Queue(10), 100 tasks", 20_000, TARGET, queue),
    Workload("lock", "Lock, 100 tasks", 20_000, TARGET, lock),
    Workload("semaphore", "Semaphore(10), 100 tasks", 20_000, TARGET, semaphore),
    Workload("event", "Event, 100 tasks", 19_800, TARGET, event),
]
