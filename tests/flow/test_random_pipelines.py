"""Random pipelines over all models, against a plain loop: each item exactly once, errors, early ends; nothing left."""

from __future__ import annotations

import asyncio
import collections
import functools
import gc
import os
import random
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from multiprocessing import active_children
from typing import Any, NamedTuple

import fenshen
import pytest
from fenshen.flow import Pipeline, Stage, pipeline, stage

from flow import work
from flow.sides import until

SEEDS = range(3000 if os.environ.get("FENSHEN_SOAK") == "1" else 50)
PLAIN = ["async", "thread", "thread", "process", "auto"]
COROUTINES = ["async", "async", "process+async", "auto"]


class Program(NamedTuple):
    """A random pipeline, and what a plain loop makes of its items."""

    make: Callable[[], Pipeline]
    ordered: bool
    results: list[int]
    """Those before the error, if there is one."""
    all_results: list[int]
    """Those that there would be without it."""
    error: int | None
    """The number that fails."""


def _steps(number: int, fns: list[Callable[[int], list[int]]]) -> Iterator[int]:
    if not fns:
        yield number
        return
    for result in fns[0](number):
        yield from _steps(result, fns[1:])


def _source(chance: random.Random, count: int) -> Callable[[], Any]:
    async def numbers() -> AsyncIterator[int]:
        for number in range(count):
            await asyncio.sleep(0)
            yield number

    return chance.choice([lambda: range(count), lambda: iter(range(count)), lambda: (n for n in range(count)), numbers])


def _stage(chance: random.Random, fn: Any, afn: Any) -> Stage:
    coroutine = chance.random() < 0.4
    model = chance.choice(COROUTINES if coroutine else PLAIN)
    return stage(
        afn if coroutine else fn,
        model,
        # The program's own pool is enough for all of them: starting another takes longer than all the rest.
        workers=chance.choice([None, 1] if model == "process" else [None, 1, 2, 5]),
        ordered=chance.random() < 0.7,
        buffer=chance.choice([0, 1, 4, 16]),
    )


def _program(chance: random.Random) -> Program:
    count = chance.choice([0, 1, 7, 40])
    stages, plain = [], []
    for _ in range(chance.randint(1, 4)):
        if chance.random() < 0.75:
            stages.append(_stage(chance, work.mangle, work.amangle))
            plain.append(lambda number: [work.mangle(number)])
        else:
            stages.append(_stage(chance, work.spread, work.aspread))
            plain.append(lambda number: list(work.spread(number)))
    everything = [result for number in range(count) for result in _steps(number, plain)]
    bad = chance.choice(everything) if everything and chance.random() < 0.4 else None
    if bad is not None:
        stages.append(_stage(chance, functools.partial(work.fail_on, bad), functools.partial(work.afail_on, bad)))
    before = everything if bad is None else everything[: everything.index(bad)]
    source, buffer = _source(chance, count), chance.choice([1, 3, 16])
    return Program(
        lambda: pipeline(source(), *stages, buffer=buffer),
        all(each.ordered for each in stages),
        before,
        everything,
        bad,
    )


def _in_a_script(pipe: Pipeline, enough: int, into: list[int]) -> None:
    for result in pipe:
        into.append(result)
        if len(into) == enough:
            break


async def _on_a_loop(pipe: Pipeline, enough: int, into: list[int]) -> None:
    async with pipe:
        async for result in pipe:
            into.append(result)
            if len(into) == enough:
                break


def _run(chance: random.Random, pipe: Pipeline, enough: int, into: list[int]) -> None:
    run = chance.choice([None, asyncio.run, fenshen.run])
    if run is None:
        _in_a_script(pipe, enough, into)
    else:
        run(_on_a_loop(pipe, enough, into))


def _check(program: Program, results: list[int], enough: int) -> None:
    """What came out, against what a plain loop makes."""
    if program.ordered:
        assert results == program.results[:enough]
    elif program.error is None:
        found, expected = collections.Counter(results), collections.Counter(program.results)
        assert found <= expected
        assert len(results) == min(enough, len(program.results))
    else:
        assert collections.Counter(results) <= collections.Counter(program.all_results)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_pipeline(seed: int) -> None:
    chance = random.Random(seed)
    program = _program(chance)
    enough = chance.choice([10_000, 10_000, 1, 5])
    results: list[int] = []
    error: Any = None
    try:
        _run(chance, program.make(), enough, results)
    except work.Unlucky as raised:
        error = raised
    if error is None:
        assert program.error is None or len(results) == enough
    else:
        assert error.item == program.error is not None
    _check(program, results, enough)


def test_nothing_is_left_of_random_pipelines() -> None:
    def left() -> tuple[int, int, int]:
        gc.collect()
        return threading.active_count(), len(os.listdir("/proc/self/fd")), len(active_children())

    for seed in range(1000, 1006):  # what is kept for later use is there afterwards
        test_random_pipeline(seed)
    pipeline(range(20), stage(work.mangle, "process"), stage(work.amangle, "process+async")).run()
    before = left()
    for seed in range(2000, 2015):
        test_random_pipeline(seed)
    until(lambda: all(now <= then for now, then in zip(left(), before, strict=True)))
