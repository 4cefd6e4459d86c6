"""The process pools that are measured, and what all of them are brought to: `submit`, `fetch`, `map`, `close`."""

import functools
import importlib
import multiprocessing
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from .packages import importable, version

Function = Callable[..., Any]


class Pool:
    """A pool of `workers` processes. A handle is what `submit` gives and `fetch` makes a result of."""

    submit: Callable[..., Any]
    fetch: Callable[[Any], Any] = staticmethod(operator.methodcaller("result"))

    def many(self, function: Function, arguments: Iterable[Any]) -> list[Any]:
        """A task for each argument, all of them submitted, then all results fetched."""
        submit = self.submit
        return list(map(self.fetch, [submit(function, argument) for argument in arguments]))

    def one(self, function: Function, argument: Any) -> Any:
        return self.fetch(self.submit(function, argument))

    def map(self, function: Function, items: Sequence[Any], chunk: int | None) -> list[Any]:
        """In chunks of that many items; `None`: what the pool does by itself."""
        raise NotImplementedError

    def close(self) -> None:
        """Ends the workers that have nothing to do any more."""


class Executor(Pool):
    """Of the standard library's making, or like it."""

    def __init__(self, make: Callable[..., Any], workers: int, **options: Any) -> None:
        self.pool = make(workers, **options)
        self.submit = self.pool.submit

    def map(self, function: Function, items: Sequence[Any], chunk: int | None) -> list[Any]:
        options = {} if chunk is None else {"chunksize": chunk}
        return list(self.pool.map(function, items, **options))

    def close(self) -> None:
        self.pool.shutdown()


class Applied(Pool):
    """`multiprocessing.Pool`, or like it."""

    fetch = staticmethod(operator.methodcaller("get"))

    def __init__(self, make: Callable[..., Any], workers: int) -> None:
        self.pool = make(workers)

    def submit(self, function: Function, argument: Any) -> Any:
        return self.pool.apply_async(function, (argument,))

    def map(self, function: Function, items: Sequence[Any], chunk: int | None) -> list[Any]:
        return list(self.pool.map(function, items, chunk))

    def close(self) -> None:
        self.pool.close()
        self.pool.join()


Make = Callable[[int], Pool]


METHODS = ("fork", "forkserver", "spawn")


def executor(method: str) -> Make:
    """The standard library's, with that start method."""
    from concurrent.futures import ProcessPoolExecutor

    return lambda workers: Executor(ProcessPoolExecutor, workers, mp_context=multiprocessing.get_context(method))


def standard_pool() -> Make:
    return lambda workers: Applied(multiprocessing.get_context("fork").Pool, workers)


def loky() -> Make:
    from loky import ProcessPoolExecutor

    return lambda workers: Executor(ProcessPoolExecutor, workers)


def not_theirs(kind: Any, theirs: Any) -> Any:
    """Ours, which must not be what we pass on from the standard library."""
    if kind is theirs:
        raise NotImplementedError(f"{kind} is the standard library's")
    return kind


def ours(method: str | None = None) -> Make:
    """By import; with the interpreter's own start method where none is named."""
    from concurrent import futures

    from fenshen.futures import ProcessPoolExecutor
    from fenshen.multiprocessing import get_context

    not_theirs(ProcessPoolExecutor, futures.ProcessPoolExecutor)
    return lambda workers: Executor(ProcessPoolExecutor, workers, mp_context=get_context(method))


def our_pool() -> Make:
    from fenshen.multiprocessing import Pool as make

    not_theirs(make, multiprocessing.Pool)
    return lambda workers: Applied(make, workers)


def installed() -> Make:
    """Under the standard name, as `fenshen run` has it."""
    from concurrent import futures

    import fenshen

    theirs = futures.ProcessPoolExecutor
    fenshen.install(processes=True)
    kind = not_theirs(futures.ProcessPoolExecutor, theirs)
    return lambda workers: Executor(kind, workers)


def foreign(kind: str, module: str) -> Make:
    """Of `foreign_pools`, with what it needs imported: what is measured begins afterwards."""
    importlib.import_module(module)
    made: Make = getattr(importlib.import_module("benchmarks.foreign_pools"), kind)
    return made


class Contender(NamedTuple):
    """One pool: its name, the module that it needs, and what gives the maker of such pools, all imported."""

    name: str
    module: str
    make: Callable[[], Make]

    def available(self) -> bool:
        """Whether it can be imported here."""
        return importable(self.module)

    def version(self) -> str:
        """The version of the package it comes from; none for the standard library, which is the interpreter's."""
        return "" if self.name.startswith("stdlib") else version(self.module)

    def package(self) -> str:
        return self.module.partition(".")[0]


POOLS = {
    pool.name: pool
    for pool in (
        *[Contender(f"stdlib {method}", "multiprocessing", functools.partial(executor, method)) for method in METHODS],
        Contender("stdlib Pool", "multiprocessing", standard_pool),
        Contender("loky", "loky", loky),
        Contender("joblib", "joblib", functools.partial(foreign, "Joblib", "joblib")),
        Contender("pebble", "pebble", functools.partial(foreign, "Pebble", "pebble")),
        Contender("mpire", "mpire", functools.partial(foreign, "Mpire", "mpire")),
        Contender("Ray", "ray", functools.partial(foreign, "Ray", "ray")),
        Contender("Dask", "distributed", functools.partial(foreign, "Dask", "distributed")),
        Contender("fenshen", "fenshen._process_executor", ours),
        Contender("fenshen forkserver", "fenshen._process_executor", functools.partial(ours, "forkserver")),
        Contender("fenshen spawn", "fenshen._process_executor", functools.partial(ours, "spawn")),
        Contender("fenshen Pool", "fenshen.multiprocessing.pool", our_pool),
        Contender("fenshen (installed)", "fenshen._process_executor", installed),
    )
}
