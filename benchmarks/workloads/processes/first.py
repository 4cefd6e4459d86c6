"""A new pool up to its first result, in a process that made no pool before; and then what its workers weigh."""

from typing import Any

from benchmarks.pools import Function
from benchmarks.tasks import nothing

from .. import Target, Workload

TARGET = Target(1, "stdlib fork")


def no_op() -> tuple[Function, Any]:
    return nothing, None


def with_numpy() -> tuple[Function, Any]:
    from benchmarks.tasks_numpy import total

    return total, 10


WORKLOADS = [
    Workload(
        "processes_first",
        "a new pool's first result, a no-op's",
        1,
        TARGET,
        no_op,
        kind="first",
        unit="pools",
        everywhere=True,
    ),
    Workload(
        "processes_first_numpy",
        "a new pool's first result, numpy imported",
        1,
        TARGET,
        with_numpy,
        kind="first",
        unit="pools",
        everywhere=True,
    ),
]
