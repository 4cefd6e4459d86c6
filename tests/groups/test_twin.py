"""Random groups of tasks: `fenshen.TaskGroup` does what `asyncio.TaskGroup` does, on our loop and on asyncio's.

What is counted are steps, not seconds, so that a seed's program goes the same way each time. Children are cancelled in
no particular order, so each keeps a log of its own. Before 3.13 asyncio forgets a cancellation from outside at times.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable
from typing import Any

import fenshen
import pytest
from commands import needs_native
from fenshen import TaskGroup

from groups import parts

pytestmark = [
    needs_native,
    pytest.mark.skipif(sys.version_info < (3, 13), reason="asyncio counts otherwise before 3.13"),
]

SEEDS = range(500)


class Program:
    """One random program: a group in a task that may be cancelled from outside, and its children."""

    def __init__(self, seed: int, kind: Callable[[], Any]) -> None:
        self._seed = seed
        self._kind = kind
        self._logs: dict[str, list[str]] = {}

    def _random(self, name: str) -> random.Random:
        """The same for each part, whenever it begins."""
        return random.Random(f"{self._seed} {name}")

    async def _steps(self, name: str, count: int) -> None:
        log = self._logs.setdefault(name, [])
        for number in range(count):
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError as e:
                log.append(f"cancelled in step {number} {e.args}")
                if self._random(f"{name} {number}").random() < 0.2:
                    continue  # it does not give in
                raise
        log.append("ended")

    async def _child(self, name: str, group: Any, depth: int) -> str:
        chance = self._random(name)
        await self._steps(name, chance.randrange(4))
        what = chance.choice(["return", "return", "fail", "spawn", "nest", "cancel itself"])
        if what == "fail":
            raise ValueError(name)
        if what == "spawn" and depth:
            self._spawn(f"{name}.s", group, depth - 1)
        if what == "nest" and depth:
            await self._block(f"{name}.n", depth - 1)
        if what == "cancel itself":
            asyncio.current_task().cancel(name)  # type: ignore[union-attr]
        await self._steps(f"{name} again", chance.randrange(3))
        return name

    def _spawn(self, name: str, group: Any, depth: int) -> None:
        coro = self._child(name, group, depth)
        try:
            group.create_task(coro)
        except RuntimeError as e:
            self._logs.setdefault(name, []).append("refused" + str(e).rpartition(">")[2])

    async def _block(self, name: str, depth: int) -> None:
        chance = self._random(name)
        try:
            async with self._kind() as group:
                for number in range(chance.randrange(4)):
                    self._spawn(f"{name}.{number}", group, depth)
                await self._steps(f"{name}.body", chance.randrange(4))
                if chance.random() < 0.2:
                    raise KeyError(name)
        finally:
            task: Any = asyncio.current_task()
            self._logs.setdefault(name, []).append(f"left, {task.cancelling()}")

    async def main(self) -> dict[str, list[str]]:
        """Run it; returns the logs, and how it ended."""
        chance = self._random("main")
        task = asyncio.ensure_future(self._block("0", 3))
        for _ in range(2):
            await self._steps("main", chance.randrange(6))
            if chance.random() < 0.3:
                task.cancel("from outside")
        await asyncio.wait([task])
        outcome = "cancelled" if task.cancelled() else told(task.exception())
        return {**self._logs, "outcome": [outcome]}


def told(error: BaseException | None) -> str:
    """An error, and those in it in some order."""
    if isinstance(error, parts.BaseExceptionGroup):
        return f"{type(error).__name__}({', '.join(sorted(map(told, error.exceptions)))})"
    return repr(error)


@pytest.mark.parametrize("run", [fenshen.run, asyncio.run], ids=["fenshen", "asyncio"])
def test_random_programs(run: Callable[[Any], Any]) -> None:
    ends = set()
    for seed in SEEDS:
        theirs, ours = (
            run(asyncio.wait_for(Program(seed, kind).main(), parts.PATIENCE)) for kind in (asyncio.TaskGroup, TaskGroup)
        )
        assert ours == theirs, f"seed {seed}"
        ends.add(theirs["outcome"][0].partition("(")[0])
    assert ends == {"cancelled", "None", "ExceptionGroup"}
