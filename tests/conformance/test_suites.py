"""What is found to be run, and that nothing of it is forgotten."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from . import process_suites, runner, suites, thread_suites

CPYTHON = pytest.mark.skipif(
    not suites.modules("stdlib"), reason="this interpreter was installed without CPython's tests"
)


def run(code: str) -> str:
    """What some code prints that has this folder's modules as a child of the runner has them."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "FENSHEN"))}
    env["PYTHONPATH"] = str(runner.HERE.parent)
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_kinds() -> None:
    assert suites.kind("test_tasks") == "asyncio"
    assert suites.stock("test_tasks") == "asyncio"
    assert suites.kind("test_queue") == "threads"
    assert suites.stock("test_queue") == "stdlib"
    assert suites.kind("multiprocessing_spawn") == "processes"
    assert suites.stock("multiprocessing_spawn") == "stdlib"
    named = [*suites.REQUIRED, *suites.BEYOND, *suites.THREADS, *suites.PROCESSES]
    assert len(named) == len(set(named))


@CPYTHON
def test_each_peer_has_the_modules_of_its_kind() -> None:
    assert {suites.kind(name) for name in suites.modules("fenshen")} == {"asyncio", "threads", "processes"}
    assert {suites.kind(name) for name in suites.modules("uvloop")} == {"asyncio"}
    assert {suites.kind(name) for name in suites.modules("stdlib")} == {"threads", "processes"}


@CPYTHON
def test_every_class_of_lock_tests_is_given_a_type() -> None:
    found = run(
        "import unittest\nfrom test import lock_tests\n"
        "print(*(name for name, each in vars(lock_tests).items() if isinstance(each, type)"
        " and issubclass(each, unittest.TestCase) and not name.startswith('Base')))"
    )
    assert set(found.split()) == {base for base, _, _ in thread_suites.LOCK_TESTS.values()}


@CPYTHON
@pytest.mark.parametrize("deadlock", ["raise", "off"])
def test_what_a_test_starts_is_installed_too(deadlock: str) -> None:
    code = (
        "from test.support.script_helper import assert_python_ok\n"
        "from conformance.thread_suites import install\n"
        f"install({deadlock!r})\n"
        "names = 'Lock', 'Semaphore'\n"
        "code = 'import threading as a, fenshen.threading as b\\n'"
        "'print(*(getattr(a, x) is getattr(b, x) for x in %r))' % (names,)\n"
        "print(assert_python_ok('-c', code)[1].decode())"
    )
    assert run(code).split() == [str(deadlock == "raise"), "True"]


def lay(folder: Path, version: str, *files: str) -> Path:
    """A made-up interpreter's prefix with some modules of tests."""
    place = folder / f"{version}.1" / "lib" / f"python{version}" / "test"
    place.mkdir(parents=True)
    for file in files:
        (place / file).touch()
    return folder / f"{version}.1"


def test_a_missing_module_is_borrowed_from_the_next_older_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = sys.version_info[1]
    monkeypatch.setattr(sys, "base_prefix", str(lay(tmp_path, f"3.{own}", "test_queue.py")))
    monkeypatch.setattr(sys, "version_info", (3, 12, 0))
    lay(tmp_path, "3.9", "test_x.py")
    oldest = lay(tmp_path, "3.10", "test_x.py", "test_y.py")
    lay(tmp_path, "3.99", "test_x.py")
    assert suites.borrowed("test_x") == oldest / "lib/python3.10/test/test_x.py"
    assert suites.borrowed("test_z") is None


def test_each_process_test_is_in_one_suite() -> None:
    futures = [name for name, made_of in suites.PROCESSES.items() if made_of == "test_concurrent_futures"]
    named = {
        "ProcessPoolForkWaitTest": ["futures_fork"],
        "ProcessPoolForkserverWaitTest": ["futures_forkserver"],
        "ProcessPoolSpawnWaitTest": ["futures_spawn"],
        "FailingInitializerResourcesTest": ["futures_spawn"],
        "ThreadPoolWaitTest": [],
        "FutureTests": [],
    }
    for name, within in named.items():
        assert [module for module in futures if process_suites.speaks_of(module, name)] == within
    assert process_suites.speaks_of("multiprocessing_fork", "WithManagerTestLock")
    assert not process_suites.speaks_of("multiprocessing_fork", "WithThreadsTestLock")


@CPYTHON
def test_a_child_that_lends_finds_what_is_borrowed(tmp_path: Path) -> None:
    (tmp_path / "test_lent.py").write_text("there = True")
    code = (
        "import sys\n"
        "from conformance import process_suites\n"
        "process_suites.PROCESSES = {'futures_fork': 'test_lent'}\n"
        f"process_suites.borrowed = lambda name: {str(tmp_path)!r} + f'/{{name}}.py'\n"
        "process_suites.lend()\n"
        "process_suites.lend()\n"
        "print(sum(isinstance(each, process_suites.Lender) for each in sys.meta_path))\n"
        "from test.test_lent import there\n"
        "print(there)\n"
    )
    assert run(code).split() == ["1", "True"]
