"""The first error of a pipeline: which one it is, what it tells, and what came before it."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from fenshen.flow import Pipeline, pipeline, stage
from fenshen.futures import WorkerDied

from flow import work
from flow.sides import PATIENCE, each_way, on_fenshen

Result = Callable[[Pipeline], Any]


def into(seen: list[Any], results: Pipeline) -> None:
    """Note the results one after the other."""
    for result in results:
        seen.append(result)


UNLUCKY = [
    (work.unlucky, "async"),
    (work.aunlucky, "async"),
    (work.unlucky, "thread"),
    (work.unlucky, "process"),
    (work.aunlucky, "process+async"),
    (work.unlucky, "auto"),
    (work.aunlucky, "auto"),
]


@each_way
@pytest.mark.parametrize(("fn", "model"), UNLUCKY)
@pytest.mark.parametrize("ordered", [True, False])
def test_error_and_its_item(result_of: Result, fn: Any, model: str, ordered: bool) -> None:
    with pytest.raises(work.Unlucky) as caught:
        result_of(pipeline(range(1, 40), stage(fn, model, name="luck", ordered=ordered), stage(work.double, "thread")))
    error: Any = caught.value
    assert error.stage == "luck"
    assert error.item == error.args[0]
    assert error.item == 7 or not ordered
    if sys.version_info >= (3, 11):
        assert f"in stage 'luck', for {error.item}" in error.__notes__


@pytest.mark.parametrize(("fn", "model"), UNLUCKY)
def test_in_order_all_that_was_before_comes_out_first(fn: Any, model: str) -> None:
    seen: list[Any] = []
    with pytest.raises(work.Unlucky):
        into(seen, pipeline(range(1, 40), stage(work.double, "thread"), stage(fn, model), stage(work.double, "async")))
    assert seen == [4, 8, 12, 16, 20, 24]


def test_first_in_order_is_raised_not_the_first_in_time() -> None:
    late = threading.Event()

    def fn(number: int) -> int:
        if number == 1:
            assert late.wait(PATIENCE)
            raise work.Unlucky(number)
        if number == 2:
            late.set()
            raise work.Unlucky(number)
        return number

    with pytest.raises(work.Unlucky) as caught:
        pipeline(range(10), stage(fn, "thread", workers=4)).run()
    assert caught.value.args == (1,)


def test_earlier_stage_is_stopped_by_an_error_of_a_later_one() -> None:
    closed = threading.Event()

    def source() -> Iterator[int]:
        number = 0
        try:
            while True:
                number += 1
                yield number
        finally:
            closed.set()

    with pytest.raises(work.Unlucky):
        pipeline(source(), stage(work.double, "thread"), stage(work.unlucky, "thread")).run()
    assert closed.is_set()


@each_way
def test_error_of_the_source_comes_after_its_items(result_of: Result) -> None:
    def source() -> Iterator[int]:
        yield from range(5)
        raise work.Unlucky("source")

    async def asource() -> AsyncIterator[int]:
        for number in source():
            yield number

    for items in (source(), asource()):
        with pytest.raises(work.Unlucky, match="source") as caught:
            result_of(pipeline(items, stage(work.double, "thread")))
        assert not hasattr(caught.value, "item")
        if sys.version_info >= (3, 11):
            assert caught.value.__notes__ == ["in the source of the pipeline"]
    seen: list[Any] = []
    with pytest.raises(work.Unlucky, match="source"):
        into(seen, pipeline(source(), stage(work.double, "thread")))
    assert seen == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("model", ["async", "thread", "process"])
def test_error_in_the_midst_of_a_generator(model: str) -> None:
    seen: list[Any] = []
    with pytest.raises(ZeroDivisionError) as caught:
        into(seen, pipeline([3, 2, 1], stage(_inverses, model)))
    assert seen == [1 / 3, 1 / 2, 1, 1 / 2, 1, 1]
    assert caught.value.item == 1


def _inverses(number: int) -> Iterator[float]:
    """Fails at last for 1."""
    for below in range(number, 0, -1):
        yield 1 / below
    if number == 1:
        yield 1 / 0


@pytest.mark.parametrize("model", ["async", "thread", "process"])
@pytest.mark.parametrize("result_of", [lambda p: p.run(), lambda p: on_fenshen(p.arun())])
def test_stop_iteration_is_an_error(result_of: Result, model: str) -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        result_of(pipeline(range(3), stage(work.stop, model)))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
@pytest.mark.parametrize("model", ["async", "thread"])
def test_errors_that_are_no_exceptions(error: type[BaseException], model: str) -> None:
    def fn(number: int) -> int:
        if number == 3:
            raise error
        return number

    seen: list[Any] = []
    with pytest.raises(error) as caught:
        into(seen, pipeline(range(9), stage(fn, model)))
    assert seen == [0, 1, 2]
    assert caught.value.item == 3  # type: ignore[attr-defined]


def test_attributes_that_an_error_has_are_left_alone() -> None:
    class Own(Exception):
        item = "mine"

    def fn(number: int) -> int:
        raise Own

    with pytest.raises(Own) as caught:
        pipeline([1], stage(fn, "thread", name="one")).run()
    assert caught.value.item == "mine"
    assert caught.value.stage == "one"  # type: ignore[attr-defined]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="notes are new in 3.11")
def test_item_whose_repr_fails_or_is_long() -> None:
    class Odd:
        def __repr__(self) -> str:
            raise ValueError

    def fn(item: Any) -> None:
        raise work.Unlucky

    with pytest.raises(work.Unlucky) as caught:
        pipeline([Odd()], stage(fn, "thread")).run()
    assert caught.value.__notes__[0].startswith("in stage 'fn', for <Odd instance at")
    with pytest.raises(work.Unlucky) as caught:
        pipeline(["x" * 10_000], stage(fn, "thread")).run()
    assert len(caught.value.__notes__[0]) < 200


def test_worker_that_dies() -> None:
    with pytest.raises(WorkerDied) as caught:
        pipeline([1], stage(_die, "process")).run()
    assert caught.value.item == 1  # type: ignore[attr-defined]
    assert pipeline([1], stage(work.double, "process")).run() == [2]


def _die(_item: int) -> None:
    import os

    os._exit(3)


def test_what_cannot_be_sent_to_a_process() -> None:
    with pytest.raises(TypeError, match="pickle"):
        pipeline([threading.Lock()], stage(work.double, "process")).run()


def test_error_of_a_closing_source_is_raised_by_close() -> None:
    def source() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            raise work.Unlucky("closing")

    numbers = pipeline(source(), stage(work.double, "thread"))
    with numbers:
        assert next(iter(numbers)) == 2
        with pytest.raises(work.Unlucky, match="closing"):
            numbers.close()


def test_timeout_ends_everything() -> None:
    closed = threading.Event()

    async def forever(_number: int) -> None:
        try:
            await asyncio.sleep(600)
        finally:
            closed.set()

    with pytest.raises(TimeoutError, match=r"not through after 0.2 s"):
        pipeline(range(3), stage(forever, "async"), timeout=0.2).run()
    assert closed.is_set()

    async def main() -> None:
        closed.clear()
        with pytest.raises(TimeoutError):
            await pipeline(range(3), stage(forever, "async"), timeout=0.05)
        assert closed.is_set()

    on_fenshen(main())


def test_timeout_that_is_not_reached() -> None:
    assert pipeline(range(3), stage(work.double, "thread"), timeout=PATIENCE).run() == [0, 2, 4]
