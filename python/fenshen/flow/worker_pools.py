"""`worker_pool`: a function for everything that comes out of a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from types import TracebackType
from typing import Any

from fenshen.flow import _intake, _ways
from fenshen.flow._background import Background
from fenshen.flow._service import Service
from fenshen.flow._turns import refuse_on_loop
from fenshen.flow._ways import functions
from fenshen.flow.choosing import Choice
from fenshen.flow.progressing import Wanted, reporter
from fenshen.flow.stages import check_model, check_number, check_one_of
from fenshen.futures import Future
from fenshen.futures import TimeoutError as _FutureTimeout

__all__ = ["WorkerPool", "worker_pool"]


class WorkerPool:
    """What `worker_pool()` returns: at work until `drain()`, `stop()` or the queue's `shutdown()`.

    In a `with` or `async with` statement, it is drained at the end, and stopped if there was an error. An error of the
    function is the result of its item, and ends nothing else. Methods that wait block a thread; those whose names begin
    with "a" are for tasks.
    """

    def __init__(self, make: Callable[[], Service], name: str) -> None:
        self._name = name
        self._background: Background | None = None
        loop = asyncio._get_running_loop()
        if loop is not None:
            self._work = make()
            self._task = loop.create_task(self._work.run())
        else:
            self._work = self._in_thread(make)

    def _in_thread(self, make: Callable[[], Service]) -> Service:
        made: Future[Service] = Future()

        async def main(_: Background) -> None:
            try:
                service = make()
            except BaseException as error:
                made.set_exception(error)
                return
            made.set_result(service)
            await service.run()

        self._background = Background(main, f"fenshen-flow-{self._name}")
        return made.result()

    def __repr__(self) -> str:
        return f"<{self._name} {'ended' if self._work.ended.done() else 'at work'}>"

    @property
    def choice(self) -> Choice | None:
        """What "auto" has picked, and why."""
        choice: Choice | None = getattr(self._work.way, "choice", None)
        return choice

    # -- Results ------------------------------------------------------------------------------------------------------

    def result(self, key: Hashable, timeout: float | None = None) -> Any:
        """What the function made of the item with this key; waits for it, up to `timeout` seconds, None for ever.

        Raises what the function raised, TimeoutError, KeyError if the pool ended without such an item, and RuntimeError
        where it would block a running event loop.
        """
        future = self._work.results.future(key)
        if not future.done():
            refuse_on_loop("result()", "await pool.aresult(key)")
        return future.result(timeout)

    async def aresult(self, key: Hashable) -> Any:
        """The same, awaited."""
        return await asyncio.shield(asyncio.wrap_future(self._work.results.future(key)))

    def results(self) -> dict[Hashable, Any]:
        """What was made so far, by key, without what failed."""
        return {key: future.result() for key, future in self._work.results.done() if future.exception() is None}

    def errors(self) -> dict[Hashable, BaseException]:
        """What failed so far, by key."""
        found = ((key, future.exception()) for key, future in self._work.results.done())
        return {key: error for key, error in found if error is not None}

    # -- The end ------------------------------------------------------------------------------------------------------

    def drain(self, timeout: float | None = None) -> bool:
        """Handle what is in the queue, then end; False if that was not over in `timeout` seconds, and goes on.

        Raises what made the pool fail, if anything did, and RuntimeError where it would block a running event loop.
        """
        refuse_on_loop("drain()", "await pool.adrain()")
        self._work.drain()
        try:
            self._work.ended.result(timeout)
        except _FutureTimeout:
            if self._work.ended.done():
                raise
            return False
        self._join()
        return True

    async def adrain(self, timeout: float | None = None) -> bool:
        """The same, awaited."""
        self._work.drain()
        ended = asyncio.wrap_future(self._work.ended)
        done, _ = await asyncio.wait({asyncio.shield(ended)}, timeout=timeout)
        if not done:
            return False
        await ended
        self._join()
        return True

    def stop(self) -> list[Any]:
        """Take no more items, end what runs, as a pipeline does, and wait for that; the items that were not handled.

        Raises what made the pool fail, if anything did, and RuntimeError where it would block a running event loop.
        """
        refuse_on_loop("stop()", "await pool.astop()")
        self._work.stop()
        self._work.ended.result()
        self._join()
        return list(self._work.left)

    async def astop(self) -> list[Any]:
        """The same, awaited."""
        self._work.stop()
        await asyncio.shield(asyncio.wrap_future(self._work.ended))
        self._join()
        return list(self._work.left)

    def _join(self) -> None:
        if self._background is not None:
            self._background.join()  # it has nothing more to do

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.drain()
        else:
            self.stop()

    async def __aenter__(self) -> WorkerPool:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self.adrain()
        else:
            await self.astop()


def worker_pool(
    handler: Callable[[Any], Any],
    queue: Any,
    *,
    workers: int | None = None,
    model: str = "auto",
    key: Callable[[Any], Hashable] | None = None,
    progress: Wanted = None,
    name: str | None = None,
) -> WorkerPool:
    """Have `handler(item)` called for every item of a queue, by at most `workers` at once.

    `queue` is a `queue.Queue`, an `asyncio.Queue`, or any with `aget()` or a `get(timeout=)`; its `task_done()` is
    called for each item. `model` and the default of `workers` are those of `stage()`. The pool begins at once: on the
    running loop if there is one, else on a loop in a thread of its own. `key(item)` is what the item's result is asked
    for by; by default it is the item itself. `progress` is as in `pipeline()`.

    Raises TypeError if `handler` cannot be called, not in that way, or is a generator function, or if `queue` is none;
    ValueError for another model or a bad number.
    """
    if not callable(handler):
        raise TypeError(f"a worker pool needs a function, not {type(handler).__name__}")
    if functions.is_generator_function(handler) or functions.is_async_generator_function(handler):
        raise TypeError(f"{functions.name_of(handler)} is a generator function; a handler returns one result")
    check_one_of(model)
    check_model(handler, model)
    if workers is not None:
        check_number("workers", workers, 1)
    if isinstance(queue, asyncio.Queue) and asyncio._get_running_loop() is None:
        raise TypeError("an asyncio.Queue belongs to a running event loop, and there is none")
    shown = name or functions.name_of(handler)

    def make() -> Service:
        intake = _intake.opened(queue)
        way = _ways.opened(model, handler, workers, shown)
        return Service(way, queue, intake, key, shown, lambda stages: reporter(progress, shown, None, stages))

    return WorkerPool(make, shown)
