"""Which function it is that was handed to a thread, a pool or a task, and how it is shown."""

from __future__ import annotations

import asyncio
import functools
import os
import types
from contextvars import Context
from typing import Any

from fenshen._fenshen import advise_function, advise_measure

# What the standard library and we start threads for: their time says nothing about the program.
_PLUMBING = ("concurrent.futures", "multiprocessing", "asyncio", "fenshen", "logging.handlers")
_FOLDERS = {os.path.dirname(asyncio.__file__), os.path.dirname(os.path.dirname(os.path.abspath(__file__)))}


class Function:
    """A function, and the way in which it was handed over: "thread", "pool", "process" or "task"."""

    __slots__ = ("code", "name", "place", "way")

    def __init__(self, way: str, name: str, code: types.CodeType | None) -> None:
        self.way = way
        self.name = name
        self.code = code  # kept: its address is what the function is known by
        self.place = "" if code is None else f"{_short(code.co_filename)}:{code.co_firstlineno}"


_numbers: dict[tuple[str, Any], int] = {}
_functions: dict[int, Function] = {}


def bare(fn: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """`fn(*args, **kwargs)` without partials and without `Context.run`, which `asyncio.to_thread` puts around it."""
    kwargs = dict(kwargs or ())
    while True:
        if isinstance(fn, functools.partial):
            args, kwargs, fn = (*fn.args, *args), {**fn.keywords, **kwargs}, fn.func
        elif args and isinstance(getattr(fn, "__self__", None), Context) and fn.__name__ == "run":
            fn, args = args[0], args[1:]
        else:
            return fn, args, kwargs


def is_plumbing(fn: Any) -> bool:
    """Whether a thread's function is one of the standard library's own or of ours."""
    holder = getattr(fn, "__self__", None)
    module = getattr(fn, "__module__", None) or type(holder).__module__
    return any(module == name or module.startswith(name + ".") for name in _PLUMBING)


def is_own(source: Any) -> bool:
    """Whether a task's code or type is asyncio's or ours."""
    if isinstance(source, types.CodeType):
        return os.path.dirname(source.co_filename) in _FOLDERS
    return source is not None and is_plumbing(source)


def number(way: str, fn: Any) -> int:
    """The number of a function's row. A function that is made anew each time, a lambda say, is known by its code."""
    fn, _, _ = bare(fn)
    code = _code(fn)
    key = (way, id(code) if code is not None else _name(fn))
    found = _numbers.get(key)
    if found is None:
        found = _numbers[key] = advise_function()
        _functions[found] = Function(way, _name(fn), code)
    return found


def function(at: int, source: Any) -> Function:
    """The function of a row; `source` is the code or the type that a task's row has."""
    if at in _functions:
        return _functions[at]
    if isinstance(source, types.CodeType):
        return Function("task", getattr(source, "co_qualname", source.co_name), source)
    return Function("task", _name(source), None)


def measured(way: str, fn: Any) -> Any:
    """What is handed over in place of `fn`: the same call, measured."""
    if not callable(fn) or (isinstance(fn, functools.partial) and fn.func is advise_measure):
        return fn
    return functools.partial(advise_measure, number(way, fn), fn)


def _code(fn: Any) -> types.CodeType | None:
    fn = getattr(fn, "__func__", fn)
    code = getattr(fn, "__code__", None)
    if code is None and not isinstance(fn, (type, types.BuiltinFunctionType)):
        code = getattr(type(fn).__call__, "__code__", None)
    return code if isinstance(code, types.CodeType) else None


def _name(fn: Any) -> str:
    name = getattr(fn, "__qualname__", None)
    if not isinstance(name, str):
        fn = type(fn)
        name = fn.__qualname__
    module = getattr(fn, "__module__", None)
    return f"{module}.{name}" if module not in (None, "builtins", "__main__") and _code(fn) is None else name


def _short(path: str) -> str:
    """A file as people know it: below the current folder from there, elsewhere its name."""
    try:
        inside = os.path.relpath(path)
    except (OSError, ValueError):
        inside = os.pardir
    return os.path.basename(path) if inside.startswith(os.pardir) else inside
