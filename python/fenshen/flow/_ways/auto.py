"""`Auto`: measures the first calls, and goes on as fits them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from fenshen import _engine
from fenshen.flow import _ways
from fenshen.flow._ways import functions
from fenshen.flow._ways.tasks import Tasks
from fenshen.flow._ways.threads import Threads
from fenshen.flow.choosing import Choice, Measured, of_coroutine, of_function

_log = logging.getLogger("fenshen.flow")
# Calls at once that are measured: more than one, for them to wait for the interpreter lock.
_AT_ONCE = 4


class Auto:
    """The first calls are made in threads, those of a coroutine function on the loop: they count as any others."""

    def __init__(self, fn: Callable[[Any], Any], workers: int | None, name: str) -> None:
        self._fn = fn
        self._name = name
        self._workers = workers
        self._ways: list[_ways.Way] = []
        self._trial: Any = None
        self.choice: Choice | None = None
        self.many = functions.is_generator_function(fn) or functions.is_async_generator_function(fn)
        self._begin()

    @property
    def model(self) -> str:
        return "auto" if self.choice is None else self.choice.model

    @property
    def limit(self) -> int:
        limit = self._ways[-1].limit
        return limit if self._trial is None or functions.is_async(self._fn) else min(limit, _AT_ONCE)

    def _begin(self) -> None:
        fn, workers, name = self._fn, self._workers, self._name
        asynchronous = functions.is_async(fn)
        if self.many or _engine.engine() != "native":
            why = "a generator is not measured" if self.many else "nothing is measured without the native engine"
            self._pick(Choice(name, "async" if asynchronous else "thread", why))
        elif asynchronous:
            from fenshen.flow._ways.trial_of_steps import TrialOfSteps

            self._trial = TrialOfSteps(fn)
            self._ways.append(Tasks(self._trial.call, workers, name))
        else:
            from fenshen.flow._ways.trial import Trial

            self._trial = Trial(fn)
            self._ways.append(Threads(self._trial.call, workers, name))

    async def call(self, item: Any) -> Any:
        try:
            return await self._ways[-1].call(item)
        finally:
            if self._trial is not None and (measured := self._trial.measured()) is not None:
                self._decide(measured)

    async def each(self, item: Any, put: Callable[[Any], Awaitable[None]]) -> None:
        await self._ways[-1].each(item, put)

    def _decide(self, measured: Measured) -> None:
        from fenshen.advice.machine import cpus

        self._end_trial()
        decide = of_coroutine if functions.is_async(self._fn) else of_function
        self._pick(decide(self._name, measured, int(cpus())))

    def _pick(self, choice: Choice) -> None:
        self.choice = choice
        self._ways.append(_ways.opened(choice.model, self._fn, self._workers, self._name))
        _log.info("%s", choice)

    def _end_trial(self) -> None:
        trial, self._trial = self._trial, None
        if trial is not None:
            trial.end()

    async def close(self) -> None:
        if self._trial is not None:
            self._end_trial()
            self.choice = Choice(self._name, self._ways[-1].model, "it was over before enough was measured")
            _log.info("%s", self.choice)
        for way in self._ways:
            await way.close()
