"""The measurements of one row, and how sure they are.

Times are in seconds. Wall and CPU time are exact, and so is, for the time that looks have followed, how long a thread
was ready to run without a CPU. How the rest, the time asleep, divides is estimated from looks at random times, each of
which sees a state with the probability of the state's share of the time. The error given is the half width of the
binomial distribution's 95% interval (Agresti and Coull), with the number of looks reduced to the number of independent
ones: successive looks that see the same wait are no two observations. For a state that comes and goes as a Markov chain
does, that factor is (1 - r) / (1 + r), with r the correlation of successive looks, which is counted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

KINDS = (
    "under",
    "outside",
    "computes",
    "displaced under",
    "displaced outside",
    "lock",
    "starved",
    "sleeps",
    "threads",
    "holding",
    "unclear",
)
_IDLE = ("sleeps", "threads", "holding")
# Looks, for anything to be told.
FEWEST = 20
_SURE = 1.96


class Evidence:
    """What was measured of one function."""

    def __init__(self, counts: Sequence[int], looks: Sequence[int], pairs: Sequence[int]) -> None:
        self.calls, self.running, self.peak, self.steps = counts[:4]
        times = [nanoseconds / 1e9 for nanoseconds in counts[4:]]
        # From beginning to end; the time that a thread was at it; the CPU time of that.
        self.wall, self.busy, self.cpu = times[:3]
        self.cpu = min(self.cpu, self.busy)
        self.longest, self.longest_step, self.span, self.longest_cpu = times[3:7]
        self.looks = dict(zip(KINDS, looks, strict=True))
        self.seen = sum(looks) - self.looks["unclear"]
        followed, starved = times[7:]
        self.starved = min(self._starved(followed, starved), self.busy - self.cpu)
        # So much of that was not followed, and is taken to be like the rest.
        self._guessed = self.starved * max(0.0, 1 - followed / self.busy) if self.busy else 0.0
        self._asleep = sum(self.looks[kind] for kind in ("lock", *_IDLE))
        self._independent = self._asleep * _independence(pairs)

    def _starved(self, followed: float, starved: float) -> float:
        """Seconds in which it wanted to compute and had no CPU."""
        if followed:
            return self.busy * min(1.0, starved / followed)
        return self.busy * self.looks["starved"] / self.seen if self.seen else 0.0

    @property
    def asleep(self) -> float:
        """Seconds in which it neither ran nor could have."""
        return self.busy - self.cpu - self.starved

    @property
    def lock_wait(self) -> float:
        """Seconds of waiting for the interpreter lock."""
        return self.asleep * self._share("lock")

    @property
    def lock_error(self) -> float:
        """The half width of its 95% interval, and the time without a CPU that was not followed."""
        return self._guessed + self.asleep * half_width(self.looks["lock"], self._asleep, self._independent)

    @property
    def idle(self) -> dict[str, float]:
        """Seconds of sleep for reasons of its own: "sleeps" (for something outside of the process, or for a time),
        "threads" (for another thread) and "holding" (with the interpreter lock).
        """
        return {kind: self.asleep * self._share(kind) for kind in _IDLE}

    @property
    def own(self) -> float:
        """What it would take alone: CPU time and idle time, no wait for the lock nor for a CPU."""
        return self.cpu + sum(self.idle.values())

    @property
    def cpu_share(self) -> tuple[float, float]:
        """The least and the greatest share of its own time that may be CPU time, at 95%."""
        idle, cpu = sum(self.idle.values()), max(self.cpu, 1e-9)
        return cpu / (cpu + min(idle + self.lock_error, self.asleep)), cpu / (cpu + max(idle - self.lock_error, 0.0))

    @property
    def under_lock(self) -> tuple[float, float]:
        """The share of its CPU time under the interpreter lock, with the half width of the 95% interval."""
        under, outside = self.looks["under"], self.looks["outside"]
        if under + outside < FEWEST:
            under += self.looks["displaced under"]
            outside += self.looks["displaced outside"]
        count = under + outside
        if not count:
            return 0.5, 0.5
        return under / count, half_width(under, count, count)

    def _share(self, kind: str) -> float:
        return self.looks[kind] / self._asleep if self._asleep else 0.0


def half_width(hits: int, count: int, independent: float) -> float:
    """Half the width of the 95% interval of `hits / count`, of which so many are independent."""
    if not count:
        return 1.0
    share = (hits + _SURE**2 / 2) / (count + _SURE**2)
    return min(1.0, _SURE * math.sqrt(share * (1 - share) / (max(independent, 1.0) + _SURE**2)))


def _independence(pairs: Sequence[int]) -> float:
    """How much of an independent observation a look is, from the pairs of successive ones."""
    neither, begins, ends, both = pairs
    if not (neither + begins) or not (ends + both):
        return 1.0
    correlation = both / (ends + both) - begins / (neither + begins)
    correlation = min(max(correlation, 0.0), 0.99)
    return (1 - correlation) / (1 + correlation)


def read(row: Any) -> Evidence:
    """From a row of `_fenshen.advise_counts`."""
    _source, counts, looks, pairs = row
    return Evidence(counts, looks, pairs)
