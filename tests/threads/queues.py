"""What the tests of queues share."""

from __future__ import annotations

import queue as standard
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fenshen import queue as native

# Far away: a test that would wait for ever fails instead.
LONG = 60.0

each = pytest.mark.parametrize("queue", [standard, native], ids=["standard", "native"])
each_with_shutdown = pytest.mark.parametrize(
    "queue", [standard, native] if sys.version_info >= (3, 13) else [native], ids=lambda module: module.__name__
)


def until(true: Callable[[], Any]) -> None:
    """Wait until something is true."""
    end = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.001)


class Running:
    """A thread that calls something, and what came of it."""

    def __init__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, args=(function, args, kwargs), daemon=True)
        self.thread.start()

    def _run(self, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
        try:
            self.result = function(*args, **kwargs)
        except BaseException as e:
            self.error = e

    def end(self) -> Any:
        """Its result; raises what it raised."""
        self.thread.join(LONG)
        assert not self.thread.is_alive(), "it did not end"
        if self.error is not None:
            raise self.error
        return self.result


def blocked(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Running:
    """A call that has begun in a thread of its own and, as far as a moment can tell, blocks."""
    running = Running(function, *args, **kwargs)
    time.sleep(0.05)
    assert running.thread.is_alive()
    return running


@contextmanager
def unraisable() -> Iterator[list[BaseException | None]]:
    """What is reported because nobody could be told of it."""
    seen: list[BaseException | None] = []
    before, sys.unraisablehook = sys.unraisablehook, lambda report: seen.append(report.exc_value)
    try:
        yield seen
    finally:
        sys.unraisablehook = before
