"""`Background`: a pipeline's work on a loop in a thread of its own, for those who have no loop."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import importlib
import threading
import weakref
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from fenshen import runners
from fenshen.flow._bell import Bell

_open: weakref.WeakSet[Background] = weakref.WeakSet()


class Background:
    """Runs a coroutine function to its end on a new loop, in a copy of the present context."""

    def __init__(self, main: Callable[[Background], Coroutine[Any, Any, None]], name: str) -> None:
        self._main = main
        self._loop = runners.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._lock = threading.Lock()
        self.cancelled = False
        self._over = False
        run = contextvars.copy_context().run
        # A daemon, since a pipeline that was left half read must not hold up the exit, which ends it (below).
        self._thread = threading.Thread(target=run, args=(self._run,), name=name, daemon=True)
        _open.add(self)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            with self._lock:
                self._over = True
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    async def _serve(self) -> None:
        with self._lock:
            self._task = asyncio.current_task()
            if self.cancelled:
                self._task.cancel()  # it begins all the same, so that whoever waits for it is told
        with contextlib.suppress(asyncio.CancelledError):
            await self._main(self)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop."""
        return self._loop

    def cancel(self) -> None:
        """Cancel what runs there, from any thread."""
        with self._lock:
            self.cancelled = True
            if self._task is not None and not self._over:
                self._loop.call_soon_threadsafe(self._task.cancel)

    def join(self) -> None:
        """Wait until it has ended."""
        self._thread.join()
        _open.discard(self)


class Handover:
    """From the loop to one thread that asks for items: at most `ahead` wait."""

    def __init__(self, ahead: int) -> None:
        self._ahead = ahead
        self._items: deque[Any] = deque()
        self._over = False
        self.error: BaseException | None = None
        self._news = threading.Condition()
        self._room: Bell | None = None
        self._full = False

    async def put(self, item: Any) -> None:
        """One more; waits for room."""
        room = self._room
        if room is None:
            room = self._room = Bell(asyncio.get_running_loop())
        while len(self._items) >= self._ahead:
            self._full = True  # before the second look: the thread looks at it after it has taken an item
            if len(self._items) >= self._ahead:
                await room.wait()
        self._full = False
        with self._news:
            self._items.append(item)
            self._news.notify()

    def finish(self, error: BaseException | None) -> None:
        """Nothing more comes."""
        with self._news:
            self.error = error
            self._over = True
            self._news.notify_all()

    def get(self, nothing: Any) -> Any:
        """The next item; `nothing` after the last one. Raises what `finish` was told."""
        with self._news:
            while not self._items and not self._over:
                self._news.wait()
        if not self._items:
            if self.error is not None:
                raise self.error
            return nothing
        item = self._items.popleft()
        if self._full and len(self._items) <= self._ahead // 2 and self._room is not None:
            self._full = False
            self._room.ring_from_afar()
        return item


def _end_all() -> None:
    left = list(_open)
    for background in left:
        background.cancel()
    for background in left:
        background.join()


# Before the interpreter ends pools of threads: what is registered last comes first, and those at their import.
importlib.import_module("fenshen.futures").ThreadPoolExecutor  # noqa: B018
threading._register_atexit(_end_all)  # type: ignore[attr-defined]
