"""The whole of threading, with fenshen's locks, conditions, semaphores, events and barriers in it, and nothing
installed: `from fenshen import threading`.

The names are threading's own, and two more: `AtomicInt`, a number that threads change without a lock, and `ordered`,
which takes several locks without the risk of a deadlock. A name that threading gains later is looked up there.
"""

from __future__ import annotations

import threading as _standard

from fenshen import _engine
from fenshen._ordered import ordered as ordered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from threading import *  # noqa: F403
    from typing import Any as _Any

    from fenshen._threads import AtomicInt as AtomicInt
    from fenshen._threads import Barrier as Barrier  # type: ignore[assignment]
    from fenshen._threads import BoundedSemaphore as BoundedSemaphore  # type: ignore[assignment]
    from fenshen._threads import Condition as Condition  # type: ignore[assignment]
    from fenshen._threads import Event as Event  # type: ignore[assignment]
    from fenshen._threads import Lock as Lock
    from fenshen._threads import RLock as RLock
    from fenshen._threads import Semaphore as Semaphore  # type: ignore[assignment]

_OURS = ("Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Event", "Barrier", "AtomicInt")

__all__ = [*_standard.__all__, "AtomicInt", "ordered"]


def _fill(space: dict[str, _Any]) -> None:
    own = {"__name__", "__doc__", "__package__", "__loader__", "__spec__", "__file__", "__cached__", "__builtins__"}
    own |= {"__all__", "__path__", "__getattr__", "ordered"}
    space.update({name: value for name, value in vars(_standard).items() if name not in own})
    if _engine.engine() == "native":
        from fenshen import _threads

        space.update({name: getattr(_threads, name) for name in _OURS})


_fill(globals())


def __getattr__(name: str) -> _Any:
    try:
        return getattr(_standard, name)
    except AttributeError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(_standard)})
