"""What processes would have to be sent: the bytes of an item and of its result, and what cannot be pickled."""

from __future__ import annotations

import threading
import time
from typing import Any

from fenshen import _pickling
from fenshen.advice import pickling

# So many calls are weighed.
_CALLS = 3


class Scales:
    """Weighs the first calls of a function."""

    def __init__(self, fn: Any) -> None:
        self.refused = ""
        self._fn = fn
        self._left = _CALLS + 1
        self._weighed: list[tuple[int, float]] = []
        self._lock = threading.Lock()

    def weigh(self, item: Any, result: Any) -> None:
        """Weigh a call, if it is one of the first."""
        if self._left <= 0:
            return
        with self._lock:
            self._left -= 1
            first, last = self._left == _CALLS, self._left < 0
        if last:
            return
        if first:
            _weighed("the function", self._fn, self)
        began = time.thread_time()
        total = [_weighed("the item", item, self), _weighed("the result", result, self)]
        # Loading takes about as long as pickling.
        if not self.refused:
            self._weighed.append((sum(total), 2 * (time.thread_time() - began)))

    @property
    def bytes(self) -> int | None:
        """For one call in the mean; None if nothing was weighed."""
        return sum(size for size, _ in self._weighed) // len(self._weighed) if self._weighed else None

    @property
    def seconds(self) -> float:
        """To pickle and to load them."""
        return sum(seconds for _, seconds in self._weighed) / len(self._weighed) if self._weighed else 0.0


def _weighed(name: str, thing: Any, scales: Scales) -> int:
    try:
        return pickling.size(thing)
    except Exception as error:
        by_value = _pickling.by_value_or_none(thing)
        if by_value is not None:
            return len(by_value)
        culprit = pickling.culprit(thing, name)
        scales.refused = f"{culprit.path} is a {culprit.kind}" if culprit else f"{name}: {error}"
        return 0
