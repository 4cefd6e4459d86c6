"""What stands around the functions of the standard library that hand work to threads and pools, with `--advise` only.

Each takes the standard function and returns what replaces it. Tasks need none: the engine times their steps.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

from fenshen._fenshen import advise_measure
from fenshen.advice import functions


class Body:
    """A thread's life, with what it was given to do, which the thread itself forgets."""

    __slots__ = ("args", "kwargs", "run", "target", "thread")

    def __init__(self, thread: Any, run: Callable[[Any], None]) -> None:
        self.thread = thread
        self.run = run
        self.target = _target(thread)
        self.args = tuple(getattr(thread, "_args", ()))
        self.kwargs = dict(getattr(thread, "_kwargs", ()))

    def __call__(self) -> None:
        self.run(self.thread)


def _target(thread: Any) -> Any:
    """What a thread runs: its `target`, or its own `run`."""
    own = type(thread).run
    return getattr(thread, "_target", None) if own is threading.Thread.run else own


def bootstrap_inner(original: Callable[[Any], None]) -> Callable[[Any], None]:
    """`threading.Thread._bootstrap_inner`: a thread's whole life in Python."""

    def _bootstrap_inner(self: Any) -> None:
        if type(self).run is threading.Timer.run:  # the time until it fires is not the function's
            self.function = functions.measured("thread", self.function)
            original(self)
            return
        body = Body(self, original)
        if body.target is None or functions.is_plumbing(body.target):
            del body
            original(self)
        else:
            advise_measure(functions.number("thread", body.target), body)

    return _bootstrap_inner


def submit(original: Callable[..., Any]) -> Callable[..., Any]:
    """`ThreadPoolExecutor.submit`, which `map`, `run_in_executor` and `to_thread` come to."""

    @functools.wraps(original)
    def submit(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if args:
            args = (functions.measured("pool", args[0]), *args[1:])
        return original(self, *args, **kwargs)

    return submit


def pool_method(original: Callable[..., Any]) -> Callable[..., Any]:
    """A method of `multiprocessing.pool.Pool` whose first argument is a function; measured in a `ThreadPool` only."""

    @functools.wraps(original)
    def method(self: Any, func: Any, *args: Any, **kwargs: Any) -> Any:
        from multiprocessing.pool import ThreadPool

        if isinstance(self, ThreadPool):
            func = functions.measured("pool", func)
        return original(self, func, *args, **kwargs)

    return method


def exit_function(original: Callable[..., None]) -> Callable[..., None]:
    """`multiprocessing.util._exit_function`: a child's end, which runs no `atexit` functions where it was forked."""

    @functools.wraps(original)
    def _exit_function(*args: Any, **kwargs: Any) -> None:
        original(*args, **kwargs)
        from fenshen import advise

        advise.report()

    return _exit_function
