"""`Service`: a pool of handlers at work on one loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Any

from fenshen.flow._bell import Bell
from fenshen.flow._end import End
from fenshen.flow._faults import blame
from fenshen.flow._intake import Intake
from fenshen.flow._persisting import persistently
from fenshen.flow._results import Results
from fenshen.flow._ways import Way
from fenshen.flow.progressing import Reporter, StageProgress
from fenshen.futures import Future


class Service:
    """Takes an item whenever there is a worker for it, and keeps what becomes of it."""

    def __init__(
        self,
        way: Way,
        items: Any,
        intake: Intake,
        key: Callable[[Any], Hashable] | None,
        name: str,
        report: Callable[[Callable[[], tuple[StageProgress, ...]]], Reporter],
    ) -> None:
        self.way = way
        self.results = Results()
        self.left: list[Any] = []  # items that were taken and not handled
        self.ended: Future[None] = Future()
        self._name = name
        self._intake = intake
        self._key = key
        self._task_done: Callable[[], object] = getattr(items, "task_done", lambda: None)
        self._loop = asyncio.get_running_loop()
        self._room = Bell(self._loop)
        self._calls: set[asyncio.Task[None]] = set()
        self._running = 0
        self._stopped = False
        self._failure: BaseException | None = None
        self._reporter = report(self._progress)

    # -- On the loop --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Handle items until there are no more, and wait until all has ended."""
        try:
            await self._serve()
        except End:
            pass
        except BaseException as error:
            self._fail(error)
        await self._patiently(self._finish())
        self.results.end(self._failure)
        if self._failure is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(self._failure)

    async def _serve(self) -> None:
        while not self._stopped:
            if self._running >= self.way.limit:
                await self._room.wait()
                continue
            item = await self._intake.get()
            self._running += 1
            call = self._loop.create_task(self._handle(item))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    async def _handle(self, item: Any) -> None:
        key: Hashable = None
        error: BaseException | None = None
        result: Any = None
        handled = False
        try:
            key = self._key_of(item)
            if not self._stopped:
                handled = True
                result = await self.way.call(item)
        except asyncio.CancelledError as cancelled:
            handled, error = not self._stopped, cancelled
        except BaseException as raised:
            blame(raised, self._name, item)
            error = raised
        self._close(item, key, result, error, handled)

    def _key_of(self, item: Any) -> Hashable:
        try:
            key = item if self._key is None else self._key(item)
            hash(key)
        except BaseException as raised:
            blame(raised, self._name, item)
            self._fail(raised)
            raise
        return key

    def _close(self, item: Any, key: Hashable, result: Any, error: BaseException | None, handled: bool) -> None:
        self._running -= 1
        try:
            if handled:
                self.results.set(key, result, error)
                self._reporter.count(error is None, error is not None)
            else:
                self.left.append(item)
        except BaseException as raised:  # the program's own call-back
            self._fail(raised)
        finally:
            self._task_done()
            self._room.ring()

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self._stop()

    async def _finish(self) -> None:
        try:
            await persistently(self._join)
            self.left.extend(self._intake.left)
            self._reporter.close()
        except BaseException as error:
            self._failure = self._failure or error

    async def _join(self) -> None:
        while self._calls:
            await asyncio.wait(set(self._calls))
        await self.way.close()
        await self._intake.join()

    async def _patiently(self, finish: Any) -> None:
        """Wait for the end, though the loop's own end cancels this."""
        finishing = asyncio.ensure_future(finish)
        while not finishing.done():
            try:
                await asyncio.shield(finishing)
            except asyncio.CancelledError:
                self._stop()

    def _progress(self) -> tuple[StageProgress, ...]:
        done = self._reporter.done + self._reporter.failed
        return (StageProgress(self._name, self.way.model, self._running, done, 0),)

    def _stop(self) -> None:
        self._stopped = True
        self._intake.stop()
        for call in list(self._calls):
            call.cancel()
        self._room.ring()

    # -- From any thread ----------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Handle what is in the queue, and end then."""
        self._soon(self._intake.drain)

    def stop(self) -> None:
        """Take no more, and end what runs."""
        self._soon(self._stop)

    def _soon(self, what: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(what)
        except RuntimeError:
            if not self._loop.is_closed():
                raise
