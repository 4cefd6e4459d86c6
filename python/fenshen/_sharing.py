"""How what is made with `shared=True` is made, and how it reaches other processes.

As the queues of `multiprocessing` do: a forked child has it, one that is spawned gets it with its arguments, and
through our own pools and queues it goes as an argument, a result or an item.
"""

from __future__ import annotations

from fenshen import _processes, _segments, _together
from fenshen.multiprocessing import queues

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Channel(queues._Shared, _processes.Queue):
    """The items of a shared queue: messages in shared memory."""

    __slots__ = ()

    def __getstate__(self) -> tuple[Any, ...]:
        return self._share()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._adopt(*state)

    def _started_feeding(self) -> None:
        queues._unsent.add(self)  # type: ignore[arg-type]

    def _pickling_failed(self, error: Exception, obj: Any) -> None:
        raise error


def make(size: int, bound: int | None) -> tuple[_processes.Segment, Channel | None]:
    """Make a segment of `size` bytes and, for a queue, where its items lie: at most `bound`, zero for any number."""
    channel = None
    if bound is not None:
        channel = Channel()
        channel._make(bound)
    return _processes.Segment(size), channel


def check(o: object) -> None:
    """See that `o` may be pickled now; RuntimeError if it is not on its way to another process of ours."""
    _segments.check(o)


def rebuild(name: str, segment: _processes.Segment, channel: Channel | None) -> object:
    """In the process that it has reached."""
    return _together.adopt(name, segment, channel)
