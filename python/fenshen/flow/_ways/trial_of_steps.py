"""`TrialOfSteps`: the first calls of a coroutine function, whose steps are timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from fenshen.flow._weighing import Scales
from fenshen.flow.choosing import Measured

# Seconds, and calls: so long it is measured, unless it takes fewer.
_LONG = 0.25
_CALLS = 8


class TrialOfSteps:
    """How much of its time the loop is held by the steps of one stage's coroutines."""

    def __init__(self, fn: Callable[[Any], Coroutine[Any, Any, Any]]) -> None:
        self._fn = fn
        self._scales = Scales(fn)
        self._began = 0.0
        self._calls = 0
        self._wall = self._held = self._cpu = 0.0

    async def call(self, item: Any) -> Any:
        """`await fn(item)`, measured."""
        began = time.monotonic()
        self._began = self._began or began
        result = await _Timed(self._fn(item), self)
        self._wall += time.monotonic() - began
        self._calls += 1
        self._scales.weigh(item, result)
        return result

    def took(self, held: float, cpu: float) -> None:
        """A step held the loop for so many seconds, and computed for so many of them."""
        self._held += held
        self._cpu += cpu

    def measured(self) -> Measured | None:
        """What the calls have shown, if there was time enough."""
        elapsed = time.monotonic() - self._began
        if self._calls < _CALLS or elapsed < _LONG:
            return None
        calls, scales = self._calls, self._scales
        return Measured(
            calls,
            self._wall / calls,
            self._cpu / calls,
            0.0,
            scales.bytes,
            scales.seconds,
            scales.refused,
            "awaits",
            own=self._held / calls,
            share=self._held / elapsed,
        )

    def end(self) -> None:
        """Nothing goes on by itself."""


class _Timed:
    """A coroutine that tells how long each of its steps takes."""

    def __init__(self, coro: Coroutine[Any, Any, Any], trial: TrialOfSteps) -> None:
        self._coro = coro
        self._trial = trial

    def __await__(self) -> Generator[Any, Any, Any]:
        value: Any = None
        error: BaseException | None = None
        while True:
            began, worked = time.monotonic(), time.thread_time()
            try:
                awaited = self._coro.send(value) if error is None else self._coro.throw(error)
            except StopIteration as stop:
                return stop.value
            finally:
                self._trial.took(time.monotonic() - began, time.thread_time() - worked)
            try:
                value, error = (yield awaited), None
            except BaseException as raised:
                value, error = None, raised
