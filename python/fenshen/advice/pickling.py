"""What processes would have to be sent: the bytes of pickled arguments and results, and what does not pickle."""

from __future__ import annotations

import contextlib
import pickle
import threading
import time
from typing import Any, NamedTuple

from fenshen.advice.functions import bare

# An object that is larger is not pickled to its end.
LIMIT = 256 << 20
# The way to what does not pickle is looked for so deep, among so many parts of one thing.
_DEEPEST = 8
_WIDEST = 1000


class Weight(NamedTuple):
    """One call: bytes of its arguments and of its result, and the seconds that pickling took."""

    arguments: int
    result: int
    seconds: float


class Refusal(NamedTuple):
    """What does not pickle: the way to it (`args[0].lock`), its type, and why."""

    path: str
    kind: str
    why: str


_weights: dict[int, list[Weight]] = {}
_refusals: dict[int, Refusal] = {}


class _TooLarge(Exception):
    pass


class _Scale:
    """A file that counts what is written to it."""

    def __init__(self) -> None:
        self.bytes = 0

    def write(self, data: Any) -> int:
        self.add(memoryview(data).nbytes)
        return 0

    def add(self, size: int) -> None:
        self.bytes += size
        if self.bytes > LIMIT:
            raise _TooLarge


def size(thing: Any) -> int:
    """The bytes of a pickle, buffers that travel beside it included; at most a little over LIMIT.

    Raises whatever pickling raises.
    """
    scale = _Scale()
    pickler = pickle.Pickler(scale, protocol=5, buffer_callback=lambda buffer: scale.add(buffer.raw().nbytes))
    with contextlib.suppress(_TooLarge):
        pickler.dump(thing)
    return scale.bytes


def weigh(number: int, fn: Any, args: tuple[Any, ...], kwargs: Any, results: tuple[Any, ...]) -> None:
    """Called after a call that computes: weigh what a process would have been sent for it and would have sent back."""
    fn, args, kwargs = _what(fn, args, kwargs)
    began = time.thread_time()
    try:
        arguments = size((fn, args, kwargs))
        result = size(results[0]) if results else 0
    except Exception as e:
        if number not in _refusals:
            found = _blame(fn, args, kwargs, results)
            _refusals[number] = found or Refusal("its arguments", type(e).__name__, str(e))
        return
    _weights.setdefault(number, []).append(Weight(arguments, result, time.thread_time() - began))


def arguments(coro: Any) -> tuple[Any, ...] | None:
    """What a coroutine that has not begun was made with; None if that can't be told."""
    frame = getattr(coro, "cr_frame", None)
    code = getattr(coro, "cr_code", None)
    if frame is None or code is None:
        return None
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)
    known = frame.f_locals
    return tuple(known[name] for name in code.co_varnames[:count] if name in known)


def weights(number: int) -> list[Weight]:
    """What was weighed for a row."""
    return _weights.get(number, [])


def refusal(number: int) -> Refusal | None:
    """What did not pickle for a row."""
    return _refusals.get(number)


def forget() -> None:
    """After a fork, in the child."""
    _weights.clear()
    _refusals.clear()


def _what(fn: Any, args: tuple[Any, ...], kwargs: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    from fenshen.advice.hooks import Body

    if not isinstance(fn, Body):
        return bare(fn, args, kwargs)
    if type(fn.thread).run is threading.Thread.run:
        return bare(fn.target, fn.args, fn.kwargs)
    own = vars(fn.thread).keys() - vars(threading.Thread()).keys()
    return None, (), {name: vars(fn.thread)[name] for name in sorted(own)}


def _blame(fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], results: tuple[Any, ...]) -> Refusal | None:
    parts = [("the function", fn)]
    parts += [(f"args[{at}]", value) for at, value in enumerate(args)]
    named = "self.{}" if fn is None else "kwargs[{!r}]"  # a thread's own attributes, where it has its own `run`
    parts += [(named.format(name), value) for name, value in kwargs.items()]
    parts += [("the result", value) for value in results]
    for path, value in parts:
        found = culprit(value, path)
        if found is not None:
            return found
    return None


def culprit(thing: Any, path: str, depth: int = 0) -> Refusal | None:
    """The innermost part of `thing` that does not pickle, with the way to it; None if it does."""
    try:
        size(thing)
    except Exception as e:
        if depth < _DEEPEST:
            for step, part in _parts(thing):
                found = culprit(part, path + step, depth + 1)
                if found is not None:
                    return found
        return Refusal(path, _kind(thing), " ".join(str(e).split()) or type(e).__name__)
    return None


def _kind(thing: Any) -> str:
    kind = type(thing)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _parts(thing: Any) -> list[tuple[str, Any]]:
    """What a thing is made of, as pickle sees it, by how one comes to it."""
    if isinstance(thing, type):
        return []
    if isinstance(thing, (list, tuple)):
        return [(f"[{at}]", part) for at, part in enumerate(thing[:_WIDEST])]
    if isinstance(thing, dict):
        return [(f"[{_key(key)}]", part) for key, part in list(thing.items())[:_WIDEST]]
    if isinstance(thing, (set, frozenset)):
        return [("{...}", part) for part in list(thing)[:_WIDEST]]
    if hasattr(thing, "__func__") and hasattr(thing, "__self__"):
        return [(".__self__", thing.__self__)]
    if hasattr(thing, "__code__"):
        return []
    held = getattr(thing, "__dict__", None)
    found = [(f".{name}", part) for name, part in held.items()] if isinstance(held, dict) else []
    for kind in type(thing).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in [slots] if isinstance(slots, str) else slots:
            if isinstance(name, str) and name not in ("__dict__", "__weakref__") and hasattr(thing, name):
                found.append((f".{name}", getattr(thing, name)))
    return found[:_WIDEST]


def _key(key: Any) -> str:
    return repr(key) if isinstance(key, (str, int)) else f"<{type(key).__name__}>"
