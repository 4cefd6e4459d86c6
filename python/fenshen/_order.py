"""Where locks were taken, and in which order: what `--lock-order` and `deadlock_origins=True` keep.

The native side calls `pair` the first time that a thread takes a lock while it holds another, `acquired` at each
acquisition if origins are wanted, and `gone` when a lock's address may become another's.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from fenshen import _engine, _threads


class Place(NamedTuple):
    """Who took the second lock while holding the first, and where."""

    thread: str
    stack: list[str]


# first -> second -> where the second was taken while the first was held; locks by their addresses.
_after: dict[int, dict[int, Place]] = {}
_shown: dict[int, str] = {}
_told: set[frozenset[int]] = set()
# Where each lock that is held now was acquired.
_origins: dict[int, list[tuple[str, int, str]]] = {}


def start(*, pairs: bool, origins: bool) -> None:
    """Note the order of locks, where they are acquired, or both, from now on."""
    _threads.note_locks(sys.modules[__name__], pairs, origins)


def pair(held: Any, lock: Any) -> None:
    """A thread has taken `lock` while it held `held`, for the first time."""
    import threading

    from fenshen._stuck import stack

    first, second = id(held), id(lock)
    _shown[first], _shown[second] = repr(held), repr(lock)
    _after.setdefault(first, {})[second] = Place(threading.current_thread().name, stack(sys._getframe(1)))
    ring = _way(second, first)
    if ring is not None and frozenset(ring) not in _told:
        _told.add(frozenset(ring))
        _engine.say(_text(ring))


def _way(start: int, end: int) -> list[int] | None:
    """Locks from `start` to `end`, each taken while the one before it was held."""
    ways = [[start]]
    seen = {start}
    while ways:
        way = ways.pop(0)
        if way[-1] == end:
            return way
        for after in list(_after.get(way[-1], ())):
            if after not in seen:
                seen.add(after)
                ways.append([*way, after])
    return None


def _text(ring: list[int]) -> str:
    lines = ["locks are taken in different orders, which can deadlock some day though nothing hangs now:"]
    for first, second in zip(ring, [*ring[1:], ring[0]], strict=True):
        place = _after[first][second]
        lines.append(f"  {place.thread} took {_shown[second]} while it held {_shown[first]}")
        lines.extend(f"    {line}" for line in place.stack)
    lines.append("  take them in one order everywhere, or together: with fenshen.threading.ordered(a, b): ...")
    return "\n".join(lines)


def acquired(lock: Any) -> None:
    """This thread has acquired `lock`."""
    places = []
    frame = sys._getframe(1)
    while frame is not None and len(places) < 20:
        places.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        frame = frame.f_back  # type: ignore[assignment]
    _origins[id(lock)] = places


def origin(lock: Any) -> list[str]:
    """Where a lock that is held was acquired, outermost first; empty if that is not known."""
    return [f"{file}:{line} in {name}" for file, line, name in reversed(_origins.get(id(lock), []))]


def gone(lock: int) -> None:
    """The lock of that address is no more."""
    _origins.pop(lock, None)
    _shown.pop(lock, None)
    _after.pop(lock, None)
    for after in list(_after.values()):
        after.pop(lock, None)
