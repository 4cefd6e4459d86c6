"""What was sent by reference, and must stay alive here until the receiver has it."""

from __future__ import annotations

import time
import weakref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Seconds from when a message was seen to be taken to when it is certainly loaded.
GRACE = 10.0


class _Kept:
    """The pins of one message."""

    __slots__ = ("_channel", "_is_taken", "_number", "_pins", "_taken")

    def __init__(self, channel: Any, is_taken: Callable[[Any, Any], bool], number: int | None, pins: list[Any]):
        self._channel = weakref.ref(channel)
        self._is_taken = is_taken
        self._number = number
        self._pins = pins
        self._taken: float | None = None

    def is_over(self, now: float) -> bool:
        if self._taken is not None:
            return now - self._taken > GRACE
        channel = self._channel()
        if channel is None or self._is_taken(channel, self._number):
            self._taken = now
        return False


_kept: list[_Kept] = []


def keep(channel: Any, is_taken: Callable[[Any, Any], bool], number: int | None, pins: list[Any]) -> None:
    """Keep `pins` until `is_taken(channel, number)`, or the channel is gone, and a while longer."""
    global _kept
    now = time.monotonic()
    _kept = [*(kept for kept in _kept if not kept.is_over(now)), _Kept(channel, is_taken, number, pins)]
