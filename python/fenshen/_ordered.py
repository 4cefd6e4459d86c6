"""Taking several locks without the risk of a deadlock."""

from __future__ import annotations

from types import TracebackType
from typing import Any


class ordered:
    """`with ordered(a, b, ...):` holds all of them, taken in an order that is the same everywhere.

    Whatever order a program names them in, two threads that take the same locks this way never wait for each other in a
    ring. Anything with `acquire()` and `release()` will do; a lock that is given twice is taken once. A lock that the
    thread already holds, taken by itself before, is outside of that order.

    Raises TypeError if one of them has no `acquire` and `release`. What an `acquire` raises passes through,
    and what was taken before it is released. (E. W. Dijkstra's resource hierarchy, EWD310, 1971.)
    """

    def __init__(self, *locks: Any) -> None:
        for lock in locks:
            if not callable(getattr(lock, "acquire", None)) or not callable(getattr(lock, "release", None)):
                raise TypeError(f"ordered() takes locks, not {type(lock).__name__!r} objects")
        self._locks = sorted({id(lock): lock for lock in locks}.values(), key=id)

    def __enter__(self) -> None:
        taken = []
        try:
            for lock in self._locks:
                lock.acquire()
                taken.append(lock)
        except BaseException:
            for lock in reversed(taken):
                lock.release()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for lock in reversed(self._locks):
            lock.release()
