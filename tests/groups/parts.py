"""What children of the tested groups do: importable, as a worker process needs it."""

from __future__ import annotations

import asyncio
import contextvars
import os
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn

import fenshen
from fenshen.threading import Event

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup as BaseExceptionGroup
    from exceptiongroup import ExceptionGroup as ExceptionGroup
else:
    BaseExceptionGroup, ExceptionGroup = BaseExceptionGroup, ExceptionGroup

PATIENCE = 60.0

request = contextvars.ContextVar("request", default="none")
unpicklable: contextvars.ContextVar[Any] = contextvars.ContextVar("unpicklable", default=None)


def until(condition: Callable[[], object]) -> None:
    """Wait until that holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.001)


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a test's coroutine on our loop, for a minute at most."""
    return fenshen.run(asyncio.wait_for(main, PATIENCE))


def double(x: int) -> int:
    """Twice that."""
    return 2 * x


def fail(text: str) -> NoReturn:
    """Raise a ValueError."""
    raise ValueError(text)


async def fail_soon(text: str) -> NoReturn:
    """Raise a ValueError in another step."""
    await asyncio.sleep(0)
    raise ValueError(text)


async def after_a_step(x: Any) -> Any:
    """That, in another step."""
    await asyncio.sleep(0)
    return x


def spin(begun: threading.Event | None = None) -> NoReturn:
    """Run until a checkpoint raises."""
    if begun is not None:
        begun.set()
    while True:
        fenshen.checkpoint()
        time.sleep(0.0005)


def wait_for_ever() -> None:
    """Wait where only a cancellation helps."""
    Event().wait()


def which_request() -> str:
    """The context's."""
    return request.get()


def sleep_for_ever(folder: str, name: str) -> NoReturn:
    """Leave a process number in a file, and never end."""
    whole = Path(folder, f"{name}.part")
    whole.write_text(str(os.getpid()))
    whole.rename(Path(folder, name))
    while True:
        time.sleep(60)


def is_alive(pid: int) -> bool:
    """Whether that process runs: one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def leaves(error: BaseException | None) -> list[BaseException]:
    """The errors in a group of groups."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [] if error is None else [error]
