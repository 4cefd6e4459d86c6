"""`concurrent.futures`, with a native `Future`, pools, `wait` and `as_completed`: `from fenshen import futures`.

Every name of the standard module is here; what is not ours is the standard library's own object, exceptions among it.
"""

from __future__ import annotations

import concurrent.futures as _standard
from concurrent.futures import BrokenExecutor, CancelledError, Executor, InvalidStateError, TimeoutError
from concurrent.futures._base import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION

from fenshen import _engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fenshen._cluster_executor import ClusterExecutor
    from fenshen._process_executor import ProcessPoolExecutor
    from fenshen._stream import Stream
    from fenshen._thread_executor import ThreadPoolExecutor
    from fenshen.worker_died import NotLoaded, WorkerDied

if TYPE_CHECKING or _engine.engine() == "native":
    from fenshen._threads import Future
    from fenshen._waiting import as_completed, wait
else:
    from concurrent.futures import Future, as_completed, wait

__all__ = [
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "BrokenExecutor",
    "CancelledError",
    "Executor",
    "Future",
    "InvalidStateError",
    "ProcessPoolExecutor",
    "ThreadPoolExecutor",
    "TimeoutError",
    "as_completed",
    "wait",
]
__all__ += [name for name in _standard.__all__ if name not in __all__]
# Pools need much, so they are imported only when they are asked for, as there.
_LATER = {
    "ClusterExecutor": "_cluster_executor",
    "ProcessPoolExecutor": "_process_executor",
    "Stream": "_stream",
    "ThreadPoolExecutor": "_thread_executor",
    "NotLoaded": "worker_died",
    "WorkerDied": "worker_died",
}
__all__ += ["ClusterExecutor", "NotLoaded", "WorkerDied"]
if TYPE_CHECKING or _engine.engine() == "native":
    __all__ += ["Stream"]


def __getattr__(name: str) -> Any:
    """What is imported when it is asked for, and what is left of the standard module."""
    if name in ("ClusterExecutor", "NotLoaded", "WorkerDied") or (name in _LATER and _engine.engine() == "native"):
        import importlib

        found = getattr(importlib.import_module(f"fenshen.{_LATER[name]}"), name)
        globals()[name] = found
        return found
    return getattr(_standard, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
