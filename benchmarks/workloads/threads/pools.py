"""Thread pools and futures."""

import asyncio
from collections.abc import Iterable
from itertools import repeat
from typing import Any

from .. import Cell, Program, Target, Workload
from .crew import together

TABLE = "Pools and futures"
TARGET = Target(3, "stdlib")
WORKERS, OUTSTANDING = 4, 1000


def nothing(*anything: object) -> None:
    pass


def one_at_a_time(things: Any, operations: int) -> None:
    with things.ThreadPoolExecutor(WORKERS) as pool:
        for _ in repeat(None, operations):
            pool.submit(nothing).result()


def outstanding(things: Any, operations: int) -> None:
    """A thousand are submitted, then all their results fetched."""
    with things.ThreadPoolExecutor(WORKERS) as pool:
        for _ in repeat(None, operations // OUTSTANDING):
            for future in [pool.submit(nothing) for _ in repeat(None, OUTSTANDING)]:
                future.result()


def executor_map(things: Any, operations: int) -> None:
    with things.ThreadPoolExecutor(WORKERS) as pool:
        for _ in repeat(None, operations // OUTSTANDING):
            for _ in pool.map(nothing, range(OUTSTANDING)):
                pass


def start(things: Any, operations: int) -> None:
    """An operation is a pool that runs one task and is shut down."""
    for _ in repeat(None, operations):
        with things.ThreadPoolExecutor(WORKERS) as pool:
            pool.submit(nothing).result()


def future(things: Any, operations: int) -> None:
    """Made, given a result, asked for it."""
    make = things.Future
    for _ in repeat(None, operations):
        made = make()
        made.set_result(None)
        made.result()


def future_ping_pong(things: Any, operations: int) -> None:
    """Two threads wait for futures that the other one sets; an operation is one wake-up."""
    make = things.Future
    waiting = [make(), make()]

    def player(me: int) -> None:
        other = 1 - me
        for _ in repeat(None, operations // 2):
            waiting[me].result()
            waiting[me] = make()
            waiting[other].set_result(None)

    waiting[0].set_result(None)
    together(lambda: player(0), lambda: player(1))


def wait(things: Any, operations: int) -> None:
    with things.ThreadPoolExecutor(WORKERS) as pool:
        for _ in repeat(None, operations // OUTSTANDING):
            things.wait([pool.submit(nothing) for _ in repeat(None, OUTSTANDING)])


def as_completed(things: Any, operations: int) -> None:
    with things.ThreadPoolExecutor(WORKERS) as pool:
        for _ in repeat(None, operations // OUTSTANDING):
            for _ in things.as_completed([pool.submit(nothing) for _ in repeat(None, OUTSTANDING)]):
                pass


def apply(things: Any, operations: int) -> None:
    with things.ThreadPool(WORKERS) as pool:
        for _ in repeat(None, operations):
            pool.apply(nothing)


def pool_map(things: Any, operations: int) -> None:
    """One task in each chunk, as its executor's `map` has it."""
    with things.ThreadPool(WORKERS) as pool:
        for _ in repeat(None, operations // OUTSTANDING):
            pool.map(nothing, range(OUTSTANDING), 1)


def on_loop(body: Any) -> Program:
    """A coroutine on a loop, ours or asyncio's, whose executor is that of the loop's making."""

    def program(things: Any, operations: int) -> None:
        loop = things.new_event_loop()
        loop.run_until_complete(body(operations))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    return program


async def to_thread(operations: int) -> None:
    for _ in repeat(None, operations):
        await asyncio.to_thread(nothing)


async def in_executor(operations: int) -> None:
    loop = asyncio.get_running_loop()
    for _ in repeat(None, operations):
        await loop.run_in_executor(None, nothing)


async def in_executor_many(operations: int) -> None:
    loop = asyncio.get_running_loop()
    for _ in repeat(None, operations // OUTSTANDING):
        await asyncio.gather(*[loop.run_in_executor(None, nothing) for _ in repeat(None, OUTSTANDING)])


def rows() -> Iterable[tuple[str, str, int, Target | None, Program, bool]]:
    """The name, the title, the batch, the target, the program, whether on every core."""
    yield "submit_one", "submit + result, one at a time", 5_000, TARGET, one_at_a_time, False
    yield "submit_1000", "submit + result, 1000 outstanding", 10_000, TARGET, outstanding, True
    yield "submit_1000_core", "submit + result, 1000 outstanding, on one core", 10_000, None, outstanding, False
    yield "executor_map", "ThreadPoolExecutor.map, 1000 items", 10_000, None, executor_map, True
    yield "wait", "submit 1000, wait", 10_000, None, wait, True
    yield "as_completed", "submit 1000, as_completed", 10_000, None, as_completed, True
    yield "pool_start", "a pool for one task", 100, None, start, False
    yield "future", "Future, made + set_result + result", 20_000, None, future, False
    yield "future_ping_pong", "Future, two threads wake each other", 5_000, None, future_ping_pong, False
    yield "pool_apply", "ThreadPool.apply, one at a time", 5_000, None, apply, False
    yield "pool_map", "ThreadPool.map, 1000 items", 10_000, None, pool_map, True
    yield "to_thread", "await to_thread(), one at a time", 2_000, None, on_loop(to_thread), False
    yield "in_executor", "await run_in_executor(None), one at a time", 2_000, None, on_loop(in_executor), False
    yield "in_executor_1000", "run_in_executor(None), 1000 gathered", 5_000, None, on_loop(in_executor_many), True


WORKLOADS = [
    Workload(
        f"threads_{name}",
        row,
        batch,
        target,
        program,
        kind="threads",
        unit="tasks",
        cell=Cell(TABLE, row),
        everywhere=everywhere,
    )
    for name, row, batch, target, program, everywhere in rows()
]
