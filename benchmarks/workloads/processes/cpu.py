"""Python that never waits, on both workers; the floor is two processes that are nothing but that."""

from itertools import repeat
from typing import Any

from benchmarks.tasks import burn

from .. import Target, Workload
from .arrays import ONE_METHOD

FLOOR = "floor"
STEPS = 100_000  # some 10 ms


def burning(pool: Any, operations: int) -> None:
    pool.many(burn, repeat(STEPS, operations))


WORKLOADS = [
    Workload(
        "processes_cpu",
        "CPU work, tasks of some 10 ms, two workers",
        100,
        Target(0.95, FLOOR),
        burning,
        kind="burn",
        unit="tasks",
        contenders=(*ONE_METHOD, FLOOR),
        everywhere=True,
    )
]
