"""Takes items out of a queue, for a loop."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from typing import Any, Protocol

from fenshen import queue as _our_queue
from fenshen.flow._bell import Bell
from fenshen.flow._end import End

__all__ = ["Intake", "opened"]

_EMPTY = (queue.Empty, asyncio.QueueEmpty)
_SHUT_DOWN = tuple(
    {
        getattr(module, name)
        for module, name in ((_our_queue, "ShutDown"), (queue, "ShutDown"), (asyncio, "QueueShutDown"))
        if hasattr(module, name)
    }
)
# Seconds after which a thread that waits for an item looks whether anybody wants it still: no queue tells it that.
_PATIENCE = 0.05


class Intake(Protocol):
    """What items come from, one at a time."""

    left: list[Any]  # items that were taken and that nobody has asked for

    async def get(self) -> Any:
        """The next item. Raises End if no more are taken, or the queue was shut down."""

    def drain(self) -> None:
        """Take what is there, and then no more."""

    def stop(self) -> None:
        """Take no more."""

    async def join(self) -> None:
        """Wait until nothing of it runs."""


def opened(items: Any) -> Intake:
    """What takes the items of a queue. Raises TypeError if it is none."""
    if hasattr(items, "aget") and hasattr(items, "get_nowait"):
        return _Awaited(items, items.aget)
    if isinstance(items, asyncio.Queue):
        return _Awaited(items, items.get)
    if hasattr(items, "get") and hasattr(items, "get_nowait"):
        return _Polled(items)
    raise TypeError(f"a queue is wanted, not {type(items).__name__}")


class _Awaited:
    """A queue that a task can wait for."""

    def __init__(self, items: Any, get: Any) -> None:
        self.left: list[Any] = []
        self._items = items
        self._get = get
        self._draining = False
        self._stopped = False
        self._getting: asyncio.Task[Any] | None = None

    async def get(self) -> Any:
        while not self._stopped:
            try:
                if self._draining:
                    return self._items.get_nowait()
                getting = self._getting = asyncio.ensure_future(self._get())
                try:
                    await asyncio.wait({getting})
                except asyncio.CancelledError:
                    await self._give_up(getting)
                    raise
                if not getting.cancelled():
                    return getting.result()
            except (*_EMPTY, *_SHUT_DOWN):
                break
        raise End

    async def _give_up(self, getting: asyncio.Task[Any]) -> None:
        getting.cancel()
        with contextlib.suppress(asyncio.CancelledError, *_SHUT_DOWN):
            self.left.append(await getting)  # it may have been there at that moment

    def drain(self) -> None:
        self._draining = True
        if self._getting is not None:
            self._getting.cancel()

    def stop(self) -> None:
        self._stopped = True
        self.drain()

    async def join(self) -> None:
        """It is only at work in `get()`."""


class _Polled:
    """A queue that only a thread can wait for: it takes an item whenever one is asked for."""

    def __init__(self, items: Any) -> None:
        self.left: list[Any] = []
        self._items = items
        self._draining = False
        self._stopped = False
        self._over = False
        self._error: BaseException | None = None
        self._wanted = threading.Semaphore(0)
        self._asked = False
        self._news = Bell(asyncio.get_running_loop())
        self._thread = threading.Thread(target=self._run, name="fenshen-flow-intake", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stopped:
                self._wanted.acquire()
                self._take()
                self._news.ring_from_afar()
        except (End, *_SHUT_DOWN):
            pass
        except BaseException as error:
            self._error = error
        finally:
            self._over = True
            self._news.ring_from_afar()

    def _take(self) -> None:
        while not self._stopped:
            try:
                if self._draining:
                    self.left.append(self._items.get_nowait())
                else:
                    self.left.append(self._items.get(timeout=_PATIENCE))
                return
            except _EMPTY:
                if self._draining:
                    raise End from None

    async def get(self) -> Any:
        if not self._asked:  # unless the last one who asked has not had it
            self._asked = True
            self._wanted.release()
        while not self.left:
            if self._over or self._stopped:
                if self._error is not None:
                    raise self._error
                raise End
            await self._news.wait()
        self._asked = False
        return self.left.pop()

    def drain(self) -> None:
        self._draining = True

    def stop(self) -> None:
        self._stopped = True
        self._wanted.release()
        self._news.ring()

    async def join(self) -> None:
        while not self._over:
            await self._news.wait()
        self._thread.join()  # it has nothing more to do
