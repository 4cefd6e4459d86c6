"""What the awaitable methods of `fenshen.Queue`, `fenshen.Event` and `fenshen.Semaphore` look like to those who ask.

The native ones stand for these: they show their signatures and docstrings, and are coroutine functions as these are.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Queue:
    async def aput(self, item: Any, timeout: float | None = None) -> None:  # type: ignore[empty-body]
        """Put an item in, and wait for a place, at most `timeout` seconds.

        Raises queue.Full if there is no place by then, queue.ShutDown if the queue is shut down, ValueError for a
        negative timeout. One that is cancelled has put nothing.
        """

    async def aget(self, timeout: float | None = None) -> Any:
        """Take the next item, and wait for one, at most `timeout` seconds.

        Raises queue.Empty if there is none by then, queue.ShutDown if there is none and the queue is shut down,
        ValueError for a negative timeout. What one that is cancelled was given goes to the next.
        """

    async def ajoin(self, timeout: float | None = None) -> bool:  # type: ignore[empty-body]
        """Wait until the work on every item is done, at most `timeout` seconds; returns whether it is."""


class Event:
    async def await_set(self, timeout: float | None = None) -> bool:  # type: ignore[empty-body]
        """Wait until it is set, at most `timeout` seconds; returns whether it was."""


class Semaphore:
    async def aacquire(self, timeout: float | None = None) -> bool:  # type: ignore[empty-body]
        """Take a permit, and wait for one, at most `timeout` seconds; returns whether it was taken.

        Raises ValueError for a negative timeout. What one that is cancelled was given goes to the next.
        """

    async def __aenter__(self) -> bool:  # type: ignore[empty-body]
        """Take a permit."""

    async def __aexit__(self, *exc_info: object) -> None:
        """Give it back."""
