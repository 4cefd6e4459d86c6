"""Runs tests of one module in this process and streams one JSON line for each start and each end of a test.

Started by `runner.py` with one argument, a JSON object: `module`, `peer`, `fd` (where the lines go), `after` (the id of
the last test that an earlier process began, or an empty string), `only` (the ids to run, or null for all) and
`folder` (more modules than CPython's, for the runner's own tests, or null).
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import importlib
import json
import os
import re
import resource
import signal
import sys
import time
import traceback
import unittest
from functools import partial
from typing import Any

from conformance.suites import kind

PR_SET_PDEATHSIG = 1
SUITES = {"threads": "thread_suites", "processes": "process_suites"}
PREFIX = re.compile(r"\btest\.(test_asyncio\.)?")


def test_id(test: Any, module: str) -> str:
    """The test's id less the package's name; for a class's or a module's set-up, what unittest calls it.

    One test of processes stands in several of our modules, and in other files of CPython's by version: it is
    named by ours and its class.
    """
    name = str(test.id())
    if kind(module) == "processes" and " (" not in name:
        return ".".join((module, *name.split(".")[-2:]))
    return PREFIX.sub("", name, count=1)


class StreamingResult(unittest.TestResult):
    """Reports each test when it starts and when it ends; the worst outcome of a test and its subtests counts."""

    def __init__(self, fd: int, module: str) -> None:
        super().__init__()
        self._fd = fd
        self._module = module
        self._outcome = "passed"
        self._text = ""
        self._began = 0.0
        self._inside = False

    def say(self, **line: object) -> None:
        os.write(self._fd, json.dumps(line).encode() + b"\n")

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._outcome, self._text, self._inside = "passed", "", True
        self._began = time.monotonic()
        self.say(event="start", id=test_id(test, self._module))

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        self._inside = False
        self._end(test)
        if self._outcome == "failed":
            gc.collect()  # what it did not shut down is held by its frames
        if self._outcome == "failed" and "asyncio" in sys.modules:
            # It may have left its loop "running": every test after it would fail too.
            sys.modules["asyncio"]._set_running_loop(None)

    def _end(self, test: unittest.TestCase) -> None:
        seconds = time.monotonic() - self._began
        self.say(event="end", id=test_id(test, self._module), outcome=self._outcome, text=self._text, seconds=seconds)

    def _note(self, test: unittest.TestCase, outcome: str, text: str) -> None:
        if self._outcome == "failed":
            self._text += text if outcome == "failed" else ""
        else:
            self._outcome, self._text = outcome, text
        if not self._inside:  # the set-up or tear-down of a class or of the module: no test is running
            self._end(test)
            self._outcome, self._text = "passed", ""

    def _failed(self, test: unittest.TestCase, err: Any) -> None:
        self._note(test, "failed", "".join(traceback.format_exception(*err)))

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        self._failed(test, err)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        self._failed(test, err)

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        if err is not None:
            self._failed(test, err)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        if self._inside:
            self._note(test, "skipped", reason)

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
        pass

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self._note(test, "failed", "marked by CPython as an expected failure, and passed")


def put_in(module: str, peer: str, folder: str | None) -> list[unittest.TestCase]:
    """The tests of a module, once a peer's types have been put in. Only what the module's kind needs is imported.

    Raises:
        ImportError: the peer is not installed.
        unittest.SkipTest: the module does not run on this machine.
    """
    if kind(module) != "asyncio":
        return list(importlib.import_module(f"conformance.{SUITES[kind(module)]}").tests(module, peer))
    putting_in = importlib.import_module("conformance.putting_in")
    loop_cls = putting_in.put_in(peer)
    if folder:
        importlib.import_module("test.test_asyncio").__path__.append(folder)
    return list(putting_in.load(module, peer, loop_cls))


def main() -> None:
    """Run what the argument asks for; the last line says `done`, and its lack means that the process was killed."""
    job = json.loads(sys.argv[1])
    sys.argv = sys.argv[:1]  # tests that start this process's twin would hand the job on
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # tests of processes that crash
    if sys.platform == "linux":  # the runner may be killed: a test that hangs would then stay for ever
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    result = StreamingResult(job["fd"], job["module"])
    os.set_inheritable(job["fd"], False)
    try:
        tests = put_in(job["module"], job["peer"], job["folder"])
    except unittest.SkipTest as skipped:
        result.say(event="done", skipped=str(skipped))
        return
    name = partial(test_id, module=job["module"])
    if job["after"]:
        tests = tests[[name(test) for test in tests].index(job["after"]) + 1 :]
    if job["only"] is not None:
        wanted = set(job["only"])
        tests = [test for test in tests if {name(test), name(test).rpartition(".")[0]} & wanted]
    unittest.TestSuite(tests).run(result)
    result.say(event="done")


if __name__ == "__main__":
    main()
elif __name__ == "__mp_main__":  # a child that a test of processes started
    importlib.import_module("conformance.process_suites").lend()
