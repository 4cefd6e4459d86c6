"""Who awaits whom, as asyncio's call graphs (Python 3.14) see our tasks and futures."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from fenshen.loop import new_event_loop

if sys.version_info < (3, 14):
    pytest.skip("call graphs came with Python 3.14", allow_module_level=True)


def awaiters(coro_of: Any) -> set[str]:
    """The names of the tasks that a task is awaited by, as its graph says, while `coro_of(task)` runs in `main`."""

    async def end(future: asyncio.Future[None]) -> None:
        await future

    async def main() -> set[str]:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        watched = loop.create_task(end(future), name="watched")
        found: set[str] = set()

        def look() -> None:
            graph = asyncio.capture_call_graph(watched)
            assert graph is not None
            found.update(caller.future.get_name() for caller in graph.awaited_by)  # type: ignore[attr-defined]
            future.set_result(None)

        loop.call_later(0.01, look)
        asyncio.current_task().set_name("main")  # type: ignore[union-attr]
        await coro_of(watched)
        return found

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main())


async def itself(task: asyncio.Task[None]) -> None:
    await task


async def waited(task: asyncio.Task[None]) -> None:
    await asyncio.wait([task])


async def in_group(task: asyncio.Task[None]) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(itself(task), name="child")


@pytest.mark.parametrize("how", [itself, waited, asyncio.shield, asyncio.gather])
def test_a_task_that_is_awaited_knows_by_whom(how: Any) -> None:
    assert awaiters(how) == {"main"}


def test_a_group_awaits_its_children() -> None:
    assert awaiters(in_group) == {"child"}

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            child = group.create_task(asyncio.sleep(0))
            assert child._asyncio_awaited_by == {asyncio.current_task()}  # type: ignore[attr-defined]

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(main())


def test_nobody_is_none() -> None:
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        assert runner.get_loop().create_future()._asyncio_awaited_by is None  # type: ignore[attr-defined]
