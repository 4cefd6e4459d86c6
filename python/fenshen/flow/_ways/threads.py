"""`Threads`: calls in a pool of threads."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from fenshen._cancelling import Cancellation, CancelledError
from fenshen.flow._end import End
from fenshen.flow._pull import Pull
from fenshen.flow._ways import functions, usable_cpus
from fenshen.flow._ways.awaiting import done
from fenshen.futures import ThreadPoolExecutor

# A generator's thread runs so many results ahead of the loop.
_AHEAD = 8


class Threads:
    """A thread for each call that runs. One that nobody wants any more ends at a checkpoint, and is waited for."""

    model = "thread"

    def __init__(
        self, fn: Callable[[Any], Any], workers: int | None, name: str, step: Callable[..., Any] = next
    ) -> None:
        """`step(iterator)` gives the next result where `fn` is a generator function."""
        self._fn = fn
        self._step = step
        self.limit = workers or min(32, usable_cpus() + 4)
        self.many = functions.is_generator_function(fn)
        self._pool = ThreadPoolExecutor(self.limit, thread_name_prefix=f"fenshen-flow-{name}")

    async def call(self, item: Any) -> Any:
        mark = Cancellation()
        future = self._pool.submit(_marked, mark, self._fn, item)
        try:
            await done(future)
        except asyncio.CancelledError:
            if future.cancelled() or future.cancel():
                raise
            # It has begun, and nobody can end a thread; its next `checkpoint()` or blocking call of ours does.
            mark.cancel()
            await done(future)
            if isinstance(future.exception(), CancelledError):
                raise
        return future.result()

    async def each(self, item: Any, put: Callable[[Any], Awaitable[None]]) -> None:
        pull = Pull(lambda: self._fn(item), _AHEAD, self._step)
        self._pool.submit(pull.run)
        try:
            with contextlib.suppress(End):
                while True:
                    await put(await pull.get())
        finally:
            pull.stop()
            await pull.join()

    async def close(self) -> None:
        self._pool.shutdown(wait=False)
        while any(thread.is_alive() for thread in list(self._pool._threads)):
            await asyncio.sleep(0.001)


def _marked(mark: Cancellation, fn: Callable[[Any], Any], item: Any) -> Any:
    with mark:
        return fn(item)
