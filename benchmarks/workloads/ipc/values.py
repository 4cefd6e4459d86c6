"""Values and arrays of ctypes."""

from itertools import repeat
from typing import Any

from .. import Cell, Program, Target, Workload
from .crew import alone, several

TABLE = "Values and arrays"
TARGET = Target(3, "stdlib")


def increment(operations: int, value: Any) -> None:
    for _ in repeat(None, operations):
        with value.get_lock():
            value.value += 1


def read(operations: int, value: Any) -> None:
    for _ in repeat(None, operations):
        _ = value.value


def element(operations: int, array: Any) -> None:
    for _ in repeat(None, operations):
        array[7] += 1


def copied(operations: int, array: Any) -> None:
    for _ in repeat(None, operations):
        array[:]


def counted(processes: int) -> Program:
    return several(lambda things: (things.Value("q", 0),), *repeat(increment, processes))


def workload(name: str, row: str, batch: int, target: Target | None, program: Program, everywhere: bool) -> Workload:
    return Workload(
        f"ipc_{name}", row, batch, target, program, kind="ipc", cell=Cell(TABLE, row), everywhere=everywhere
    )


def value(things: Any) -> Any:
    return things.Value("q", 0)


def array(things: Any) -> Any:
    return things.Array("d", 1000)


WORKLOADS = [
    workload("value_add", "Value, += 1 under its lock", 20_000, TARGET, alone(value, increment), False),
    workload("value_add_2", "Value, += 1 under its lock, 2 processes", 10_000, None, counted(2), True),
    workload("value_read", "Value, read", 20_000, None, alone(value, read), False),
    workload("array_element", "Array, array[i] += 1", 20_000, None, alone(array, element), False),
    workload("array_copy", "Array of 1000, array[:]", 10_000, None, alone(array, copied), False),
    workload(
        "value_made",
        "Value, made",
        200,
        None,
        alone(lambda things: things, lambda n, t: [value(t) for _ in range(n)]),
        False,
    ),
]
