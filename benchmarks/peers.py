"""Where threads may have their locks, queues and pools from, and how each gets its standard names."""

import asyncio
import concurrent.futures
import importlib
import multiprocessing.pool
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .packages import importable, version

STANDARD = (threading, queue, concurrent.futures, multiprocessing.pool, asyncio)
QUEUES = ("Queue", "LifoQueue", "PriorityQueue")
LOCKS = ("Lock", "RLock", "Semaphore", "BoundedSemaphore")
TYPES = (*LOCKS, "Event", "Condition", "Barrier", *QUEUES, "SimpleQueue", "Future", "ThreadPoolExecutor", "ThreadPool")


class Things:
    """What a program asks for, by the standard library's names. What there is not, is a `NotImplementedError`."""

    def __init__(self, *sources: object, but_not: Mapping[str, object] | None = None) -> None:
        self._sources = sources
        self._but_not = but_not or {}

    def __getattr__(self, name: str) -> Any:
        found = next((getattr(source, name) for source in self._sources if hasattr(source, name)), None)
        if found is None or found is self._but_not.get(name):
            raise NotImplementedError(f"there is no {name}")
        setattr(self, name, found)
        return found


def renamed(kind: type, **names: str) -> type:
    """The class with some of its methods under further names."""
    return type(kind.__name__, (kind,), {name: getattr(kind, own) for name, own in names.items()})


class Named:
    """A source of things: a namespace made of keywords."""

    def __init__(self, **things: object) -> None:
        vars(self).update(things)


Ends = tuple[Callable[..., object], Callable[..., Any]]


def ends_of_asyncio(maxsize: int = 0) -> Ends:
    """An `asyncio.Queue`, and how threads put into it."""
    loop, items = asyncio.get_running_loop(), asyncio.Queue[object](maxsize)
    if not maxsize:
        return lambda item: loop.call_soon_threadsafe(items.put_nowait, item), items.get
    return lambda item: asyncio.run_coroutine_threadsafe(items.put(item), loop).result(), items.get


def standard() -> Things:
    return Things(*STANDARD, Named(ends=ends_of_asyncio))


def of_aiologic() -> Things:
    """Its methods for threads are called `green_...`; its reusable events and barriers begin with an R."""
    import aiologic

    pair = {"acquire": "green_acquire", "release": "green_release"}
    passing = {"put": "green_put", "get": "green_get"}

    def ends(maxsize: int = 0) -> Ends:
        items = aiologic.Queue(maxsize or None)
        return items.green_put, items.async_get

    return Things(
        Named(
            **{name: renamed(getattr(aiologic, name), **pair) for name in LOCKS},
            **{name: renamed(getattr(aiologic, name), **passing) for name in (*QUEUES, "SimpleQueue")},
            Event=aiologic.REvent,
            Condition=aiologic.Condition,
            Barrier=aiologic.RBarrier,
            run=asyncio.run,
            ends=ends,
        )
    )


def sides(name: str) -> Things:
    """The side for threads of queues that have one for tasks as well."""
    module = importlib.import_module(name)

    def side(kind: Callable[..., Any]) -> Callable[..., Any]:
        return lambda maxsize=0: kind(maxsize).sync_q

    def ends(maxsize: int = 0) -> Ends:
        both = module.Queue(maxsize)
        return both.sync_q.put, both.async_q.get

    kinds = {each: side(getattr(module, each)) for each in QUEUES}
    return Things(Named(**kinds, SimpleQueue=queue.SimpleQueue, run=asyncio.run, ends=ends))


def types() -> dict[str, object]:
    """What the standard library has under the names that ours have, before we are installed."""
    things = standard()
    return {name: getattr(things, name) for name in TYPES}


def ours() -> Things:
    """By import, and only what is of our own making: what we pass on from the standard library is not ours."""
    theirs = types()
    modules = [importlib.import_module(f"fenshen.{name}") for name in ("threading", "queue", "futures", "_thread_pool")]
    return Things(*modules, importlib.import_module("fenshen"), Named(ends=our_ends), but_not=theirs)


def our_ends(maxsize: int = 0) -> Ends:
    """Of the queue that threads and tasks share."""
    items = importlib.import_module("fenshen").Queue(maxsize)
    return items.put, items.aget


def installed() -> Things:
    """Under the standard names, as `fenshen run` has it."""
    theirs = types()
    importlib.import_module("fenshen").install(threads=True, deadlock="raise")
    return Things(Named(ends=our_ends, run=importlib.import_module("fenshen").run), *STANDARD, but_not=theirs)


class Peer(NamedTuple):
    """One contender: its name, the module that it needs, and how its things are had in the process that measures."""

    name: str
    module: str
    things: Callable[[], Things]

    def available(self) -> bool:
        """Whether it can be imported here."""
        return importable(self.module)

    def version(self) -> str:
        """The version of the package it comes from; none for the standard library, which is the interpreter's."""
        return "" if self.name == "stdlib" else version(self.module)

    def package(self) -> str:
        return self.module.partition(".")[0]


PEERS = {
    peer.name: peer
    for peer in (
        Peer("stdlib", "threading", standard),
        Peer("culsans", "culsans", lambda: sides("culsans")),
        Peer("aiologic", "aiologic", of_aiologic),
        Peer("janus", "janus", lambda: sides("janus")),
        Peer("fenshen", "fenshen.threading", ours),
        Peer("fenshen (installed)", "fenshen.threading", installed),
    )
}
