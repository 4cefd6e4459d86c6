"""What kind of function a stage was given."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any


def bare(fn: Any) -> Any:
    """A function without partials; of an object that can be called, its `__call__`."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    if not (inspect.isroutine(fn) or inspect.isclass(fn)):
        return getattr(type(fn), "__call__", fn)  # noqa: B004
    return fn


def is_coroutine_function(fn: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine."""
    return inspect.iscoroutinefunction(bare(fn))


def is_generator_function(fn: Callable[..., Any]) -> bool:
    """Whether calling it gives a generator."""
    return inspect.isgeneratorfunction(bare(fn))


def is_async_generator_function(fn: Callable[..., Any]) -> bool:
    """Whether calling it gives an asynchronous generator."""
    return inspect.isasyncgenfunction(bare(fn))


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether it needs a loop."""
    return is_coroutine_function(fn) or is_async_generator_function(fn)


def name_of(fn: Callable[..., Any]) -> str:
    """A function's name, as a stage shows it."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return getattr(fn, "__name__", None) or type(fn).__name__
