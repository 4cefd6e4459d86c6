"""What workers do in the tests of streams: importable, as a spawned process needs it."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from tests.processes.pooling import Unpicklable, kill, unpicklable


def count(n: int) -> Iterator[int]:
    """Numbers; how many is returned."""
    yield from range(n)
    return n


def endless(notes: str) -> Iterator[int]:
    """Numbers, each noted before it is yielded, and the end too."""
    with open(notes, "a", buffering=1) as file:
        try:
            for i in range(10**9):
                file.write(f"{i}\n")
                yield i
        finally:
            file.write("closed\n")


def noted(notes: str) -> list[str]:
    """What `endless` has written."""
    path = Path(notes)
    return path.read_text().split() if path.exists() else []


def fail_after(n: int) -> Iterator[int]:
    """Raise after some items."""
    yield from range(n)
    raise ZeroDivisionError(n)


def die_after(n: int, notes: str) -> Iterator[int]:
    """End the worker after some items, the first time."""
    yield from range(n)
    if not os.path.exists(notes):
        Path(notes).touch()
        kill()


def stubborn() -> Iterator[int]:
    """Raise when it is closed."""
    try:
        while True:
            yield 0
    finally:
        raise LookupError("closed")


def odd_item(notes: str, loadable: bool) -> Iterator[Any]:
    """An item that cannot be sent, or cannot be loaded, and what is done about it."""
    try:
        yield 1
        yield Unpicklable(1, 2) if not loadable else unpicklable()
        yield 3
    finally:
        Path(notes).write_text("closed")


def ticks() -> Iterator[int]:
    """Numbers without end, slowly."""
    for i in range(10**9):
        time.sleep(0.01)
        yield i


def silent() -> Iterator[int]:
    """Nothing for a long time."""
    time.sleep(60)
    yield 0


def arrays(n: int, length: int) -> Iterator[Any]:
    """One array, changed between the items."""
    import numpy as np

    array = np.zeros(length)
    for i in range(n):
        array[:] = i
        yield array


async def asynchronous() -> AsyncIterator[int]:
    """What no worker can iterate over."""
    yield 1


def wait_for(path: str) -> None:
    """Return when there is such a file."""
    while not os.path.exists(path):
        time.sleep(0.01)
