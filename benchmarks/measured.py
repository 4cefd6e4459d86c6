"""What a measurement in a process of its own gives, and what its parts are made of."""

import gc
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple


class Measured(NamedTuple):
    """Operations, seconds on the clock, seconds of the measured process's CPU, and what else there is to say."""

    operations: float
    seconds: float
    cpu: float
    more: Mapping[str, float] = {}


def repeat(batch: Callable[[], int], seconds: float, clock: Callable[[], float] = time.process_time) -> Measured:
    """Run batches until that much time has passed: operations, seconds, seconds of CPU by that clock."""
    gc.collect()
    cpu, operations, started = clock(), 0, time.perf_counter()
    while (took := time.perf_counter() - started) < seconds:
        operations += batch()
    return Measured(operations, took, clock() - cpu)


def own_memory() -> int:
    """Bytes of this process, what is shared counted by its share."""
    gc.collect()
    for row in pathlib.Path("/proc/self/smaps_rollup").read_text().splitlines():
        if row.startswith("Pss:"):
            return int(row.split()[1]) * 1024
    raise LookupError("the kernel does not say how much memory a process has")
