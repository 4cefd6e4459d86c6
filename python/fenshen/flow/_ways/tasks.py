"""`Tasks`: calls on the pipeline's own loop."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from fenshen.flow._ways import functions


class Tasks:
    """Coroutines, each in a task of its own. What a plain function returns is awaited if it can be."""

    model = "async"
    default = 64

    def __init__(self, fn: Callable[[Any], Any], workers: int | None, name: str) -> None:
        self._fn = fn
        self.limit = workers or self.default
        self.many = functions.is_async_generator_function(fn) or functions.is_generator_function(fn)

    async def call(self, item: Any) -> Any:
        result = self._fn(item)
        return await result if inspect.isawaitable(result) else result

    async def each(self, item: Any, put: Callable[[Any], Awaitable[None]]) -> None:
        results = self._fn(item)
        if inspect.isasyncgen(results):
            async with contextlib.aclosing(results):
                async for result in results:
                    await put(result)
        else:
            with contextlib.closing(results):
                for result in results:
                    await put(result)

    async def close(self) -> None:
        """Its calls are the stage's own tasks, which have ended."""
