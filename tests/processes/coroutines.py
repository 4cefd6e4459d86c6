"""What workers do in the tests of coroutines: importable, as a spawned process needs it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import threading
from contextvars import ContextVar
from pathlib import Path
from typing import Any

who: ContextVar[str] = ContextVar("who", default="nobody")
odd: ContextVar[Any] = ContextVar("odd", default=None)

_together: dict[str, Any] = {"now": 0, "most": 0}


async def double(n: int) -> int:
    """The least that a coroutine does."""
    await asyncio.sleep(0)
    return 2 * n


async def pid() -> int:
    """Which worker this is."""
    return os.getpid()


async def pid_after(seconds: float) -> int:
    """The same, after a while."""
    await asyncio.sleep(seconds)
    return os.getpid()


async def met(parties: int) -> int:
    """Return when as many are here at once; how many that were."""
    _together["now"] += 1
    event = _together.setdefault("event", asyncio.Event())
    if _together["now"] == parties:
        event.set()
    await event.wait()
    return int(_together["now"])


async def note_end(path: str, seconds: float = 0.0) -> None:
    """Wait to be cancelled, and note it when the clean-up is done."""
    Path(path).write_text("begun")
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(seconds)
        Path(path).write_text("ended")


async def swallow(path: str) -> str:
    """Return something all the same when it is cancelled."""
    Path(path).write_text("begun")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return "swallowed"
    return "never"


async def fail_when_cancelled(path: str) -> None:
    """Raise something else when it is cancelled."""
    Path(path).write_text("begun")
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    raise LookupError("at the end")


async def fail(words: str) -> None:
    """Raise, two frames deep."""
    await asyncio.sleep(0)
    await _inner(words)


async def _inner(words: str) -> None:
    raise ZeroDivisionError(words)


async def cancel_itself() -> None:
    """End as if it had been cancelled."""
    raise asyncio.CancelledError


async def leave() -> None:
    """Ask the process to end, as a program does."""
    raise SystemExit(3)


async def die(path: str = "") -> None:
    """End the worker at once; where there is a path, once somebody else has noted something there."""
    while path and not Path(path).exists():
        await asyncio.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)


async def wait_at(path: str) -> int:
    """Note that it has begun, and wait for ever."""
    Path(path).write_text(str(os.getpid()))
    await asyncio.Event().wait()
    return 0


async def variables() -> tuple[str, Any]:
    """What context variables are."""
    return who.get(), odd.get()


async def log(words: str) -> None:
    """Say something."""
    logging.getLogger("tests.coroutines").warning(words)


async def unpicklable() -> Any:
    """Return what cannot be sent."""
    return threading.Lock()


async def large(data: bytes) -> bytes:
    """Much data, back again."""
    await asyncio.sleep(0)
    return data


def no_coroutine() -> int:
    """An ordinary function."""
    return 1
