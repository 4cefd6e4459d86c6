"""fenshen: one engine, written in Rust, under Python's three models of concurrency.

`fenshen run app.py` runs an unmodified program on it; `fenshen.install()` does the same from within; `from fenshen
import asyncio` uses it in one module only. Importing this package imports nothing else: each name below is loaded
when it is first used. (It has a plugin for pytest, and may have been imported before: PYTEST_DONT_REWRITE.)
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fenshen import asyncio as asyncio
    from fenshen._process_number import process_number as process_number
    from fenshen._shutdown import shutdown_requested as shutdown_requested
    from fenshen._shutdown import until_shutdown as until_shutdown
    from fenshen._to_process import to_process as to_process
    from fenshen.deadlock import DeadlockError as DeadlockError
    from fenshen.installing import install as install
    from fenshen.installing import uninstall as uninstall
    from fenshen.loop import EventLoop as EventLoop
    from fenshen.loop import new_event_loop as new_event_loop
    from fenshen.runners import Runner as Runner
    from fenshen.runners import run as run
    from fenshen.shared_arrays import shared_array as shared_array
    from fenshen.task_groups import TaskGroup as TaskGroup
    from fenshen.task_groups import checkpoint as checkpoint
    from fenshen.task_groups import shield as shield
    from fenshen.together import Event as Event
    from fenshen.together import Queue as Queue
    from fenshen.together import Semaphore as Semaphore

    engine: str
    __version__: str

__all__ = [
    "DeadlockError",
    "Event",
    "EventLoop",
    "Queue",
    "Runner",
    "Semaphore",
    "TaskGroup",
    "__version__",
    "checkpoint",
    "engine",
    "install",
    "new_event_loop",
    "process_number",
    "run",
    "shared_array",
    "shield",
    "shutdown_requested",
    "to_process",
    "uninstall",
    "until_shutdown",
]

_homes = {
    "DeadlockError": "fenshen.deadlock",
    "Event": "fenshen.together",
    "EventLoop": "fenshen.loop",
    "Queue": "fenshen.together",
    "Runner": "fenshen.runners",
    "TaskGroup": "fenshen.task_groups",
    "checkpoint": "fenshen.task_groups",
    "Semaphore": "fenshen.together",
    "install": "fenshen.installing",
    "new_event_loop": "fenshen.loop",
    "process_number": "fenshen._process_number",
    "run": "fenshen.runners",
    "shutdown_requested": "fenshen._shutdown",
    "to_process": "fenshen._to_process",
    "shared_array": "fenshen.shared_arrays",
    "shield": "fenshen.task_groups",
    "uninstall": "fenshen.installing",
    "until_shutdown": "fenshen._shutdown",
}


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("fenshen")
    except PackageNotFoundError:
        return "unknown"  # used from a source tree that was never installed


def _module(name: str) -> object:
    import sys

    __import__(name)
    return sys.modules[name]


def __getattr__(name: str) -> object:
    if name in _homes:
        value: object = getattr(_module(_home(name)), name)
    elif name == "engine":
        from fenshen._engine import engine as find

        value = find()
    elif name == "__version__":
        value = _version()
    elif name in ("asyncio", "flow", "futures", "multiprocessing", "queue", "threading"):
        return _module(f"fenshen.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def _home(name: str) -> str:
    """Where a public name lives; the standard library's loop stands in where there is no native engine."""
    if name in ("EventLoop", "new_event_loop"):
        from fenshen._engine import engine as find

        if find() != "native":
            return "fenshen.runners"
    return _homes[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "asyncio"})
