"""Measures what threads use: programs, the memory of objects, and how punctual timeouts are."""

import contextlib
import queue
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent import futures

from .measured import Measured, own_memory, repeat
from .peers import Things
from .workloads import Workload
from .workloads.threads.objects import BYTES
from .workloads.threads.timeouts import EARLY, LATE, WORST, Wait

OBJECTS = 5  # batches of them whose memory is taken


def program(workload: Workload, things: Things, seconds: float) -> Measured:
    """A program of threads, again and again."""
    assert workload.program
    body = workload.program

    def batch(operations: int = workload.batch) -> int:
        body(things, operations)
        return operations

    batch(max(min(1000, workload.batch), workload.batch // 5))
    return repeat(batch, seconds)


def objects(workload: Workload, things: Things, seconds: float) -> Measured:
    """How fast they are made, and what the process grows by when many are kept."""
    assert workload.program
    made = program(workload, things, seconds)
    before = own_memory()
    kept = [workload.program(things, workload.batch) for _ in range(OBJECTS)]
    references = 8 * workload.batch * OBJECTS
    grown = own_memory() - before - references
    return made._replace(more={BYTES: grown / sum(map(len, kept))})


@contextlib.contextmanager
def busy(threads: int) -> Iterator[None]:
    """So many threads that never wait."""
    over = False

    def spin() -> None:
        while not over:
            pass

    spinning = [threading.Thread(target=spin, daemon=True) for _ in range(threads)]
    for thread in spinning:
        thread.start()
    yield
    over = True
    for thread in spinning:
        thread.join()


def late(wait: Wait, seconds: float) -> float:
    """Microseconds by which the end of one wait is later than its timeout."""
    started = time.monotonic_ns()
    with contextlib.suppress(queue.Empty, futures.TimeoutError):
        wait(seconds)
    return (time.monotonic_ns() - started - round(seconds * 1e9)) / 1e3


def timeouts(workload: Workload, things: Things, seconds: float) -> Measured:
    """The waits in turn, each 150 times in every second that a measurement has."""
    assert workload.program
    assert workload.vain
    waits = workload.program(things)
    found: dict[str, list[float]] = {name: [] for name in waits}
    started, cpu = time.perf_counter(), time.process_time()
    with busy(workload.vain.busy):
        for _ in range(max(3, round(150 * seconds))):
            for name, wait in waits.items():
                found[name].append(late(wait, workload.vain.seconds))
    every = [each for numbers in found.values() for each in numbers]
    more = {LATE: statistics.median(every), WORST: max(every), EARLY: float(sum(each < 0 for each in every))}
    more |= {name: statistics.median(numbers) for name, numbers in found.items()}
    return Measured(len(every), time.perf_counter() - started, time.process_time() - cpu, more)


MEASURES = {"threads": program, "objects": objects, "timeouts": timeouts}
