"""One measurement of a process pool, in a process of its own: `python -m
benchmarks.pool_child WHO WORKLOAD SECONDS CORE`.

It is what `child.py` is to the rest, and imports little, since workers that are spawned import their main module too.
"""

import json
import os
import sys
import time

from . import family
from .measured import Measured, repeat
from .pinned import Pinned
from .pools import POOLS, Make, Pool
from .tasks import nothing, pid
from .together import TOGETHER
from .workloads import Workload, every

WORKERS = 2
FLOOR = "floor"
A_WORKER, ALL = "MB a worker", "MB of all it starts"


def maker(name: str) -> Make:
    return Pinned if name == FLOOR else POOLS[name].make()


def workers(pool: Pool) -> set[int]:
    """Those that run the tasks, every one of which has run some."""
    found: set[int] = set()
    for _ in range(20):
        found.update(pool.many(pid, range(2 * WORKERS)))
        if len(found) == WORKERS:
            return found
    raise RuntimeError(f"{len(found)} workers of {WORKERS} had tasks")


def pool(workload: Workload, name: str, seconds: float) -> Measured:
    """A program with a pool, again and again."""
    assert workload.program
    body, pool = workload.program, maker(name)(WORKERS)
    workers(pool)
    pool.many(nothing, range(100))

    def batch(operations: int = workload.batch) -> int:
        body(pool, operations)
        return operations

    batch()
    measured = repeat(batch, seconds, family.cpu)
    pool.close()
    return measured


def first(workload: Workload, name: str, seconds: float) -> Measured:
    """From a pool's making to its first result, once; and the memory then."""
    assert workload.program
    make = maker(name)
    task = workload.program()
    started, cpu = time.perf_counter(), family.cpu()
    pool = make(WORKERS)
    pool.one(*task)
    took = Measured(1, time.perf_counter() - started, family.cpu() - cpu)
    pool.many(task[0], [task[1]] * 100)
    weights = [family.memory(each) / 1e6 for each in workers(pool)]
    of_all = sum(family.memory(each) / 1e6 for each in family.descendants())
    measured = took._replace(more={A_WORKER: sum(weights) / WORKERS, ALL: of_all})
    pool.close()
    return measured


def served(workload: Workload, name: str, seconds: float) -> Measured:
    """Requests, again and again; everything is there and warm."""
    assert workload.program
    program, server = workload.program, TOGETHER[name].make()()

    def batch(operations: int = workload.batch) -> int:
        program(server, operations)
        return operations

    measured = repeat(batch, seconds, family.cpu)
    server.close()
    return measured


MEASURES = {"pool": pool, "burn": pool, "first": first, "served": served}


def main() -> None:
    name, which, seconds, core = sys.argv[1:]
    workload = every()[which]
    if not workload.everywhere:
        os.sched_setaffinity(0, {int(core)})
    print(json.dumps(MEASURES[workload.kind](workload, name, float(seconds))._asdict()))


if __name__ == "__main__":
    main()
