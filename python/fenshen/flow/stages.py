"""`stage`: one step of a pipeline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fenshen.flow._ways import functions

__all__ = ["MODELS", "Stage", "stage"]

MODELS = ("async", "thread", "process", "process+async", "auto")


class Stage:
    """A function, and how its calls are made; what `stage()` returns. It may serve in many pipelines."""

    __slots__ = ("buffer", "fn", "model", "name", "ordered", "workers")

    def __init__(
        self, fn: Callable[[Any], Any], model: str, workers: int | None, ordered: bool, buffer: int, name: str
    ) -> None:
        self.fn = fn
        self.model = model
        self.workers = workers
        self.ordered = ordered
        self.buffer = buffer
        self.name = name

    def __repr__(self) -> str:
        return f"<stage {self.name} ({self.model})>"


def stage(
    fn: Callable[[Any], Any],
    model: str = "auto",
    *,
    workers: int | None = None,
    ordered: bool = True,
    buffer: int = 16,
    name: str | None = None,
) -> Stage:
    """A step of a pipeline that makes `fn(item)` of each item.

    A generator function (an asynchronous one where the model runs coroutines) makes any number of results of an item.

    `model` says where the calls are made: "async" on the pipeline's loop, "thread", "process" or, for a coroutine
    function, "process+async", on loops in worker processes. "auto" measures the first calls and picks.

    `workers` is how many calls may run at once, by default 64 for "async", four more than there are CPUs (32 at most)
    for "thread", one for each CPU for "process" and 32 for each CPU for "process+async". Results come in the order of
    their items, or with `ordered=False` as they are there. Beside the calls, `buffer` items whose results nobody has
    taken yet may wait behind the stage. `name` is the stage's in messages, by default the function's.

    Raises TypeError if `fn` cannot be called, or not in that way; ValueError for another model or a bad number.
    """
    if not callable(fn):
        raise TypeError(f"a stage needs a function, not {type(fn).__name__}")
    check_one_of(model)
    check_model(fn, model)
    if workers is not None:
        check_number("workers", workers, 1)
    check_number("buffer", buffer, 0)
    return Stage(fn, model, workers, ordered, buffer, name or functions.name_of(fn))


def check_one_of(model: str) -> None:
    """Raise ValueError if it is no model."""
    if model not in MODELS:
        raise ValueError(f"model must be one of {', '.join(map(repr, MODELS))}, not {model!r}")


def check_model(fn: Callable[[Any], Any], model: str) -> None:
    """Raise TypeError if a function cannot be called by a model."""
    name = functions.name_of(fn)
    if model in ("thread", "process") and functions.is_async(fn):
        other = "async" if model == "thread" else "process+async"
        raise TypeError(f"{name} is a coroutine function, which needs the model {other!r}, not {model!r}")
    if model == "process+async" and not functions.is_async(fn):
        raise TypeError(f"{name} is no coroutine function; the model for it is 'process'")


def check_number(name: str, number: int, least: int) -> None:
    """Raise TypeError or ValueError if a number is none, or too small."""
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f"{name} must be an integer")
    if number < least:
        raise ValueError(f"{name} must be at least {least}")
