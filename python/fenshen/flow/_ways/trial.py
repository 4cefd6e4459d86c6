"""`Trial`: the first calls of a function, measured in the threads that make them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from fenshen._fenshen import advise_measure
from fenshen.flow import _sampling
from fenshen.flow._weighing import Scales
from fenshen.flow.choosing import Measured

# Seconds between two looks at what was measured, and how long that may go on.
_BETWEEN = 0.02
_LONGEST = 1.0


class Trial:
    """Wall and CPU time, waiting for the interpreter lock, and bytes, until they tell what kind of work it is."""

    def __init__(self, fn: Callable[[Any], Any]) -> None:
        _sampling.begin()
        self._fn = fn
        self._row = _sampling.Row(fn)
        self._scales = Scales(fn)
        self._next = self._last = 0.0

    def call(self, item: Any) -> Any:
        """`fn(item)`, measured."""
        if not self._last:
            began = time.monotonic()
            self._next, self._last = began + _BETWEEN, began + _LONGEST
        result = advise_measure(self._row.number, self._fn, item)
        self._scales.weigh(item, result)
        return result

    def measured(self) -> Measured | None:
        """What the calls have shown, if that is enough or there was time enough."""
        now = time.monotonic()
        if now < self._next:
            return None
        self._next = now + _BETWEEN
        evidence = self._row.evidence()
        kind = _sampling.kind(evidence)
        if not evidence.calls or (kind == "few" and now < self._last):
            return None
        calls = evidence.calls
        return Measured(
            calls,
            evidence.busy / calls,
            evidence.cpu / calls,
            evidence.lock_wait / calls,
            self._scales.bytes,
            self._scales.seconds,
            self._scales.refused,
            kind,
            evidence.own / calls,
        )

    def end(self) -> None:
        """Measure no longer."""
        _sampling.end()
