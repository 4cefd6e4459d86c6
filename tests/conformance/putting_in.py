"""How ours takes the standard library's place before one of CPython's test modules is loaded.

CPython tests its two forms of each type, `_CTask` and `_PyTask`, by name. The C form's names are pointed at ours, and so
are the public ones; the Python form's are left alone, since it is the standard library's and mixing with it is part of
what is tested.
"""

from __future__ import annotations

import asyncio
import asyncio.base_events
import asyncio.events
import contextlib
import importlib
import sys
import unittest
from collections.abc import Callable, Iterable
from typing import Any

PEERS = ("fenshen", "asyncio", "uvloop", "rloop")

# Classes that build every loop, task and future they use from the pure-Python types, or replace asyncio's functions by
# the pure-Python ones: they would say the same whatever is put in.
PURE_PYTHON = {
    "test_tasks": (
        "PyTask_PyFuture_Tests",
        "PyTask_PyFuture_SubclassTests",
        "PyIntrospectionTests",
        "PyCurrentLoopTests",
    ),
    "test_futures": ("PyFutureTests", "PyFutureDoneCallbackTests", "PyFutureInheritanceTests"),
    "test_futures2": ("PyFutureTests",),
    "test_events": ("TestPyGetEventLoop",),
    "test_eager_task_factory": ("PyEagerTaskFactoryLoopTests", "NonEagerPyTaskTests", "EagerPyTaskTests"),
}

# The same tests over other selectors. One stays, the loop put in stands in it.
SELECTOR_VARIANTS = ("SelectEventLoopTests", "PollEventLoopTests", "KqueueEventLoopTests")
KEPT_VARIANT = "EPollEventLoopTests"


def loop_class(peer: str) -> type[asyncio.AbstractEventLoop]:
    """The event loop class of a peer.

    Raises:
        ImportError: the peer is not installed.
    """
    module, name = {
        "fenshen": ("fenshen", "EventLoop"),
        "asyncio": ("asyncio", "SelectorEventLoop"),
        "uvloop": ("uvloop", "Loop"),
        "rloop": ("rloop", "RLoop"),
    }[peer]
    found: type[asyncio.AbstractEventLoop] = getattr(importlib.import_module(module), name)
    return found


def put_in(peer: str) -> type[asyncio.AbstractEventLoop]:
    """Point asyncio's names at the peer's and return its loop class. To be called before `test.test_asyncio` is loaded.

    Raises:
        ImportError: the peer is not installed.
    """
    loop_cls = loop_class(peer)
    if peer == "fenshen":
        _put_types_in()
    if peer != "asyncio":
        _put_loop_in(loop_cls)
    return loop_cls


def _put_types_in() -> None:
    """What `install` puts in, and what it does not: the C form's second names, and the handles."""
    fenshen = importlib.import_module("fenshen")
    if fenshen.engine != "native":
        raise ImportError("fenshen's native module does not load here")
    fenshen.install(loop=True, threads=False, processes=False)
    native = importlib.import_module("fenshen._fenshen")
    asyncio.tasks._CTask = asyncio.tasks.Task  # type: ignore[attr-defined]
    asyncio.futures._CFuture = asyncio.futures.Future  # type: ignore[attr-defined]
    # asyncio.events keeps its own: asyncio's loops, which are among those that ours is mixed with, make theirs there.
    for name in ("Handle", "TimerHandle"):
        with contextlib.suppress(TypeError):
            getattr(native, name)(print, (), None) if name == "Handle" else native.TimerHandle(0, print, (), None)
            setattr(asyncio, name, getattr(native, name))
    import fenshen.loop as L; P = L.EventLoop._selector
    if isinstance(P, property): L.EventLoop._selector = property(lambda s: s.__dict__.get("_sel") or P.fget(s), lambda s, v: s.__dict__.__setitem__("_sel", v))


def _put_loop_in(loop_cls: type[asyncio.AbstractEventLoop]) -> None:
    asyncio.SelectorEventLoop = asyncio.BaseEventLoop = loop_cls  # type: ignore[misc, assignment]
    if hasattr(asyncio, "EventLoop"):  # 3.13+
        asyncio.EventLoop = loop_cls  # type: ignore[misc, assignment]
    if not hasattr(loop_cls, "_default_executor"):  # every tear-down reads it: without it a peer would fail all
        loop_cls._default_executor = None  # type: ignore[attr-defined]
    # `set_event_loop_policy(None)`, which most modules call as they end, looks this name up again.
    name = "DefaultEventLoopPolicy" if sys.version_info < (3, 14) else "_DefaultEventLoopPolicy"
    stock: Any = getattr(asyncio, name)
    setattr(asyncio, name, type(stock.__name__, (stock,), {"_loop_factory": loop_cls}))


def load(module_name: str, peer: str, loop_cls: type[asyncio.AbstractEventLoop]) -> list[unittest.TestCase]:
    """The tests of one module of `test.test_asyncio`, in the order of `unittest`, less those that do not speak of us.

    Raises:
        unittest.SkipTest: the module does not run on this machine.
    """
    importlib.import_module("test.test_asyncio.utils")  # its TestLoop overrides _run_once: it stays asyncio's
    if peer != "asyncio":
        asyncio.base_events.BaseEventLoop = loop_cls  # type: ignore[misc, assignment]
    module = importlib.import_module(f"test.test_asyncio.{module_name}")
    for name in (*SELECTOR_VARIANTS, *PURE_PYTHON.get(module_name, ())):
        if name in SELECTOR_VARIANTS and not hasattr(module, KEPT_VARIANT):
            continue
        if hasattr(module, name):
            delattr(module, name)
    if hasattr(module, KEPT_VARIANT):
        new_loop: Callable[[Any], asyncio.AbstractEventLoop] = lambda self: loop_cls()  # noqa: E731
        getattr(module, KEPT_VARIANT).create_event_loop = new_loop
    return list(_flatten(unittest.defaultTestLoader.loadTestsFromModule(module)))


def _flatten(suite: Iterable[Any]) -> Iterable[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from _flatten(test)
        else:
            yield test
