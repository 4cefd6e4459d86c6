"""What workers do in the tests of pools: importable, as a spawned process needs it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from typing import Any

STATE = "as imported"


class Unpicklable(Exception):
    """An exception that cannot be loaded again."""

    def __init__(self, first: object, second: object) -> None:
        super().__init__(first)
        self.second = second


def square(x: Any) -> Any:
    """Its square."""
    return x * x


def plus(x: Any, y: Any = 1, *, z: Any = 0) -> Any:
    """Their sum."""
    return x + y + z


def fail(x: Any) -> Any:
    """Raise what `int` raises, if it isn't a number's text."""
    return int(f"number {x}")


def fail_at(x: int, at: int = 5) -> int:
    """Raise for one number."""
    if x == at:
        raise ZeroDivisionError(x)
    return x


def name() -> str:
    """What the worker is called."""
    return multiprocessing.current_process().name


def pid(_: object = None) -> int:
    """Which worker it is."""
    return os.getpid()


def slow_pid(seconds: float) -> int:
    """The same, later."""
    time.sleep(seconds)
    return os.getpid()


def kill(_: object = None) -> None:
    """End the worker by a signal."""
    os.kill(os.getpid(), signal.SIGKILL)


def leave(code: int) -> None:
    """End the worker at once."""
    os._exit(code)


def kill_at(x: int, at: int = 5) -> int:
    """End the worker for one number."""
    if x == at:
        kill()
    return x


def unpicklable() -> object:
    """What neither pickle nor cloudpickle takes."""
    return multiprocessing.current_process()


def raise_unpicklable() -> None:
    """Raise what cannot be loaded."""
    raise Unpicklable(1, 2)


def set_state(state: str) -> None:
    """An initializer."""
    global STATE
    STATE = state


def state(_: object = None) -> str:
    """What the initializer, or an earlier task, left."""
    return STATE


def bad_initializer() -> None:
    """Raise."""
    raise LookupError("no such thing")


def refuse_sigterm() -> None:
    """Have the worker ignore a polite end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def sleep(seconds: float) -> None:
    """Sleep."""
    time.sleep(seconds)


def is_daemon() -> bool:
    """Whether the worker may have no children."""
    return multiprocessing.current_process().daemon
