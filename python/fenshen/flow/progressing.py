"""How far a pipeline, a pool of handlers or a `map_reduce` has come, and who is told."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeAlias

from fenshen import _engine

__all__ = ["Progress", "Reporter", "StageProgress", "reporter"]


class StageProgress(NamedTuple):
    """One stage: calls that run, items that are over, and items whose results nobody has taken yet."""

    name: str
    model: str
    running: int
    done: int
    waiting: int


class Progress(NamedTuple):
    """How far something has come."""

    name: str
    done: int
    """Results so far."""
    failed: int
    """Items that failed."""
    total: int | None
    """How many items there are, where that is known."""
    elapsed: float
    """Seconds since the beginning."""
    over: bool
    """Whether this is the last that is told."""
    stages: tuple[StageProgress, ...] = ()

    @property
    def rate(self) -> float:
        """Results a second."""
        return self.done / self.elapsed if self.elapsed > 0 else 0.0

    def __str__(self) -> str:
        share = f"/{self.total} ({self.done / self.total:.0%})" if self.total else ""
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.name}: {self.done}{share} in {self.elapsed:.1f} s, {self.rate:.1f}/s{failed}"


# What may be given as `progress=`.
Wanted: TypeAlias = bool | Callable[[Progress], object] | None


class Teller(Protocol):
    """Who is told."""

    interval: float  # seconds between two tellings, at least

    def tell(self, progress: Progress) -> None:
        """This is how far it has come."""


class Reporter:
    """Counts, and tells now and then."""

    def __init__(
        self,
        teller: Teller | None,
        name: str,
        total: int | None,
        stages: Callable[[], tuple[StageProgress, ...]] = tuple,
    ) -> None:
        self.done = 0
        self.failed = 0
        self._teller = teller
        self._name = name
        self._total = total
        self._stages = stages
        self._began = time.monotonic()
        self._next = self._began

    def count(self, done: int = 1, failed: int = 0) -> None:
        """So many more, and perhaps tell."""
        self.done += done
        self.failed += failed
        teller = self._teller
        if teller is not None and (now := time.monotonic()) >= self._next:
            self._next = now + teller.interval
            teller.tell(self.now())

    def now(self, over: bool = False) -> Progress:
        """How far it has come."""
        elapsed = time.monotonic() - self._began
        return Progress(self._name, self.done, self.failed, self._total, elapsed, over, self._stages())

    def close(self) -> None:
        """Tell for the last time."""
        teller, self._teller = self._teller, None
        if teller is not None:
            teller.tell(self.now(over=True))


def reporter(
    wanted: Wanted,
    name: str,
    total: int | None = None,
    stages: Callable[[], tuple[StageProgress, ...]] = tuple,
) -> Reporter:
    """Who counts and tells, as `progress=` wants it.

    None or False: nobody is told. A function: it is called with a `Progress`, at first, ten times a second at most, and
    in the end. True: a bar on a terminal, if tqdm is installed (`pip install fenshen[progress]`), and elsewhere a line
    on standard error after a second, then every ten seconds, and in the end; nothing under FENSHEN_QUIET.
    Raises TypeError for anything else.
    """
    return Reporter(_teller(wanted, name), name, total, stages)


def _teller(wanted: Wanted, name: str) -> Teller | None:
    if wanted is None or wanted is False:
        return None
    if callable(wanted):
        return _Called(wanted)
    if wanted is not True:
        raise TypeError("progress must be a function, True, False or None")
    if _engine.quiet():
        return None
    if _is_terminal(sys.stderr):
        try:
            from fenshen.flow._bar import Bar
        except ImportError:
            return _Lines()
        return Bar(name)
    return _Lines()


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty()) and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError):
        return False


class _Called:
    """A program's own function."""

    interval = 0.1

    def __init__(self, function: Callable[[Progress], object]) -> None:
        self._function = function

    def tell(self, progress: Progress) -> None:
        self._function(progress)


class _Lines:
    """Lines in a log."""

    interval = 0.25

    def __init__(self) -> None:
        self._next = 1.0  # seconds after the beginning

    def tell(self, progress: Progress) -> None:
        if progress.over or progress.elapsed >= self._next:
            self._next = progress.elapsed + 10
            _engine.say(str(progress))
