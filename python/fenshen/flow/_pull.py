"""`Pull`: an iterable that a thread goes through, for a loop that must not wait for it."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from fenshen._cancelling import Cancellation
from fenshen.flow._bell import Bell
from fenshen.flow._end import End


class Pull:
    """A bounded hand-over from a thread, which runs `run()`, to the loop that it was made on, which awaits `get()`.

    The thread asks for no item before there is room for it. When nobody wants more, the iterable's next
    `fenshen.checkpoint()` or blocking call of ours raises, and a generator is closed otherwise.
    """

    def __init__(self, make: Callable[[], Iterable[Any]], ahead: int, step: Callable[..., Any] = next) -> None:
        """`make()`, called in the thread, gives the iterable; `step(iterator)` its next item."""
        self._make = make
        self._step = step
        self._ahead = ahead
        self._items: deque[Any] = deque()
        self._error: BaseException | None = None
        self._closing_error: BaseException | None = None
        self._over = False
        self._stopped = False
        self._mark = Cancellation()
        self._room = threading.Condition()
        self._full = False  # the thread waits
        self._hungry = False  # the loop waits
        self._news = Bell(asyncio.get_running_loop())

    # -- In the thread ------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Go through the iterable until it ends, it raises, or nobody wants it any more."""
        iterator: Any = None
        try:
            if not self._stopped:
                with self._mark:
                    iterator = iter(self._make())
                    self._go_through(iterator)
        except BaseException as error:  # whatever it is, it is raised where the items are asked for
            self._error = error
        try:
            close = getattr(iterator, "close", None)
            if self._stopped and close is not None:
                close()
        except BaseException as error:
            self._closing_error = error
        finally:
            del iterator
            self._over = True
            self._news.ring_from_afar()

    def _go_through(self, iterator: Any) -> None:
        step = self._step
        while self._has_room():
            try:
                item = step(iterator)
            except StopIteration:
                return
            self._items.append(item)
            del item
            if self._hungry:
                self._hungry = False
                self._news.ring_from_afar()

    def _has_room(self) -> bool:
        """Wait for room; False if nobody wants any more."""
        if len(self._items) >= self._ahead:
            with self._room:
                self._full = True
                while len(self._items) >= self._ahead and not self._stopped:
                    self._room.wait()
                self._full = False
        return not self._stopped

    # -- On the loop --------------------------------------------------------------------------------------------------

    async def get(self) -> Any:
        """The next item. Raises End, or what the iterable raised."""
        while not self._items:
            self._hungry = True  # before the second look: the thread looks at it after it has put an item
            if self._items:
                break
            if self._over:
                if self._items:
                    break
                if self._error is not None:
                    raise self._error
                raise End
            await self._news.wait()
        item = self._items.popleft()
        if self._full and len(self._items) <= self._ahead // 2:
            with self._room:
                self._room.notify()
        return item

    def stop(self) -> None:
        """Have the thread end, before its next item at the latest."""
        with self._room:
            self._stopped = True
            self._room.notify()
        self._mark.cancel()
        self._news.ring()

    async def join(self) -> None:
        """Wait until the thread is through, and raise what closing the iterable raised."""
        while not self._over:
            await self._news.wait()
        error, self._closing_error = self._closing_error, None
        if error is not None:
            raise error
