"""What a pipeline makes of its items, however it is run."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fenshen.flow import Pipeline, pipeline, stage

from flow import work
from flow.sides import PATIENCE, by_run, each_way, on_fenshen, until

MODELS = [
    (work.double, "async"),
    (work.adouble, "async"),
    (work.double, "thread"),
    (work.double, "process"),
    (work.adouble, "process+async"),
    (work.double, "auto"),
    (work.adouble, "auto"),
]
GENERATORS = [
    (work.upto, "async"),
    (work.aupto, "async"),
    (work.upto, "thread"),
    (work.upto, "process"),
    (work.aupto, "process+async"),
    (work.upto, "auto"),
    (work.aupto, "auto"),
]
Result = Callable[[Pipeline], Any]


@each_way
@pytest.mark.parametrize(("fn", "model"), MODELS)
@pytest.mark.parametrize("ordered", [True, False])
def test_each_item_once(result_of: Result, fn: Any, model: str, ordered: bool) -> None:
    results = result_of(pipeline(range(60), stage(fn, model, ordered=ordered)))
    assert (results if ordered else sorted(results)) == [2 * number for number in range(60)]


@each_way
@pytest.mark.parametrize(("fn", "model"), GENERATORS)
@pytest.mark.parametrize("ordered", [True, False])
def test_generator_functions(result_of: Result, fn: Any, model: str, ordered: bool) -> None:
    results = result_of(pipeline([3, 0, 40, 1], stage(fn, model, ordered=ordered, buffer=2)))
    expected = [*range(3), *range(40), 0]
    assert (results if ordered else sorted(results)) == (expected if ordered else sorted(expected))


@each_way
def test_models_may_be_mixed(result_of: Result) -> None:
    stages = [stage(fn, model) for fn, model in MODELS]
    assert result_of(pipeline(range(20), *stages)) == [number * 2 ** len(stages) for number in range(20)]


class Sequence:
    """Iterable in the old way."""

    def __getitem__(self, at: int) -> int:
        if at == 5:
            raise IndexError
        return at


async def _numbers() -> Any:
    for number in range(5):
        await asyncio.sleep(0)
        yield number


@each_way
@pytest.mark.parametrize(
    "source",
    [
        lambda: range(5),
        lambda: list(range(5)),
        lambda: deque(range(5)),
        lambda: dict.fromkeys(range(5)),
        lambda: (number for number in range(5)),
        lambda: map(int, "01234"),
        Sequence,
        _numbers,
    ],
)
def test_sources(result_of: Result, source: Callable[[], Any]) -> None:
    assert result_of(pipeline(source(), stage(work.double, "thread"))) == [0, 2, 4, 6, 8]


@each_way
def test_of_nothing_comes_nothing(result_of: Result) -> None:
    assert result_of(pipeline([], stage(work.double, "thread"), stage(work.adouble, "async"))) == []


def test_number_of_results() -> None:
    assert pipeline(range(9), stage(work.upto, "thread")).run(collect=False) == 36
    assert on_fenshen(pipeline(range(9), stage(work.upto, "thread")).arun(collect=False)) == 36


@pytest.mark.parametrize("model", ["thread", "async"])
def test_no_more_calls_at_once_than_workers(model: str) -> None:
    lock, running, most = threading.Lock(), 0, 0

    def enter(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        return number

    def leave() -> None:
        nonlocal running
        with lock:
            running -= 1

    def fn(number: int) -> int:
        enter(number)
        work.nap(0.002)
        leave()
        return number

    async def afn(number: int) -> int:
        enter(number)
        await asyncio.sleep(0.002)
        leave()
        return number

    which: Any = fn if model == "thread" else afn
    assert pipeline(range(30), stage(which, model, workers=3)).run() == list(range(30))
    assert 1 < most <= 3


@pytest.mark.parametrize("ordered", [True, False])
def test_source_is_no_further_ahead_than_the_buffers(ordered: bool) -> None:
    given, taken, ahead = 0, 0, 0

    def distance() -> int:
        return given - taken

    def source() -> Iterator[int]:
        nonlocal given, ahead
        for number in range(300):
            given += 1
            ahead = max(ahead, distance())
            yield number

    one = stage(work.double, "thread", workers=2, buffer=3, ordered=ordered)
    two = stage(work.adouble, "async", workers=4, buffer=1, ordered=ordered)
    with pipeline(source(), one, two, buffer=5) as results:
        for _ in results:
            taken += 1
            if taken in (1, 50):
                # As far ahead as it gets, with one in the hand of whoever takes it there for each of the five.
                until(lambda: distance() >= 15)
                work.nap(0.02)
    assert taken == 300
    # The source's buffer, both stages' workers and buffers, the one for `for`; and what is in somebody's hand.
    assert 15 <= ahead <= 5 + (2 + 3) + (4 + 1) + 5 + 5


def test_generator_of_a_stage_waits_for_those_who_take() -> None:
    given = 0

    def many(_item: int) -> Iterator[int]:
        nonlocal given
        while True:
            given += 1
            yield given

    with pipeline([0], stage(many, "thread", buffer=4), buffer=4) as results:
        numbers = iter(results)
        assert [next(numbers) for _ in range(10)] == list(range(1, 11))
        until(lambda: given >= 10 + 4)
        work.nap(0.05)
        assert given <= 10 + 4 + 4 + 8 + 3


def test_unordered_results_come_as_they_are_there() -> None:
    first = threading.Event()

    def fn(number: int) -> int:
        if number == 0:
            assert first.wait(PATIENCE)
        return number

    results = iter(pipeline(range(5), stage(fn, "thread", workers=2, ordered=False)))
    assert [next(results) for _ in range(4)] == [1, 2, 3, 4]
    first.set()
    assert list(results) == [0]


def test_slow_first_item_does_not_keep_the_others_from_being_worked_on() -> None:
    others = threading.Event()

    def fn(number: int) -> int:
        if number == 0:
            assert others.wait(PATIENCE)
        if number == 6:
            others.set()
        return number

    assert pipeline(range(20), stage(fn, "thread", workers=2, buffer=6)).run() == list(range(20))


def test_one_pipeline_in_another() -> None:
    inner = pipeline(range(50), stage(work.double, "thread"))
    assert pipeline(inner, stage(work.adouble, "async")).run() == [4 * number for number in range(50)]


def test_two_at_once() -> None:
    one, two = (iter(pipeline(range(50), stage(work.double, "process"))) for _ in range(2))
    assert [pair for pair in zip(one, two, strict=True)] == [(2 * n, 2 * n) for n in range(50)]


def test_context_variables_are_seen_in_the_program_s_process() -> None:
    import contextvars

    name = contextvars.ContextVar("name", default="none")
    name.set("mine")

    async def seen(_number: int) -> str:
        return name.get()

    def source() -> Iterator[str]:
        yield name.get()

    assert pipeline([0], stage(lambda _: name.get(), "thread"), stage(seen, "async")).run() == ["mine"]
    assert pipeline(source(), stage(str, "thread")).run() == ["mine"]


def test_it_runs_once() -> None:
    numbers = pipeline(range(3), stage(work.double, "thread"))
    assert numbers.run() == [0, 2, 4]
    with pytest.raises(RuntimeError, match="a pipeline runs once"):
        numbers.run()
    with pytest.raises(RuntimeError, match="a pipeline runs once"):
        on_fenshen(numbers.arun())


def test_it_does_nothing_before_it_is_asked() -> None:
    asked = []

    def source() -> Iterator[int]:
        asked.append(1)
        yield 1

    results = iter(pipeline(source(), stage(work.double, "thread")))
    assert not asked
    assert list(results) == [2]
    assert asked


def test_blocking_a_running_loop_is_refused() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="async for"):
            pipeline(range(3), stage(work.double, "thread")).run()

    on_fenshen(main())


@pytest.mark.parametrize("source", [3, None, object()])
def test_what_is_no_source(source: Any) -> None:
    with pytest.raises(TypeError, match="object is not iterable"):
        pipeline(source, stage(work.double))


def test_what_is_no_pipeline() -> None:
    with pytest.raises(TypeError, match="needs a stage"):
        pipeline([])
    with pytest.raises(TypeError, match="made of stages"):
        pipeline([], work.double)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="buffer"):
        pipeline([], stage(work.double), buffer=0)


def test_results_are_not_kept() -> None:
    import weakref

    class Thing:
        pass

    def make(_number: int) -> Thing:
        return Thing()

    seen: list[weakref.ref[Thing]] = []
    with pipeline(range(40), stage(make, "thread", workers=1, buffer=0), buffer=1) as things:
        for thing in things:
            seen.append(weakref.ref(thing))
            del thing
            assert sum(ref() is not None for ref in seen) <= 1
    assert not any(ref() for ref in seen)


def test_nothing_is_lost_by_another_switch_interval() -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        assert by_run(pipeline(iter(range(2000)), stage(work.double, "thread", workers=4))) == list(range(0, 4000, 2))
    finally:
        sys.setswitchinterval(interval)
