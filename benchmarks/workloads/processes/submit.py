"""What a task costs that does nothing."""

from itertools import repeat
from typing import Any

from benchmarks.tasks import nothing

from .. import Target, Workload

OUTSTANDING = 2000
SMALL = ("stdlib fork", "stdlib Pool", "loky", "pebble", "mpire")
OURS = ("fenshen", "fenshen Pool", "fenshen (installed)")


def outstanding(pool: Any, operations: int) -> None:
    for _ in repeat(None, operations // OUTSTANDING):
        pool.many(nothing, repeat(None, OUTSTANDING))


def one_at_a_time(pool: Any, operations: int) -> None:
    for _ in repeat(None, operations):
        pool.one(nothing, None)


WORKLOADS = [
    Workload(
        "processes_submit",
        f"submit + result, {OUTSTANDING} outstanding",
        OUTSTANDING,
        Target(10, "stdlib fork"),
        outstanding,
        also=(Target(3, "stdlib Pool"),),
        kind="pool",
        unit="tasks",
        everywhere=True,
    ),
    Workload(
        "processes_submit_one",
        "submit + result, one at a time",
        100,
        None,
        one_at_a_time,
        kind="pool",
        unit="tasks",
        everywhere=True,
    ),
    Workload(
        "processes_submit_one_core",
        "submit + result, one at a time, all on one core",
        100,
        None,
        one_at_a_time,
        kind="pool",
        unit="tasks",
        contenders=(*SMALL, *OURS),
    ),
]
