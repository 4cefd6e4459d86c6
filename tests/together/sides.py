"""What the tests of queues, events and semaphores need: both kinds of each, threads that never outlive their test."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import pytest
from commands import needs_native

PATIENCE = 60.0

needs_native = needs_native
either = pytest.mark.parametrize("shared", [False, True], ids=["local", "shared"])


def until(condition: Callable[[], object]) -> None:
    """Wait until that holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.002)


def begin(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
    """Make the call in a thread of its own."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(call(*args, **kwargs))
        except BaseException as e:
            future.set_exception(e)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    future.thread = thread  # type: ignore[attr-defined]
    return future


def asleep(future: Future[Any]) -> bool:
    """Whether the thread of `begin` sleeps, on a futex."""
    if future.done():
        return False
    try:
        with open(f"/proc/self/task/{future.thread.native_id}/syscall") as f:  # type: ignore[attr-defined]
            return f.read().split()[0] in ("202", "98")
    except (OSError, IndexError):
        return False


def stays_asleep(future: Future[Any]) -> bool:
    """Whether it does so again and again: who waits for the interpreter sleeps on a futex too, but not for long."""
    for _ in range(5):
        if not asleep(future):
            return False
        time.sleep(0.002)
    return True


@contextmanager
def blocked(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Iterator[Future[Any]]:
    """The same, once it sleeps; it has ended when the block is left."""
    future = begin(call, *args, **kwargs)
    until(lambda: future.done() or stays_asleep(future))
    yield future
    future.exception(PATIENCE)
