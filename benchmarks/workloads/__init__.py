"""What is measured, one file a group. A workload is the same program text for every loop.

A program is `async def program(operations)`; it runs on the loop under test until it has done that many operations. It
names asyncio's things through the module (`asyncio.Queue`), as programs do, so that what `fenshen.install()` puts there
is what it gets. A server is `async def serve(folder)`, an asynchronous context manager that gives the address it
serves at; the load comes from another process.
"""

import fnmatch
import importlib
import pathlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

Program = Callable[[int], Awaitable[None]]
Serve = Callable[[pathlib.Path], AbstractAsyncContextManager[str]]

BEST_PEER = "best peer"


class Target(NamedTuple):
    """What DESIGN asks for: at least `factor` times what `of` does in the same round."""

    factor: float
    of: str

    def __str__(self) -> str:
        return f"≥ {self.factor:g}x {self.of}"


class Limit(NamedTuple):
    """At most `factor` times what `of` has of `what` in the same round; without `of`, at most so much."""

    what: str
    factor: float
    of: str = ""

    def __str__(self) -> str:
        return f"≤ {self.factor:g}x {self.of}" if self.of else f"≤ {self.factor:g}"


class Load(NamedTuple):
    """How the load generator is called: its command, its wire, and the numbers that are the command's."""

    command: str
    wire: str
    connections: int
    size: int = 1
    idle: int = 0


class Cell(NamedTuple):
    """The place of a workload that is one of many like it: a table of their own, a line in it."""

    table: str
    row: str


class Workload(NamedTuple):
    """One row of the table.

    `batch` is how many operations a program does in one go: enough that its own set-up does not count. `kind` says how
    it is measured: a `program` on a loop, or, with a measure of its own, `runs`, `startup`, `echo`, `accept`, `crowd`.
    The last three need `serve` and `load`. `rounds` is the most that it is worth.
    """

    name: str
    title: str
    batch: int
    target: Target | None
    program: Program | None = None
    kind: str = "program"
    unit: str = "operations"
    serve: Serve | None = None
    load: Load | None = None
    cell: Cell | None = None
    limits: tuple[Limit, ...] = ()
    rounds: int = 1000


GROUPS = ("tasks", "callbacks", "timers", "primitives", "startup", "echo", "connections", "subprocesses")


def group(name: str) -> list[Workload]:
    """The workloads of one file."""
    found: list[Workload] = importlib.import_module(f"{__name__}.{name}").WORKLOADS
    return found


def every() -> dict[str, Workload]:
    """All workloads by name, in the table's order."""
    return {workload.name: workload for name in GROUPS for workload in group(name)}


def matching(wanted: str) -> set[str]:
    """The names of those that a word means: a group's, its own, a pattern's (`echo_tls*`); none where it means none."""
    if wanted in GROUPS:
        return {workload.name for workload in group(wanted)}
    return set(fnmatch.filter(every(), wanted))
