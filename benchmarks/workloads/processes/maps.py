"""Maps of many small items."""

import functools
from typing import Any

from benchmarks.tasks import twice

from .. import Program, Target, Workload

WORKERS = 2


@functools.cache
def numbers(count: int) -> list[int]:
    return list(range(count))


def mapped(chunk: int | None) -> Program:
    """An operation is an item. The result is looked at, since a map that drops an item is no faster."""

    def program(pool: Any, operations: int) -> None:
        found = pool.map(twice, numbers(operations), chunk)
        assert len(found) == operations
        assert found[-1] == 2 * (operations - 1)

    return program


CHUNK = 100_000 // (4 * WORKERS)  # what `multiprocessing.Pool` makes of as many items

WORKLOADS = [
    Workload(
        "processes_map",
        f"map, 100,000 items in chunks of {CHUNK:,}",
        100_000,
        Target(1, "stdlib Pool"),
        mapped(CHUNK),
        kind="pool",
        unit="items",
        everywhere=True,
    ),
    Workload(
        "processes_map_100",
        "map, 100,000 items in chunks of 100",
        100_000,
        None,
        mapped(100),
        kind="pool",
        unit="items",
        everywhere=True,
    ),
    Workload(
        "processes_map_auto",
        "map, 5,000 items, no chunk size named",
        5_000,
        None,
        mapped(None),
        kind="pool",
        unit="items",
        everywhere=True,
    ),
]
