"""How the work of a thread is told to stop: `Cancellation` and `checkpoint`, native or, without the engine, in Python.

Without the engine nothing can wake a thread that waits, so only `checkpoint()` raises there.
"""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError

from fenshen import _engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fenshen._threads import Cancellation as Cancellation

__all__ = ["Cancellation", "CancelledError", "checkpoint"]


class _Entered(threading.local):
    """What a thread has entered, the innermost last."""

    def __init__(self) -> None:
        self.marks: list[_Cancellation] = []


class _Cancellation:
    """What tells a thread's work to stop: entered by that thread with `with`, cancelled by any."""

    def __init__(self) -> None:
        self.cancelled = False
        self.raised = False
        self.origin = id(self)
        self._message: str | None = None

    def cancel(self, message: str | None = None) -> bool:
        if self.cancelled:
            return False
        self._message = message
        self.cancelled = True
        return True

    def __enter__(self) -> _Cancellation:
        _entered.marks.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self in _entered.marks:
            _entered.marks.remove(self)

    def error(self) -> CancelledError:
        self.raised = True
        error = CancelledError() if self._message is None else CancelledError(self._message)
        error._cancellation = self.origin  # type: ignore[attr-defined]
        return error


_entered = _Entered()

if not TYPE_CHECKING:
    if _engine.engine() == "native":
        from fenshen._threads import Cancellation
    else:
        Cancellation = _Cancellation


def _due() -> _Cancellation | None:
    return next((mark for mark in _entered.marks if mark.cancelled and not mark.raised), None)


def checkpoint() -> None:
    """Raise CancelledError (of `concurrent.futures`) if the calling thread's work was cancelled, and nothing has raised
    that since.

    For the loops of functions that `TaskGroup.to_thread` runs, and of the body of a plain `with TaskGroup()`. Every
    blocking call of fenshen's is such a point as soon as it waits. It is raised once, so what cleans up may wait. In
    any other thread, and in worker processes, which are ended, nothing happens.
    """
    if (mark := _due()) is not None:
        raise mark.error()


if not TYPE_CHECKING and _engine.engine() == "native":
    from fenshen._threads import checkpoint
