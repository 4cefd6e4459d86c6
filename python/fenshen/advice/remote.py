"""What was measured of functions that a pool of processes called, on our engine.

Nothing of it is sampled: the pool's process times the pickling, the copying and the loading of each task by its
thread's CPU clock, and the worker times the call by the wall clock, its CPU clock, and the time without a processor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fenshen.advice import functions

# The most workers that a pool had which a function was handed to, by the function's number.
_workers: dict[int, int] = {}
# What a task calls that makes several calls: told by name, as the program may never import them.
_CHUNK = ("fenshen._process_map", "_chunk")
_STARS = (("multiprocessing.pool", "mapstar"), ("multiprocessing.pool", "starmapstar"))


def task(supervisor: Any, fn: Any, args: tuple[Any, ...]) -> tuple[int, int]:
    """Called before a task is pickled: the number of the row of the function that it calls, and how often it does."""
    calls = 1
    name = (getattr(fn, "__module__", None), getattr(fn, "__qualname__", None))
    if name == _CHUNK:
        fn, calls = args[0], len(args[1])
    elif name in _STARS:
        fn, calls = args[0][0], len(args[0][1])
    number = functions.number("process", fn)
    _workers[number] = max(_workers.get(number, 0), supervisor.workers)
    return number, calls


class Move:
    """A way of the data, all tasks together: its bytes, and the seconds that pickling and copying them took, and
    loading them.
    """

    __slots__ = ("dump", "load", "size")

    def __init__(self, size: int, dump: int, load: int) -> None:
        self.size = size
        self.dump = dump / 1e9
        self.load = load / 1e9

    @property
    def seconds(self) -> float:
        """What it took, on both sides."""
        return self.dump + self.load


class Remote:
    """What was measured of one function. Times are in seconds."""

    def __init__(self, row: Sequence[int], workers: int) -> None:
        self.number, self.running, peak, span = row[:4]
        self.tasks, self.calls, self.raised = row[4:7]
        self.wall, self.cpu, self.starved = (nanoseconds / 1e9 for nanoseconds in row[7:10])
        self.there = Move(*row[10:13])
        self.back = Move(*row[13:16])
        # With at least one task on its way.
        self.span = span / 1e9
        self.workers = workers
        self.at_once = min(peak, workers)

    @property
    def own(self) -> float:
        """What the calls took, without the time in which the workers had no processor."""
        return max(self.wall - self.starved, min(self.cpu, self.wall))

    @property
    def cpu_share(self) -> float:
        """How much of that was CPU time."""
        return min(1.0, self.cpu / max(self.own, 1e-9))

    @property
    def moving(self) -> float:
        """What it took to move arguments and results."""
        return self.there.seconds + self.back.seconds

    @property
    def size(self) -> float:
        """How many bytes were moved for each call, both ways together."""
        return (self.there.size + self.back.size) / max(self.calls, 1)

    @property
    def chunk(self) -> float:
        """How many calls a task made."""
        return self.calls / max(self.tasks, 1)


def read(row: Sequence[int]) -> Remote:
    """From a row of `_fenshen.advise_remote_counts`."""
    return Remote(row, _workers.get(row[0], 1))


def forget() -> None:
    """After a fork, in the child: nothing was handed over yet."""
    _workers.clear()
