"""`ProcessTasks`: coroutines in worker processes, many at once in each."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from fenshen.flow._ways import functions, usable_cpus
from fenshen.flow._ways.processes import leased

# Coroutines at once, for each process.
_EACH = 32


class ProcessTasks:
    """Each call is a coroutine on a loop in a worker. One that nobody wants any more is cancelled there."""

    model = "process+async"

    def __init__(self, fn: Callable[[Any], Any], workers: int | None, name: str) -> None:
        self.many = functions.is_async_generator_function(fn)
        self._fn = functools.partial(_collected, fn) if self.many else fn
        self.limit = workers or _EACH * usable_cpus()
        self._submit, self._pool = _submitting()

    async def call(self, item: Any) -> Any:
        return await asyncio.wrap_future(self._submit(self._fn, item))

    async def each(self, item: Any, put: Callable[[Any], Awaitable[None]]) -> None:
        for result in await self.call(item):
            await put(result)

    async def close(self) -> None:
        """The pool is the program's."""


def _submitting() -> tuple[Callable[..., Any], Any]:
    try:
        from fenshen import _process_tasks
    except ImportError:
        pool: Any = leased(None)[0]
        return (lambda fn, item: pool.submit(_run, fn, item)), pool
    return (lambda fn, item: _process_tasks.submit(None, fn, (item,), {})), None


def _run(fn: Callable[[Any], Coroutine[Any, Any, Any]], item: Any) -> Any:
    return asyncio.run(fn(item))


async def _collected(fn: Callable[[Any], Any], item: Any) -> list[Any]:
    """All that an asynchronous generator yields: it is sent when it has ended."""
    return [result async for result in fn(item)]
