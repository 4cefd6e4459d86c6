"""Events, conditions, barriers and semaphores by which processes wake each other, on one core."""

from itertools import repeat
from typing import Any

from .. import Cell, Program, Target, Workload
from .crew import alone, facing

TABLE = "Events, conditions, barriers"


def set_and_clear(operations: int, event: Any) -> None:
    for _ in repeat(None, operations):
        event.set()
        event.is_set()
        event.clear()


def notify(operations: int, condition: Any) -> None:
    """Nobody waits."""
    for _ in repeat(None, operations):
        with condition:
            condition.notify()


def wake_by_events(operations: int, mine: Any, other: Any) -> None:
    for _ in repeat(None, operations // 2):
        mine.wait()
        mine.clear()
        other.set()


def event_first(operations: int, one: Any, two: Any) -> None:
    one.set()
    wake_by_events(operations, one, two)


def event_second(operations: int, one: Any, two: Any) -> None:
    wake_by_events(operations, two, one)


def semaphore_first(operations: int, one: Any, two: Any) -> None:
    for _ in repeat(None, operations // 2):
        two.release()
        one.acquire()


def semaphore_second(operations: int, one: Any, two: Any) -> None:
    for _ in repeat(None, operations // 2):
        two.acquire()
        one.release()


def take_turns(operations: int, condition: Any, turn: Any, me: int) -> None:
    for _ in repeat(None, operations // 2):
        with condition:
            while turn.value != me:
                condition.wait()
            turn.value = 1 - me
            condition.notify()


def condition_first(operations: int, condition: Any, turn: Any) -> None:
    take_turns(operations, condition, turn, 0)


def condition_second(operations: int, condition: Any, turn: Any) -> None:
    take_turns(operations, condition, turn, 1)


def meet(operations: int, barrier: Any) -> None:
    for _ in repeat(None, operations):
        barrier.wait()


def two(name: str, *arguments: Any) -> Any:
    return lambda things: (getattr(things, name)(*arguments), getattr(things, name)(*arguments))


def workload(name: str, row: str, batch: int, target: Target | None, program: Program) -> Workload:
    return Workload(f"ipc_{name}", row, batch, target, program, kind="ipc", cell=Cell(TABLE, row))


WORKLOADS = [
    workload("event", "Event, set + is_set + clear", 10_000, None, alone(lambda things: things.Event(), set_and_clear)),
    workload(
        "event_wake",
        "Event, two processes wake each other",
        2_000,
        None,
        facing(two("Event"), event_first, event_second),
    ),
    workload(
        "semaphore_wake",
        "Semaphore(0), two processes wake each other",
        4_000,
        None,
        facing(two("Semaphore", 0), semaphore_first, semaphore_second),
    ),
    workload(
        "condition", "Condition, with + notify(), nobody waits", 10_000, None, alone(lambda t: t.Condition(), notify)
    ),
    workload(
        "condition_wake",
        "Condition, two processes wake each other",
        2_000,
        None,
        facing(lambda things: (things.Condition(), things.RawValue("i", 0)), condition_first, condition_second),
    ),
    workload("barrier_2", "Barrier, rounds of 2 processes", 1_000, None, facing(lambda t: (t.Barrier(2),), meet, meet)),
    workload(
        "barrier_4", "Barrier, rounds of 4 processes", 500, None, facing(lambda t: (t.Barrier(4),), *repeat(meet, 4))
    ),
]
