"""The standard library's `queue`, with native queues: `from fenshen import queue`.

`Empty` and `Full` are the standard library's own, `ShutDown` is so from Python 3.13 on. `Queue.shutdown()` is there on
every version.
"""

from __future__ import annotations

from queue import Empty, Full

from fenshen._threads import LifoQueue, PriorityQueue, Queue, SimpleQueue, meet_queues

try:
    from queue import ShutDown  # type: ignore[attr-defined, unused-ignore]
except ImportError:

    class ShutDown(Exception):  # type: ignore[no-redef]
        """Raised by `put()` on a queue that is shut down, and by `get()` if it is empty as well."""


__all__ = ["Empty", "Full", "LifoQueue", "PriorityQueue", "Queue", "ShutDown", "SimpleQueue"]

meet_queues()
