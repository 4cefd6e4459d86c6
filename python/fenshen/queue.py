"""The standard library's `queue`, with native queues: `from fenshen import queue`.

`Empty` and `Full` are the standard library's own, and `ShutDown` is so from Python 3.13 on. The native queues have
`shutdown()` on every version.
"""

from __future__ import annotations

import queue as _standard
from queue import Empty, Full
from typing import Any

from fenshen import _engine

try:
    from queue import ShutDown  # type: ignore[attr-defined, unused-ignore]
except ImportError:

    class ShutDown(Exception):  # type: ignore[no-redef]
        """Raised by `put()` on a queue that is shut down, and by `get()` if it is empty as well."""


if _engine.expected() == "native":
    from fenshen._threads import LifoQueue, PriorityQueue, Queue, SimpleQueue, meet_queues

    meet_queues()
else:
    from queue import LifoQueue, PriorityQueue, Queue, SimpleQueue

__all__ = ["Empty", "Full", "LifoQueue", "PriorityQueue", "Queue", "ShutDown", "SimpleQueue"]


def __getattr__(name: str) -> Any:
    return getattr(_standard, name)
