"""Starting a pool's first workers from a loop, which is not held up by that: a thread does it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import Future

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["begin", "started"]

_lock = threading.Lock()


async def started(supervisor: Any, start: Callable[[], object]) -> None:
    """Return when a supervisor's first workers were started, by `start()` if they had not been.

    Raises what starting a process raises.
    """
    if supervisor.thread is None:
        await asyncio.shield(asyncio.wrap_future(_begun(supervisor, start)))


def begin(supervisor: Any, start: Callable[[], object]) -> None:
    """Have what was submitted by now be done by the first workers, which `start()` starts if they had not been.

    It fails with them if they cannot be started; the next call tries again.
    """
    if _begun(supervisor, start).done() and supervisor.thread is not None:  # otherwise whoever starts them sees to it
        supervisor.adjust()


def _begun(supervisor: Any, start: Callable[[], object]) -> Future[None]:
    with _lock:
        future: Future[None] | None = supervisor.starting
        if future is None:
            future = supervisor.starting = Future()
            try:
                threading.Thread(
                    target=_start, args=(supervisor, start, future), name="fenshen-pool", daemon=True
                ).start()
            except RuntimeError:  # there can be no more threads now
                supervisor.starting = None
                raise
        return future


def _start(supervisor: Any, start: Callable[[], object], future: Future[None]) -> None:
    try:
        start()
    except BaseException as exc:
        supervisor.starting = None  # the next one tries again
        supervisor.drop(exc)
        future.set_exception(exc)
        return
    # In this order: what is submitted before the first of the two is counted by the second.
    future.set_result(None)
    with contextlib.suppress(OSError):  # whoever comes next tries again
        supervisor.catch_up()
