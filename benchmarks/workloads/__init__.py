"""What is measured, one file a group. A workload is the same program text for every loop.

A program is `async def program(operations)`; it runs on the loop under test until it has done that many operations. It
names asyncio's things through the module (`asyncio.Queue`), as programs do, so that what `fenshen.install()` puts there
is what it gets.
"""

import importlib
from collections.abc import Awaitable, Callable
from typing import NamedTuple

Program = Callable[[int], Awaitable[None]]


class Target(NamedTuple):
    """What DESIGN asks for: at least `factor` times what `of` does in the same round."""

    factor: float
    of: str

    def __str__(self) -> str:
        return f"≥ {self.factor:g}x {self.of}"


class Workload(NamedTuple):
    """One row of the table.

    `batch` is how many operations a program does in one go: enough that its own set-up does not count. `kind` says how
    it is measured: a `program` on a loop, or, with a measure of its own, `runs`, `startup` or `echo`.
    """

    name: str
    title: str
    batch: int
    target: Target | None
    program: Program | None = None
    kind: str = "program"


GROUPS = ("tasks", "callbacks", "timers", "primitives", "startup", "sockets")


def every() -> dict[str, Workload]:
    """All workloads by name, in the table's order."""
    found: dict[str, Workload] = {}
    for group in GROUPS:
        for workload in importlib.import_module(f"{__name__}.{group}").WORKLOADS:
            found[workload.name] = workload
    return found
