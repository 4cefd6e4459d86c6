"""Starting a pool's workers from a loop, which is not held up by that: a thread does it."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["started"]

_lock = threading.Lock()


async def started(supervisor: Any, start: Callable[[], object]) -> None:
    """Return when a supervisor's first workers were started, by `start()` if they had not been.

    Raises what starting a process raises.
    """
    if supervisor.thread is not None:
        return
    with _lock:
        future: Future[None] | None = supervisor.starting
        if future is None:
            future = supervisor.starting = Future()
            threading.Thread(target=_start, args=(supervisor, start, future), name="fenshen-pool", daemon=True).start()
    await asyncio.shield(asyncio.wrap_future(future))


def _start(supervisor: Any, start: Callable[[], object], future: Future[None]) -> None:
    try:
        start()
    except BaseException as exc:
        supervisor.starting = None  # the next one tries again
        future.set_exception(exc)
    else:
        future.set_result(None)
