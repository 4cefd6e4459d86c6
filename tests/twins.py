"""asyncio's own types and ours side by side: what one does, the other must do."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from fenshen import _fenshen
from fenshen.loop import EventLoop


class Side(NamedTuple):
    """One of the two: a loop and the types that go with it."""

    name: str
    new_loop: Callable[[], Any]
    Loop: Any
    Future: Any
    Task: Any
    Handle: Any
    TimerHandle: Any


ASYNCIO = Side(
    "asyncio",
    asyncio.SelectorEventLoop,
    asyncio.SelectorEventLoop,
    asyncio.Future,
    asyncio.Task,
    asyncio.Handle,
    asyncio.TimerHandle,
)
OURS = Side("fenshen", EventLoop, EventLoop, _fenshen.Future, _fenshen.Task, _fenshen.Handle, _fenshen.TimerHandle)

ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}")


def plain(value: object) -> str:
    """`repr(value)` with what differs from run to run, and between the two sides, taken out."""
    return even(repr(value))


def even(text: str) -> str:
    """Text without addresses, numbers of tasks and names of modules."""
    text = ADDRESS.sub("0x...", text)
    text = re.sub(r"\bTask-\d+", "Task-N", text)
    for module in ("_asyncio", "fenshen._fenshen", "asyncio.events", "asyncio.unix_events", "fenshen.loop"):
        text = text.replace(f"{module}.", "")
    text = text.replace("_ThreadSafeHandle", "Handle")  # 3.14
    return text.replace("_UnixSelectorEventLoop", "EventLoop").replace("Event loop ", "event loop ")


def outcome(action: Callable[[], Any], *, words: bool = True) -> str:
    """What an action returns or raises, as text; without the exception's words if `words` is false."""
    try:
        value = action()
    except BaseException as e:
        return even(f"raised {type(e).__name__}({e})") if words else f"raised {type(e).__name__}"
    return f"returned {plain(value)}"


@contextlib.contextmanager
def open_loop(side: Side) -> Iterator[Any]:
    """A loop of `side`, closed at the end."""
    loop = side.new_loop()
    try:
        yield loop
    finally:
        asyncio._set_running_loop(None)
        loop.close()


class Lines(logging.Handler):
    """What asyncio's logger says, as text."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@contextlib.contextmanager
def logged() -> Iterator[list[str]]:
    """Collects what is written to asyncio's log."""
    lines = Lines()
    logger = logging.getLogger("asyncio")
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(lines)
    try:
        yield lines.lines
    finally:
        logger.removeHandler(lines)
        logger.propagate = propagate


def on_both(program: Callable[[Side], Any]) -> Any:
    """Runs a program on asyncio, then on ours, and holds the second to what the first gave, which it returns."""
    results = []
    for side in (ASYNCIO, OURS):  # called from one line, for tracebacks to be alike
        results.append(program(side))
        gc.collect()
    expected, got = results
    if isinstance(expected, list) and isinstance(got, list) and len(got) == len(expected):
        differing = [f"asyncio: {e}\n   ours: {g}" for e, g in zip(expected, got, strict=True) if e != g]
        assert not differing, "\n".join(differing)
    assert got == expected, f"asyncio: {expected}\n   ours: {got}"
    return expected


def spin(loop: Any, turns: int = 3) -> None:
    """Lets what is ready run, and what that makes ready, so many times."""
    for _ in range(turns):
        loop.call_soon(loop.stop)
        loop.run_forever()


def resident() -> int:
    """This process' memory, in KiB."""
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4


sides = pytest.mark.parametrize("side", [ASYNCIO, OURS], ids=["asyncio", "fenshen"])
since_3_12 = pytest.mark.skipif(sys.version_info < (3, 12), reason="from Python 3.12 on")
