"""`concurrent.futures`, with a native `Future`, thread pool, `wait` and `as_completed`.

Every name of the standard module is here; what is not ours is the standard library's own object, exceptions among it.
"""

from __future__ import annotations

import concurrent.futures as _standard
from concurrent.futures import _base
from typing import Any

FIRST_COMPLETED = _base.FIRST_COMPLETED
FIRST_EXCEPTION = _base.FIRST_EXCEPTION
ALL_COMPLETED = _base.ALL_COMPLETED
BrokenExecutor = _base.BrokenExecutor
CancelledError = _base.CancelledError
Executor = _base.Executor
InvalidStateError = _base.InvalidStateError
TimeoutError = _base.TimeoutError

__all__ = list(_standard.__all__)


def __getattr__(name: str) -> Any:
    """What is left of the standard module, which imports its process pools only when they are asked for."""
    return getattr(_standard, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
