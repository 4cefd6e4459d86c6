"""`pipeline`: items through stages, each stage by the model that fits it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterable, AsyncIterator, Generator, Iterable, Iterator
from types import TracebackType
from typing import Any

from fenshen.flow._background import Background, Handover
from fenshen.flow._end import End
from fenshen.flow._works import Works
from fenshen.flow.choosing import Choice
from fenshen.flow.progressing import Wanted
from fenshen.flow.stages import Stage

__all__ = ["Pipeline", "pipeline"]

_NOTHING: Any = object()


class Pipeline:
    """What `pipeline()` returns: iterate over it, with `for` or `async for`, or have it run to its end.

    With `for` and `run()`, its coroutines run on a loop in a thread of its own; with `async for` and `await`, on the
    running loop, which never waits for the source or a thread. It begins when it is first asked for a result, and runs
    once. When an iteration ends, by the last result, an error, `break` or cancellation, everything of it ends: the
    source's generator is closed, coroutines are cancelled, calls in processes are ended, and those in threads waited
    for. After a `break` in a `with` or `async with` statement that is left to the statement's end, and `for` goes on.
    """

    def __init__(
        self, source: Any, stages: tuple[Stage, ...], buffer: int, progress: Wanted, timeout: float | None, name: str
    ) -> None:
        self._works = Works(source, stages, buffer)
        self._buffer = buffer
        self._progress = progress
        self._timeout = timeout
        self._name = name
        self._state = "new"
        self._entered = False
        self._background: Background | None = None
        #: Whoever closes it from another thread must find the background that was started, or keep it from starting.
        self._beginning = threading.Lock()
        self._closing_error: BaseException | None = None
        self._handover = Handover(max(1, buffer))

    def __repr__(self) -> str:
        return f"<{self._name} {self._state}>"

    @property
    def choices(self) -> tuple[Choice, ...]:
        """What "auto" has picked so far, and why."""
        found = (getattr(line.way, "choice", None) for line in self._works.lines)
        return tuple(choice for choice in found if choice is not None)

    # -- Without a loop -----------------------------------------------------------------------------------------------

    def run(self, *, collect: bool = True) -> Any:
        """Run to the end; the list of results, or with `collect=False` their number.

        Raises the first error, and RuntimeError on a thread whose loop is running, where `await` is the way.
        """
        return list(self) if collect else sum(1 for _ in self)

    def __iter__(self) -> Iterator[Any]:
        entered = self._entered
        self._begin_thread()
        try:
            while (result := self._handover.get(_NOTHING)) is not _NOTHING:
                yield result
                del result
        except GeneratorExit:
            if not entered:
                self.close()
            raise
        except BaseException:
            self._end(raising=False)
            raise
        self.close()

    def _begin_thread(self) -> None:
        if asyncio._get_running_loop() is not None:
            raise RuntimeError("this would block the running event loop; use `async for`, or `await` the pipeline")
        with self._beginning:
            if self._state == "running in a thread" and self._entered:
                return
            self._begin("running in a thread")
            self._background = Background(self._serve, f"fenshen-flow-{self._name}")

    async def _serve(self, background: Background) -> None:
        def unless_ended(error: BaseException) -> BaseException | None:
            return None if background.cancelled and isinstance(error, asyncio.CancelledError) else error

        error: BaseException | None = None
        try:
            self._works.open(self._progress, self._name, self._timeout)
            while True:
                await self._handover.put(await self._works.get())
        except End:
            pass
        except BaseException as raised:
            error = unless_ended(raised)
        try:
            await self._works.close()
        except BaseException as raised:
            self._closing_error = unless_ended(raised)
        finally:
            self._handover.finish(error or self._closing_error)

    def close(self) -> None:
        """End everything, and wait until it has ended.

        Raises what the source's generator raises of that; an error that nobody has asked for is forgotten.
        """
        self._end(raising=True)

    def _end(self, raising: bool) -> None:
        with self._beginning:
            self._state = "closed"
            background, self._background = self._background, None
        if background is None:
            return
        background.cancel()
        background.join()
        if raising and self._closing_error is not None:
            raise self._closing_error

    def __enter__(self) -> Pipeline:
        self._entered = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(raising=error is None)

    # -- On a loop ----------------------------------------------------------------------------------------------------

    async def arun(self, *, collect: bool = True) -> Any:
        """The same as `run()`, awaited. `await pipeline(...)` is short for it."""
        results, count = [], 0
        async for result in self:
            count += 1
            if collect:
                results.append(result)
        return results if collect else count

    def __await__(self) -> Generator[Any, None, Any]:
        return self.arun().__await__()

    async def __aiter__(self) -> AsyncIterator[Any]:
        entered = self._entered
        if self._state != "running on a loop" or not entered:
            self._begin("running on a loop")
        try:
            if not self._works.lines:
                self._works.open(self._progress, self._name, self._timeout)
            while True:
                yield await self._works.get()
        except GeneratorExit:
            if not entered:
                await self.aclose()
            raise
        except End:
            await self.aclose()
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """End everything, and wait until it has ended."""
        self._state = "closed"
        await self._works.close()

    async def __aenter__(self) -> Pipeline:
        self._entered = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _begin(self, state: str) -> None:
        if self._state != "new":
            raise RuntimeError(f"a pipeline runs once, and this one is {self._state}")
        self._state = state


def pipeline(
    source: Iterable[Any] | AsyncIterable[Any],
    *stages: Stage,
    buffer: int = 16,
    progress: Wanted = None,
    timeout: float | None = None,
    name: str = "pipeline",
) -> Pipeline:
    """Send the items of `source` through `stages`, several at once, and give what comes out of the last one.

    `source` is an iterable or an asynchronous iterable; a thread goes through one that may block. It is never further
    ahead than what `buffer`, here and of each stage, and the stages' workers hold together: here it is how many items
    may wait before the first stage, and for `for`, behind the last one. `timeout` is in seconds for all of it; when
    they are over, TimeoutError is raised. `progress` is True, a function or None, see `Progress`.

    The first error ends everything. What came before it, in the order of items where a stage keeps it, comes out first;
    then it is raised as it is, with the attributes `stage`, the stage's name, and `item`, which the stage was called
    with, and on Python 3.11 and later a note that says both.

    Raises TypeError without a stage, if one is none, or if `source` cannot be iterated; ValueError for a bad number.
    """
    if not stages:
        raise TypeError("a pipeline needs a stage")
    for each in stages:
        if not isinstance(each, Stage):
            raise TypeError(f"a pipeline is made of stages, not {type(each).__name__}: fenshen.flow.stage(fn)")
    if not any(hasattr(type(source), way) for way in ("__iter__", "__aiter__", "__getitem__")):
        raise TypeError(f"{type(source).__name__!r} object is not iterable")
    if buffer < 1:
        raise ValueError("buffer must be at least 1")
    return Pipeline(source, stages, buffer, progress, timeout, name)
