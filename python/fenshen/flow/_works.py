"""`Works`: a pipeline at work on one loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from fenshen.flow import _sources, _ways
from fenshen.flow._end import End
from fenshen.flow._line import Line, Upstream
from fenshen.flow._persisting import persistently
from fenshen.flow._ways import functions
from fenshen.flow.progressing import Reporter, StageProgress, Wanted, reporter
from fenshen.flow.stages import Stage


class Works:
    """The source and a line for each stage, from `open()` to `close()`."""

    def __init__(self, source: Any, stages: Sequence[Stage], buffer: int) -> None:
        self.lines: list[Line] = []
        self._source = source
        self._stages = stages
        self._buffer = buffer
        self._deadline: asyncio.TimerHandle | None = None
        self._reporter: Reporter | None = None
        self._last: Upstream | None = None
        self._closing: asyncio.Future[None] | None = None

    def open(self, progress: Wanted, name: str, timeout: float | None) -> None:
        """Begin, on the running loop."""
        loop = asyncio.get_running_loop()
        self._reporter = reporter(progress, name, self._total(), self._progress)
        self._last = _sources.opened(self._source, max(1, self._buffer))
        for stage in self._stages:
            way = _ways.opened(stage.model, stage.fn, stage.workers, stage.name)
            line = Line(stage.name, way, self._last, ordered=stage.ordered, buffer=stage.buffer)
            self.lines.append(line)
            self._last = line
        if timeout is not None:
            error = TimeoutError(f"the pipeline was not through after {timeout:g} s")
            self._deadline = loop.call_later(timeout, self.lines[-1].fail, error)

    async def get(self) -> Any:
        """The next result. Raises End after the last one, and what went wrong in its place."""
        result = await self.lines[-1].get()
        if self._reporter is not None:
            self._reporter.count()
        return result

    async def close(self) -> None:
        """End everything, and wait until it has ended, whoever cancels this meanwhile."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        closing, cancelled = self._closing, None
        while not closing.done():
            try:
                await asyncio.shield(closing)
            except asyncio.CancelledError as error:
                if closing.done() and closing.cancelled():
                    break
                cancelled = error
            except BaseException:
                break  # raised below
        if cancelled is not None:
            raise cancelled
        closing.result()

    async def _close(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        try:
            if self._last is not None:
                self._last.stop()
                await persistently(self._last.join)
        finally:
            if self._reporter is not None:
                self._reporter.close()

    def _total(self) -> int | None:
        """How many results there will be, if each stage makes one of each item."""
        if any(
            functions.is_generator_function(s.fn) or functions.is_async_generator_function(s.fn) for s in self._stages
        ):
            return None
        try:
            return len(self._source)
        except TypeError:
            return None

    def _progress(self) -> tuple[StageProgress, ...]:
        return tuple(
            StageProgress(line.name, line.way.model, line.running, line.done, line.waiting) for line in self.lines
        )


__all__ = ["End", "Works"]
