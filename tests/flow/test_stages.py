"""What `stage()` takes and refuses."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from fenshen.flow import Stage, pipeline, stage

from flow import work


class Caller:
    def __call__(self, number: int) -> int:
        return 2 * number


class AsyncCaller:
    async def __call__(self, number: int) -> int:
        return 2 * number


def test_names() -> None:
    assert repr(stage(work.double)) == "<stage double (auto)>"
    assert stage(functools.partial(work.double, 1)).name == "double"
    assert stage(Caller()).name == "Caller"
    assert stage(work.double, name="two").name == "two"


@pytest.mark.parametrize(
    ("fn", "model"),
    [
        (Caller(), "thread"),
        (Caller(), "process"),
        (AsyncCaller(), "async"),
        (AsyncCaller(), "process+async"),
        (functools.partial(work.adouble), "async"),
        (functools.partial(work.double), "process"),
        (lambda number: work.adouble(number), "async"),
        (lambda number: 2 * number, "process"),
        (Caller().__call__, "thread"),
        (float, "thread"),
    ],
)
def test_what_can_be_called(fn: Any, model: str) -> None:
    expected = [0, 1, 2] if fn is float else [0, 2, 4]
    assert pipeline(range(3), stage(fn, model)).run() == expected


@pytest.mark.parametrize("fn", [work.adouble, work.aupto, AsyncCaller(), functools.partial(work.adouble)])
@pytest.mark.parametrize(("model", "better"), [("thread", "'async'"), ("process", "'process\\+async'")])
def test_coroutine_functions_need_a_loop(fn: Any, model: str, better: str) -> None:
    with pytest.raises(TypeError, match=better):
        stage(fn, model)


def test_coroutines_in_processes_are_coroutines() -> None:
    with pytest.raises(TypeError, match="no coroutine function"):
        stage(work.double, "process+async")


def test_what_is_no_stage() -> None:
    with pytest.raises(TypeError, match="needs a function, not int"):
        stage(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="model must be one of"):
        stage(work.double, "threads")
    for bad in (0, -1):
        with pytest.raises(ValueError, match="workers must be at least 1"):
            stage(work.double, workers=bad)
    with pytest.raises(TypeError, match="workers must be an integer"):
        stage(work.double, workers=1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="buffer must be at least 0"):
        stage(work.double, buffer=-1)


def test_one_stage_in_two_pipelines() -> None:
    one: Stage = stage(work.double, "thread")
    assert pipeline(range(3), one, one).run() == [0, 4, 8]
    assert pipeline(range(3), one).run() == [0, 2, 4]
