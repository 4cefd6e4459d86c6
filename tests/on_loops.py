"""Running a coroutine on each kind of event loop: ours, asyncio's and, where it is installed, uvloop."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from fenshen.loop import new_event_loop


def _uvloop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


FACTORIES: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "fenshen": new_event_loop,
    "asyncio": asyncio.SelectorEventLoop,
}
if importlib.util.find_spec("uvloop") is not None:
    FACTORIES["uvloop"] = _uvloop

each_loop = pytest.mark.parametrize("factory", list(FACTORIES.values()), ids=list(FACTORIES))


def run(main: Coroutine[Any, Any, Any], factory: Callable[[], asyncio.AbstractEventLoop] = new_event_loop) -> Any:
    """What `main` returns, run on a new loop; tasks that are left are cancelled."""
    loop = factory()
    try:
        return loop.run_until_complete(asyncio.wait_for(main, 60))
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.close()


async def turns(count: int = 3) -> None:
    """Let every task that can go on do so, some times."""
    for _ in range(count):
        await asyncio.sleep(0)
