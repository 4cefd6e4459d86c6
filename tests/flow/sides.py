"""The same pipeline run in every way in which a program may run it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import fenshen
import fenshen.loop
import pytest
from fenshen.flow import Pipeline

PATIENCE = 60.0


def until(condition: Callable[[], object]) -> None:
    """Wait until that holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.001)


async def auntil(condition: Callable[[], object]) -> None:
    """The same, on a loop."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        await asyncio.sleep(0.001)


def on_asyncio(main: Any) -> Any:
    """Run a coroutine on asyncio's own loop."""
    return asyncio.run(asyncio.wait_for(main, PATIENCE))


def on_fenshen(main: Any) -> Any:
    """Run a coroutine on ours."""
    return fenshen.run(asyncio.wait_for(main, PATIENCE))


each_loop = pytest.mark.parametrize("run", [on_asyncio, on_fenshen])


async def _awaited(pipeline: Pipeline) -> list[Any]:
    return await pipeline


def by_run(pipeline: Pipeline) -> list[Any]:
    """From a script."""
    return pipeline.run()


def by_await(pipeline: Pipeline) -> list[Any]:
    """On our loop."""
    return on_fenshen(_awaited(pipeline))


def by_await_on_asyncio(pipeline: Pipeline) -> list[Any]:
    """On asyncio's."""
    return on_asyncio(_awaited(pipeline))


each_way = pytest.mark.parametrize("result_of", [by_run, by_await, by_await_on_asyncio])
