"""How late a timeout comes, and that it is never early, beside threads that keep the interpreter busy."""

from collections.abc import Callable
from typing import Any

from .. import Cell, Limit, Vain, Workload

MILLISECONDS = (1, 20)
# By the number of busy threads, how far from the standard library's counts as no later. Whoever has waited gets the
# interpreter in turns of 5 ms; beside eight threads the median wanders by a fifth from one run to the next of the same.
BUSY = {0: 1.1, 1: 1.1, 4: 1.1, 8: 1.25}
LATE, WORST, EARLY = "µs late", "µs late, worst", "early"


Wait = Callable[[float], object]


def waits(things: Any) -> dict[str, Wait]:
    """The ways to wait in vain: each takes seconds and returns, or raises, when they have passed."""
    lock, semaphore, condition = things.Lock(), things.Semaphore(0), things.Condition()
    event, items, future = things.Event(), things.Queue(), things.Future()
    lock.acquire()

    def wait(seconds: float) -> None:
        with condition:
            condition.wait(seconds)

    return {
        "Lock.acquire": lambda seconds: lock.acquire(timeout=seconds),
        "Semaphore.acquire": lambda seconds: semaphore.acquire(timeout=seconds),
        "Event.wait": event.wait,
        "Condition.wait": wait,
        "Queue.get": lambda seconds: items.get(timeout=seconds),
        "Future.result": future.result,
    }


def workload(milliseconds: int, busy: int) -> Workload:
    beside = {0: "alone", 1: "beside 1 busy thread"}.get(busy, f"beside {busy} busy threads")
    return Workload(
        f"threads_timeout_{milliseconds}ms_{busy}",
        f"timeouts of {milliseconds} ms, {beside}",
        1,
        None,
        waits,
        kind="timeouts",
        unit="timeouts",
        vain=Vain(milliseconds / 1000, busy),
        cell=Cell(f"Timeouts of {milliseconds} ms", beside),
        limits=(Limit(EARLY, 0), Limit(LATE, BUSY[busy], "stdlib")),
        rounds=3,
        contenders=("stdlib", "fenshen", "fenshen (installed)"),
        everywhere=True,
    )


WORKLOADS = [workload(milliseconds, busy) for milliseconds in MILLISECONDS for busy in BUSY]
