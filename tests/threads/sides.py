"""The standard library's `threading` and ours, side by side, and threads whose errors are not lost."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
from fenshen import threading as ours

each_side = pytest.mark.parametrize("threads", [pytest.param(threading, id="stdlib"), pytest.param(ours, id="fenshen")])
PATIENCE = 60.0
# The number of the system call.
FUTEX = {"x86_64": "202", "aarch64": "98"}.get(os.uname().machine, "no such call")


def until(condition: Callable[[], object]) -> None:
    """Wait until that holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.001)


class Running:
    """A thread, and what becomes of it."""

    def __init__(self, target: Callable[[], object]):
        self.result: Any = None
        self.error: BaseException | None = None
        self._target = target
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self._target()
        except BaseException as e:
            self.error = e

    def is_asleep(self) -> bool:
        """Whether it sleeps on a futex without a timeout, which a thread that waits for the interpreter never does."""
        number = self._thread.native_id
        if number is None or self.is_over():
            return False
        with open(f"/proc/self/task/{number}/syscall") as f:
            call, *arguments = f.read().split()
        return call == FUTEX and arguments[3] == "0x0"

    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def get(self) -> Any:
        """Its result when it has ended; raises what it raised."""
        self._thread.join(PATIENCE)
        assert self.is_over(), "it does not end"
        if self.error is not None:
            raise self.error
        return self.result


@contextmanager
def running(*targets: Callable[[], object]) -> Iterator[list[Running]]:
    """Threads that have ended, without an error, when the block has."""
    threads = [Running(target) for target in targets]
    yield threads
    for thread in threads:
        thread.get()


def told(condition: Any) -> bool:
    """Wait to be told."""
    with condition:
        return bool(condition.wait(PATIENCE))


def aside(action: Callable[[], object]) -> Any:
    """What it returns or raises in another thread."""
    return Running(action).get()


def plain(text: str) -> str:
    """Without addresses, and without what tells one side from the other."""
    text = re.sub(r"\b(0x)?[0-9a-f]{8,}\b", "...", text)
    text = re.sub(r"owner=\d+", "owner=N", text)
    for name, standard in (("Lock", "_thread.lock"), ("RLock", "_thread.RLock")):
        text = text.replace(f"fenshen.{name} ", f"{standard} ")
    return text


def outcome(action: Callable[[], object]) -> str:
    """What comes of it: a value, or an error's type and words."""
    try:
        return plain(repr(action()))
    except Exception as e:
        return f"{type(e).__name__}: {plain(str(e))}"


def assert_same(*actions: Callable[[ModuleType], object], words: bool = True) -> None:
    """Each action has the same outcome on both sides; without `words`, an error of the same type is enough."""
    for action in actions:
        theirs, mine = outcome(lambda: action(threading)), outcome(lambda: action(ours))  # noqa: B023
        if not words:
            theirs, mine = theirs.partition(":")[0], mine.partition(":")[0]
        assert mine == theirs, f"fenshen's: {mine}; the standard library's: {theirs}"


def assert_waits(wait: Callable[[float], object], expected: object) -> None:
    """`wait(timeout)` takes no less than its timeout, and then returns `expected`."""
    for timeout in (0.0001, 0.001, 0.0137, 0.05):
        began = time.monotonic()
        assert wait(timeout) == expected
        assert time.monotonic() - began >= timeout
