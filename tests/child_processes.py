"""What the tests of child processes share."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from sockets import OURS, Loop
from test_leaks import descriptors

Main = Callable[[Loop], Awaitable[Any]]


@contextlib.contextmanager
def no_children() -> Iterator[None]:
    """Nothing of this test may be left of its children: no zombie, no process, no descriptor."""
    gc.collect()
    files = descriptors()
    yield
    gc.collect()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert descriptors() == files


def alone(main: Main) -> Any:
    """Run on a loop of ours, after which nothing may be left."""
    with no_children():
        return OURS(main)


class Log(asyncio.SubprocessProtocol):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.over = asyncio.get_running_loop().create_future()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.events.append("made")

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.events.append((fd, data))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self.events.append((fd, "lost", type(exc)))

    def process_exited(self) -> None:
        self.events.append(("exited", self.transport.get_returncode()))

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append(("over", exc))
        self.over.set_result(None)

    def of(self, fd: int) -> list[Any]:
        """What came by one descriptor, its data in one piece."""
        mine = [event for event in self.events if event[0] == fd]
        data = b"".join(event[1] for event in mine if len(event) == 2)
        return [data, *(event for event in mine if len(event) == 3)]


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.001)


def until_zombie(pid: int) -> None:
    """Wait until a child has ended, without taking its status."""
    with contextlib.suppress(ChildProcessError):  # a thread of asyncio's may have taken it
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def before_watching(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], Any]) -> None:
    """Have something happen to a child between its start and its being watched."""
    opens = os.pidfd_open

    def pidfd_open(pid: int, flags: int = 0) -> int:
        act(pid)
        return opens(pid, flags)

    monkeypatch.setattr(os, "pidfd_open", pidfd_open)
