"""Callbacks: batches of call_soon, and a thread that floods call_soon_threadsafe."""

import asyncio
import threading

from .. import Target, Workload

BATCH = 1000


def nothing() -> None:
    pass


async def call_soon(operations: int) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(operations // BATCH):
        done = loop.create_future()
        for _ in range(BATCH - 1):
            loop.call_soon(nothing)
        loop.call_soon(done.set_result, None)
        await done


async def threadsafe(operations: int) -> None:
    """A thread calls in as fast as it can; an operation is one call that has run here."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def flood() -> None:
        for _ in range(operations - 1):
            loop.call_soon_threadsafe(nothing)
        loop.call_soon_threadsafe(done.set_result, None)

    thread = threading.Thread(target=flood)
    thread.start()
    await done
    thread.join()


WORKLOADS = [
    Workload("call_soon", "call_soon, batches of 1000", 100_000, Target(1, "rloop"), call_soon),
    Workload("threadsafe", "call_soon_threadsafe flood", 100_000, Target(1, "rloop"), threadsafe),
]
