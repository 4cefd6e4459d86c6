"""How our process types take the standard library's place before one of CPython's process suites is loaded, and which
of its classes speak of them.

Everything is installed, as `fenshen run` does it, before CPython's modules are imported: what these keep of
`multiprocessing` and `concurrent.futures` at import is ours, in this process and in every child.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import pkgutil
import sys
import unittest
from collections.abc import Iterator, Sequence
from types import ModuleType

from conformance.suites import PROCESSES, borrowed
from conformance.thread_suites import classes, flat

METHODS = ("forkserver", "fork", "spawn")
"""Start methods, each before those that its name begins with."""

ODD = {"FailingInitializerResourcesTest": "spawn"}
"""Classes that name no start method, and the suite that they are run with."""

NAMES = {
    "multiprocessing.synchronize": (
        *("Lock", "RLock", "Semaphore", "BoundedSemaphore"),
        *("Condition", "Event", "Barrier"),
    ),
    "multiprocessing": ("Queue", "JoinableQueue", "SimpleQueue"),
    "multiprocessing.connection": ("Pipe",),
    "multiprocessing.sharedctypes": ("Value", "Array", "RawValue", "RawArray"),
    "multiprocessing.pool": ("Pool",),
    "multiprocessing.managers": ("SyncManager",),
    "multiprocessing.shared_memory": ("SharedMemory", "ShareableList"),
    "concurrent.futures": ("ProcessPoolExecutor",),
}
"""What has to be ours for a run to say something of us. `multiprocessing`'s own names make what stands here."""


def tests(module: str, peer: str) -> list[unittest.TestCase]:
    """Put the peer's types in and return the tests of a module of `PROCESSES`, in `unittest`'s order.

    To be called once in a process, before anything of CPython's tests is loaded.

    Raises:
        ImportError: our types are not there.
        unittest.SkipTest: the module does not run on this machine.
    """
    lend()
    if peer != "stdlib":
        install("off" if peer.endswith("-off") else "raise")
    return flat(classes(loaded, lambda name: speaks_of(module, name)) for loaded in load(module))


def install(deadlock: str) -> None:
    """As `fenshen run` does, and for the interpreters that a test starts.

    Raises:
        ImportError: a name of `NAMES` does not mean ours afterwards.
    """
    fenshen = importlib.import_module("fenshen")
    if fenshen.engine != "native":
        raise ImportError("fenshen's native module does not load here")
    fenshen.install(loop=True, threads=True, processes=True, deadlock=deadlock)
    os.environ["FENSHEN"] = f"1,deadlock={deadlock}"
    theirs = missing()
    if theirs:
        raise ImportError(f"not ours: {', '.join(theirs)}")


def missing() -> list[str]:
    """The names of `NAMES` that do not mean ours, though `install` was called."""
    found = []
    for home, names in NAMES.items():
        standard = importlib.import_module(home)
        found += [f"{home}.{name}" for name in names if not getattr(standard, name).__module__.startswith("fenshen.")]
    return found


def load(module: str) -> Iterator[ModuleType]:
    """The modules that a suite is made of, imported."""
    made_of = PROCESSES[module]
    if made_of == "_test_multiprocessing":
        yield importlib.import_module(f"conformance.{module}")
        return
    loaded = importlib.import_module(f"test.{made_of}")
    if not hasattr(loaded, "__path__"):
        yield loaded
        return
    for info in pkgutil.iter_modules(loaded.__path__, f"{loaded.__name__}."):
        if info.name.rpartition(".")[2].startswith("test_"):
            yield importlib.import_module(info.name)


def speaks_of(module: str, name: str) -> bool:
    """Whether a class belongs to a suite: of processes, and started by the suite's method."""
    made_of, method = PROCESSES[module], module.rpartition("_")[2]
    if made_of == "_test_multiprocessing":
        return not name.startswith("WithThreads")  # `multiprocessing.dummy`: among the thread suites
    if made_of == "test_concurrent_futures":
        named = next((each for each in METHODS if each in name.lower()), None) if name.startswith("Process") else None
        return ODD.get(name, named) == method
    return True


class Lender(importlib.abc.MetaPathFinder):
    """Finds the modules of `test` that this interpreter lacks and an older one beside it has.

    In a child too, where what is unpickled names them: it imports this one's main module again, and so `lend`s.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        package, _, module = name.partition(".")
        place = borrowed(module) if package == "test" and module in PROCESSES.values() else None
        return importlib.util.spec_from_file_location(name, place) if place else None


def lend() -> None:
    """Have modules of `test` found that are borrowed, from now on."""
    if not any(isinstance(each, Lender) for each in sys.meta_path):
        sys.meta_path.append(Lender())
