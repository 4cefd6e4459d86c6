"""A loop's end in order: no more connections are taken, what runs may end, and what is left is cancelled."""

from __future__ import annotations

import asyncio
import functools
import weakref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any, TypeVar

    T = TypeVar("T")

__all__ = ["Drain"]

_LOOK = 0.02  # seconds between two looks whether connections without a task have ended


class Drain:
    """How one loop is brought to its end, all of it on its own thread."""

    def __init__(self, grace: float) -> None:
        """`grace` is in seconds, from `begin()` until what is left is cancelled."""
        self._grace = grace
        self._begun = False
        self._ended = False
        self._loop: Any = None
        #: The one that waits for all others.
        self._own: Any = None
        self._cancelled: set[asyncio.Task[Any]] = set()
        self._servers: weakref.WeakSet[Any] = weakref.WeakSet()

    async def run(self, main: Coroutine[Any, Any, T]) -> T | None:
        """`await main`, as a task of its own; once the end has begun, return when everything on this loop has ended.

        What main returns, None if the end cancelled it.
        """
        self._loop = loop = asyncio.get_running_loop()
        self._own = asyncio.current_task()
        self._watch_servers()
        task = loop.create_task(main)
        if self._begun:  # before there was a loop
            self._stop_intake()
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            await _cancelled(task)
            raise
        if self._begun:
            await self._drained()
            if task.cancelled():
                return None
        return task.result()

    def begin(self, _: int = 0) -> None:
        """Take no more connections, and give what there is its time."""
        if not self._begun:
            self._begun = True
            if self._loop is not None:
                self._stop_intake()

    def end(self, _: int = 0) -> None:
        """Cancel everything now."""
        self.begin()
        if self._ended or self._loop is None:
            return
        self._ended = True
        self._cancelled = self._others()
        for task in self._cancelled:
            task.cancel()

    def _stop_intake(self) -> None:
        for server in list(self._servers):
            if _serves_forever(server):
                server.close()
            else:  # whoever has just made it uses it first
                _will_end(server)
                self._loop.call_soon(server.close)
        self._loop.call_later(self._grace, self.end)

    def _watch_servers(self) -> None:
        """Know every server that listens on this loop: asyncio's or ours, which have the same inner method."""
        start = getattr(self._loop, "_start_serving", None)
        if start is None:
            return  # no server of such a loop can be known

        def start_serving(
            factory: Any, sock: Any, ssl: Any = None, server: Any = None, *more: Any, **options: Any
        ) -> Any:
            if server is not None:
                if self._begun:
                    _will_end(server)
                    self._loop.call_soon(_close_if_served, server)
                    return None
                self._servers.add(server)
            return start(factory, sock, ssl, server, *more, **options)

        self._loop._start_serving = start_serving

    def _others(self) -> set[asyncio.Task[Any]]:
        return asyncio.all_tasks(self._loop) - {self._own}

    async def _drained(self) -> None:
        """Wait until no task, and no connection, is left."""
        while not self._ended:
            tasks = self._others()
            if tasks:
                await asyncio.wait(tasks, timeout=10 * _LOOK)  # others may have come by then
            elif any(map(_connections, self._servers)):
                await asyncio.sleep(_LOOK)
            else:
                return
        if self._cancelled:
            await asyncio.wait(self._cancelled)


async def _cancelled(task: asyncio.Task[Any]) -> None:
    """Cancel it, and wait until it has ended, whatever else is cancelled meanwhile."""
    task.cancel()
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()


def _serves_forever(server: Any) -> bool:
    """Whether `serve_forever()` waits, which the closing ends."""
    return getattr(server, "_serving_forever_fut", None) is not None


def _close_if_served(server: Any) -> None:
    if _serves_forever(server):
        server.close()


def _will_end(server: Any) -> None:
    """Have `serve_forever()` end at once: a server that is closed refuses it, which nobody could have known."""
    server.serve_forever = functools.partial(_ended, server)


async def _ended(server: Any) -> None:
    server.close()
    await server.wait_closed()
    raise asyncio.CancelledError


def _connections(server: Any) -> int:
    """How many connections a server has that have not ended."""
    clients = getattr(server, "_clients", None)  # from 3.13 on
    return len(clients) if clients is not None else getattr(server, "_active_count", 0)
