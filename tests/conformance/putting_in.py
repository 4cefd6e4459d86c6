"""How ours takes the standard library's place before one of CPython's test modules is loaded.

CPython tests its two forms of each type, `_CTask` and `_PyTask`, by name. The C form's names are pointed at ours, and
so are the public ones; the Python form's are left alone, since it is the standard library's and mixing with it is part
of what is tested.
"""

from __future__ import annotations

import asyncio
import asyncio.base_events
import asyncio.events
import importlib
import sys
import unittest
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

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
        "fenshen-loop": ("fenshen", "EventLoop"),
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
    """What `install` puts in, and the C form's second names."""
    fenshen = importlib.import_module("fenshen")
    if fenshen.engine != "native":
        raise ImportError("fenshen's native module does not load here")
    fenshen.install(loop=True, threads=True, processes=False, deadlock="raise")
    asyncio.tasks._CTask = asyncio.tasks.Task  # type: ignore[attr-defined]
    asyncio.futures._CFuture = asyncio.futures.Future  # type: ignore[attr-defined]
    # What our loop's TLS connections are made of, for the tests that make one by hand.
    asyncio.sslproto.SSLProtocol = importlib.import_module("fenshen._fenshen").SSLProtocol  # type: ignore[misc]


def _put_loop_in(loop_cls: type[asyncio.AbstractEventLoop]) -> None:
    asyncio.SelectorEventLoop = asyncio.BaseEventLoop = loop_cls  # type: ignore[misc, assignment]
    if hasattr(asyncio, "EventLoop"):  # 3.13+
        asyncio.EventLoop = loop_cls
    own = getattr(loop_cls, "_run_once", None)
    if own is None or own is asyncio.base_events.BaseEventLoop._run_once:  # type: ignore[attr-defined]
        loop_cls._run_once = _run_once  # type: ignore[attr-defined]
    if not hasattr(loop_cls, "_default_executor"):  # every tear-down reads it: without it a peer would fail all
        loop_cls._default_executor = None  # type: ignore[attr-defined]
    put_policy_in(loop_cls)


def put_policy_in(loop_cls: type[asyncio.AbstractEventLoop]) -> None:
    """Have the default policy make loops of a class, also after `set_event_loop_policy(None)`, as most tests end."""
    if sys.version_info < (3, 14):
        home, name = asyncio, "DefaultEventLoopPolicy"
    else:
        home, name = asyncio.unix_events, "_DefaultEventLoopPolicy"  # type: ignore[attr-defined]
    stock: Any = getattr(home, name)
    setattr(home, name, type(stock.__name__, (stock,), {"_loop_factory": loop_cls}))


def _run_once(loop: asyncio.AbstractEventLoop) -> None:
    """One turn by public means, for the many tests of public behaviour that take a turn by asyncio's private method."""
    loop.call_soon(loop.stop)
    loop.run_forever()


class _BaseEvents(ModuleType):
    """`asyncio.base_events` as test_base_events sees it: the BaseEventLoop that it makes is ours.

    Elsewhere that name means asyncio's own class: a base of test_asyncio's TestLoop, and a place to patch methods.
    """

    def __init__(self, loop_cls: type[asyncio.AbstractEventLoop]) -> None:
        super().__init__("asyncio.base_events")
        self.BaseEventLoop = loop_cls

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio.base_events, name)


def load(module_name: str, peer: str, loop_cls: type[asyncio.AbstractEventLoop]) -> list[unittest.TestCase]:
    """The tests of one module of `test.test_asyncio`, in the order of `unittest`, less those that do not speak of us.

    Raises:
        unittest.SkipTest: the module does not run on this machine.
    """
    module = importlib.import_module(f"test.test_asyncio.{module_name}")
    if peer != "asyncio" and module_name == "test_base_events":
        module.base_events = _BaseEvents(loop_cls)  # type: ignore[attr-defined]
    if peer == "fenshen" and module_name == "test_taskgroups":
        # `install` leaves asyncio's in its place; with the peer "fenshen-loop" it is that one which is tested.
        module.taskgroups.TaskGroup = importlib.import_module("fenshen").TaskGroup
    if peer == "fenshen" and module_name == "test_events":
        # Only where they are made by hand: asyncio's code makes its own handles, and elsewhere asks for their type.
        native = importlib.import_module("fenshen._fenshen")
        asyncio.Handle, asyncio.TimerHandle = native.Handle, native.TimerHandle  # type: ignore[misc]
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
