"""How a stage's function is called: on the loop, in threads, in processes, as coroutines in processes."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

__all__ = ["Way", "opened", "usable_cpus"]


class Way(Protocol):
    """One way to call one function."""

    model: str
    limit: int  # calls at once, and those that are sent ahead to processes
    many: bool  # the function is a generator function

    async def call(self, item: Any) -> Any:
        """`fn(item)`; cancelling this ends the call, if it can be ended."""

    async def each(self, item: Any, put: Callable[[Any], Awaitable[None]]) -> None:
        """Put everything that the generator `fn(item)` yields; cancelling this closes it."""

    async def close(self) -> None:
        """Wait until every call has ended, and end the threads or processes that are this way's own."""


_homes = {
    "async": ("tasks", "Tasks"),
    "thread": ("threads", "Threads"),
    "process": ("processes", "Processes"),
    "process+async": ("process_tasks", "ProcessTasks"),
    "auto": ("auto", "Auto"),
}


def opened(model: str, fn: Callable[[Any], Any], workers: int | None, name: str) -> Way:
    """The way of a model; what it needs is imported only now."""
    module, kind = _homes[model]
    way: Way = getattr(importlib.import_module(f"{__name__}.{module}"), kind)(fn, workers, name)
    return way


def usable_cpus() -> int:
    """How many CPUs this process may use."""
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
