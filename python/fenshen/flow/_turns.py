"""`Turns`: places that threads and tasks take, who waits longest first."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from typing import Protocol

__all__ = ["Turns", "refuse_on_loop"]


class _Waiter(Protocol):
    granted: bool

    def wake(self) -> bool:
        """Tell it that it has a place; False if it can't be told."""


class Turns:
    """A number of places, in one line for threads and for tasks of any loop.

    A place that is given back goes to the first who waits, and nobody who comes later takes it. Who gives up waiting,
    by a timeout, cancellation or Ctrl-C, leaves the line, or passes on the place that it was given meanwhile.
    """

    def __init__(self, places: int) -> None:
        self.places = places
        self._free = places
        self._lock = threading.Lock()
        self._line: OrderedDict[_Waiter, None] = OrderedDict()

    @property
    def idle(self) -> bool:
        """Whether nobody has a place."""
        return self._free == self.places

    @property
    def taken(self) -> int:
        """How many places are taken."""
        return self.places - self._free

    def take(self, timeout: float | None = None) -> bool:
        """Take a place, and block this thread until there is one; False if there was none in `timeout` seconds."""
        if timeout is not None and timeout <= 0:
            return self._enter(None)
        waiter = _Thread()
        if self._enter(waiter):
            return True
        try:
            waiter.wait(timeout)
        except BaseException:
            if self._leave(waiter):
                self.give()
            raise
        return self._leave(waiter)

    async def atake(self) -> None:
        """The same for a task, without a timeout."""
        if self._enter(None):
            return
        waiter = _Task(asyncio.get_running_loop())
        if self._enter(waiter):
            return
        try:
            await waiter.future
        except BaseException:
            if self._leave(waiter):
                self.give()
            raise

    def give(self) -> None:
        """Give a place back. Raises ValueError if none is taken."""
        while True:
            with self._lock:
                if self._free == self.places:
                    raise ValueError("released too many times")
                if not self._line:
                    self._free += 1
                    return
                waiter, _ = self._line.popitem(last=False)
                waiter.granted = True
            if waiter.wake():
                return
            waiter.granted = False  # nobody is there any more

    def _enter(self, waiter: _Waiter | None) -> bool:
        """Take a place if there is one, else stand in the line."""
        with self._lock:
            if self._free and not self._line:
                self._free -= 1
                return True
            if waiter is not None:
                self._line[waiter] = None
            return False

    def _leave(self, waiter: _Waiter) -> bool:
        """Wait no more; whether a place was given meanwhile."""
        with self._lock:
            if not waiter.granted:
                self._line.pop(waiter, None)
            return waiter.granted


class _Thread:
    """A thread that waits."""

    __slots__ = ("_given", "granted")

    def __init__(self) -> None:
        self.granted = False
        self._given = threading.Event()

    def wait(self, timeout: float | None) -> None:
        self._given.wait(None if timeout is None else min(timeout, threading.TIMEOUT_MAX))

    def wake(self) -> bool:
        self._given.set()
        return True


class _Task:
    """A task that waits."""

    __slots__ = ("_loop", "future", "granted")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.granted = False
        self.future: asyncio.Future[None] = loop.create_future()
        self._loop = loop

    def wake(self) -> bool:
        if asyncio._get_running_loop() is self._loop:
            self._set()
            return True
        try:
            self._loop.call_soon_threadsafe(self._set)
        except RuntimeError:  # the loop is closed, and its tasks are gone
            return False
        return True

    def _set(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


def refuse_on_loop(what: str, instead: str) -> None:
    """Raise RuntimeError on a thread whose loop is running."""
    if asyncio._get_running_loop() is not None:
        raise RuntimeError(f"{what} would block the running event loop; use `{instead}`")
