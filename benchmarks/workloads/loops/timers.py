"""Timers that fire, and timers that are cancelled before."""

import asyncio

from .. import Target, Workload


def nothing() -> None:
    pass


async def fire(operations: int) -> None:
    """Delays of 1 to 5 ms, in no order, so many that all are due when the last has been set."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    left = operations

    def fired() -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set_result(None)

    for number in range(operations):
        loop.call_later(0.001 + (number * 7919 % 4001) * 1e-6, fired)
    await done


async def cancel(operations: int) -> None:
    """A thousand timeouts at a time that never come to pass, as of requests that are answered."""
    loop = asyncio.get_running_loop()
    for _ in range(operations // 1000):
        timers = [loop.call_later(10 + number * 7919 % 50, nothing) for number in range(1000)]
        for timer in timers:
            timer.cancel()
        await asyncio.sleep(0)


WORKLOADS = [
    Workload("timers_fire", "timers that fire", 50_000, Target(1, "rloop"), fire),
    Workload("timers_cancel", "timers cancelled", 50_000, Target(1, "rloop"), cancel),
]
