"""`Processes`: calls in worker processes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

from fenshen import _engine
from fenshen.executors import Executors
from fenshen.flow._ways import functions, usable_cpus
from fenshen.flow._ways.awaiting import done
from fenshen.flow._ways.starting import Starting


def leased(workers: int | None) -> tuple[Any, bool]:
    """A pool with so many workers at least, and whether it is the caller's own to shut down.

    It is the program's one pool (that of `fenshen.to_process`) unless that has too few.
    """
    if _engine.engine() == "native":
        from fenshen._to_process import pool

        shared = pool()
        if workers is None or workers <= shared._max_workers:
            return shared, False
    from multiprocessing import get_context

    from fenshen.futures import ProcessPoolExecutor

    return ProcessPoolExecutor(workers, mp_context=get_context("forkserver")), True


class Processes:
    """A process for each call that runs. One that runs when nobody wants it any more is ended, with its process."""

    model = "process"

    def __init__(self, fn: Callable[[Any], Any], workers: int | None, name: str) -> None:
        self._fn = fn
        self.many = functions.is_generator_function(fn)
        self._pool, self._own = leased(workers)
        self.limit = workers or usable_cpus()
        if self._own or self.limit == self._pool._max_workers:
            self.limit *= 2  # a worker that has done its task finds the next one there
        wanted = min(self.limit, self._pool._max_workers)
        self._starting = Starting(lambda: _start(self._pool, wanted)) if _workers(self._pool) < wanted else None

    async def call(self, item: Any) -> Any:
        return await self._result(self._fn, item)

    async def _result(self, *call: Any) -> Any:
        await self._started()
        loop = asyncio.get_running_loop()
        future = self._pool.submit(*call)
        if isinstance(loop, Executors):
            self._pool._supervisor.adopt(loop)
        try:
            await done(future)
        except asyncio.CancelledError:
            future.cancel()
            raise
        return future.result()

    async def each(self, item: Any, put: Callable[[Any], Awaitable[None]]) -> None:
        if not hasattr(self._pool, "stream"):  # the standard library's pool sends all of them at once
            for result in await self._result(_listed, self._fn, item):
                await put(result)
            return
        await self._started()
        async with self._pool.stream(self._fn, item) as results:
            async for result in results:
                await put(result)

    async def _started(self) -> None:
        if self._starting is not None:
            await self._starting.wait()

    async def close(self) -> None:
        if self._starting is not None:
            await self._starting.join()
        if self._own:
            manager = self._pool._executor_manager_thread
            self._pool.shutdown(wait=False)
            while manager is not None and manager.is_alive():
                await asyncio.sleep(0.001)


def _workers(pool: Any) -> int:
    return len(pool._processes or ())


def _start(pool: Any, wanted: int) -> None:
    """Have a pool start so many workers: it starts one when there is a task that no idle one could take."""
    for _ in range(wanted):
        pool.submit(os.getpid)


def _listed(fn: Callable[[Any], Any], item: Any) -> list[Any]:
    return list(fn(item))
