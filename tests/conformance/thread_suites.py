"""How our thread types take the standard library's place before one of CPython's thread suites is loaded, and which of
its classes speak of them.

The suites test two forms of some types, in C and in Python, by name. The C form's names are pointed at ours; the tests
of the Python form are left out, since they would say the same whatever is put in.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import sys
import threading
import unittest
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from conformance.suites import THREADS, borrowed

# The classes of `test.lock_tests` are bases without a type to test: the class, and what it tests.
LOCK_TESTS = {
    "LockTests": ("LockTests", "locktype", "Lock"),
    "RLockTests": ("RLockTests", "locktype", "RLock"),
    "ConditionAsRLockTests": ("RLockTests", "locktype", "Condition"),
    "ConditionTests": ("ConditionTests", "condtype", "Condition"),
    "EventTests": ("EventTests", "eventtype", "Event"),
    "SemaphoreTests": ("SemaphoreTests", "semtype", "Semaphore"),
    "BoundedSemaphoreTests": ("BoundedSemaphoreTests", "semtype", "BoundedSemaphore"),
    "BarrierTests": ("BarrierTests", "barriertype", "Barrier"),
}

# Classes about the Python form of a type, or about processes.
LEFT_OUT = {
    "test_threading": ("PyRLockTests",),
    "test_queue": (
        "PyQueueTest",
        "PyLifoQueueTest",
        "PyPriorityQueueTest",
        "PyFailingQueueTest",
        "PySimpleQueueTest",
    ),
    "test_concurrent_futures": ("Process", "Interpreter", "FailingInitializerResourcesTest"),
}
# Where few classes of a module are about threads: how their names begin.
KEPT = {"test_contextlib": "LockContextTestCase", "multiprocessing_dummy": "WithThreads"}

PATCHED = {"test_thread", "test_threading", "test_threadsignals"}
"""Modules that take their locks from `_thread`, which `install` leaves alone."""

NAMES = {
    "threading": sorted({name for _, _, name in LOCK_TESTS.values()}),
    "queue": ("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"),
    "concurrent.futures": ("ThreadPoolExecutor", "Future"),
}
NEEDED = {
    "test_queue": ("queue",),
    "multiprocessing_dummy": ("queue",),
    "test_concurrent_futures": ("queue", "concurrent.futures"),
}
"""What has to be ours beside `threading`, for a module to say something of us."""

GROUPS = {"loop": False, "threads": True, "processes": False}


def tests(module: str, peer: str) -> list[unittest.TestCase]:
    """Put the peer's types in and return the tests of a module of `THREADS` that speak of them, in `unittest`'s order.

    To be called once in a process, before anything of CPython's tests is loaded.

    Raises:
        ImportError: our types are not there.
        unittest.SkipTest: the module does not run on this machine.
    """
    if peer != "stdlib" and module != "lock_tests":
        deadlock = "off" if "off" in (module.rpartition("_")[2], peer.rpartition("-")[2]) else "raise"
        install(deadlock, NEEDED.get(module, ()))
    if THREADS[module] == "lock_tests":
        return flat([lock_tests(module, peer)])
    kept, left_out = KEPT.get(module, ""), LEFT_OUT.get(module, ())
    return flat(
        classes(each, lambda name: name.startswith(kept) and not name.startswith(left_out))
        for each in load(module, peer)
    )


def install(deadlock: str, also: Iterable[str] = ()) -> None:
    """As a program would, and for the interpreters that a test starts.

    Raises:
        ImportError: the names of `threading`, and of the modules in `also`, do not mean ours afterwards.
    """
    fenshen = importlib.import_module("fenshen")
    if fenshen.engine != "native":
        raise ImportError("fenshen's native module does not load here")
    fenshen.install(**GROUPS, deadlock=deadlock)
    os.environ["FENSHEN"] = f"1,deadlock={deadlock}"
    for home in ("threading", *also):
        standard = importlib.import_module(home)
        ours = importlib.import_module(f"fenshen.{home.rpartition('.')[2]}")
        for name in NAMES[home]:
            if deadlock == "off" and name in ("Lock", "RLock"):
                continue  # the interpreter's own serve
            if getattr(standard, name) is not getattr(ours, name):
                raise ImportError(f"{home}.{name} is not ours")


def lock_tests(module: str, peer: str) -> unittest.TestSuite:
    """`test.lock_tests` with its factories: ours by name, or whatever stands in `threading` by now."""
    direct = module == "lock_tests" and peer != "stdlib"
    home = importlib.import_module("fenshen.threading") if direct else threading
    bases = importlib.import_module("test.lock_tests")
    made = ModuleType(module)
    sys.modules[module] = made
    for name, (base, attribute, factory) in LOCK_TESTS.items():
        space = {"__module__": module, attribute: staticmethod(getattr(home, factory))}
        if name == "ConditionAsRLockTests":
            space["test_recursion_count"] = None  # a condition does not have it
        setattr(made, name, type(name, (getattr(bases, base), unittest.TestCase), space))
    return unittest.defaultTestLoader.loadTestsFromModule(made)


def load(module: str, peer: str) -> Iterable[ModuleType]:
    """CPython's module, imported; for a package, each of its own modules of tests."""
    if module == "multiprocessing_dummy":
        yield multiprocessing_dummy()
        return
    patched = peer == "fenshen" and module in PATCHED
    loaded = import_patched(f"test.{module}") if patched else import_shipped(module)
    if module == "test_queue":
        for each in vars(loaded).values():
            if getattr(each, "queue", None) is loaded.c_queue:
                each.queue = importlib.import_module("queue")  # a fresh import of it has fresh exceptions
    if hasattr(loaded, "__path__"):
        for info in pkgutil.iter_modules(loaded.__path__, f"{loaded.__name__}."):
            if info.name.rpartition(".")[2].startswith("test_"):
                yield importlib.import_module(info.name)
    else:
        yield loaded


