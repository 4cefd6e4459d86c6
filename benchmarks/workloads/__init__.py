"""What is measured: a package for each table, in it a file for each group, in it a row for each workload."""

import fnmatch
import importlib
import pathlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple

Program = Callable[..., Any]
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


class Vain(NamedTuple):
    """Waits that end by their timeouts: how long these are, and how many threads are busy meanwhile."""

    seconds: float
    busy: int


class Cell(NamedTuple):
    """The place of a workload that is one of many like it: a table of their own, a line in it."""

    table: str
    row: str


class Workload(NamedTuple):
    """One row of the table.

    `batch` is how many operations a program does in one go: enough that its own set-up does not count. `kind` says how
    it is measured: a `program` on a loop, or, with a measure of its own, `runs`, `startup`, `echo`, `accept`, `crowd`,
    of which the last three need `serve` and `load`; of threads a `threads` program, `objects`, or `timeouts`, which
    need `vain`; of pools `pool`, `burn` or `first`; an `ipc` program of processes; of programs that
    wait and work `served`. `contenders` are those that it is for, where it is not for all; `rounds` is the most that it
    is worth; `everywhere` lets it run on every core; `also` are further targets.
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
    vain: Vain | None = None
    cell: Cell | None = None
    limits: tuple[Limit, ...] = ()
    rounds: int = 1000
    contenders: tuple[str, ...] = ()
    everywhere: bool = False
    also: tuple[Target, ...] = ()

    @property
    def targets(self) -> tuple[Target, ...]:
        """All of them."""
        return (self.target, *self.also) if self.target else self.also


TABLES = ("loops", "threads", "processes", "ipc", "together")


def groups(table: str) -> tuple[str, ...]:
    """The files of a table, in its order."""
    found: tuple[str, ...] = importlib.import_module(f"{__name__}.{table}").GROUPS
    return found


def group(table: str, name: str) -> list[Workload]:
    """The workloads of one file."""
    found: list[Workload] = importlib.import_module(f"{__name__}.{table}.{name}").WORKLOADS
    return found


def of_table(table: str) -> dict[str, Workload]:
    """A table's workloads by name, in its order."""
    return {workload.name: workload for name in groups(table) for workload in group(table, name)}


def every() -> dict[str, Workload]:
    """All workloads by name, in the tables' order."""
    return {name: workload for table in TABLES for name, workload in of_table(table).items()}


def matching(wanted: str) -> set[str]:
    """The names of those that a word means: a table's, a group's, its own, a pattern's (`echo_tls*`); or none."""
    if wanted in TABLES:
        return set(of_table(wanted))
    in_groups = {each.name for table in TABLES if wanted in groups(table) for each in group(table, wanted)}
    return in_groups or set(fnmatch.filter(every(), wanted))
