"""`ProcessTasks`: coroutines in worker processes, many at once in each."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from fenshen import _engine
from fenshen.flow._ways import functions, usable_cpus
from fenshen.flow._ways.awaiting import done
from fenshen.flow._ways.processes import leased
from fenshen.flow._ways.starting import Starting

# Coroutines at once, for each process.
_EACH = 32


class ProcessTasks:
    """Each call is a coroutine on a loop in a worker. One that nobody wants any more is cancelled there."""

    model = "process+async"

    def __init__(self, fn: Callable[[Any], Any], workers: int | None, name: str) -> None:
        self.many = functions.is_async_generator_function(fn)
        self._fn = functools.partial(_collected, fn) if self.many else fn
        self.limit = workers or _EACH * usable_cpus()
        self._starting: Starting | None = None
        self._run = self._in_crew() if _engine.engine() == "native" else _one_by_one(self._fn)

    def _in_crew(self) -> Callable[[Any], Awaitable[Any]]:
        from fenshen._process_tasks import awaited, crew_of

        crew = crew_of(None)
        if crew.supervisor.thread is None:
            self._starting = Starting(lambda: crew.submit(_nothing, (), {}))
        return lambda item: awaited(crew.submit(self._fn, (item,), {}), crew)

    async def call(self, item: Any) -> Any:
        if self._starting is not None:
            await self._starting.wait()
        return await self._run(item)

    async def each(self, item: Any, put: Callable[[Any], Awaitable[None]]) -> None:
        for result in await self.call(item):
            await put(result)

    async def close(self) -> None:
        """The workers are the program's."""
        if self._starting is not None:
            await self._starting.join()


async def _nothing() -> None:
    """What workers are started for."""


def _one_by_one(fn: Callable[[Any], Coroutine[Any, Any, Any]]) -> Callable[[Any], Awaitable[Any]]:
    """Where there is no native engine: each in a process of the standard library's pool."""
    pool, _ = leased(None)

    async def call(item: Any) -> Any:
        future = pool.submit(_run, fn, item)
        try:
            await done(future)
        except asyncio.CancelledError:
            future.cancel()
            raise
        return future.result()

    return call


def _run(fn: Callable[[Any], Coroutine[Any, Any, Any]], item: Any) -> Any:
    return asyncio.run(fn(item))


async def _collected(fn: Callable[[Any], Any], item: Any) -> list[Any]:
    """All that an asynchronous generator yields: it is sent when it has ended."""
    return [result async for result in fn(item)]
