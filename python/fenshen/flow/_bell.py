"""`Bell`: where one coroutine waits until something may have changed."""

from __future__ import annotations

import asyncio
import contextlib


class Bell:
    """One waiter at most, on one loop.

    Who waits asks again for what it waits for: `while not there: await bell.wait()`.
    """

    __slots__ = ("_waiter", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._waiter: asyncio.Future[None] | None = None

    async def wait(self) -> None:
        """Wait until the bell rings."""
        self._waiter = self.loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def ring(self) -> None:
        """Wake the one who waits, on the loop's own thread."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def ring_from_afar(self) -> None:
        """The same, from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            self.loop.call_soon_threadsafe(self.ring)
