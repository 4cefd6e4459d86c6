"""Tests that hang, each in another call, for pytest-timeout to end; run in a process of their own."""

from __future__ import annotations

import os
import queue
import threading
from concurrent.futures import Future

import pytest

CALL = os.environ.get("HANGS_IN", "")
held = threading.Lock()
held.acquire()
WAITS = {
    "event": threading.Event().wait,
    "get": queue.Queue().get,
    "lock": held.acquire,
    "result": Future().result,
    "semaphore": threading.Semaphore(0).acquire,
}


def test_that_passes() -> None:
    done = threading.Event()
    threading.Timer(0.01, done.set).start()
    assert done.wait(30)


@pytest.mark.timeout(60)
def test_in_time() -> None:
    assert queue.Queue().empty()


@pytest.mark.timeout(0.3)
def test_that_hangs() -> None:
    WAITS[CALL]()