def import_shipped(module: str) -> ModuleType:
    """From this interpreter's `test`, or from that of an older one beside it."""
    name = f"test.{module}"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as e:
        path = borrowed(module)
        if e.name != name or path is None:
            raise
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


class _Thread(ModuleType):
    """`_thread` as a module of tests sees it: its locks are ours, the rest is the interpreter's."""

    def __init__(self, real: ModuleType) -> None:
        super().__init__("_thread")
        self._real = real
        ours = importlib.import_module("fenshen.threading")
        self.allocate_lock = self.allocate = self.LockType = self.lock = ours.Lock
        self.RLock = ours.RLock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def import_patched(name: str) -> ModuleType:
    """Import a module of tests that takes its locks from `_thread`, or from the C form's names in `threading`."""
    threading._CRLock = threading.RLock  # type: ignore[attr-defined]
    for first in ("test.lock_tests", "test.support.threading_helper", "test.support.script_helper", "unittest.mock"):
        importlib.import_module(first)  # these keep the interpreter's own
    real = sys.modules["_thread"]
    sys.modules["_thread"] = _Thread(real)
    try:
        return importlib.import_module(name)
    finally:
        sys.modules["_thread"] = real


def multiprocessing_dummy() -> ModuleType:
    """The tests of `multiprocessing` that it repeats over `multiprocessing.dummy`: pools and queues of threads."""
    made = ModuleType("multiprocessing_dummy")
    sys.modules[made.__name__] = made
    source = importlib.import_module("test._test_multiprocessing")
    source.install_tests_in_module_dict(vars(made), "fork")
    pool = vars(made)["WithThreadsTestPool"]
    stock = pool.test_terminate

    def test_terminate(self: unittest.TestCase) -> None:
        long, source.support.LONG_TIMEOUT = source.support.LONG_TIMEOUT, 1
        try:
            stock(self)
        finally:
            source.support.LONG_TIMEOUT = long

    # Its tasks sleep for so long, and no thread can be killed in its sleep: CPython's own test does this from 3.13 on.
    pool.test_terminate = test_terminate
    return made


def classes(loaded: ModuleType, wanted: Callable[[str], bool]) -> unittest.TestSuite:
    """The tests of those of a module's own classes whose names are wanted."""
    suite = unittest.TestSuite()
    for name, each in sorted(vars(loaded).items()):
        if not isinstance(each, type) or not issubclass(each, unittest.TestCase) or each.__module__ != loaded.__name__:
            continue
        if wanted(name):
            suite.addTests(unittest.defaultTestLoader.loadTestsFromTestCase(each))
    return suite


def flat(suites: Iterable[Any]) -> list[unittest.TestCase]:
    """The tests in nested suites."""
    found: list[unittest.TestCase] = []
    for each in suites:
        found += flat(each) if isinstance(each, unittest.TestSuite) else [each]
    return found
